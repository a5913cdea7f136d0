"""The text of a new project file, generated from the model: every setting with its meaning and its default."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bigtop_builder.cli.docstrings import attribute_docs
from bigtop_builder.model.project import ProjectFile

SCHEMA_FOLDER = ".bigtop-builder/schemas"
"""Where ``init`` puts the schemas, relative to the project file."""

WIDTH = 100
HEAD = f"""\
# yaml-language-server: $schema={SCHEMA_FOLDER}/project.json

## The settings of this project. Lines with "##" explain; lines with "#" are settings with their defaults. To change
## a setting, remove its "#" and that of the section it belongs to. `bigtop-builder config --origin` shows the settings
## in effect.
"""


def project_file(**settings: Any) -> str:
    """Return a project file in which only the settings that are given, and neither None nor empty, are set."""
    given = {name: value for name, value in settings.items() if value}
    lines = list(_settings(ProjectFile, given, ""))
    return HEAD + "\n".join(lines) + "\n"


def _settings(model: type[BaseModel], given: dict[str, Any], indent: str) -> Iterator[str]:
    docs = attribute_docs(model)
    for name, field in model.model_fields.items():
        inner = field.annotation
        if not indent:
            yield ""
        yield from _comment(docs.get(name), field, indent)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield f"#{indent}{name}:"
            yield from _settings(inner, {}, indent + "  ")
        else:
            yield from (f"## {indent}{line}" for line in _shape(field))
            value = given.get(name, field.get_default(call_default_factory=True))
            mark = "" if name in given else "#"
            yield f"{mark}{indent}{name}: {json.dumps(value, ensure_ascii=False)}"


def _comment(text: str | None, field: FieldInfo, indent: str) -> Iterator[str]:
    inner = field.annotation
    if text is None and isinstance(inner, type) and issubclass(inner, BaseModel):
        text = inner.__doc__
    if text:
        plain = " ".join(text.replace("``", "").split())
        yield from (f"## {indent}{line}" for line in textwrap.wrap(plain, WIDTH))


def _shape(field: FieldInfo) -> Iterator[str]:
    """Yield what is allowed: the values of a choice, the keys of an entry."""
    for inner in (field.annotation, *get_args(field.annotation)):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield f"Keys of an entry: {', '.join(inner.model_fields)}."
        elif values := [value for value in get_args(inner) if isinstance(value, str)]:
            yield f"One of: {', '.join(values)}."
