"""Unpack an archive so that nothing is ever written outside of its folder.

The checks are our own and look at names only, not at the file system: no member's path may contain a link from the
archive, and a link may only point down, or up within the tree. So the order of members does not matter.
(The ``data`` filter of Python's tarfile resolves paths on disk, and was circumvented: CVE-2025-4517.)
"""

from __future__ import annotations

import calendar
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from bigtop_builder.adapter.sources.download_store import store_errors
from bigtop_builder.adapter.sources.tree import Tree, merge
from bigtop_builder.model.errors import SourceError

BUFFER = 1 << 20
MEMBERS = 2_000_000
LARGEST = 20 << 30
SMALLEST_LIMIT = 1 << 30
RATIO = 200
"""How many times its size an archive may unpack to; 1 GiB is always allowed, more than 20 GiB never."""
ZSTD = b"\x28\xb5\x2f\xfd"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
DOS_SYSTEM = 0
DOS_EPOCH = 315532800
TarMode = Literal["r|*", "r|"]


def unpack(archive: Path, into: Path, *, strip: int, name: str) -> None:
    """Unpack a tar (plain, gz, bz2, xz, zst) or zip archive into the folder ``into``, which may be missing.

    ``strip``: number of leading folders to drop. ``name``: of the archive, for messages. Executable bits and times are
    kept, owners and setuid bits are not. The tree is merged into a folder that is not empty. Raises SourceError with
    the member's name for an unsafe path, link or kind of file and for an existing file, and for a damaged archive;
    ``into`` is unchanged then.
    """
    limit = min(LARGEST, max(SMALLEST_LIMIT, RATIO * archive.stat().st_size))
    into.parent.mkdir(parents=True, exist_ok=True)
    scratch = into.parent / f".{into.name}.unpacking-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        tree = Tree(scratch, archive=name, strip=strip, size_limit=limit, member_limit=MEMBERS)
        with store_errors(into.parent), _readable(name):
            if _beginning(archive) in ZIP:
                _unpack_zip(archive, tree)
            else:
                _unpack_tar(archive, tree, name)
        tree.finish()
        merge(scratch, into, name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    # tarfile raises TypeError for a truncated gzip header.
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, TypeError, zlib.error, lzma.LZMAError) as error:
        raise SourceError(
            f"{name} cannot be unpacked: {error}",
            hint="it is damaged or not an archive; a source that is just a file needs 'unpack: \"no\"'",
        ) from error
    except UnicodeError as error:
        raise SourceError(f"{name} has a member with an unusable name: {error}") from error
    except RuntimeError as error:
        raise SourceError(f"{name} cannot be unpacked: {error}", hint="repack it without encryption") from error


def _unpack_tar(archive: Path, tree: Tree, name: str) -> None:
    with _tar_stream(archive, name) as (stream, mode), tarfile.open(fileobj=stream, mode=mode, bufsize=BUFFER) as tar:
        for member in tar:
            if member.isdir():
                tree.folder(member.name, member.mtime)
            elif member.isreg():
                content = tar.extractfile(member)
                assert content is not None
                tree.file(member.name, content, executable=bool(member.mode & 0o100), mtime=member.mtime)
            elif member.issym():
                tree.symlink(member.name, member.linkname)
            elif member.islnk():
                tree.hardlink(member.name, member.linkname)
            else:
                tree.refuse(member.name, "is a device or a pipe")


@contextmanager
def _tar_stream(archive: Path, name: str) -> Iterator[tuple[IO[bytes], TarMode]]:
    with archive.open("rb") as file:
        if _beginning(archive) != ZSTD:
            yield file, "r|*"
            return
        try:
            process = subprocess.Popen(["zstd", "-dcq"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        except FileNotFoundError as error:
            raise SourceError(f"{name} is compressed with zstd", hint="install zstd") from error
        assert process.stdout is not None
        try:
            with process.stdout as output:
                yield output, "r|"
        finally:
            process.terminate()
            process.wait(timeout=10)


def _unpack_zip(archive: Path, tree: Tree) -> None:
    with zipfile.ZipFile(archive) as zipped:
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


def _beginning(archive: Path) -> bytes:
    with archive.open("rb") as file:
        return file.read(4)
