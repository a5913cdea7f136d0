"""Opening a Bigtop tree: a checkout, a plain folder, or a release archive, which is unpacked once."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.adapter.store import Store, remove_tree, translated, write_atomically
from bigtop_builder.model import digest
from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.recipe.bigtop.tree import SCRIPT, BigtopTree, read_tree

UNPACKED = "bigtop"
"""The folder in the store's ``cache`` that has a folder for each archive, named by its SHA-256."""

GIT_SECONDS = 20


@dataclass(frozen=True)
class OpenedTree:
    """A tree, and its SOURCE_DATE_EPOCH: no file in its packages is newer. In seconds since 1970."""

    tree: BigtopTree
    epoch: int


def open_tree(path: Path, store: Store, environment: Mapping[str, str]) -> OpenedTree:
    """Read a tree; an archive is unpacked into the store first.

    ``environment`` has the variables that the bill of materials may read. Raises ConfigurationError when it is not a
    tree of Bigtop, SourceError when the archive is unsafe or damaged.
    """
    if path.is_dir():
        return OpenedTree(read_tree(path, environment), _epoch(path))
    if not path.is_file():
        raise ConfigurationError(
            f"{path} does not exist", hint="Name a checkout or a release archive of Apache Bigtop, 3.2.0 or later."
        )
    root, epoch = _unpacked(path, store)
    try:
        return OpenedTree(read_tree(root, environment), epoch)
    except ConfigurationError as error:
        if error.location is not None and error.location.file == root:
            error.location = Location(path)
        raise


def _unpacked(archive: Path, store: Store) -> tuple[Path, int]:
    from bigtop_builder.adapter.sources import unpack

    with translated(archive):
        key = digest.of_file(archive)
    place = store.root / "cache" / UNPACKED / key
    note = place / "epoch"
    with store.locked(f"bigtop-tree-{key}"):
        if not note.is_file():
            with translated(place):
                place.mkdir(parents=True, exist_ok=True)
                remove_tree(place / "tree")
            unpack(archive, place / "tree", strip=0, name=archive.name)
            newest = max(file.stat().st_mtime for file in (place / "tree").rglob("*") if file.is_file())
            with translated(place):
                write_atomically(note, f"{int(newest)}\n")
    return _top(place / "tree"), int(note.read_text(encoding="utf-8"))


def _top(root: Path) -> Path:
    inside = list(root.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else root


def _epoch(root: Path) -> int:
    """Return the commit time of a checkout; for a plain folder, that of its build script, which nobody edits."""
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "log", "-1", "--format=%ct"]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            said = ""
        if said.strip().isdecimal():
            return int(said)
    script = root / SCRIPT
    return int(script.stat().st_mtime) if script.is_file() else 0
