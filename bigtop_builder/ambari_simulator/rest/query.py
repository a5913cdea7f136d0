"""Ambari's query language: predicates, ``fields``, paging and sorting (contract 2.1 and 2.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bigtop_builder.ambari_simulator.rest.replies import Refusal

Row = Mapping[str, Any]
Value = Callable[[str], list[Any]]
"""All values of a property of a row; several when the path leads through a sub-resource."""

CONTROLS = frozenset({"fields", "minimal_response", "format", "sortBy", "page_size", "from", "to", "_", "doAs"})
"""Names in a query string that are not predicates."""

DEEPEST = 50
"""Levels of parentheses in a predicate."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<open>!?\()|(?P<close>\))|(?P<and>&)|(?P<or>\|)
    |(?P<name>[\w.*/ :\-\[\]{}%]+?)
     (?:\.(?P<function>in|matches|isEmpty)\((?P<arguments>(?:[^()]|\([^()]*\))*)\)
      |(?P<operator>!=|<=|>=|=|<|>)(?P<value>(?:[^&|()]|\([^()]*\))*)))""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Predicate:
    """A condition on a row; ``names`` are the properties it mentions, in order."""

    test: Callable[[Value], bool]
    names: tuple[str, ...]
    source: str = ""
    """The text that it was parsed from."""


@dataclass
class Fields:
    """The requested parts of a resource: own properties or categories, everything, and parts of sub-resources."""

    own: list[str] = field(default_factory=list)
    everything: bool = False
    children: dict[str, Fields] = field(default_factory=dict)
    tested: set[str] = field(default_factory=set)
    """Those of ``own`` that only the predicate names."""

    def add(self, path: str, children: Mapping[str, Any], *, tested: bool = False) -> None:
        """Add one path of ``fields=``, or one that the predicate tests; ``children``: sub-resources by name."""
        head, _, rest = path.partition("/")
        if path == "*":
            self.everything = True
            return
        if head in children:
            below = self.children.setdefault(head, Fields())
            if rest:
                below.add(rest, children[head].children, tested=tested)
            return
        name = path.removesuffix("/*")
        if tested and name not in self.own:
            self.tested.add(name)
        self.own.append(name)

    @property
    def requested(self) -> tuple[str, ...]:
        """Own parts without those that only the predicate names: ``minimal_response`` leaves these out (QueryImpl)."""
        return tuple(name for name in self.own if name not in self.tested)


@dataclass(frozen=True)
class Page:
    """A page of a collection: ``size`` items from ``start``, or the last ``size`` before ``end``."""

    size: int
    start: int | None
    end: int | None

    def cut(self, rows: list[Any]) -> list[Any]:
        """Return the rows of this page."""
        if self.start is None and self.end is not None:
            end = len(rows) if self.end < 0 else min(self.end + 1, len(rows))
            return rows[max(0, end - self.size) : end]
        start = self.start or 0
        return rows[start : start + self.size]


def parse_page(parameters: Mapping[str, str]) -> Page | None:
    """Return the requested page; its size defaults to 20 if any of ``page_size``, ``from`` and ``to`` is given."""
    if not {"page_size", "from", "to"} & parameters.keys():
        return None
    try:
        size = int(parameters.get("page_size", "20"))
        first, last = parameters.get("from"), parameters.get("to")
        start = None if first is None else 0 if first == "start" else int(first)
        end = None if last is None else -1 if last == "end" else int(last)
    except ValueError as error:
        raise Refusal(400, f"Invalid Request: {error}") from None
    return Page(size, start, end)


def parse_predicate(text: str) -> Predicate | None:
    """Parse the predicate in ``text`` (decoded, without controls and directives); ``None`` if there is none.

    Raises ``Refusal`` 400 when it cannot be read.
    """
    tokens: list[re.Match[str]] = []
    place = 0
    while place < len(text.rstrip()):
        found = _TOKEN.match(text, place)
        if found is None:
            raise Refusal(400, f"Unable to compile query predicate: Unexpected text at {text[place:]!r}")
        tokens.append(found)
        place = found.end()
    if not tokens:
        return None
    parser = _Parser(tokens)
    predicate = parser.alternative()
    if parser.place < len(tokens):
        raise Refusal(400, "Unable to compile query predicate: Unbalanced parentheses")
    return replace(predicate, source=text)


class _Parser:
    """A recursive descent parser over the tokens; ``|`` binds weaker than ``&``."""

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self.tokens = tokens
        self.place = 0
        self.depth = 0

    def alternative(self) -> Predicate:
        parts = [self.conjunction()]
        while self._take("or"):
            parts.append(self.conjunction())
        return _joined(any, parts)

    def conjunction(self) -> Predicate:
        parts = [self.term()]
        while self._take("and"):
            parts.append(self.term())
        return _joined(all, parts)

    def term(self) -> Predicate:
        if self.place >= len(self.tokens):
            raise Refusal(400, "Unable to compile query predicate: Unexpected end of the predicate")
        token = self.tokens[self.place]
        self.place += 1
        if token["open"]:
            self.depth += 1
            if self.depth > DEEPEST:
                raise Refusal(400, "Unable to compile query predicate: Too many nested parentheses")
            inner = self.alternative()
            self.depth -= 1
            if not self._take("close"):
                raise Refusal(400, "Unable to compile query predicate: Missing closing parenthesis")
            return _negation(inner) if token["open"] == "!(" else inner
        if not token["name"]:
            raise Refusal(400, f"Unable to compile query predicate: Unexpected token {token[0].strip()!r}")
        return _condition(token)

    def _take(self, kind: str) -> bool:
        if self.place < len(self.tokens) and self.tokens[self.place][kind]:
            self.place += 1
            return True
        return False


def _joined(combine: Callable[[Iterable[bool]], bool], parts: list[Predicate]) -> Predicate:
    """Join conditions flat: nested ones, thousands long, could not be called."""
    if len(parts) == 1:
        return parts[0]
    names = tuple(name for part in parts for name in part.names)
    return Predicate(lambda value: combine(part.test(value) for part in parts), names)


def _negation(inner: Predicate) -> Predicate:
    return Predicate(lambda value: not inner.test(value), inner.names)


def _condition(token: re.Match[str]) -> Predicate:
    name = token["name"].strip()
    if token["function"] == "isEmpty":
        return Predicate(lambda value: not any(value(name)), (name,))
    if token["function"] == "in":
        wanted = {part.strip() for part in token["arguments"].split(",")}
        return Predicate(lambda value: any(text(item) in wanted for item in value(name)), (name,))
    if token["function"] == "matches":
        try:
            pattern = re.compile(token["arguments"])
        except (re.error, RecursionError, OverflowError) as error:
            raise Refusal(400, f"Unable to compile query predicate: {error}") from None
        return Predicate(lambda value: any(pattern.fullmatch(text(item)) for item in value(name)), (name,))
    return _comparison(name, token["operator"], token["value"])


def _comparison(name: str, operator: str, wanted: str) -> Predicate:
    if operator == "=":
        return Predicate(lambda value: any(text(item) == wanted for item in value(name)), (name,))
    if operator == "!=":
        return Predicate(lambda value: all(text(item) != wanted for item in value(name)), (name,))
    return Predicate(lambda value: any(_ordered(item, operator, wanted) for item in value(name)), (name,))


def _ordered(item: Any, operator: str, wanted: str) -> bool:
    try:
        left: Any = float(item)
        right: Any = float(wanted)
    except (TypeError, ValueError):
        left, right = text(item), wanted
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])


def text(value: Any) -> str:
    """Convert a property for comparison in the query language."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
