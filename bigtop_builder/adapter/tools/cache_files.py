"""Single files on their way into and out of the download caches: linked, copied, or published atomically."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path


def folders(root: Path) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Yield every folder below ``root`` by its relative path, with its plain files; links are not followed."""
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
    """Link a file, or copy it read-only where links are impossible. Raises FileExistsError."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            raise
        shutil.copyfile(source, target)
        _never_read(target)
        Path(target).chmod(0o444)


def copy_file(source: str, target: str, owner: tuple[int, int]) -> None:
    """Copy a file that the container's user may write."""
    shutil.copyfile(source, target)
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


def is_same(entry: os.DirEntry[str], target: Path) -> bool:
    """Whether two files have the same bytes."""
    try:
        return Path(entry.path).read_bytes() == target.read_bytes()
    except FileNotFoundError:
        return False


def publish_once(source: Path, target: Path) -> bool:
    """Publish a file that never changes; False when another task was first.

    It changes its owner before it becomes visible, so that no build can still write it.
    """

    def place(temporary: Path) -> bool:
        with suppress(FileExistsError):
            os.link(temporary, target)
            return True
        return False

    return _with_temporary(source, target, place)


def publish_newest(source: Path, target: Path) -> bool:
    """Publish a copy of a file in place of an older one."""

    def place(temporary: Path) -> bool:
        temporary.replace(target)
        return True

    return _with_temporary(source, target, place, copy=True)


def _with_temporary(source: Path, target: Path, place: Callable[[Path], bool], *, copy: bool = False) -> bool:
    temporary = target.with_name(f"{secrets.token_hex(6)}.tmp")
    try:
        if copy:
            shutil.copyfile(source, temporary)
        else:
            link(str(source), str(temporary))
        if temporary.stat().st_uid != os.geteuid():
            os.chown(temporary, os.geteuid(), os.getegid())
        temporary.chmod(0o444)
        return place(temporary)
    finally:
        temporary.unlink(missing_ok=True)
