"""Parse JSON that anybody may have sent."""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 100
"""Levels of nesting; the deepest document that Ambari takes, a blueprint, has about ten."""


def parse_json(text: str) -> Any:
    """Parse a document. Raises ValueError if it is not JSON, or nested too deeply to be walked."""
    try:
        document = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [document]
    for _ in range(DEEPEST):
        level = [inner for value in level for inner in _parts(value)]
        if not level:
            return document
    raise ValueError("it is nested too deeply")


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def _parts(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [part for part in inner if isinstance(part, dict | list)]
