"""The store: results by key, sources by digest, runs with their logs.

A result is written below ``work/``, synced, and renamed into place, so that it exists completely or not at all.
Locks are ``flock`` locks: the kernel releases them when their holder dies, whatever the cause.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bigtop_builder.adapter.tree_digest import tree_digest
from bigtop_builder.model.errors import StoreError
from bigtop_builder.plan.task import Kind

FORMAT = "1"
MANIFEST = "manifest.json"
CACHES = "caches.json"
"""In a compile result that used download caches: for each kind the files that it read or downloaded, by their paths in
the tool's own cache: ``{"maven": ["org/…/a-1.jar", …]}``. Of a key that is compiled again, it is the newest."""

RECORDS = frozenset({MANIFEST, CACHES})
"""Files of a compile result that are not of its content, and not measured with it."""

TREE = "tree"
"""In the manifest of a compile result: the digest of everything beside it."""
KEYS = "keys"
"""The file of a run with the keys of the results that it relies on."""

COLLECTING = "collecting"
"""The lock for garbage collection (exclusive) and for deciding what to reuse (shared)."""

FOLDERS = ("sources", "compile", "package", "images", "last", "runs", "work", "cache", "locks")


def store_error(error: OSError, path: Path) -> StoreError:
    """Return the error to show when the store cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"no space left at {path}",
            hint="Free some space, for example with: bigtop-builder gc. Finished results are not lost.",
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StoreError(
            f"the store {path} cannot be written: {error.strerror}",
            hint="Choose another one with --store or 'store:' in the project file.",
        )
    what = f"{error.strerror}: {error.filename}" if error.filename else error.strerror or str(error)
    return StoreError(f"the store {path} fails: {what}")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn an OSError of a write below ``path`` into a StoreError."""
    try:
        yield
    except OSError as error:
        raise store_error(error, path) from error


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that readers see either the old or the new text, even after a crash."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.rename(path)
    except OSError:
        # On a full disk, the incomplete file must not take up the last space.
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_tree(folder: Path) -> None:
    """Remove a folder, even if its folders are not writable, or if others remove it at the same time.

    However deep a build nested folders, they go: each is moved up to the top before it is emptied, so that nothing
    recurses, no path becomes long, and no more than two folders are open. Links are removed, never followed.
    """
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        handle = _opened(None, str(folder))
        try:
            while inner := _emptied(handle, handle):
                for name in inner:
                    _remove_folder(handle, name)
        finally:
            os.close(handle)
        folder.rmdir()


def _remove_folder(top: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        handle = _opened(top, name)
        try:
            _emptied(handle, top)
        finally:
            os.close(handle)
        try:
            os.rmdir(name, dir_fd=top)
        except OSError as error:
            # Whoever removes it at the same time has moved something up into it: it is emptied again.
            if error.errno != errno.ENOTEMPTY:
                raise


def _emptied(handle: int, top: int) -> list[str]:
    """Remove everything but folders from a folder, and move those up to ``top``; return those already there."""
    folders = []
    with os.scandir(handle) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.name, dir_fd=handle)
                elif handle == top:
                    folders.append(entry.name)
                else:
                    _move_up(handle, entry.name, top)
    return folders


def _move_up(handle: int, name: str, top: int) -> None:
    above = secrets.token_hex(12)
    try:
        os.rename(name, above, src_dir_fd=handle, dst_dir_fd=top)
    except PermissionError:
        # A folder that is not writable cannot be moved either, because its ".." changes.
        os.close(_opened(handle, name))
        os.rename(name, above, src_dir_fd=handle, dst_dir_fd=top)


def _opened(parent: int | None, name: str) -> int:
    """Open a folder that can then be read and written, unless it is a link."""
    flags = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    if os.geteuid() != 0:
        one = os.open(name, flags | os.O_PATH, dir_fd=parent)
        try:
            if os.fstat(one).st_mode & 0o700 != 0o700:
                Path(f"/proc/self/fd/{one}").chmod(0o700)
        finally:
            os.close(one)
    return os.open(name, flags | os.O_RDONLY, dir_fd=parent)


@dataclass
class Run:
    """A run of this process: its folder for events and logs, its scratch folder, its lock."""

    id: str
    folder: Path
    work: Path
    _lock: IO[str]

    def log(self, task: str, step: str) -> Path:
        """Return the path for the log of a step, and create its folder."""
        path = self.folder / "logs" / task / f"{step}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def protect(self, keys: Iterable[str]) -> None:
        """Record the results that this run relies on, so that garbage collection keeps them."""
        with translated(self.folder):
            write_atomically(self.folder / KEYS, "\n".join(sorted(keys)) + "\n")

    def close(self) -> None:
        """Remove the scratch folder and release the lock."""
        # A container that outlived its engine may still write there; the next run removes the rest.
        with contextlib.suppress(OSError):
            remove_tree(self.work)
        self._lock.close()


class Store:
    """A store on a local file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> Store:
        """Create the store if it is missing. Raises StoreError if it is unusable."""
        with translated(self.root):
            mark = self.root / "format"
            # Even in an existing store: CI caches may restore only some folders, and the format file.
            for name in FOLDERS:
                (self.root / name).mkdir(parents=True, exist_ok=True)
            if not mark.exists():
                write_atomically(mark, FORMAT + "\n")
            found = mark.read_text(encoding="utf-8").strip()
        if found != FORMAT:
            raise StoreError(
                f"the store {self.root} has format {found}; this program reads {FORMAT}",
                hint="Choose another one with --store, or remove it.",
            )
        return self

    # results

    def folder(self, kind: Kind, key: str) -> Path:
        """Return the folder of a result, whether it exists or not."""
        return self.root / kind / key

    def has(self, kind: Kind, key: str) -> bool:
        """Whether the result exists."""
        return (self.root / kind / key / MANIFEST).is_file()

    def manifest(self, kind: Kind, key: str) -> dict[str, Any]:
        """Return the manifest of a result. Raises StoreError if it is missing or unreadable."""
        path = self.folder(kind, key) / MANIFEST
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(data, dict):
                raise ValueError("it is no record of a result")
        except (OSError, ValueError, RecursionError) as error:
            raise StoreError(
                f"the result {path} is damaged: {error}", hint=f"Remove the folder {path.parent} and build again."
            ) from None
        return data

    def stage(self, key: str) -> Path:
        """Return the folder of a compile result's staged tree."""
        return self.folder("compile", key) / "stage"

    def packages(self, key: str) -> list[Path]:
        """Return the RPMs of a package result, sorted by name."""
        return sorted((self.folder("package", key) / "rpms").glob("*.rpm"))

    def commit(self, kind: Kind, key: str, folder: Path, manifest: Mapping[str, Any]) -> Path:
        """Move a finished ``folder`` into place as the result of its key; keep an existing result.

        The manifest of a compile result gets the digest of its files, against which they are measured when used.
        """
        place = self.folder(kind, key)
        with translated(self.root):
            if kind == "package":
                for path in (folder / "rpms").glob("*.rpm"):
                    with path.open("rb") as stream:
                        os.fsync(stream.fileno())
            else:
                # A staged tree has thousands of files: one sync of everything is faster than one per file.
                os.sync()
                manifest = {**manifest, TREE: tree_digest(folder, RECORDS)}
            write_atomically(folder / MANIFEST, json.dumps(dict(manifest), indent=1, sort_keys=True) + "\n")
            sync_folder(folder)
            try:
                folder.rename(place)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
                if self.has(kind, key):
                    remove_tree(folder)
                else:
                    remove_tree(place)
                    folder.rename(place)
            sync_folder(place.parent)
        return place

    def touch(self, kind: Kind, key: str) -> None:
        """Record that a result was used now, for garbage collection."""
        with contextlib.suppress(OSError):
            os.utime(self.folder(kind, key) / MANIFEST)

    # the newest state of a task

    def _last_path(self, task_id: str) -> Path:
        return self.root / "last" / (task_id.replace("/", "+") + ".json")

    def last(self, task_id: str) -> dict[str, Any] | None:
        """Return ``{"key", "ingredients", "seconds"}`` of a task's newest result; None if it has none."""
        try:
            data: dict[str, Any] = json.loads(self._last_path(task_id).read_text(encoding="utf-8"))
            whole = isinstance(data["key"], str) and isinstance(data["ingredients"], dict) and data["seconds"] >= 0
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        return data if whole else None

    def last_ingredients(self, task_id: str) -> Mapping[str, str] | None:
        """Return the key ingredients of a task's newest result; None if it has none."""
        last = self.last(task_id)
        return last["ingredients"] if last else None

    def record_last(self, task_id: str, key: str, ingredients: Mapping[str, str], seconds: float) -> None:
        """Record what a task was last built from, for the reasons in the next plan."""
        text = json.dumps({"key": key, "ingredients": dict(ingredients), "seconds": round(seconds, 3)}, sort_keys=True)
        with translated(self.root):
            write_atomically(self._last_path(task_id), text)

    # locks and runs

    @contextlib.contextmanager
    def locked(self, name: str, *, wait: bool = True, shared: bool = False) -> Iterator[bool]:
        """Hold the lock ``name``, exclusive or ``shared``. Without ``wait``, yield False if others hold it."""
        path = self.root / "locks" / name
        with translated(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("a", encoding="utf-8")
        with stream:
            try:
                fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def start_run(self) -> Run:
        """Start a run. Raises StoreError if the store cannot be written."""
        run_id = time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(2)
        folder, work = self.root / "runs" / run_id, self.root / "work" / run_id
        with translated(self.root):
            folder.mkdir(parents=True)
            lock = (folder / "lock").open("a", encoding="utf-8")
            fcntl.flock(lock, fcntl.LOCK_EX)
            # A build may leave folders that everybody can write; nobody else gets as far as there.
            work.mkdir(mode=0o700, parents=True)
        return Run(run_id, folder, work, lock)

    def is_live(self, run_id: str) -> bool:
        """Whether the process of a run is still alive."""
        path = self.root / "runs" / run_id / "lock"
        try:
            with path.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def live_runs(self) -> list[str]:
        """Return the ids of the runs in progress."""
        return [
            path.parent.name for path in sorted((self.root / "runs").glob("*/lock")) if self.is_live(path.parent.name)
        ]

    def protected_keys(self) -> set[str]:
        """Return the keys of the results that live runs rely on."""
        keys: set[str] = set()
        for run_id in self.live_runs():
            with contextlib.suppress(FileNotFoundError):
                keys.update((self.root / "runs" / run_id / KEYS).read_text(encoding="utf-8").split())
        return keys

    def dead_work(self) -> list[str]:
        """Return the ids of dead runs that left a scratch folder."""
        return [path.name for path in sorted((self.root / "work").iterdir()) if not self.is_live(path.name)]

    def remove_dead_work(self) -> list[str]:
        """Remove the scratch folders of dead runs and return their ids; a later run retries the rest.

        A process that outlived its engine may still write there, or something may still be mounted.
        """
        removed: list[str] = []
        for name in self.dead_work():
            with contextlib.suppress(OSError):
                remove_tree(self.root / "work" / name)
                removed.append(name)
        return removed
