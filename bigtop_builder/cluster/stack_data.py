"""Ambari's stacks, from ``ambari/stacks`` of the templates and the overlays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from bigtop_builder.model.ambari_stack import AmbariLine, OsRepository, StackDefinition, StackService
from bigtop_builder.model.base import StrictModel
from bigtop_builder.model.errors import ConfigurationError, RecipeError
from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.document import Document, load, near
from bigtop_builder.recipe.validation import validate

FOLDER = Path("ambari") / "stacks"
M = TypeVar("M", bound=StrictModel)


def ambari_line(version: str) -> AmbariLine:
    """Return the line of a server's stack definitions: ``3.0.0.0-SNAPSHOT`` → ``3.0``, ``2.8.0.0`` → ``2.8``."""
    return "2.8" if version.startswith("2.") else "3.0"


def stack_files(roots: Sequence[Path] | None = None) -> dict[str, list[Path]]:
    """Return the files of each stack by name (``bigtop-3.2.0``), the shipped one first."""
    found: dict[str, list[Path]] = {}
    for root in roots or (shipped_templates(),):
        for file in sorted((root / FOLDER).glob("*.yaml")):
            found.setdefault(file.stem, []).append(file)
    return found


def load_stack(
    name: str = "BIGTOP", version: str = "3.2.0", ambari: AmbariLine = "3.0", roots: Sequence[Path] | None = None
) -> StackDefinition:
    """Return the stack as this line of Ambari defines it.

    ``roots`` are the templates and overlays, the most important last; by default the shipped templates. Raises
    ConfigurationError for an unknown stack, or one that this line of Ambari does not have.
    """
    files = stack_files(roots)
    document = _document(f"{name.lower()}-{version}", files)
    stack = validate(document, StackDefinition)
    if (stack.name, stack.version) != (name, version):
        raise RecipeError(f"name and version must be those of the file, {name} {version}", location=document.locate(()))
    if ambari == "2.8" and stack.extends:
        raise ConfigurationError(f"Ambari 2.8 has no stack {stack.id}", hint="It has BIGTOP-3.2.0.")
    return _seen_by(stack, ambari)


def _document(name: str, files: Mapping[str, list[Path]]) -> Document:
    if name not in files:
        raise ConfigurationError(f"Ambari's stack {name.upper()} is not known here", hint=near(name, files) or None)
    document = load(files[name][0])
    for file in files[name][1:]:
        document = document.merged(load(file))
    base = document.data.get("extends")
    if base is None:
        return document
    return _document(f"{name.partition('-')[0]}-{base}", files).merged(document)


def _seen_by(stack: StackDefinition, line: AmbariLine) -> StackDefinition:
    """Return the stack without what this line of Ambari does not have."""
    families: dict[str, OsRepository] = _kept(stack.families, line)
    services = {name: _service(service, line) for name, service in _kept(stack.services, line).items()}
    return stack.model_copy(update={"families": families, "services": services, "line": line})


def _service(service: StackService, line: AmbariLine) -> StackService:
    return service.model_copy(
        update={
            "configurations": _kept(service.configurations, line),
            "packages": [package for package in service.packages if package.ambari in (None, line)],
            "components": _kept(service.components, line),
        }
    )


def _kept(entries: Mapping[str, M], line: AmbariLine) -> dict[str, M]:
    return {name: entry for name, entry in entries.items() if getattr(entry, "ambari", None) in (None, line)}
