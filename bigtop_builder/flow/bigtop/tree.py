"""Bigtop's tree as the user gave it: a checkout, a plain folder, or a release archive that is unpacked once."""

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
"""Below the store's ``cache``: a folder for each archive, by its SHA-256."""

GIT_SECONDS = 20


@dataclass(frozen=True)
class OpenedTree:
    """A tree, and the time that no file in its packages is younger than, in seconds since 1970."""

    tree: BigtopTree
    epoch: int


def open_tree(path: Path, store: Store, environment: Mapping[str, str]) -> OpenedTree:
    """Read a tree; an archive is unpacked into the store. ``environment`` is what its bill of materials may ask for.

    Raises ConfigurationError for what is no tree of Bigtop's, SourceError for an archive that is not safe or damaged.
    """
    if path.is_dir():
        return OpenedTree(read_tree(path, environment), _epoch(path))
    if not path.is_file():
        raise ConfigurationError(
            f"there is no {path}", hint="Name a checkout or a release archive of Apache Bigtop, 3.2.0 or newer."
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
    """When a checkout was committed; of a plain folder the time of its build script, which nobody edits."""
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
