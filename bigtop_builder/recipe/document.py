"""YAML files with the location of every value."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import yaml

from bigtop_builder.model.errors import ConfigurationError, Location

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _WordLoader(_Loader):  # type: ignore[misc]
    """Reads ``yes``, ``No`` and ``off`` as the words that they are; only ``true`` and ``false`` are not text."""

    yaml_implicit_resolvers: ClassVar = {
        first: [
            (tag, re.compile(r"^(?:true|false)$")) if tag == "tag:yaml.org,2002:bool" else (tag, pattern)
            for tag, pattern in resolvers
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


Key = str | int
DocumentPath = tuple[Key, ...]

MAX_SIZE = 2 << 20
MAX_DEPTH = 50
MAX_NODES = 50_000
"""Values and keys of a file, those that aliases repeat included; the largest shipped file has a twentieth of it."""
MAX_NUMBER = 400
"""Characters of a number: converting takes time with their square."""
_SIMPLE = 2_000
"""Brackets and dashes of a text that is composed without looking at it: libyaml survives that depth."""


def clipped(text: str, length: int = 300) -> str:
    """Return a text of a file as a message may quote it."""
    return text if len(text) <= length else f"{text[:length]}…"


def near(name: str, known: Iterable[str]) -> str:
    """Return a hint with the most similar known names, or with all of them when there are few."""
    names = sorted(known)
    # Comparing takes as long as both names together, for each known one.
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.55) if len(name) <= 200 else []
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"Known: {', '.join(names)}." if names and len(names) <= 30 else ""


def show_path(path: Iterable[Key]) -> str:
    """Return ``packages[0].name`` for ``('packages', 0, 'name')``."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f".{clipped(key, 100)}" if text else clipped(str(key), 100)
    return clipped(text)


@dataclass
class Document:
    """Plain data with the location of every value."""

    data: dict[str, Any]
    file: Path
    text: str = ""
    """The YAML that ``data`` was read from; empty when it does not come from one text."""

    @cached_property
    def places(self) -> dict[DocumentPath, Location]:
        """The location of every path, without the path itself, which ``locate`` adds.

        Computed when first needed, because it takes several times as long as reading a file without mistakes.
        """
        places: dict[DocumentPath, Location] = {}
        if self.text:
            node = yaml.compose(self.text, Loader=_Loader)
            if node is not None:
                _construct(node, (), self.file, places)
        return places

    def locate(self, path: DocumentPath) -> Location:
        """Return the location of ``path``, or of the closest enclosing value.

        A validator's path may contain the tag of a union, which is not in the document. It is skipped, even if some
        key has the same name.
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
        """Return the file that ``path`` was read from; with overlays there are several."""
        return self.file if self.text else Path(self.locate(path).file)

    def merged(self, other: Document) -> Document:
        """Return this document overlaid with ``other``: mappings are merged, anything else is replaced."""
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


def load(file: Path, *, words: bool = False) -> Document:
    """Read a YAML mapping from a file; see ``parse``. Raises ConfigurationError with line and column."""
    return parse(read_text(file), file, words=words)


def read_text(file: Path) -> str:
    """Read a text file of the user. Raises ConfigurationError when it is unreadable, too large, or not UTF-8."""
    try:
        with file.open("rb") as stream:
            # Not its size on disk, which is 0 for a device that never ends.
            data = stream.read(MAX_SIZE + 1)
        if len(data) > MAX_SIZE:
            raise ConfigurationError(f"the file is larger than {MAX_SIZE >> 20} MiB", location=Location(file))
        return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"is not UTF-8 text: {error.reason}", location=Location(file)) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}", location=Location(file)
        ) from None


def parse(text: str, file: Path, *, words: bool = False) -> Document:
    """Read a YAML mapping from ``text``; errors name ``file``. Raises ConfigurationError.

    With ``words`` only ``true`` and ``false`` are truth values, and ``no`` is text.
    """
    try:
        _check_size(text, file)
        node = yaml.compose(text, Loader=_WordLoader if words else _Loader)
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
    return Document(_data(node, file), file, text)


def _data(node: yaml.Node, file: Path) -> Any:
    try:
        return _plain(node, MAX_DEPTH, [MAX_NODES])
    except _TooManyError:
        message = f"stands for more than {MAX_NODES} values, since aliases repeat"
        raise ConfigurationError(message, location=_place(_largest(node, {}) or node, file, ())) from None
    except (_UnusualError, yaml.YAMLError, ValueError, ArithmeticError):
        return _construct(node, (), file, {})


def parse_value(text: str, place: str) -> Any:
    """Return the value that a YAML text stands for, as a variable of the environment has it.

    What is not YAML stands for itself. Raises ConfigurationError for what is nested too deeply or too large.
    """
    file = Path(place)
    try:
        _check_size(text, file)
        node = yaml.compose(text, Loader=_Loader)
        return None if node is None else _data(node, file)
    except yaml.YAMLError:
        return text


def _check_size(text: str, file: Path) -> None:
    """Check depth and number of values before they are composed: libyaml composes by recursion, and crashes.

    Raises ConfigurationError with the place, and YAMLError.
    """
    if len(text) < MAX_NODES and sum(map(text.count, ("[", "{", "- ", "? "))) < _SIMPLE:
        return
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or count > 2 * MAX_NODES:
            mark = event.start_mark
            place = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
            raise ConfigurationError(
                "is nested too deeply" if depth > MAX_DEPTH else f"has more than {MAX_NODES} values", location=place
            )


def _yaml_error(error: yaml.YAMLError, text: str, file: Path) -> ConfigurationError:
    mark, begun = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    problem = clipped(getattr(error, "problem", None) or str(error))
    hint = None
    if mark and text[mark.index : mark.index + 1] == "\t":
        problem, hint = "a tab is used for indentation", "Indent with spaces."
    elif mark and begun and begun.line != mark.line:
        # An unclosed bracket or quote is noticed only many lines later.
        problem = f"{problem} ({getattr(error, 'context', '')}, starting in line {begun.line + 1})"
    location = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
    return ConfigurationError(f"is not valid YAML: {problem}", location=location, hint=hint)


def _place(node: yaml.Node, file: Path, path: DocumentPath) -> Location:
    return Location(file, node.start_mark.line + 1, node.start_mark.column + 1, show_path(path))


_SCALARS = yaml.SafeLoader("")
_TEXT = "tag:yaml.org,2002:str"
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "value")}


class _UnusualError(Exception):
    """A node is probably a mistake, so ``_construct`` must look at it."""


class _TooManyError(Exception):
    """A document stands for more values than it may."""


def _largest(node: yaml.Node, sizes: dict[int, int]) -> yaml.Node | None:
    """Return the first node that stands for too many values by itself, without walking what aliases repeat."""
    if id(node) in sizes or not isinstance(node, yaml.CollectionNode):
        return None
    # What contains itself has no size.
    sizes[id(node)] = MAX_NODES
    total = len(node.value)
    for item in node.value:
        for child in item if isinstance(item, tuple) else (item,):
            if (found := _largest(child, sizes)) is not None:
                return found
            total += sizes.get(id(child), 0)
    sizes[id(node)] = total
    return node if total > MAX_NODES else None


def _plain(node: yaml.Node, depth: int, left: list[int]) -> Any:
    """Return the value of ``node`` without locations, several times as fast as ``_construct``.

    ``left`` is how many values there may still be.
    """
    if node.tag == _TEXT and isinstance(node, yaml.ScalarNode):
        return node.value
    if not depth:
        raise _UnusualError
    if isinstance(node, yaml.CollectionNode):
        left[0] -= len(node.value)
        if left[0] < 0:
            raise _TooManyError
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key in result or key == "<<":
                raise _UnusualError
            result[key] = _plain(value_node, depth - 1, left)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, depth - 1, left) for item in node.value]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    if node.tag not in _PLAIN_TAGS:
        raise _UnusualError
    text = str(node.value)
    if len(text) > MAX_NUMBER and node.tag != _TEXT:
        raise ValueError("it is too long for a number")
    value = _SCALARS.yaml_constructors[node.tag](_SCALARS, node)
    if isinstance(value, bool) or value is None:
        return value
    # YAML 1.1 takes 022 for 18, 12:30 for 750 and 1.10 for 1.1, which hardly anybody means. Fields for numbers
    # convert text, so that a number stays one wherever it is wanted.
    return value if isinstance(value, int | float) and str(value) == text else text


def _construct(
    node: yaml.Node,
    path: DocumentPath,
    file: Path,
    places: dict[DocumentPath, Location],
    named: yaml.Node | None = None,
) -> Any:
    """Return the value of ``node`` and record its location, which is that of its key."""
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
        raise ConfigurationError(
            f"the YAML tag {clipped(node.tag)} is not allowed", location=_place(node, file, path)
        ) from None
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:
        raise ConfigurationError(
            f"is not a valid value: {clipped(str(error))}", location=_place(node, file, path)
        ) from None


def _construct_mapping(
    node: yaml.MappingNode, path: DocumentPath, file: Path, places: dict[DocumentPath, Location]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        # YAML reads an unquoted version as a number; as a key, its text is what was meant.
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
        return f"the key {clipped(key)!r} is repeated"
    return "YAML merge keys are not supported" if key == "<<" else None
