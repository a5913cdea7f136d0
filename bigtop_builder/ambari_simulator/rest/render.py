"""Rows to documents, and documents to text as Ambari prints them: ``"a" : 1``, empty arrays as ``[ ]``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any


class Leaf(dict[str, Any]):
    """A map that is a single property: it keeps the order of its keys and its place among plain properties."""


def arrange(row: Mapping[str, Any]) -> dict[str, Any]:
    """Order a row as Ambari prints it: plain properties by name, then nested ones by name."""
    plain = {name: row[name] for name in sorted(row) if not _holds(row[name])}
    return plain | {name: arrange(row[name]) for name in row if _holds(row[name])}


def _holds(value: Any) -> bool:
    # Rows are plain dictionaries: testing for the abstract class costs ten times as much.
    return isinstance(value, dict) and not isinstance(value, Leaf)


def select(row: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return the part of a row at ``paths``; missing ones are left out."""
    chosen: dict[str, Any] = {}
    for path in paths:
        _copy(row, path, chosen)
    return chosen


def _copy(row: Mapping[str, Any], path: str, chosen: dict[str, Any]) -> None:
    if path in row:
        value = row[path]
        if _holds(value):
            chosen.setdefault(path, {}).update(value)
        else:
            chosen[path] = value
        return
    for name, inner in row.items():
        if path.startswith(name + "/") and isinstance(inner, dict):
            below: dict[str, Any] = {}
            _copy(inner, path[len(name) + 1 :], below)
            if below:
                _merge(chosen.setdefault(name, {}), below)


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


_plain = json.JSONEncoder(ensure_ascii=False).encode


@cache
def _name(name: str) -> str:
    return _plain(name)


def to_text(document: Any, indent: str = "") -> str:
    """Format JSON like Ambari's printer."""
    if document is None or isinstance(document, str | int | float):
        return _plain(document)
    inner = indent + "  "
    if isinstance(document, Mapping):
        if not document:
            return "{ }"
        lines = (f"{inner}{_name(name)} : {to_text(value, inner)}" for name, value in document.items())
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(document, list | tuple):
        if not document:
            return "[ ]"
        return "[\n" + ",\n".join(inner + to_text(item, inner) for item in document) + f"\n{indent}]"
    return _plain(document)
