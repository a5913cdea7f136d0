"""Which files of its download caches a task asked for: what bundles carry, and the figures at the end of a run.

Seeding a file by hard link changes its ctime, so that even with ``relatime`` the first read after it changes its
atime. Linked files are shared by all tasks that run at once: what one of them reads counts for the others too, so
that more may be named than a task really read, never less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.adapter.store import translated
from bigtop_builder.adapter.tools.cache import LAYOUTS, CacheKind, Seeded, Traffic, downloads, folders


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


def used(kind: CacheKind, home: Path, seeded: Seeded) -> CacheUse:
    """What the task whose home this is asked for; all that was seeded where reads leave no trace.

    To be called before ``merge``. Raises StoreError.
    """
    layout = LAYOUTS[kind]
    private = home / layout.place
    read: set[str] = set()
    left = set(seeded.files)
    new: dict[str, int] = {}
    with translated(private):
        for folder, files in folders(private):
            fetched = {entry.name for entry in downloads(kind, private / folder, files)}
            for entry in files:
                path = f"{folder}/{entry.name}" if folder else entry.name
                status = entry.stat(follow_symlinks=False)
                if path in seeded.files:
                    left.discard(path)
                    if seeded.moment is None or status.st_atime_ns >= seeded.moment:
                        read.add(path)
                elif entry.name in fetched and layout.role(path) != "private":
                    new[path] = status.st_size
    # What the build has removed it may have read before.
    units = {unit(kind, path) for path in read | left}
    return CacheUse({path: size for path, size in seeded.files.items() if unit(kind, path) in units}, new)


def unit(kind: CacheKind, path: str) -> str:
    """The files that are asked for together: reading one of them tells of all.

    Maven, Gradle and ivy read the description of a module, but of a jar only see that it is there when nothing
    compiles against it.
    """
    parts = path.split("/")
    if kind == "maven" and LAYOUTS[kind].role(path) == "content":
        return "/".join(parts[:-1])
    if kind == "gradle" and parts[0] == "files-2.1":
        return "/".join(parts[:4])
    if kind == "ivy":
        return "/".join(parts[:2])
    return path


def content(kind: CacheKind, files: Mapping[str, int]) -> Traffic:
    """The downloads themselves, without the bookkeeping of the tool."""
    sizes = [size for path, size in files.items() if LAYOUTS[kind].role(path) == "content"]
    return Traffic(len(sizes), sum(sizes))
