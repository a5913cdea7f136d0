"""Unpack an archive so that nothing is ever written outside of its folder.

The checks are our own and look at names only, not at the file system: no member's path may contain a link from the
archive, and a link may only point down, or up within the tree. So the order of members does not matter.
(The ``data`` filter of Python's tarfile resolves paths on disk, and was circumvented: CVE-2025-4517.)
"""

from __future__ import annotations

import calendar
import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bigtop_builder.adapter.archives.compression import Unpacked, compression_of
from bigtop_builder.adapter.archives.tar import read_tar
from bigtop_builder.adapter.archives.zip import DAMAGE, open_zip
from bigtop_builder.adapter.sources.download_store import store_errors
from bigtop_builder.adapter.sources.tree import Tree, merge
from bigtop_builder.model.archive_limits import DEFAULT, ArchiveLimits
from bigtop_builder.model.errors import SourceError

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
DOS_SYSTEM = 0
DOS_EPOCH = 315532800


def unpack(archive: Path, into: Path, *, strip: int, name: str, limits: ArchiveLimits = DEFAULT) -> None:
    """Unpack a tar (plain, gz, bz2, xz, zst) or zip archive into the folder ``into``, which may be missing.

    ``strip``: number of leading folders to drop. ``name``: of the archive, for messages. Executable bits and times are
    kept, owners and setuid bits are not. The tree is merged into a folder that is not empty. Raises SourceError with
    the member's name for an unsafe path, link or kind of file and for an existing file, for an archive beyond the
    limits and for a damaged one; ``into`` is unchanged then.
    """
    size_limit = limits.unpacked(archive.stat().st_size)
    into.parent.mkdir(parents=True, exist_ok=True)
    scratch = into.parent / f".{into.name}.unpacking-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        tree = Tree(scratch, archive=name, strip=strip, size_limit=size_limit, member_limit=limits.members)
        with store_errors(into.parent), _readable(name), archive.open("rb") as file:
            start = file.read(6)
            file.seek(0)
            if start[:4] in ZIP:
                _unpack_zip(file, tree, limits)
            else:
                _unpack_tar(Unpacked(file, compression_of(start), limit=size_limit, memory=limits.memory), tree, limits)
        tree.finish()
        merge(scratch, into, name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        raise SourceError(f"{name} has a member with an unusable name: {error}") from error
    except RuntimeError as error:
        raise SourceError(f"{name} cannot be unpacked: {error}", hint="repack it without encryption") from error
    except OSError:
        raise
    except DAMAGE as error:
        raise SourceError(
            f"{name} cannot be unpacked: {error}",
            hint="it is damaged, not an archive, or larger than 'limits' of the project file allows; a source that is "
            "just a file needs 'unpack: \"no\"'",
        ) from error


def _unpack_tar(stream: Unpacked, tree: Tree, limits: ArchiveLimits) -> None:
    for member, content in read_tar(stream, limits.members):
        if member.isdir():
            tree.folder(member.name, member.mtime)
        elif member.isreg():
            tree.file(member.name, content, executable=bool(member.mode & 0o100), mtime=member.mtime)
        elif member.issym():
            tree.symlink(member.name, member.linkname)
        elif member.islnk():
            tree.hardlink(member.name, member.linkname)
        else:
            tree.refuse(member.name, "is a device or a pipe")


def _unpack_zip(file: IO[bytes], tree: Tree, limits: ArchiveLimits) -> None:
    with open_zip(file, limits.members) as zipped:
        for member in zipped.infolist():
            mode = member.external_attr >> 16 if member.create_system != DOS_SYSTEM else 0
            mtime = _zip_time(member)
            kind = stat.S_IFMT(mode)
            if member.is_dir():
                tree.folder(member.filename, mtime)
            elif kind == stat.S_IFLNK:
                if member.file_size > os.pathconf("/", "PC_PATH_MAX"):
                    tree.refuse(member.filename, "is a link with a target that is too long")
                tree.symlink(member.filename, os.fsdecode(zipped.read(member)))
            elif kind in (0, stat.S_IFREG):
                with zipped.open(member) as content:
                    tree.file(member.filename, content, executable=bool(mode & 0o100), mtime=mtime)
            else:
                tree.refuse(member.filename, "is a device or a pipe")


def _zip_time(member: zipfile.ZipInfo) -> int:
    """Return a member's time in seconds since the epoch, taken as UTC; some tools leave the date empty."""
    try:
        return calendar.timegm((*member.date_time, 0, 0, 0))
    except ValueError:
        return DOS_EPOCH
