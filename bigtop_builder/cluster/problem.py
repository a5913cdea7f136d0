"""A problem of a layout, before it is located in the file."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """A problem at a ``path`` of the inventory; a ``warning`` does not prevent the deployment."""

    path: Path
    message: str
    hint: str = ""
    warning: bool = False
