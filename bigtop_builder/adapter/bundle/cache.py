"""Download caches in a bundle: one archive for each, with equal bytes for equal files."""

from __future__ import annotations

import contextlib
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from bigtop_builder.adapter.archives.compression import DamagedArchiveError, Unpacked
from bigtop_builder.adapter.archives.tar import read_tar
from bigtop_builder.adapter.bundle.reader import ChunkStream, check_member
from bigtop_builder.adapter.bundle.writer import file_chunks
from bigtop_builder.adapter.store import translated
from bigtop_builder.adapter.tools.cache import OWN, SHARED, Cache
from bigtop_builder.model.build_tools.registry import CACHES, CacheName
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import SourceError

MEMBERS = 2_000_000
"""Files of one cache: its archive is this program's own, but a bundle comes from strangers."""


@dataclass
class Taken:
    """What a cache received: numbers of files, and the paths of existing files that differ and were kept."""

    new: int = 0
    same: int = 0
    kept: list[str] = field(default_factory=list)


def whole_cache(cache: Cache) -> list[str]:
    """Return the sorted paths of all files that seed builds of a component."""
    return sorted(cache.files())


def pack(root: Path, paths: Iterable[str]) -> Iterator[bytes]:
    """Yield the archive of some files below ``root``. Raises OSError when one is missing."""
    for path in sorted(paths):
        size = (root / path).stat().st_size
        info = tarfile.TarInfo(path)
        info.mode, info.size = 0o444, size
        yield info.tobuf(tarfile.GNU_FORMAT)
        yield from file_chunks(root / path)
        yield bytes(-size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def unpack(chunks: Iterator[bytes], scratch: Path, place: str) -> list[str]:
    """Unpack an archive below ``scratch``, read it to its end and return the paths.

    Raises SourceError for an archive that is damaged or has anything but plain files below its root.
    """
    paths: list[str] = []
    stream = ChunkStream(chunks)
    try:
        with translated(scratch):
            for info, content in read_tar(Unpacked(cast("IO[bytes]", stream), ""), MEMBERS):
                check_member(info, place)
                target = scratch / info.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as written:
                    while piece := content.read(1 << 20):
                        written.write(piece)
                paths.append(info.name)
    except DamagedArchiveError as error:
        stream.drain()
        raise SourceError(f"{place} is damaged: {error}") from error
    stream.drain()
    return paths


def take_in(kind: CacheName, store: Path, scratch: Path, paths: Iterable[str]) -> Taken:
    """Move unpacked files into a store's cache; existing files are kept. Raises StoreError.

    Whoever loads a bundle trusts whoever made it, also in what is shared.
    """
    root, taken = store / "cache" / kind, Taken()
    with translated(root):
        for path in paths:
            part, inside = _split(path)
            if CACHES[kind].role(inside) == "private":
                continue
            target = root / part / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            (scratch / path).chmod(0o444)
            if _place(scratch / path, target):
                taken.new += 1
            elif of_file(scratch / path) == of_file(target):
                taken.same += 1
            else:
                taken.kept.append(path)
    return taken


def _split(path: str) -> tuple[str, str]:
    """Return the part of a cache that a path of an archive starts with, and the path in it.

    Bundles of older versions have no parts: all was shared.
    """
    first, _, rest = path.partition("/")
    if first == SHARED:
        return SHARED, rest
    if first == OWN:
        component, _, inside = rest.partition("/")
        return f"{OWN}/{component}", inside
    return SHARED, path


def _place(source: Path, target: Path) -> bool:
    with contextlib.suppress(FileExistsError):
        os.link(source, target)
        source.unlink()
        return True
    return False
