"""The tree of a compile result as one archive: the same tree gives the same bytes on every machine."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path
from typing import IO, cast

from bigtop_builder.adapter.archives.compression import DamagedArchiveError, Unpacked
from bigtop_builder.adapter.archives.tar import Content, read_tar
from bigtop_builder.model.archive_limits import ArchiveLimits

LEVEL = 3
"""zstd's own default: higher levels cost more time than a local network saves."""
BUFFER = 1 << 20
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def pack(tree: Path, archive: Path, without: frozenset[str]) -> None:
    """Write everything below ``tree`` to ``archive`` (tar, zstd), except for the entries ``without`` of its top.

    Owners are left out, and times are whole seconds, because that is what a tree's digest counts. Raises OSError.
    """
    import zstandard

    compressor = zstandard.ZstdCompressor(level=LEVEL)
    with (
        archive.open("xb") as raw,
        compressor.stream_writer(raw, closefd=False) as stream,
        tarfile.open(fileobj=cast(IO[bytes], stream), mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(os.listdir(tree)):  # noqa: PTH208
            if name not in without:
                _add(tar, tree, name)


def _add(tar: tarfile.TarFile, tree: Path, top: str) -> None:
    waiting = [top]
    while waiting:
        name = waiting.pop()
        path = tree / name
        status = path.lstat()
        info = tarfile.TarInfo(name)
        info.mode, info.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
        if stat.S_ISLNK(status.st_mode):
            # A link has no time of its own in a tree's digest, and unpacking gives it another one.
            info.type, info.linkname, info.mtime = tarfile.SYMTYPE, str(path.readlink()), 0
            tar.addfile(info)
        elif stat.S_ISDIR(status.st_mode):
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
            waiting += sorted((f"{name}/{entry}" for entry in os.listdir(path)), reverse=True)  # noqa: PTH208
        else:
            info.size = status.st_size
            with path.open("rb") as content:
                tar.addfile(info, content)


def unpack(archive: Path, tree: Path, limits: ArchiveLimits) -> None:
    """Write the members of an archive below ``tree``, a new empty folder.

    Only what ``pack`` writes is accepted: folders, files and links, each inside a folder that came before it, and links
    last of all are made, so that nothing is written through one. Raises DamagedArchiveError and OSError.
    """
    links: list[tuple[str, str]] = []
    folders: list[tuple[str, tarfile.TarInfo]] = []
    with archive.open("rb") as raw:
        size = limits.unpacked(archive.stat().st_size)
        stream = Unpacked(raw, "zstd", limit=size, memory=limits.memory)
        for info, content in read_tar(stream, limits.members):
            name = _checked(info.name)
            if info.isdir():
                (tree / name).mkdir(mode=0o700)
                folders.append((name, info))
            elif info.issym():
                links.append((name, info.linkname))
            elif info.isreg():
                _write(tree / name, info, content)
            else:
                raise DamagedArchiveError(f"{name[:200]!r} is neither a file, a folder nor a link")
    for name, target in links:
        (tree / name).symlink_to(target)
    for name, info in reversed(folders):
        (tree / name).chmod(info.mode & 0o777)
        os.utime(tree / name, (info.mtime, info.mtime))


def _write(path: Path, info: tarfile.TarInfo, content: Content) -> None:
    handle = os.open(path, NEW_FILE, 0o600)
    with open(handle, "wb") as stream:  # noqa: PTH123 (a descriptor)
        while data := content.read(BUFFER):
            stream.write(data)
        stream.flush()
        os.fchmod(handle, info.mode & 0o777)
        os.utime(handle, (info.mtime, info.mtime))


def _checked(name: str) -> str:
    parts = name.split("/")
    if not name or any(part in ("", ".", "..") for part in parts) or "\0" in name:
        raise DamagedArchiveError(f"{name[:200]!r} is no path inside the tree")
    return name
