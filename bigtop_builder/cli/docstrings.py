"""Reads the docstrings below attributes, for schemas and reference pages.

Python does not keep them, and pydantic's ``use_attribute_docstrings`` would read every model's source at each start
of the program.
"""

from __future__ import annotations

import ast
import functools
import inspect
from types import ModuleType
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


@functools.cache
def _classes(module: ModuleType) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)}


def attribute_docs(cls: type) -> dict[str, str]:
    """Return the docstring of each attribute, including those of our base classes."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        module = inspect.getmodule(base)
        if module is None or not module.__name__.startswith("bigtop_builder."):
            continue
        name = ""
        for node in _classes(module)[base.__name__].body:
            if isinstance(node, ast.AnnAssign | ast.Assign):
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                name = target.id if isinstance(target, ast.Name) else ""
            elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                docs[name] = inspect.cleandoc(str(node.value.value))
                name = ""
            else:
                name = ""
    return docs


class DescribedSchema(GenerateJsonSchema):
    """Generates JSON Schemas whose properties have the docstrings of the attributes as descriptions."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Return the schema of a model, with descriptions."""
        made = super().model_schema(schema)
        properties: dict[str, Any] = made.get("properties", {})
        for name, text in attribute_docs(schema["cls"]).items():
            if name in properties:
                properties[name].setdefault("description", text)
        return made
