"""Source trees: built safely from the members of an archive, merged, or copied from the user's own folder."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Literal, NoReturn, Protocol

from bigtop_builder.model import digest
from bigtop_builder.model.errors import SourceError

BUFFER = 1 << 20
Kind = Literal["folder", "file", "link"]
LONGEST_NAME = 255
LONGEST_PATH = 3000
SHOWN = 200
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
DEEPEST = 256
"""Folders in a path: what walks a tree later may call itself for each."""
NAMES = 256 << 20
"""The most characters of all paths of a tree together, which are held in memory."""


class Readable(Protocol):
    """The content of a member."""

    def read(self, size: int = ..., /) -> bytes:
        """Return at most ``size`` bytes; empty at the end."""


FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Tree:
    """Writes members below ``root``, an empty folder. Every method raises SourceError with the member's name."""

    def __init__(self, root: Path, *, archive: str, strip: int, size_limit: int, member_limit: int) -> None:
        self._root = root
        self._archive = archive
        self._strip = strip
        self._size_limit = size_limit
        self._members_left = member_limit
        self._names_left = NAMES
        self._size = 0
        self._kinds: dict[str, Kind] = {"": "folder"}
        self._folder_times: dict[str, float] = {}

    def refuse(self, member: str, why: str) -> NoReturn:
        """Abort because of ``member``."""
        raise SourceError(
            f"{self._archive}: member {_shortened(member)!r} {why}",
            hint="nothing was unpacked: do not use this archive",
        )

    def folder(self, member: str, mtime: float) -> None:
        """Add a folder; an existing one is kept."""
        path = self._place(member)
        if path is not None:
            self._make_folders(member, path)
            self._folder_times[path] = mtime

    def file(self, member: str, content: Readable, *, executable: bool, mtime: float) -> None:
        """Add a file; a later one of the same name replaces it, as tar does."""
        path = self._place(member)
        if not path:
            return
        self._make_room(member, path, "file")
        descriptor = os.open(self._root / path, FILE_FLAGS, 0o600)
        try:
            while data := content.read(BUFFER):
                self._size += len(data)
                if self._size > self._size_limit:
                    self.refuse(member, f"makes the unpacked size exceed {self._size_limit} bytes")
                while data:
                    data = data[os.write(descriptor, data) :]
            os.fchmod(descriptor, 0o755 if executable else 0o644)
            self._set_time(member, descriptor, mtime)
        finally:
            os.close(descriptor)

    def symlink(self, member: str, target: str) -> None:
        """Add a symbolic link whose target is certainly inside: ``..`` only at the start, and not too many."""
        path = self._place(member)
        if not path:
            return
        # The kernel ignores doubled slashes, but code that joins the rest of a link would see an absolute path.
        parts = [part for part in target.split("/") if part]
        up = 0
        while up < len(parts) and parts[up] in ("..", "."):
            up += 1
        above = parts[:up].count("..")
        if (
            not target
            or len(target) > LONGEST_PATH
            or CONTROL.search(target)
            or target.startswith("/")
            or ".." in parts[up:]
            or above > path.count("/")
        ):
            self.refuse(member, f"is a link that points out of the tree ({_shortened(target)!r})")
        self._make_room(member, path, "link")
        (self._root / path).symlink_to("/".join(parts))

    def hardlink(self, member: str, target: str) -> None:
        """Add a hard link to an earlier file."""
        path = self._place(member)
        if not path:
            return
        existing = "/".join(_parts(target)[self._strip :])
        if target.startswith("/") or self._kinds.get(existing) != "file":
            self.refuse(member, f"is a hard link to {_shortened(target)!r}, which is not a file in the tree")
        if existing != path:
            self._make_room(member, path, "file")
            (self._root / path).hardlink_to(self._root / existing)

    def finish(self) -> None:
        """Set the folders' times. Raises SourceError if nothing was unpacked."""
        if len(self._kinds) == 1:
            raise SourceError(
                f"{self._archive}: nothing is left after dropping {self._strip} leading folders",
                hint="set 'strip' of the source to the number of folders around its content",
            )
        for path in sorted(self._folder_times, reverse=True):
            descriptor = os.open(self._root / path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                self._set_time(path, descriptor, self._folder_times[path])
            finally:
                os.close(descriptor)

    def _place(self, member: str) -> str | None:
        """Return the path below the root, '' for the root itself, None for a member above the stripped folders."""
        self._members_left -= 1
        if self._members_left < 0:
            self.refuse(member, "exceeds the allowed number of members")
        if member.startswith("/"):
            self.refuse(member, "has an absolute path")
        if CONTROL.search(member):
            self.refuse(member, "has a control character in its path")
        parts = _parts(member)
        if any(len(os.fsencode(part)) > LONGEST_NAME for part in parts) or len(member) > LONGEST_PATH:
            self.refuse(member, "has a name that is too long")
        if ".." in parts:
            self.refuse(member, "has a path that leaves the archive")
        if len(parts) > DEEPEST:
            self.refuse(member, f"is inside more than {DEEPEST} folders")
        if len(parts) < self._strip:
            return None
        return "/".join(parts[self._strip :])

    def _make_room(self, member: str, path: str, kind: Kind) -> None:
        self._make_folders(member, path.rpartition("/")[0])
        known = self._kinds.get(path)
        if known == "file" and kind == "file":
            (self._root / path).unlink()
        elif known is not None:
            self.refuse(member, f"would replace a {known} of the same archive")
        self._note(member, path, kind)

    def _note(self, member: str, path: str, kind: Kind) -> None:
        self._names_left -= len(path)
        if self._names_left < 0:
            self.refuse(member, "makes the names of the archive too long")
        self._kinds[path] = kind

    def _make_folders(self, member: str, path: str) -> None:
        if self._kinds.get(path) == "folder":
            return
        so_far = ""
        for part in path.split("/"):
            so_far = f"{so_far}/{part}" if so_far else part
            known = self._kinds.get(so_far)
            if known is None:
                (self._root / so_far).mkdir()
                self._note(member, so_far, "folder")
            elif known != "folder":
                self.refuse(member, f"has a path through a {known} of the same archive")

    def _set_time(self, member: str, descriptor: int, mtime: float) -> None:
        try:
            os.utime(descriptor, (mtime, mtime))
        except (OverflowError, ValueError, OSError):
            self.refuse(member, f"has an impossible time ({mtime})")


def _shortened(name: str) -> str:
    return name if len(name) <= SHOWN else f"{name[:SHOWN]}…"


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def merge(tree: Path, into: Path, archive: str) -> None:
    """Move the content of ``tree`` into ``into``, merging folders. Raises SourceError if a file exists already.

    Nothing is moved then.
    """
    if not into.exists() and not into.is_symlink():
        tree.rename(into)
        return
    if clash := _clash(tree, into):
        raise SourceError(
            f"{archive}: {clash.relative_to(into).as_posix()} already exists, from another source",
            hint="give the sources different folders with 'into'",
        )
    _move(tree, into)


def _clash(tree: Path, into: Path) -> Path | None:
    for path in sorted(tree.iterdir()):
        there = into / path.name
        if not there.exists() and not there.is_symlink():
            continue
        if not (_is_folder(path) and _is_folder(there)):
            return there
        if (deeper := _clash(path, there)) is not None:
            return deeper
    return None


def _move(tree: Path, into: Path) -> None:
    for path in sorted(tree.iterdir()):
        there = into / path.name
        if there.exists():
            _move(path, there)
        else:
            path.rename(there)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def local_digest(path: Path) -> str:
    """Return the SHA-256 of a folder (see ``digest.of_tree``) or of a file, as ``sha256:…``. Raises SourceError."""
    try:
        if path.is_dir():
            return f"sha256:{digest.of_tree(path)}"
        return f"sha256:{digest.of_file(path)}"
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", hint="see --source") from error


def copy_tree(folder: Path, into: Path) -> None:
    """Copy a folder with modes, times and symbolic links, without ``.git``; ``into`` may exist.

    Raises SourceError for what cannot be read.
    """
    try:
        shutil.copytree(
            folder,
            into,
            symlinks=True,
            ignore=lambda place, names: {".git"} & set(names),
            dirs_exist_ok=True,
        )
    except (shutil.Error, OSError, RecursionError) as error:
        raise SourceError(f"{folder} cannot be copied: {error}", hint="see --source") from error
