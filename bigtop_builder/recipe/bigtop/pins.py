"""The digests of sources, which Bigtop's bill of materials lacks.

They come from the project file, else from a component file of the same version, else from the lock file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from bigtop_builder.model.base import GitCommit, Name, Sha512, StrictModel
from bigtop_builder.model.errors import RecipeError
from bigtop_builder.model.project import SourcePin
from bigtop_builder.model.source import Alternative, ApacheSource, Source
from bigtop_builder.recipe.bigtop.bom import Bom, BomComponent
from bigtop_builder.recipe.bigtop.source import Pin, apache_path, source
from bigtop_builder.recipe.document import load
from bigtop_builder.recipe.validation import validate

LOCK_FILE = "bigtop-sources.lock.yaml"


class LockedSource(StrictModel):
    """The digest or commit of a source when it was fetched for the first time."""

    address: str
    """Where it was fetched from."""
    sha512: Sha512 | None = None
    commit: GitCommit | None = None


class SourceLock(StrictModel):
    """``bigtop-sources.lock.yaml``: written by ``import --lock``, next to the project file."""

    sources: dict[Name, dict[str, LockedSource]] = Field(default_factory=dict)
    """Component → upstream version → what was fetched."""


def read_lock(folder: Path) -> SourceLock:
    """Read the lock file in a project's folder; an empty lock when there is none. Raises ConfigurationError."""
    file = folder / LOCK_FILE
    return validate(load(file), SourceLock) if file.is_file() else SourceLock()


def pinned(
    bom: Bom, component: BomComponent, *, given: SourcePin | None, known: Source | None, lock: SourceLock
) -> Source | None:
    """Return the source of a component with its digests; None when it has no source.

    ``given`` comes from the project file, ``known`` is the source of the same version in a component file. Raises
    RecipeError when neither they nor the lock have a digest.
    """
    if component.download is None and component.git is None:
        return None
    if given is not None:
        pin = Pin(given.sha512, given.sha256, given.commit)
        own = source(bom, component, pin) if given.sha512 or given.sha256 or given.commit else None
        return _joined(own, given.alternatives, component)
    if known is not None:
        path = apache_path(bom, component)
        same = [one for one in known.alternatives if isinstance(one, ApacheSource) and one.apache.lstrip("/") == path]
        own = source(bom, component, Pin(same[0].sha512, same[0].sha256)) if same else None
        return _joined(own, [one for one in known.alternatives if one not in same], component)
    locked = lock.sources.get(component.name, {}).get(component.base_version)
    if locked is not None:
        return source(bom, component, Pin(locked.sha512, None, locked.commit))
    try:
        return source(bom, component, None)
    except RecipeError as error:
        error.hint = (
            f"Set it in the project file under sources: {component.name}, or trust the first download with: "
            f"bigtop-builder import bigtop:{bom.file.parent} {component.name} --lock"
        )
        raise


def _joined(own: Source | None, others: Sequence[Alternative], component: BomComponent) -> Source:
    alternatives = [*(own.alternatives if own else ()), *others]
    if not alternatives:
        raise RecipeError(f"sources: {component.name} has neither a digest nor an alternative")
    return Source(alternatives=alternatives, unpack="no")


def lock_text(lock: SourceLock, name: str, version: str, found: LockedSource) -> str:
    """Return the text of the lock file with one more source."""
    import yaml

    data: dict[str, dict[str, Mapping[str, str]]] = {
        component: {one: locked.model_dump(exclude_none=True) for one, locked in versions.items()}
        for component, versions in lock.sources.items()
    }
    data.setdefault(name, {})[version] = found.model_dump(exclude_none=True)
    ordered = {component: dict(sorted(data[component].items())) for component in sorted(data)}
    head = "# Digests of sources when they were fetched for the first time; required since.\n"
    return head + yaml.safe_dump({"sources": ordered}, sort_keys=False, width=200)
