"""What the docstrings below attributes say.

Python does not keep them, and pydantic's ``use_attribute_docstrings`` reads every model's source at each start
of the program; they are wanted only where schemas and pages are made.
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
    """Attribute → its docstring, those of base classes of ours included."""
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
    """JSON Schemas whose properties carry the docstrings of the attributes."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        properties: dict[str, Any] = made.get("properties", {})
        for name, text in attribute_docs(schema["cls"]).items():
            if name in properties:
                properties[name].setdefault("description", text)
        return made
