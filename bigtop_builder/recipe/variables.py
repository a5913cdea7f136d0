"""Variables of a component file: the parts of its templates that overlays change one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bigtop_builder.model.component import Variable
from bigtop_builder.model.errors import ConfigurationError, Location, RecipeError
from bigtop_builder.recipe.document import Document, near, read_text

_WORD = re.compile(r"[A-Za-z_]\w*")


def laid_over(base: Mapping[str, Variable], over: Mapping[str, Variable]) -> dict[str, Variable]:
    """Return variables with others laid over them; mappings are merged."""
    merged = dict(base)
    for name, value in over.items():
        before = merged.get(name)
        merged[name] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def check_used(document: Document, shipped: Path, folders: Iterable[Path]) -> None:
    """Check that what an overlay sets is a variable that some template of the component uses.

    ``shipped`` is the file that the overlays change. Raises RecipeError for a variable that changes nothing.
    """
    variables = document.data.get("variables", {})
    added = [name for name in variables if document.locate(("variables", name)).file != shipped]
    if not added:
        return
    words = set(_words(document.data, variables, folders))
    for name in added:
        if name not in words:
            raise RecipeError(
                f"no template of the component uses the variable {name!r}",
                location=document.locate(("variables", name)),
                hint=near(name, words & set(variables)) or None,
            )


def _words(data: dict[str, Any], variables: dict[str, Any], folders: Iterable[Path]) -> Iterator[str]:
    for text in _texts({**data, "variables": list(variables.values())}):
        yield from _WORD.findall(text)
    for folder in folders:
        spec = folder / str(data.get("spec") or "package.spec.j2")
        for path in (*((spec,) if spec.is_file() else ()), *(folder / "files").rglob("*.j2")):
            try:
                yield from _WORD.findall(read_text(path))
            except ConfigurationError as error:
                raise RecipeError(error.message, location=error.location or Location(path)) from None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
