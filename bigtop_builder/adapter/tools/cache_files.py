"""Single files on their way into and out of the download caches: linked, copied, or published atomically."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from bigtop_builder.adapter.untrusted import Folder

READ_SIZE = 1 << 20
FICLONE = 0x40049409
"""The request that makes a file share the blocks of another (``linux/fs.h``)."""


def folders(root: Path) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Yield every folder below ``root``, which no build can write, by its relative path, with its plain files."""
    pending = [""]
    while pending:
        folder = pending.pop()
        files = []
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{folder}/{entry.name}" if folder else entry.name)
                    elif entry.is_file(follow_symlinks=False):
                        files.append(entry)
        except FileNotFoundError:
            continue
        yield folder, files


def make_folders(path: Path, home: Path, owner: tuple[int, int]) -> None:
    """Make a folder below ``home``, with those between, for the container's user."""
    for parent in reversed(path.parents):
        if parent.is_relative_to(home) and parent != home:
            make_folder(str(parent), owner)
    make_folder(str(path), owner)


def make_folder(path: str, owner: tuple[int, int]) -> None:
    """Make one folder for the container's user unless it exists."""
    with suppress(FileExistsError):
        Path(path).mkdir()
        os.chown(path, *owner)


def link(source: str, target: str, _: tuple[int, int] | None = None) -> None:
    """Link a file for an account that is not its owner, or copy it where links are impossible.

    Raises FileExistsError.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            raise
        shutil.copyfile(source, target)
        _never_read(target)
    # Its owner protects it. Builds overwrite the copies that they make with its mode, which was 0444 in older versions.
    Path(target).chmod(0o644)


def copy_file(source: str, target: str, owner: tuple[int, int]) -> None:
    """Copy a file that the container's user may write, sharing its blocks where the file system can."""
    with open(source, "rb") as old, open(target, "xb") as new:  # noqa: PTH123
        try:
            fcntl.ioctl(new, FICLONE, old.fileno())
        except OSError:
            shutil.copyfileobj(old, new, READ_SIZE)
    _never_read(target)
    os.chown(target, *owner)


def _never_read(path: str | Path) -> None:
    """Set the atime before the mtime: with ``relatime`` only then does the next read change it."""
    os.utime(path, ns=(0, Path(path).stat().st_mtime_ns))


def clock(folder: Path) -> int | None:
    """Return the time by the folder's file system, in nanoseconds; None when reading a file there leaves its atime."""
    probe = folder / f"{secrets.token_hex(6)}.tmp"
    try:
        probe.write_bytes(b"x")
        now = probe.stat().st_mtime_ns
        _never_read(probe)
        probe.read_bytes()
        return now if probe.stat().st_atime_ns else None
    finally:
        probe.unlink(missing_ok=True)


def open_left(folder: Folder, name: str) -> BinaryIO:
    """Open a plain file that a build left. Raises OSError for anything else, and for a file that may not be read."""
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder.handle)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "is no plain file", name)
    return os.fdopen(handle, "rb")


def is_same(left: BinaryIO, target: Path) -> bool:
    """Whether a file that a build left has the bytes of ``target``."""
    left.seek(0)
    try:
        with target.open("rb") as stream:
            while True:
                piece = stream.read(READ_SIZE)
                if piece != left.read(READ_SIZE):
                    return False
                if not piece:
                    return True
    except FileNotFoundError:
        return False


def publish_once(left: BinaryIO, target: Path) -> bool:
    """Copy a file that a build left to where only this user writes; False when another task was first."""

    def place(temporary: Path) -> bool:
        with suppress(FileExistsError):
            os.link(temporary, target)
            return True
        return False

    return _with_temporary(left, target, place)


def publish_newest(left: BinaryIO, target: Path) -> bool:
    """Copy a file that a build left in place of an older one."""

    def place(temporary: Path) -> bool:
        temporary.replace(target)
        return True

    return _with_temporary(left, target, place)


def _with_temporary(left: BinaryIO, target: Path, place: Callable[[Path], bool]) -> bool:
    # A copy and never a link: who holds the old file open, or has another name of it, must not reach the new one.
    left.seek(0)
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(target) as temporary:
        with temporary.open("xb") as stream:
            shutil.copyfileobj(left, stream, READ_SIZE)
        status = os.fstat(left.fileno())
        os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
        temporary.chmod(0o644)
        return place(temporary)


@contextlib.contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """Yield a name that no seed and no bundle takes, and remove what is there at the end."""
    temporary = target.with_name(f"{secrets.token_hex(6)}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
