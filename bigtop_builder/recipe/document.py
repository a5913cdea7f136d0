"""YAML files with the place of every value, checked against a model; mistakes name line and path."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from bigtop_builder.model.base import EXAMPLES, SECRET
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors, Location

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Key = str | int
DocumentPath = tuple[Key, ...]
M = TypeVar("M", bound=BaseModel)

MAX_SIZE = 2 << 20
MAX_DEPTH = 50
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
"""What a validator's mistakes of type ask for."""

_SECRET_KEY = re.compile(r"passw|passphrase|secret", re.IGNORECASE)


def near(name: str, known: Iterable[str]) -> str:
    """A hint with the nearest known names, or with all of them when there are few."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.55)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"Known: {', '.join(names)}." if names and len(names) <= 30 else ""


def show_path(path: Iterable[Key]) -> str:
    """``('packages', 0, 'name')`` → ``packages[0].name``."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f".{key}" if text else str(key)
    return text


@dataclass
class Document:
    """Plain data and, for every path in it, where it stands."""

    data: dict[str, Any]
    file: Path
    text: str = ""
    """The YAML that ``data`` was read from; empty when it was not read from one text."""

    @cached_property
    def places(self) -> dict[DocumentPath, Location]:
        """The location of every path, without the path itself, which ``locate`` adds.

        Worked out when first asked for: a file without mistakes is never asked.
        """
        places: dict[DocumentPath, Location] = {}
        if self.text:
            node = yaml.compose(self.text, Loader=_Loader)
            if node is not None:
                _construct(node, (), self.file, places)
        return places

    def locate(self, path: DocumentPath) -> Location:
        """The place of ``path``, or of the nearest thing around it.

        A validator's path may hold the tag of a union, which is not of the document, even if a key is called so.
        """
        for skipped in range(len(path)):
            shorter = path[:skipped] + path[skipped + 1 :]
            if path not in self.places and shorter in self.places:
                path = shorter
        kept: list[Key] = []
        for key in path:
            if (*kept, key) in self.places:
                kept.append(key)
        place = self.places.get(tuple(kept))
        shown = show_path(kept)
        if place is None:
            return Location(self.file, path=shown)
        return Location(place.file, place.line, place.column, shown)

    def file_of(self, path: DocumentPath) -> Path:
        """The file that ``path`` was read from; with overlays these are several."""
        return self.file if self.text else Path(self.locate(path).file)

    def merged(self, other: Document) -> Document:
        """This document with ``other`` laid over it: mappings merge, anything else is replaced."""
        places = dict(self.places)
        merged = Document(_merge(self.data, other.data, (), places), other.file)
        merged.places = {**places, **other.places}
        return merged


def _merge(
    base: dict[str, Any], over: dict[str, Any], path: DocumentPath, places: dict[DocumentPath, Location]
) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        here = (*path, key)
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value, here, places)
        else:
            for old in [place for place in places if place[: len(here)] == here]:
                del places[old]
            merged[key] = value
    return merged


def load(file: Path) -> Document:
    """Read a YAML mapping. Raises ConfigurationError with line and column when it does not parse."""
    try:
        if file.stat().st_size > MAX_SIZE:
            raise ConfigurationError(f"the file is larger than {MAX_SIZE >> 20} MiB", location=Location(file))
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"is not UTF-8 text: {error.reason}", location=Location(file)) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror or error}", location=Location(file)) from None
    return parse(text, file)


def parse(text: str, file: Path) -> Document:
    """Read a YAML mapping from ``text``; ``file`` is what errors name."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise _yaml_error(error, text, file) from None
    except RecursionError:
        raise ConfigurationError("is nested too deeply", location=Location(file)) from None
    if node is None:
        return Document({}, file)
    if not isinstance(node, yaml.MappingNode):
        raise ConfigurationError(
            "must be a mapping of keys to values at its top level", location=_place(node, file, ())
        )
    try:
        data = _plain(node, MAX_DEPTH)
    except (_UnusualError, yaml.YAMLError, ValueError):
        data = _construct(node, (), file, {})
    return Document(data, file, text)


def _yaml_error(error: yaml.YAMLError, text: str, file: Path) -> ConfigurationError:
    mark, begun = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    problem: str = getattr(error, "problem", None) or str(error)
    hint = None
    if mark and text[mark.index : mark.index + 1] == "\t":
        problem, hint = "a tab stands here", "Indent with spaces."
    elif mark and begun and begun.line != mark.line:
        # A bracket or quote that is not closed is noticed far below.
        problem = f"{problem} ({getattr(error, 'context', '')}, which begins in line {begun.line + 1})"
    location = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
    return ConfigurationError(f"is not valid YAML: {problem}", location=location, hint=hint)


def _place(node: yaml.Node, file: Path, path: DocumentPath) -> Location:
    return Location(file, node.start_mark.line + 1, node.start_mark.column + 1, show_path(path))


_SCALARS = yaml.SafeLoader("")
_TEXT = "tag:yaml.org,2002:str"
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "value")}


class _UnusualError(Exception):
    """A node that ``_construct`` has to look at, because it is probably a mistake."""


def _plain(node: yaml.Node, depth: int) -> Any:
    """The value of ``node`` without keeping track of places: several times as fast as ``_construct``."""
    if node.tag == _TEXT and isinstance(node, yaml.ScalarNode):
        return node.value
    if not depth:
        raise _UnusualError
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key in result or key == "<<":
                raise _UnusualError
            result[key] = _plain(value_node, depth - 1)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, depth - 1) for item in node.value]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    if node.tag not in _PLAIN_TAGS:
        raise _UnusualError
    value = _SCALARS.construct_object(node)
    return value if isinstance(value, str | int | float | bool | None) else str(node.value)


def _construct(
    node: yaml.Node,
    path: DocumentPath,
    file: Path,
    places: dict[DocumentPath, Location],
    named: yaml.Node | None = None,
) -> Any:
    """The value of ``node``, whose place is that of the key that names it."""
    mark = (named or node).start_mark
    places[path] = Location(file, mark.line + 1, mark.column + 1)
    if len(path) > MAX_DEPTH:
        raise ConfigurationError("is nested too deeply", location=_place(node, file, path))
    if isinstance(node, yaml.MappingNode):
        return _construct_mapping(node, path, file, places)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*path, index), file, places) for index, item in enumerate(node.value)]
    try:
        return _scalar(node)
    except _UnusualError:
        raise ConfigurationError(f"the YAML tag {node.tag} is not allowed", location=_place(node, file, path)) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigurationError(f"is not a valid value: {error}", location=_place(node, file, path)) from None


def _construct_mapping(
    node: yaml.MappingNode, path: DocumentPath, file: Path, places: dict[DocumentPath, Location]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        # A version written without quotes is a number to YAML; as a key its text is what was meant.
        key = str(key_node.value)
        problem = _key_problem(key_node, key, result)
        if problem:
            raise ConfigurationError(problem, location=_place(key_node, file, path))
        result[key] = _construct(value_node, (*path, key), file, places, key_node)
    return result


def _key_problem(node: yaml.Node, key: str, known: Mapping[str, Any]) -> str | None:
    if not isinstance(node, yaml.ScalarNode):
        return "a key must be plain text"
    if key in known:
        return f"the key {key!r} stands here twice"
    return "YAML merge keys are not supported" if key == "<<" else None


def validate(document: Document, model: type[M]) -> M:
    """The document as ``model``. Raises ConfigurationErrors with every mistake and its place."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        problems = [_problem(document, model, tuple(problem["loc"]), problem) for problem in _told(document, error)]
        if len(problems) == 1:
            raise problems[0] from None
        raise ConfigurationErrors(problems) from None


def _told(document: Document, error: ValidationError) -> list[dict[str, Any]]:
    """The mistakes, each place once: of a value that may be of several types the validator tells one for each type."""
    found: dict[str, dict[str, Any]] = {}
    rest: list[dict[str, Any]] = []
    for details in error.errors(include_url=False):
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
    # A mistake at or inside the place shows which of the types was meant.
    return [
        problem
        for problem, path in zip(rest, paths, strict=True)
        if "kinds" not in problem
        or not any(
            other is not problem and (at == path or at.startswith((f"{path}.", f"{path}[")))
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
        return ConfigurationError(
            f"unknown key {last!r}",
            location=location,
            hint=near(str(last), _keys_at(schema, schema, path[:-1])) or None,
        )
    if kind == "missing":
        return ConfigurationError(f"the key {last!r} is missing", location=document.locate(path[:-1]))
    given, context = problem.get("input"), problem.get("ctx", {})
    message = _message(problem, context)
    if context.get("pattern") == SECRET or _SECRET_KEY.search(location.path):
        # What stands here may be the secret itself.
        given = None
    if isinstance(given, str | int | float | bool) and len(str(given)) <= 80:
        message += f" (found {given!r})"
    return ConfigurationError(message, location=location, hint=_hint(kind, given, context))


def _message(problem: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    kind: str = problem["type"]
    if "kinds" in problem:
        empty = " (there is nothing)" if problem.get("input") is None else ""
        *more, last = problem["kinds"]
        return f"must be {', '.join(more)}{' or ' if more else ''}{last}{empty}"
    if kind == "too_short":
        return "must not be empty"
    if context.get("pattern") == SECRET:
        return "a secret itself does not stand here, only where it is"
    if kind == "literal_error":
        return f"must be {_yaml_words(context['expected'])}"
    if kind == "string_pattern_mismatch":
        return "is not written as it must be"
    return str(problem["msg"]).removeprefix("Value error, ")


def _yaml_words(values: str) -> str:
    return re.sub(r"\b(True|False)\b", lambda word: word[0].lower(), values)


def _hint(kind: str, given: Any, context: Mapping[str, Any]) -> str | None:
    if kind == "string_type" and isinstance(given, int | float):
        return "Put the value in quotes."
    if kind == "list_type" and isinstance(given, str):
        return f"Write a list: [{given}]"
    pattern = context.get("pattern", "")
    if pattern:
        return f"For example: {EXAMPLES[pattern]}." if pattern in EXAMPLES else f"It must match {pattern}"
    if kind == "literal_error" and isinstance(given, str):
        return near(given, re.findall(r"'([^']*)'", str(context.get("expected", "")))) or None
    return None


@lru_cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _keys_at(root: dict[str, Any], schema: dict[str, Any], path: DocumentPath) -> set[str]:
    """The keys that a JSON schema permits at ``path``; parts that are not of the schema (tags) are skipped."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    branches = [branch for key in ("anyOf", "oneOf", "allOf") for branch in schema.get(key, ())]
    if branches:
        return set().union(*(_keys_at(root, branch, path) for branch in branches))
    if not path:
        return set(schema.get("properties", ()))
    head, rest = path[0], path[1:]
    if head in schema.get("properties", ()):
        return _keys_at(root, schema["properties"][head], rest)
    if isinstance(head, int) and "items" in schema:
        return _keys_at(root, schema["items"], rest)
    if isinstance(schema.get("additionalProperties"), dict):
        return _keys_at(root, schema["additionalProperties"], rest)
    return _keys_at(root, schema, rest)
