"""Digests of files, folders and plain data, all as hexadecimal strings."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


def of_bytes(data: bytes) -> str:
    """SHA-256 of ``data``, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def of_text(text: str) -> str:
    """SHA-256 of ``text`` in UTF-8."""
    return of_bytes(text.encode())


def of_data(data: Any) -> str:
    """SHA-256 of ``data`` (anything JSON can represent), independent of the order of keys."""
    return of_text(json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def of_file(path: Path, algorithm: str = "sha256") -> str:
    """Digest of the content of a file. Raises OSError if it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def of_tree(root: Path, *, ignore: frozenset[str] = frozenset({".git"})) -> str:
    """SHA-256 of a folder: names, kinds, executable bits, link targets and contents, but not times."""
    entries: dict[str, list[str]] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in ignore)
        here = Path(folder)
        for name in sorted(files) + [name for name in folders if (here / name).is_symlink()]:
            path = here / name
            key = path.relative_to(root).as_posix()
            if path.is_symlink():
                entries[key] = ["link", str(path.readlink())]
            elif path.is_file():
                kind = "executable" if path.stat().st_mode & 0o100 else "file"
                entries[key] = [kind, of_file(path)]
    return of_data(entries)


def of_ingredients(ingredients: Mapping[str, str]) -> str:
    """A build key: SHA-256 over the named ingredients that shape a result."""
    return of_data(dict(ingredients))
