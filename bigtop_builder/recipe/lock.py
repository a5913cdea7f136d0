"""Lock files of components: ``locks/`` beside the component file, the newest overlay's first."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bigtop_builder.model import digest
from bigtop_builder.model.errors import Location, RecipeError
from bigtop_builder.model.lock import Lock

FOLDER = "locks"
LARGEST = 32 << 20
"""Bytes of a lock file: 5,000 downloads take one megabyte."""


@dataclass(frozen=True)
class LockFile:
    """A lock file that exists. ``digest`` is the SHA-256 of its text."""

    path: Path
    digest: str


def lock_name(version: str, variant: str | None, builder: str, arch: str) -> str:
    """Return the name of a lock file: versions, variants and images download different files."""
    return f"{version}{f'-{variant}' if variant else ''}@{builder}.{arch}.json"


def find_lock(folders: Iterable[Path], name: str) -> LockFile | None:
    """Return the lock of this name in the first folder of a component that has it. Raises RecipeError."""
    for folder in folders:
        path = folder / FOLDER / name
        if path.is_file():
            return LockFile(path, digest.of_bytes(_read(path)))
    return None


def read_lock(file: LockFile) -> Lock:
    """Read a lock. Raises RecipeError for one that is invalid."""
    try:
        return Lock.model_validate(json.loads(_read(file.path)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = Location(file.path, path=" → ".join(map(str, first["loc"])))
        raise RecipeError(first["msg"], location=place, hint=_again(file)) from None
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"is no JSON: {error}", location=Location(file.path), hint=_again(file)) from None


def _again(file: LockFile) -> str:
    return f"Make it again: bigtop-builder lock {file.path.parent.parent.name}"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", location=Location(path)) from None
    if len(content) > LARGEST:
        raise RecipeError(f"is larger than {LARGEST >> 20} MiB", location=Location(path))
    return content


def lock_text(lock: Lock) -> str:
    """Return the text of a lock file: one line for each download, so that a change is easy to review."""
    head = {name: value for name, value in lock.model_dump(exclude={"downloads"}).items() if value is not None}
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    kinds = []
    for kind, files in sorted(lock.downloads.items()):
        rows = [f"   {json.dumps(path)}: {_row(lock, kind, path)}" for path in sorted(files)]
        kinds.append(f"  {json.dumps(kind)}: {{\n" + ",\n".join(rows) + "\n  }")
    downloads = ' "downloads": {\n' + ",\n".join(kinds) + "\n }" if kinds else ' "downloads": {}'
    return "\n".join(["{", *lines, downloads, "}", ""])


def _row(lock: Lock, kind: str, path: str) -> str:
    return json.dumps(lock.downloads[kind][path].model_dump(exclude_none=True))
