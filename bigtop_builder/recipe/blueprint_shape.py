"""Configurations as blueprints have them, brought into the shape of inventories.

A blueprint has a list of types, and below each type ``properties`` and ``properties_attributes``. Whoever copies them
from one that Ambari exported need not rewrite them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.recipe.document import Document, DocumentPath

PROPERTIES, ATTRIBUTES = "properties", "properties_attributes"


def unfold(document: Document) -> Document:
    """Bring the configurations of an inventory into the shape that its model has. Every value keeps its location.

    Raises ConfigurationError for a type that stands there twice.
    """
    data, moved = document.data, dict[DocumentPath, DocumentPath]()
    scopes: list[tuple[dict[str, Any], DocumentPath]] = [(data, ())]
    groups = data.get("groups")
    if isinstance(groups, dict):
        scopes += [(group, ("groups", name)) for name, group in groups.items() if isinstance(group, dict)]
    for scope, path in scopes:
        given, scope_path = scope.get("configurations"), (*path, "configurations")
        if isinstance(given, list) and all(isinstance(one, dict) for one in given):
            given = _joined(document, given, scope_path, moved)
        elif not isinstance(given, dict) or not any(_folded(content) for content in given.values()):
            continue
        scope["configurations"] = {
            kind: _flat(content, (*scope_path, kind), moved) if _folded(content) else content
            for kind, content in given.items()
        }
    if moved:
        _relocate(document, moved)
    return document


def _joined(
    document: Document, given: Sequence[Mapping[str, Any]], path: DocumentPath, moved: dict[DocumentPath, DocumentPath]
) -> dict[str, Any]:
    types: dict[str, Any] = {}
    for index, one in enumerate(given):
        for kind, content in one.items():
            if kind in types:
                raise ConfigurationError(
                    f"the configuration type {kind} is repeated",
                    hint="Put all its properties below one.",
                    location=document.locate((*path, index, kind)),
                )
            moved[(*path, kind)] = (*path, index, kind)
            types[kind] = content
    return types


def _folded(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and {*content} <= {PROPERTIES, ATTRIBUTES}
        and all(isinstance(value, dict) for value in content.values())
    )


def _flat(content: Mapping[str, Any], path: DocumentPath, moved: dict[DocumentPath, DocumentPath]) -> dict[str, Any]:
    flat = dict(content.get(PROPERTIES, {}))
    for name in flat:
        moved[(*path, name)] = (*path, PROPERTIES, name)
    for attribute, values in content.get(ATTRIBUTES, {}).items():
        for name, value in values.items() if isinstance(values, dict) else ():
            if name not in flat or (isinstance(flat[name], dict) and "value" not in flat[name]):
                continue  # Ambari keeps attributes of secrets and of properties that it does not print.
            setting = flat[name] if isinstance(flat[name], dict) else {"value": flat[name]}
            if attribute == "final":
                flat[name] = {**setting, "final": value}
            else:
                flat[name] = {**setting, "attributes": {**setting.get("attributes", {}), attribute: str(value)}}
    return flat


def _relocate(document: Document, moved: Mapping[DocumentPath, DocumentPath]) -> None:
    """Add the location of each value at its new path; ``moved`` has the old path, below which others may have moved."""
    places = document.places
    for new, old in moved.items():
        place = places.get(old) or places.get(_origin(old, moved))
        if place is not None:
            places[new] = Location(place.file, place.line, place.column)


def _origin(path: DocumentPath, moved: Mapping[DocumentPath, DocumentPath]) -> DocumentPath:
    """Return where a path was in the file when a path above it has moved, too."""
    for length in range(len(path) - 1, 0, -1):
        if path[:length] in moved:
            return (*moved[path[:length]], *path[length:])
    return path
