"""Accounts: who builds run as inside their containers, and which account of this machine that is.

Builds run code that nobody here wrote, so they should run as an account that owns nothing else on this machine:

- root with an engine that runs as root: a number that no account has, the same inside and outside;
- root with Docker's ``userns-remap``: the images' user, which the engine maps to a number of its own;
- an ordinary account with its own rootless engine: the images' user, which is one of the account's subordinate ids;
- an ordinary account with an engine that runs as root: the account itself. It cannot give files to anyone else.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.adapter.containers.container import User
from bigtop_builder.adapter.containers.engine import EngineFacts
from bigtop_builder.adapter.containers.handover import IMAGE_ID
from bigtop_builder.model.errors import EngineError

OWN_NAME = "bigtop-builder"
"""Whose lines of /etc/subuid and /etc/subgid say which numbers builds take."""

HIGHEST, LOWEST = 2097150, 65536
"""Where a number is looked for, from the top. Archives of some build tools cannot hold larger ones."""


@dataclass(frozen=True)
class Account:
    """The account of builds. ``owner`` is the uid and gid that this program gives files before a container starts."""

    user: User
    owner: tuple[int, int]
    apart: bool
    """Whether it is another account of this machine than the caller's, so that a build cannot change what the caller
    owns."""

    def give(self, path: Path, *, recursive: bool = True) -> None:
        """Give a path, and what is in it, to the account as far as that needs no engine; no link is followed."""
        if self.owner == (os.geteuid(), os.getegid()):
            return
        os.chown(path, *self.owner, follow_symlinks=False)
        for folder, folders, files in os.walk(path) if recursive else ():
            for name in (*folders, *files):
                os.chown(os.path.join(folder, name), *self.owner, follow_symlinks=False)  # noqa: PTH118


def build_account(engine: EngineFacts, *, subids: Path = Path("/etc")) -> Account:
    """Return the account that builds run as. ``subids`` is the folder with subuid and subgid.

    Raises EngineError when this account cannot build with the engine.
    """
    uid, gid = os.geteuid(), os.getegid()
    listed = User(IMAGE_ID, IMAGE_ID, listed=True)
    if engine.rootless:
        if uid == 0:
            raise EngineError(
                "the container engine is rootless: it cannot read what root writes",
                hint="Run as the account that it belongs to, or set DOCKER_HOST to an engine that runs as root.",
            )
        return Account(User(IMAGE_ID, IMAGE_ID, listed=True, lent=True), (uid, gid), apart=True)
    if engine.remapped:
        base = re.search(r"(\d+)\.(\d+)/*$", engine.data_root)
        if uid != 0 or base is None:
            raise EngineError(
                "the container engine maps the users of containers to other accounts (userns-remap), to which only "
                "root can give files",
                hint="Run as root, or use a rootless engine of your own.",
            )
        return Account(listed, (int(base[1]) + IMAGE_ID, int(base[2]) + IMAGE_ID), apart=True)
    if uid == 0:
        own = (_unused(subids / "subuid", pwd.getpwuid), _unused(subids / "subgid", grp.getgrgid))
        return Account(User(*own, listed=False), own, apart=True)
    return Account(User(uid, gid, listed=False), (uid, gid), apart=False)


def _unused(file: Path, lookup: Callable[[int], object]) -> int:
    """Return our own number of ``file``, else the highest that no account has and no line of ``file`` covers."""
    ranges = list(_ranges(file))
    for name, start, _ in ranges:
        if name == OWN_NAME and LOWEST <= start <= HIGHEST:
            return start
    for number in range(HIGHEST, LOWEST, -1):
        if any(start <= number < start + count for _, start, count in ranges):
            continue
        try:
            lookup(number)
        except KeyError:
            return number
    raise EngineError(
        f"no number from {LOWEST} to {HIGHEST} is left for the account of builds",
        hint=f"Add a line to {file}: {OWN_NAME}:NUMBER:1",
    )


def _ranges(file: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, first number and count of the lines of /etc/subuid or /etc/subgid."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        name, _, numbers = line.partition(":")
        start, _, count = numbers.partition(":")
        if start.isdecimal() and count.isdecimal():
            yield name.strip(), int(start), int(count)
