"""Download caches that all builds share and none can spoil.

Build tools do not expect several writers in their caches, and a build also puts its own results there. So each task
gets a private copy below its home, seeded from the shared cache, and its downloads are merged back:

- *content* never changes once written: it is seeded as a hard link to a file that only this program's user may write,
  which costs no time and no space, and merged where the shared cache has no file of that name;
- *bookkeeping* is rewritten in place by the tools: it is seeded as a copy, and the newest replaces the shared one.
  When two tasks merge at once, the additions of one are lost: later that costs a request, never a wrong file;
- everything else (locks, statistics, results of the build itself) stays *private*.

Merge after the task's container has ended: until then one of its processes could still write.
Find what a task used (see ``cache_use``) before the merge, which reads files itself.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.adapter.store import translated
from bigtop_builder.adapter.tools.cache_files import (
    clock,
    copy_file,
    folders,
    is_same,
    link,
    make_folder,
    make_folders,
    publish_newest,
    publish_once,
)
from bigtop_builder.model.build_tools.registry import CACHES, CacheName
from bigtop_builder.model.build_tools.tool import CacheLayout


@dataclass(frozen=True)
class Traffic:
    """What was seeded or merged. ``size`` is in bytes."""

    files: int = 0
    size: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.files + other.files, self.size + other.size)


@dataclass(frozen=True)
class Seeded:
    """What a task's private cache started with."""

    files: Mapping[str, int] = field(default_factory=dict)
    """Paths below the cache's place, and their sizes in bytes."""
    moment: int | None = None
    """When seeding began, in nanoseconds of the file system's own clock: a file that was read since has a later
    atime. None where the file system keeps no atime."""

    @property
    def traffic(self) -> Traffic:
        """All of it."""
        return Traffic(len(self.files), sum(self.files.values()))


def built_artifacts(names: Iterable[CacheName], tree: Path) -> frozenset[str]:
    """Return what a source tree builds itself and installs into these caches, such as Maven's modules."""
    return frozenset().union(*(CACHES[name].built(tree) for name in names))


def seed(
    name: CacheName, store: Path, home: Path, *, owner: tuple[int, int], built: frozenset[str] = frozenset()
) -> Seeded:
    """Fill a task's private cache below ``home``. ``owner`` is the uid and gid of its container.

    Files that the task builds itself (see ``built_artifacts``), and that a repository has too, are copied, so that
    the task may overwrite them. Raises StoreError.
    """
    layout = CACHES[name]
    shared, private = store / "cache" / name, home / layout.place
    seeded: dict[str, int] = {}
    with translated(private):
        make_folders(private, home, owner)
        moment = clock(private)
        for folder, files in folders(shared):
            target = f"{private}/{folder}"
            if folder:
                make_folder(target, owner)
            writable = layout.overwritten(folder, built)
            for entry in files:
                path = f"{folder}/{entry.name}" if folder else entry.name
                role = layout.role(path)
                if role == "private":
                    continue
                place = link if role == "content" and not writable else copy_file
                with suppress(FileExistsError):
                    place(entry.path, f"{target}/{entry.name}", owner)
                seeded[path] = entry.stat(follow_symlinks=False).st_size
    return Seeded(seeded, moment)


def merge(name: CacheName, store: Path, home: Path) -> Traffic:
    """Merge what a task downloaded into the shared cache and return what was new. Raises StoreError.

    Existing content is never replaced by other content, and links that a build made are not followed.
    """
    layout = CACHES[name]
    shared, private = store / "cache" / name, home / layout.place
    total = Traffic()
    with translated(shared):
        for folder, files in folders(private):
            downloaded = downloads(layout, folder, files)
            for entry in files:
                if entry.name not in downloaded:
                    continue
                role = layout.role(f"{folder}/{entry.name}" if folder else entry.name)
                target = shared / folder / entry.name
                if role == "private" or (target.exists() if role == "content" else is_same(entry, target)):
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                publish = publish_once if role == "content" else publish_newest
                if publish(Path(entry.path), target):
                    total += Traffic(1, entry.stat(follow_symlinks=False).st_size)
    return total


def downloads(layout: CacheLayout, folder: str, files: list[os.DirEntry[str]]) -> Collection[str]:
    """Return the names of a folder's files that the tool may have downloaded."""
    return layout.downloaded(folder, {entry.name: entry.path for entry in files})
