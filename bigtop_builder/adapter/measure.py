"""Measure what the store holds against what was recorded of it, before it is used.

What is attested of a package is its sources, its staged tree and its own bytes: each has a digest that was recorded
when it came into the store. Whoever can write there can record another; this finds bit rot, half-restored copies, and
hands that edit a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bigtop_builder.adapter.sources.download_store import altered_source, discard_source
from bigtop_builder.adapter.store import MANIFEST, RECORDS, TREE, Store, remove_tree
from bigtop_builder.adapter.tree_digest import tree_digest
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import StoreError
from bigtop_builder.plan.task import Kind


@dataclass(frozen=True)
class Altered:
    """Something in the store whose bytes are not the recorded ones; ``name`` is a source's digest or a result's key."""

    kind: Literal["source", "compile", "package"]
    name: str
    task: str
    """The task of a result, as far as its manifest says; empty for a source."""
    why: str


def altered(store: Store, kind: Kind, key: str) -> str | None:
    """Return how a result differs from what was recorded of it; None if it does not. Reads every byte of it once."""
    folder = store.folder(kind, key)
    try:
        manifest = store.manifest(kind, key)
        if manifest.get("key", key) != key:
            return "its manifest is not its own"
        return _altered_tree(folder, manifest) if kind == "compile" else _altered_packages(folder, manifest)
    except StoreError:
        return "its manifest is damaged"
    except OSError as error:
        return f"{error.filename or folder} is unreadable: {error.strerror}"


def _altered_tree(folder: Path, manifest: dict[str, Any]) -> str | None:
    if TREE not in manifest:
        return "its digest was not recorded, as older versions did not"
    found = tree_digest(folder, RECORDS)
    return None if found == manifest[TREE] else f"the digest of its files is {found}, not {manifest[TREE]}"


def _altered_packages(folder: Path, manifest: dict[str, Any]) -> str | None:
    recorded = manifest.get("rpms")
    if not isinstance(recorded, dict):
        return "the digests of its packages were not recorded"
    there = {path.name for path in (folder / "rpms").iterdir()}
    wrong = [f"{name} is missing" for name in sorted(recorded.keys() - there)]
    wrong += [f"{name} was added" for name in sorted(there - recorded.keys())]
    for name in sorted(recorded.keys() & there):
        found = of_file(folder / "rpms" / name)
        if found != recorded[name]:
            wrong.append(f"the SHA-256 of {name} is {found}, not {recorded[name]}")
    return "; ".join(wrong) or None


def discard_altered(store: Store, kind: Kind, key: str) -> str | None:
    """Remove a result that is not what was recorded, so that it is made again; return what is wrong with it.

    A result that somebody else is making right now stays.
    """
    why = altered(store, kind, key)
    if why is not None:
        with store.locked(f"{kind}-{key}", wait=False) as mine:
            if mine:
                discard(store, kind, key)
    return why


def discard(store: Store, kind: Kind, key: str) -> None:
    """Remove a result whose lock the caller holds. The manifest goes first: a result without one does not exist."""
    folder = store.folder(kind, key)
    (folder / MANIFEST).unlink(missing_ok=True)
    remove_tree(folder)


def altered_items(store: Store) -> Iterator[Altered | None]:
    """Measure everything in the store, one item after the other; None for one that is as recorded."""
    for algorithm in ("sha256", "sha512", "git"):
        for path in sorted((store.root / "sources" / algorithm).glob("[0-9a-f]*")):
            digest = f"{algorithm}:{path.name}"
            why = altered_source(store.root, digest)
            yield Altered("source", digest, "", why) if why else None
    kinds: tuple[Kind, ...] = ("compile", "package")
    for kind in kinds:
        for folder in sorted((store.root / kind).glob("*")):
            if store.has(kind, folder.name):
                why = altered(store, kind, folder.name)
                yield Altered(kind, folder.name, _task(store, kind, folder.name), why) if why else None


def _task(store: Store, kind: Kind, key: str) -> str:
    try:
        return str(store.manifest(kind, key).get("task", ""))
    except (StoreError, AttributeError):
        return ""


def remove(store: Store, item: Altered) -> bool:
    """Remove something that is altered; False if somebody else is making it right now."""
    if item.kind == "source":
        discard_source(store.root, item.name)
        return True
    with store.locked(f"{item.kind}-{item.name}", wait=False) as mine:
        if mine:
            discard(store, item.kind, item.name)
        return mine
