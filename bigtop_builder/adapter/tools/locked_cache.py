"""Locked downloads: found in the store by their digests, else downloaded by this program, and seeded for one compile.

The bytes are measured whenever they are used. What a repository does not have any more cannot be downloaded: then the
lock is of no use on a machine whose store does not hold it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from bigtop_builder.adapter.store import translated
from bigtop_builder.adapter.tools.cache import Cache, Seeded, matches
from bigtop_builder.adapter.tools.cache_files import make_folders, temporary_beside
from bigtop_builder.adapter.tools.repository_files import RepositoryFiles, Wanted
from bigtop_builder.model.build_tools.tool import AddressBook
from bigtop_builder.model.errors import SourceError, StoreError
from bigtop_builder.model.lock import LockedFile

Locked = Mapping[str, LockedFile]
SHOWN = 3


def provide(cache: Cache, locked: Locked, book: AddressBook, repositories: RepositoryFiles | None) -> int:
    """Have every locked file in the store, and return how many were downloaded for that.

    Without ``repositories`` this program is offline. Raises SourceError that names what cannot be had, StoreError,
    ConfigurationError when the address of a repository is unknown, InterruptedRunError.
    """
    with translated(cache.root):
        missing = _missing(cache, locked)
        if missing:
            if repositories is None:
                raise _unavailable(cache, dict.fromkeys(missing, "it is not in the store, and this run is offline"))
            if failed := _download(cache, {path: locked[path] for path in missing}, book, repositories):
                raise _unavailable(cache, failed)
    return len(missing)


def _missing(cache: Cache, locked: Locked) -> list[str]:
    """Return the files that are not in the store with the bytes of the lock."""
    paths = [path for path, file in locked.items() if file.text is None]

    def is_there(path: str) -> bool:
        expected = [("sha256", locked[path].sha256)]
        found = cache.find(path)
        return (found is not None and matches(found, expected)) or cache.adopt_own(path, expected)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return [path for path, there in zip(paths, threads.map(is_there, paths), strict=True) if not there]


def _download(cache: Cache, missing: Locked, book: AddressBook, repositories: RepositoryFiles) -> dict[str, str]:
    """Download files; return for each failure the reason.

    What the one repository of a path gives is for every component. Of several, the lock has chosen for this one.
    """
    with ExitStack() as stack:
        wanted: dict[Path, Wanted] = {}
        for path, file in missing.items():
            remotes = cache.layout.remotes(book, path)
            target = (cache.shared if len(remotes) == 1 else cache.own) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(temporary_beside(target))
            wanted[target] = Wanted(path, remotes, file.size, file.sha256, temporary)
        failed = repositories.download(list(wanted.values()))
        for target, one in wanted.items():
            if one.path not in failed:
                one.target.chmod(0o644)
                one.target.replace(target)
                if target != cache.shared / one.path:
                    # It has other bytes, and would be found first.
                    (cache.shared / one.path).unlink(missing_ok=True)
    return failed


def _unavailable(cache: Cache, failed: Mapping[str, str]) -> SourceError:
    shown = [f"{path}: {reason}" for path, reason in sorted(failed.items())[:SHOWN]]
    more = f"\n… and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
    return SourceError(
        f"{len(failed)} locked downloads of {cache.name} are unavailable:\n" + "\n".join(shown) + more,
        hint=f"Compile without the lock (--locks ignore), or make it again: bigtop-builder lock {cache.component}",
    )


def seed_locked(
    cache: Cache,
    locked: Locked,
    book: AddressBook,
    home: Path,
    *,
    owner: tuple[int, int],
    links: bool,
    built: frozenset[str] = frozenset(),
) -> Seeded:
    """Fill a task's private cache with the locked files and nothing else. See ``Cache.seed``. Raises StoreError."""
    paths = [path for path, file in locked.items() if file.text is None]
    seeded = cache.seed(home, owner=owner, links=links, built=built, only=paths)
    if gone := sorted(set(paths) - set(seeded.files)):
        raise StoreError(f"{gone[0]} was removed from the download cache during this run", hint="Repeat the command.")
    private = home / cache.layout.place
    with translated(private):
        for path, file in locked.items():
            if file.text is None:
                continue
            for name in cache.layout.local(book, path):
                target = private / name
                make_folders(target.parent, home, owner)
                target.write_text(file.text, encoding="utf-8")
                os.chown(target, *owner)
    return seeded
