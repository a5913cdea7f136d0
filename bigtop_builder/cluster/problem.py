"""A mistake in a layout, before it gets its place in the file."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """``path`` is the path in the inventory; a ``warning`` does not hinder."""

    path: Path
    message: str
    hint: str = ""
    warning: bool = False
