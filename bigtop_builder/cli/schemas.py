"""The JSON Schemas of the file formats, made from their models."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from bigtop_builder.cli.docstrings import DescribedSchema
from bigtop_builder.cli.views.summary import RunSummary
from bigtop_builder.model.component import Component
from bigtop_builder.model.event import AnyEvent
from bigtop_builder.model.inventory import Inventory
from bigtop_builder.model.platform import Platform
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.stack import Stack

SCHEMAS: dict[str, tuple[Any, str]] = {
    "project": (ProjectFile, "the project file, bigtop-builder.yaml"),
    "stack": (Stack, "a stack file, stacks/NAME.yaml"),
    "platform": (Platform, "a platform file, platforms/NAME.yaml"),
    "component": (Component, "a component file, components/NAME/component.yaml"),
    "inventory": (Inventory, "an inventory, inventories/NAME.yaml"),
    "event": (AnyEvent, "a line of a run's events.jsonl"),
    "summary": (RunSummary, "what build --json prints"),
}
"""Name → the model, and what its file is."""


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of one of ``SCHEMAS``."""
    model, about = SCHEMAS[name]
    schema = TypeAdapter(model).json_schema(schema_generator=DescribedSchema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": about}


def schema_text(name: str) -> str:
    """Return the schema as the text of its file."""
    return json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n"
