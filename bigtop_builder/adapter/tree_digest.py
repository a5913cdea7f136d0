"""The digest of a folder of the store: what is recorded when a result is kept, and measured when it is used."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

LARGE = 1 << 20
"""Files of this size, in bytes, are hashed beside each other: hashing leaves the interpreter free, opening does not."""

THREADS = 4


def tree_digest(root: Path, without: frozenset[str] = frozenset()) -> str:
    """Return the SHA-256 over all that makes a tree: paths, kinds, modes, sizes, times, contents and link targets.

    Times count in whole seconds and for files alone: they reach the packages, and archives keep no more of them. Owners
    and the root's own mode do not count. ``without`` names entries of the root to leave out. Each file is read once.
    Raises OSError for what cannot be read.
    """
    lines: dict[bytes, bytes | Future[bytes]] = {}
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as threads:

        def hashed(path: bytes, size: int) -> bytes | Future[bytes]:
            return threads.submit(_content, path) if size >= LARGE else _content(path)

        waiting = [(os.fsencode(root), b"")]
        while waiting:
            folder, inside = waiting.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not inside and os.fsdecode(entry.name) in without:
                        continue
                    name = inside + entry.name
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append((entry.path, name + b"/"))
                    lines[name] = _line(entry.path, found, hashed)
        digest = hashlib.sha256()
        for name, line in sorted(lines.items()):
            text = line.result() if isinstance(line, Future) else line
            digest.update(b"%d:%b%d:%b" % (len(name), name, len(text), text))
    return digest.hexdigest()


def _line(
    path: bytes, found: os.stat_result, hashed: Callable[[bytes, int], bytes | Future[bytes]]
) -> bytes | Future[bytes]:
    """Return what counts of one entry besides its name."""
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFREG:
        return hashed(path, found.st_size)
    if kind == stat.S_IFLNK:
        return b"link " + os.readlink(path)  # noqa: PTH115 (bytes)
    return b"%o" % found.st_mode if kind == stat.S_IFDIR else b"%o %d" % (found.st_mode, found.st_rdev)


def _content(path: bytes) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(handle, "rb", buffering=0) as stream:  # noqa: PTH123 (a descriptor)
        found = os.fstat(handle)
        # file_digest has a large buffer, which costs more than a small file.
        small = found.st_size < LARGE
        digest = hashlib.sha256(stream.read()) if small else hashlib.file_digest(stream, "sha256")
    return b"%o %d %d %b" % (found.st_mode, found.st_size, int(found.st_mtime), digest.digest())
