"""Garbage collection: by age and size, never what a live run relies on.

Published repositories have their own copies of packages, so nothing here can break them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.adapter.store import COLLECTING, MANIFEST, Store, remove_tree, translated
from bigtop_builder.adapter.untrusted import walk
from bigtop_builder.flow.build.dead_runs import clear_after_crash
from bigtop_builder.flow.build.failed_tree import reserved

RESULTS = ("compile", "package")
INPUTS = ("source", "partial", "cache", "failed")
KEPT_RUNS = 20
"""How many of the newest runs keep their logs whatever their age."""


@dataclass(frozen=True)
class Item:
    """Something that may be removed: ``used`` in seconds since the epoch, ``size`` in bytes."""

    kind: str
    name: str
    path: Path
    used: float
    size: int


@dataclass(frozen=True)
class Collected:
    """What was removed (or would be), and how many bytes stay."""

    removed: tuple[Item, ...]
    kept_bytes: int
    protected: int = 0
    """How many items stay because a live run relies on them."""

    @property
    def freed_bytes(self) -> int:
        """The size of everything that was removed."""
        return sum(item.size for item in self.removed)


def collect(
    store: Store, *, max_age: int | None = None, max_size: int | None = None, dry_run: bool = False
) -> Collected:
    """Remove what was not used for ``max_age`` seconds, then the longest unused until ``max_size`` bytes are left.

    Results that a live run relies on always stay; so do all downloads and caches while a run is active, since it may
    read any of them. A new run waits until collection is finished. Raises StoreError.
    """
    store.open()
    with store.locked(COLLECTING), translated(store.root):
        if not dry_run:
            clear_after_crash(store)
        protected = store.protected_keys()
        running = bool(store.live_runs())
        items = list(_items(store))
        free = [item for item in items if not _in_use(store, item, protected, running)]
        total = sum(item.size for item in items)
        doomed = list(_choose(free, max_age, max_size, total))
        if not dry_run:
            for item in doomed:
                _remove(store, item)
    return Collected(tuple(doomed), total - sum(item.size for item in doomed), len(items) - len(free))


def _in_use(store: Store, item: Item, protected: set[str], running: bool) -> bool:
    """Whether a run may need something, or a shell is open in it."""
    if item.name in protected or (running and item.kind in INPUTS):
        return True
    if item.kind != "failed":
        return False
    with reserved(store, item.path) as mine:
        return not mine


def _choose(items: list[Item], max_age: int | None, max_size: int | None, total: int) -> Iterator[Item]:
    """Choose what to remove, the longest unused first; ``total`` is the size of ``items`` and of everything else."""
    now = time.time()
    for item in sorted(items, key=lambda item: item.used):
        too_old = max_age is not None and now - item.used > max_age
        too_much = max_size is not None and total > max_size
        if too_old or too_much:
            total -= item.size
            yield item


def _items(store: Store) -> Iterator[Item]:
    for kind in RESULTS:
        for folder in sorted((store.root / kind).iterdir()):
            yield Item(kind, folder.name, folder, _used(folder / MANIFEST, folder), _size(folder))
    for path in sorted((store.root / "sources" / "sha256").glob("*")):
        yield Item("source", path.name, path, _used(path), _size(path))
    for path in sorted((store.root / "sources" / "partial").glob("*")):
        yield Item("partial", path.name, path, _used(path), _size(path))
    for folder in sorted((store.root / "cache").iterdir()):
        yield Item("cache", folder.name, folder, _newest(folder), _size(folder))
    for folder in sorted((store.root / "failed").glob("*")):
        yield Item("failed", folder.name, folder, _used(folder), _size(folder))
    runs = sorted((store.root / "runs").iterdir(), reverse=True)
    for folder in runs[KEPT_RUNS:]:
        if not store.is_live(folder.name):
            yield Item("run", folder.name, folder, _used(folder), _size(folder))


def _used(*paths: Path) -> float:
    for path in paths:
        try:
            return path.stat().st_mtime
        except OSError:
            continue
    return 0.0


def _newest(folder: Path) -> float:
    """Return when a file was last added below; hard links into running builds do not change that."""
    newest = _used(folder)
    for inner in walk(folder, skip_deeper=True):
        newest = max(newest, os.fstat(inner.handle).st_mtime)
    return newest


def _size(path: Path) -> int:
    """Return the bytes of all files, including those that are hard links to files elsewhere."""
    if not path.is_dir():
        return path.stat().st_size
    total = 0
    for folder in walk(path, skip_deeper=True):
        for entry in folder.entries:
            # Running builds add and remove files at the same time.
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def _remove(store: Store, item: Item) -> None:
    # Rename first, so that a crash leaves nothing half removed: the next run clears what it finds in work/.
    grave = store.root / "work" / f"gone-{secrets.token_hex(8)}"
    item.path.rename(grave)
    # What still belongs to a container's user is taken back by the next run that has an engine.
    with contextlib.suppress(PermissionError):
        remove_tree(grave)
