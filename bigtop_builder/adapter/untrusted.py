"""Trees that a build left: nothing in them is what its name says.

Whatever runs as this program's user on a folder that a build could write goes through this module. A folder is opened
from the descriptor of its parent and never through a link, so that no name in the tree leads out of it; nothing
recurses, so that no depth ends the program; and files, bytes, depth and the length of names are limited.

Use it once the container has ended. Until then a build could change between two looks what was looked at.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from bigtop_builder.model.errors import BuildError

DEPTH = 128
"""The most folders inside each other. A walk keeps all of them open."""

LONGEST_PATH = 3072
"""The most bytes of a path inside a tree: Linux has 4096 for a whole path, part of which is the store's."""

BLOCK = 4096
"""What a file takes up at least, in bytes: a build with no more than names must not fill a disk either."""

SHOWN = 200
"""How many characters of a path a message shows."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ANY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass
class Budget:
    """How many files and bytes may still be taken over from one build."""

    files: int
    size: int
    _files: int = field(init=False)
    _size: int = field(init=False)

    def __post_init__(self) -> None:
        self._files, self._size = self.files, self.size

    def spend(self, path: str, size: int) -> None:
        """Count an entry of a tree. Raises BuildError when there are too many, or they are too large."""
        self._files -= 1
        self._size -= size
        if self._files < 0:
            raise BuildError(
                f"the build left more than {self.files} files; {shown(path)} is one too many",
                hint="If that is right, raise limits.result_files in the project file.",
            )
        if self._size < 0:
            raise BuildError(
                f"the build left more than {self.size / (1 << 30):.1f} GiB; {shown(path)} does not fit any more",
                hint="If that is right, raise limits.result_size in the project file.",
            )


@dataclass(frozen=True)
class Folder:
    """A folder that a walk has open until it goes on: its path in the tree, its descriptor, what is in it."""

    path: str
    """``a/b`` relative to the tree, or nothing for the tree itself."""
    handle: int
    entries: tuple[os.DirEntry[str], ...]
    """Everything but folders: files, links, and what is neither."""

    @property
    def files(self) -> list[os.DirEntry[str]]:
        """The plain files."""
        return [entry for entry in self.entries if entry.is_file(follow_symlinks=False)]

    def inside(self, name: str) -> str:
        """Return the path in the tree of something in this folder."""
        return _joined(self.path, name)

    def place(self, name: str) -> str:
        """Return a path for functions that need one: it starts at the open folder, so that no link leads to it."""
        return f"/proc/self/fd/{self.handle}/{name}"


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name


def shown(path: str) -> str:
    """Return a path as a message may show it: control characters and bytes that are no text escaped, the middle of a
    long one left out."""
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in path)
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]} … {text[-SHOWN // 2 :]}"


def open_folder(root: Path, below: str = "") -> int:
    """Return a descriptor of the folder ``below`` in the tree at ``root``, which itself is ours.

    Raises BuildError when the build put a link or a file in its place, or in that of one above it; FileNotFoundError.
    """
    handle = os.open(root, _FOLDER)
    done = ""
    for part in Path(below).parts:
        done = _joined(done, part)
        try:
            inner = _open_inside(handle, part)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise BuildError(f"the build put {_kind(handle, part)} in the place of the folder {done}") from None
            raise
        finally:
            os.close(handle)
        handle = inner
    return handle


def _open_inside(handle: int, name: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=handle)
    except PermissionError:
        # Its owner is this user when no other account runs builds, and may have taken away its own permission.
        _set_mode(handle, name, 0o700)
        return os.open(name, _FOLDER, dir_fd=handle)


def _set_mode(handle: int, name: str, mode: int) -> None:
    one = os.open(name, _ANY, dir_fd=handle)
    try:
        if not stat.S_ISLNK(os.fstat(one).st_mode):
            Path(f"/proc/self/fd/{one}").chmod(mode)
    finally:
        os.close(one)


def _kind(handle: int, name: str) -> str:
    mode = os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        return f"a link to {shown(os.readlink(name, dir_fd=handle))}"
    return "a file" if stat.S_ISREG(mode) else "a special file"


def walk(root: Path, below: str = "", *, skip_deeper: bool = False) -> Iterator[Folder]:
    """Yield the folder ``below`` of a tree, and every folder in it, each before those inside it.

    A folder that does not exist yields nothing. What is nested too deeply raises BuildError, or with ``skip_deeper``
    is left out. Raises BuildError also when ``below`` leads through a link.
    """
    try:
        top = open_folder(root, below)
    except FileNotFoundError:
        return
    levels: list[tuple[Folder, Iterator[str]]] = []
    try:
        levels.append(_listed(top, ""))
        yield levels[-1][0]
        while levels:
            here, folders = levels[-1]
            name = next(folders, None)
            if name is None:
                os.close(levels.pop()[0].handle)
                continue
            path = here.inside(name)
            if len(levels) > DEPTH or len(os.fsencode(path)) > LONGEST_PATH:
                if skip_deeper:
                    continue
                raise BuildError(f"the build nested folders too deeply: {shown(_joined(below, path))}")
            try:
                handle = _open_inside(here.handle, name)
            except OSError as error:
                # Something that others clear away at the same time, or that a running build has just replaced.
                if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
                    continue
                raise
            levels.append(_listed(handle, path))
            yield levels[-1][0]
    finally:
        for folder, _ in levels:
            os.close(folder.handle)


def _listed(handle: int, path: str) -> tuple[Folder, Iterator[str]]:
    folders, others = [], []
    with os.scandir(handle) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                others.append(entry)
    return Folder(path, handle, tuple(others)), iter(sorted(folders))


def disk_use(root: Path) -> int:
    """Return the bytes on disk below ``root``, each file counted as one block at least, and once whatever its names.

    What is nested too deeply for a walk is not counted.
    """
    total = 0
    linked: set[int] = set()
    for folder in walk(root, skip_deeper=True):
        total += BLOCK
        for entry in folder.entries:
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if status.st_nlink > 1:
                    if status.st_ino in linked:
                        continue
                    linked.add(status.st_ino)
                total += max(status.st_blocks * 512, BLOCK)
    return total


def matching(root: Path, below: str, pattern: str) -> list[str]:
    """Return the paths in the tree that match a shell pattern below the folder ``below``, sorted; no link is followed
    on the way to them."""
    found = [below]
    for part in Path(pattern).parts:
        found = [_joined(folder, name) for folder in found for name in _names(root, folder) if fnmatchcase(name, part)]
    return sorted(found)


def _names(root: Path, below: str) -> list[str]:
    try:
        handle = open_folder(root, below)
    except (BuildError, FileNotFoundError):
        return []
    try:
        return os.listdir(handle)  # noqa: PTH208
    finally:
        os.close(handle)


def is_folder(root: Path, path: str) -> bool:
    """Whether a path in the tree is a folder, and not reached through a link."""
    try:
        os.close(open_folder(root, path))
    except (BuildError, FileNotFoundError):
        return False
    return True


Modes = dict[str, int]
"""Path in a tree → the mode that a build gave it, where that is none of the usual: 0755 and 0644."""


def take(
    root: Path, below: str, target: Path, budget: Budget, modes: Modes | None = None, *, keep: bool = False
) -> None:
    """Move the file or folder ``below`` of a tree to ``target``, which must not exist and lies where no build writes.

    Files are moved; with ``keep`` they are copied, and so is one with further names, which may be in a shared cache.
    All become this user's own, programs and folders with mode 0755 and other files with 0644; ``modes`` receives what
    is lost by that. Times stay, and links stay links. Raises BuildError, naming the path, for what has no place in a
    package's input: devices, sockets and pipes, without ``modes`` setuid and setgid programs, names with control
    characters or in no text encoding, and when it exceeds the budget or does not exist.
    """
    parent, _, name = below.rpartition("/")
    try:
        handle = open_folder(root, parent)
    except FileNotFoundError:
        raise BuildError(f"the build removed {shown(parent)}") from None
    try:
        try:
            status = os.stat(name, dir_fd=handle, follow_symlinks=False)
        except FileNotFoundError:
            raise BuildError(f"the build left no {shown(below)}") from None
        if stat.S_ISDIR(status.st_mode):
            _take_folder(root, below, target, budget, modes, keep)
        else:
            mode = _take_entry(handle, name, below, str(target), budget, special=modes is not None, keep=keep)
            _note(modes, "", mode)
    finally:
        os.close(handle)


def take_folder(
    root: Path, below: str, target: Path, budget: Budget, modes: Modes | None = None, *, keep: bool = False
) -> None:
    """Move a folder like ``take``. Raises BuildError also when it is a link or a file."""
    try:
        os.close(open_folder(root, below))
    except FileNotFoundError:
        raise BuildError(f"the build removed the folder {shown(below)}") from None
    _take_folder(root, below, target, budget, modes, keep)


def _take_folder(root: Path, below: str, target: Path, budget: Budget, modes: Modes | None, keep: bool) -> None:
    made: list[tuple[str, os.stat_result]] = []
    for folder in walk(root, below):
        path, place = _joined(below, folder.path), _joined(str(target), folder.path)
        _check_name(path)
        budget.spend(path, BLOCK)
        os.mkdir(place, 0o755)  # noqa: PTH102
        made.append((place, os.fstat(folder.handle)))
        _note(modes, folder.path, stat.S_IMODE(made[-1][1].st_mode))
        for entry in folder.entries:
            name = entry.name
            special = modes is not None
            mode = _take_entry(
                folder.handle, name, f"{path}/{name}", f"{place}/{name}", budget, special=special, keep=keep
            )
            _note(modes, folder.inside(name), mode)
    # From the inside out, because whatever is put into a folder changes its time.
    for place, status in reversed(made):
        Path(place).chmod(0o755)
        os.utime(place, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _note(modes: Modes | None, path: str, mode: int | None) -> None:
    """Record an unusual mode. Files in download caches have 0444, which a copy of them keeps by accident."""
    if modes is not None and mode not in (None, 0o755, 0o644, 0o444):
        assert mode is not None
        modes[path] = mode


def _take_entry(
    handle: int, name: str, path: str, target: str, budget: Budget, *, special: bool, keep: bool
) -> int | None:
    """Move or copy one entry; return the mode that it had, None for a link."""
    _check_name(path)
    one = os.open(name, _ANY, dir_fd=handle)
    try:
        status = os.fstat(one)
        budget.spend(path, status.st_size)
        if stat.S_ISLNK(status.st_mode):
            if keep:
                Path(target).symlink_to(os.readlink(name, dir_fd=handle))
            else:
                os.rename(name, target, src_dir_fd=handle)
                _own(target, status)
            return None
        if not stat.S_ISREG(status.st_mode):
            raise BuildError(f"the build left something that is neither a file, a folder nor a link: {shown(path)}")
        if status.st_mode & (stat.S_ISUID | stat.S_ISGID) and not special:
            raise BuildError(
                f"the build left a setuid or setgid program: {shown(path)}",
                hint="Give the file its mode in the component's 'files:', where everybody sees it.",
            )
        if status.st_nlink == 1 and not keep:
            os.rename(name, target, src_dir_fd=handle)
            _own(target, status)
        else:
            _copy(one, target, status)
        Path(target).chmod(0o755 if status.st_mode & 0o100 else 0o644)
        return stat.S_IMODE(status.st_mode)
    finally:
        os.close(one)


def _own(path: str, status: os.stat_result) -> None:
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)


def _copy(one: int, target: str, status: os.stat_result) -> None:
    if not status.st_mode & 0o400 and os.geteuid() != 0:
        Path(f"/proc/self/fd/{one}").chmod(0o400)
    with open(f"/proc/self/fd/{one}", "rb") as source, open(target, "xb") as copy:  # noqa: PTH123
        shutil.copyfileobj(source, copy, 1 << 20)
    os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _check_name(path: str) -> None:
    if any(one < " " or one == "\x7f" for one in path):
        raise BuildError(f"the build left a name with control characters: {shown(path)}")
    if any("\udc80" <= one <= "\udcff" for one in path):
        raise BuildError(f"the build left a name that is not UTF-8: {shown(path)}")
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise BuildError(f"the build left a path of more than {LONGEST_PATH} bytes: {shown(path)}")
