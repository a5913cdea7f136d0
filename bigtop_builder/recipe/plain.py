"""Models as the plain data that templates see: mappings, lists, texts and numbers, without any method of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from bigtop_builder.model.platform import Platform
from bigtop_builder.model.stack import Stack


def plain(value: Any) -> Any:
    """Return a model, or a container of models, as plain data. Raises TypeError for anything else."""
    if isinstance(value, str | bool | int | float | None):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, BaseModel):
        # A model may say itself which fields it shows, and in which order.
        data = value.model_dump()
        return data | {"parent_dir": value.parent_dir, "suffix": value.suffix} if isinstance(value, Stack) else data
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not data for templates")


_shared: dict[int, tuple[Stack | Platform, dict[str, Any]]] = {}


def shared(model: Stack | Platform) -> dict[str, Any]:
    """Return ``plain(model)``, one value for all components: a stack names thousands, and nothing changes it."""
    known = _shared.get(id(model))
    if known is None or known[0] is not model:
        if len(_shared) >= 100:
            _shared.clear()
        known = _shared[id(model)] = (model, plain(model))
    return known[1]
