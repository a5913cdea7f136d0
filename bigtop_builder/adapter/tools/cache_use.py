"""Which files of its download caches a task used: for bundles, and for the figures at the end of a run.

Seeding a file by hard link changes its ctime, so that even with ``relatime`` the first read afterwards changes its
atime. Linked files are shared by all tasks that run at once, and a read by one of them counts for the others too: the
result may name more files than a task read, never fewer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.adapter.store import translated
from bigtop_builder.adapter.tools.cache import Seeded, Traffic, downloads
from bigtop_builder.adapter.untrusted import walk
from bigtop_builder.model.build_tools.registry import CACHES, CacheName


@dataclass(frozen=True)
class CacheUse:
    """Paths below the cache's place, and their sizes in bytes."""

    hit: Mapping[str, int] = field(default_factory=dict)
    """Seeded, and read since."""
    new: Mapping[str, int] = field(default_factory=dict)
    """Downloaded."""

    @property
    def asked(self) -> list[str]:
        """All paths, sorted."""
        return sorted({*self.hit, *self.new})


def used(name: CacheName, root: Path, below: str, seeded: Seeded) -> CacheUse:
    """Return what a task used: everything seeded, if the file system keeps no atime.

    Its home is the folder ``below`` of its scratch ``root``. Call it before ``Cache.take``. Raises BuildError when a
    link leads to the cache, StoreError.
    """
    layout = CACHES[name]
    place = f"{below}/{layout.place}"
    read: set[str] = set()
    left = set(seeded.files)
    with translated(root):
        for folder in walk(root, place, skip_deeper=True):
            for entry in folder.files:
                path = folder.inside(entry.name)
                if path in left:
                    left.discard(path)
                    if seeded.moment is None or entry.stat(follow_symlinks=False).st_atime_ns >= seeded.moment:
                        read.add(path)
        new = {
            path: os.stat(name, dir_fd=folder.handle, follow_symlinks=False).st_size
            for folder, name in downloads(layout, root, place)
            if (path := folder.inside(name)) not in seeded.files
        }
    # The build may have read what it removed.
    units = {layout.unit(path) for path in read | left}
    return CacheUse({path: size for path, size in seeded.files.items() if layout.unit(path) in units}, new)


def content(name: CacheName, files: Mapping[str, int]) -> Traffic:
    """Count the downloads themselves, without the tool's bookkeeping."""
    sizes = [size for path, size in files.items() if CACHES[name].role(path) == "content"]
    return Traffic(len(sizes), sum(sizes))
