"""Checks a document against a model and reports every mistake with its location and a hint."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bigtop_builder.model.base import EXAMPLES, SECRET, TEMPLATES
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors, Location
from bigtop_builder.recipe.document import Document, DocumentPath, clipped, near

M = TypeVar("M", bound=BaseModel)

KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
"""The type that is required, by the type of pydantic's error."""

BOUNDS = {
    "greater_than_equal": ("must be at least {}", "ge"),
    "greater_than": ("must be greater than {}", "gt"),
    "less_than_equal": ("must be at most {}", "le"),
    "less_than": ("must be less than {}", "lt"),
    "string_too_long": ("must have at most {} characters", "max_length"),
    "string_too_short": ("must not be empty", "min_length"),
}
"""How a bound is told, by the type of pydantic's error, and the name of its value."""

MOST = 20
"""The most mistakes that are reported at once."""

_SECRET_KEY = re.compile(r"passw|passphrase|secret", re.IGNORECASE)

_USER_INFO = re.compile(r"//[^/\s]*@")
"""User and password in an address."""


def validate(document: Document, model: type[M], *, templates: bool = False) -> M:
    """Return the document as ``model``; with ``templates`` names may be templates, which are checked when rendered.

    Raises ConfigurationErrors with every mistake and its location.
    """
    try:
        return model.model_validate(document.data, context={TEMPLATES: templates})
    except ValidationError as error:
        problems = [_problem(document, model, tuple(problem["loc"]), problem) for problem in _mistakes(document, error)]
        if error.error_count() > MOST:
            problems.append(ConfigurationError("has further mistakes", location=Location(document.file)))
        if len(problems) == 1:
            raise problems[0] from None
        raise ConfigurationErrors(problems) from None


def _mistakes(document: Document, error: ValidationError) -> list[dict[str, Any]]:
    """Return the mistakes, one for each place.

    For a value that may have several types, pydantic reports one for each type.
    """
    found: dict[str, dict[str, Any]] = {}
    rest: list[dict[str, Any]] = []
    for details in error.errors(include_url=False)[:MOST]:
        problem: dict[str, Any] = {**details}
        kind = KINDS.get(problem["type"])
        if kind is None:
            rest.append(problem)
            continue
        first = found.setdefault(document.locate(tuple(problem["loc"])).path, problem)
        if first is problem:
            first["kinds"] = []
            rest.append(first)
        first["kinds"] += [kind] if kind not in first["kinds"] else []
    paths = [document.locate(tuple(problem["loc"])).path for problem in rest]
    # Another mistake at or inside the same place shows which of the types was meant.
    return [
        problem
        for problem, path in zip(rest, paths, strict=True)
        if ("kinds" not in problem and problem["type"] != "literal_error")
        or not any(
            other is not problem and ((at == path and "kinds" in problem) or at.startswith((f"{path}.", f"{path}[")))
            for other, at in zip(rest, paths, strict=True)
        )
    ]


def _problem(
    document: Document, model: type[BaseModel], path: DocumentPath, problem: Mapping[str, Any]
) -> ConfigurationError:
    kind, last = problem["type"], path[-1] if path else ""
    location = document.locate(path)
    if kind == "extra_forbidden":
        schema = _schema(model)
        known = _keys_at(schema, schema, path[:-1])
        if last in known:
            return ConfigurationError(f"the key {last!r} does not go together with another key here", location=location)
        return ConfigurationError(
            f"unknown key {clipped(str(last), 100)!r}",
            location=location,
            hint=near(str(last), known) or None,
        )
    if kind == "missing":
        example = EXAMPLES.get(_pattern_at(model, path))
        return ConfigurationError(
            f"the key {last!r} is missing",
            location=document.locate(path[:-1]),
            hint=f"For example: {last}: {example}" if example else None,
        )
    given, context = problem.get("input"), problem.get("ctx", {})
    message = _message(problem, context)
    if context.get("pattern") == SECRET or _SECRET_KEY.search(location.path) or _USER_INFO.search(str(given)):
        # This may be the secret itself.
        given = None
    if isinstance(given, str | int | float | bool) and len(str(given)) <= 80:
        message += f" (found {given!r})"
    hint = _hint(kind, given, context, _pattern_at(model, path), empty=_is_empty(problem))
    if kind == "dict_type" and hint is None and path[-2:-1] == ("configurations",) and "/" in str(last):
        name, _, key = str(last).partition("/")
        hint = f"Write the type as a key of its own: {name}: {{{key}: VALUE}}"
    if kind == "model_type" and hint is None:
        keys = sorted(_keys_at(_schema(model), _schema(model), path))
        hint = f"Its keys: {', '.join(keys)}." if keys else None
    return ConfigurationError(message, location=location, hint=hint)


def _message(problem: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    kind: str = problem["type"]
    if "kinds" in problem:
        empty = " (it is empty)" if _is_empty(problem) else ""
        *more, last = problem["kinds"]
        return f"must be {', '.join(more)}{' or ' if more else ''}{last}{empty}"
    if kind == "too_short":
        return "must not be empty"
    if context.get("pattern") == SECRET:
        return "must say where the secret is, not the secret itself"
    if kind == "literal_error":
        return f"must be {_yaml_words(context['expected'])}"
    if kind == "string_pattern_mismatch":
        return "is invalid"
    if kind in BOUNDS:
        text, name = BOUNDS[kind]
        return text.format(context[name])
    return clipped(str(problem["msg"]).removeprefix("Value error, "))


def _is_empty(problem: Mapping[str, Any]) -> bool:
    """Whether nothing stands where one of several kinds of values should."""
    return "kinds" in problem and problem.get("input") is None


def _yaml_words(values: str) -> str:
    return re.sub(r"\b(True|False)\b", lambda word: word[0].lower(), values)


def _hint(kind: str, given: Any, context: Mapping[str, Any], wanted: str, *, empty: bool = False) -> str | None:
    """``wanted``: the pattern of the value's place, which pydantic does not name for a value of another type."""
    if empty:
        return "Write a value, '' for an empty text, or remove the key."
    if kind == "string_type" and isinstance(given, int | float):
        if wanted in EXAMPLES and not re.search(wanted, str(given)):
            return f"For example: {EXAMPLES[wanted]}."
        return "Put the value in quotes."
    if kind == "string_type" and isinstance(given, list):
        return "Write one value, without brackets."
    if kind == "list_type" and isinstance(given, dict):
        return "Write a list: begin each entry with a dash."
    if kind in ("dict_type", "model_type") and isinstance(given, list):
        return "Write KEY: VALUE, without dashes."
    if kind == "list_type" and isinstance(given, str):
        return f"Write a list: [{', '.join(re.findall(r'[^][, ]+', clipped(given, 80)))}]"
    pattern = context.get("pattern", "")
    if pattern:
        return f"For example: {EXAMPLES[pattern]}." if pattern in EXAMPLES else f"It must match {pattern}"
    if kind == "literal_error" and isinstance(given, str):
        return near(given, re.findall(r"'([^']*)'", str(context.get("expected", "")))) or None
    return None


@lru_cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _pattern_at(model: type[BaseModel], path: DocumentPath) -> str:
    """Return the pattern that the text at ``path`` must match, or an empty text."""
    schema = _schema(model)
    found = [str(one["pattern"]) for one in _schemas_at(schema, schema, path) if "pattern" in one]
    return found[0] if len(found) == 1 else ""


def _keys_at(root: dict[str, Any], schema: dict[str, Any], path: DocumentPath) -> set[str]:
    """Return the keys that a JSON schema permits at ``path``."""
    return {key for one in _schemas_at(root, schema, path) for key in one.get("properties", ())}


def _schemas_at(root: dict[str, Any], schema: dict[str, Any], path: DocumentPath) -> Iterator[dict[str, Any]]:
    """Yield the schemas for ``path``, one for each type; parts that are not in the schema (tags) are skipped."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    branches = [branch for key in ("anyOf", "oneOf", "allOf") for branch in schema.get(key, ())]
    for branch in branches:
        yield from _schemas_at(root, branch, path)
    if branches:
        return
    if not path:
        yield schema
        return
    head, rest = path[0], path[1:]
    values = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
    within = next((value for value in values if isinstance(value, dict)), None)
    if head in schema.get("properties", ()):
        yield from _schemas_at(root, schema["properties"][head], rest)
    elif isinstance(head, int) and "items" in schema:
        yield from _schemas_at(root, schema["items"], rest)
    elif within is not None:
        yield from _schemas_at(root, within, rest)
    else:
        yield from _schemas_at(root, schema, rest)
