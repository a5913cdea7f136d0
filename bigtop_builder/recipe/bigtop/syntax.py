"""The grammar of a Bigtop bill of materials: the subset of Groovy that ``bigtop.bom`` is written in.

    file       = statements
    statements = { statement ( newline | ";" ) }
    statement  = name "{" statements "}" | name { "." name } "=" value
    value      = sum [ "?:" value ]
    sum        = item { ( "+" | "-" ) item }
    item       = ( text | number | name | "[" … "]" | "(" value ")" ) { "." name [ "(" values ")" ] [ closure ] }
    closure    = "{" [ name "->" ] value ( "==" | "!=" ) value "}"

A name may be a text in quotes. Anything else is an error, which says what was expected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.recipe.bigtop.tokens import MAX_DEPTH, QUOTE_VERSIONS, Token, tokenize

T = TypeVar("T")

_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_WORDS = frozenset(
    {"if", "for", "while", "switch", "try", "throw", "return", "assert", "new", "import", "def", "class"}
)


@dataclass(frozen=True)
class Literal:
    """A number, ``true``, ``false`` or ``null``."""

    at: Location
    value: int | Decimal | bool | None


@dataclass(frozen=True)
class Text:
    """A text: plain pieces, and between them the expressions that are interpolated."""

    at: Location
    parts: tuple[str | Expression, ...]


@dataclass(frozen=True)
class Name:
    """A reference to something that was assigned before."""

    at: Location
    name: str


@dataclass(frozen=True)
class Comparison:
    """The closure ``{ it != 'x' }``; ``parameter`` is the name of the character it is called with."""

    at: Location
    parameter: str
    left: Expression
    equal: bool
    right: Expression


@dataclass(frozen=True)
class Link:
    """``.name``, or ``.name(…)`` when it has ``arguments``."""

    at: Location
    name: str
    arguments: tuple[Expression | Comparison, ...] | None


@dataclass(frozen=True)
class Chain:
    """``head.link.link(…)``."""

    at: Location
    head: Expression
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Sum:
    """``first + … - …``: ``rest`` has the signs and the items."""

    at: Location
    first: Expression
    rest: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True)
class Elvis:
    """``value ?: otherwise``: the second if the first is empty."""

    at: Location
    value: Expression
    otherwise: Expression


@dataclass(frozen=True)
class ListOf:
    """``[a, b]``."""

    at: Location
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class MapOf:
    """``[key: value]``: ``entries`` have the token of the key, its text, and the value."""

    at: Location
    entries: tuple[tuple[Token, str, Expression], ...]


Expression = Literal | Text | Name | Chain | Sum | Elvis | ListOf | MapOf


@dataclass(frozen=True)
class Assignment:
    """``name.name = value``."""

    at: Location
    path: tuple[str, ...]
    value: Expression


@dataclass(frozen=True)
class Section:
    """``name { … }``."""

    at: Location
    name: str
    body: tuple[Statement, ...]


Statement = Assignment | Section


def parse(text: str, file: Path) -> tuple[Statement, ...]:
    """Parse a file. Raises ConfigurationError with line and column, and what was expected there."""
    return _Parser(tokenize(text, file)).statements("end")


class _Parser:
    def __init__(self, tokens: tuple[Token, ...], depth: int = 0) -> None:
        self.tokens = tokens
        self.place = 0
        self.depth = depth

    @property
    def token(self) -> Token:
        """The token to be read next."""
        return self.tokens[self.place]

    def _take(self) -> Token:
        token = self.token
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def _at_mark(self, *marks: str) -> bool:
        return self.token.kind == "mark" and self.token.value in marks

    def _expect(self, mark: str, why: str) -> Token:
        if not self._at_mark(mark):
            raise self._unexpected(f"{mark!r} {why}")
        return self._take()

    def _unexpected(self, wanted: str, hint: str | None = None) -> ConfigurationError:
        return ConfigurationError(f"expected {wanted}, found {self.token.shown}", location=self.token.at, hint=hint)

    def _newlines(self) -> None:
        while self.token.kind == "newline":
            self._take()

    def _deeper(self, what: Callable[[], T]) -> T:
        if self.depth >= MAX_DEPTH:
            raise ConfigurationError("nested too deeply", location=self.token.at)
        self.depth += 1
        value = what()
        self.depth -= 1
        return value

    def statements(self, end: str) -> tuple[Statement, ...]:
        """Parse up to ``end``, which is ``"end"`` of the file or ``"}"`` and is not consumed."""
        found: list[Statement] = []
        while True:
            while self._separates():
                self._take()
            if self._ends(end):
                return tuple(found)
            found.append(self._statement())
            if not (self._ends(end) or self._separates()):
                raise self._unexpected("the end of the line or ';'")

    def _separates(self) -> bool:
        return self.token.kind == "newline" or self._at_mark(";")

    def _ends(self, end: str) -> bool:
        return self.token.kind == "end" if end == "end" else self._at_mark(end)

    def _statement(self) -> Statement:
        at = self.token.at
        quoted = self.token.kind == "text"
        path = [self._label("a name followed by '=' or '{'")]
        while self._at_mark(".") and not quoted:
            self._take()
            path.append(self._label("a name"))
        if self._at_mark("{") and len(path) == 1:
            self._take()
            body = self._deeper(lambda: self.statements("}"))
            self._expect("}", "that closes the section")
            return Section(at, path[0], body)
        if not self._at_mark("=") or quoted:
            raise self._unexpected("'{'" if quoted else "'=' or '{'", _statement_hint(path[0], self.token))
        self._take()
        self._newlines()
        return Assignment(at, tuple(path), self._value())

    def _label(self, wanted: str) -> str:
        token = self.token
        if token.kind == "name" and token.value not in _WORDS and token.value not in _CONSTANTS:
            return self._take().value
        if token.kind == "text" and all(isinstance(part, str) for part in token.parts):
            self._take()
            return "".join(part for part in token.parts if isinstance(part, str))
        if token.kind == "name":
            raise ConfigurationError(
                f"{token.value!r} is a keyword of Groovy, and such statements are not supported",
                location=token.at,
                hint="A bill of materials may contain sections and assignments.",
            )
        raise self._unexpected(wanted)

    def _value(self) -> Expression:
        return self._deeper(self._elvis)

    def _elvis(self) -> Expression:
        at, value = self.token.at, self._sum()
        if not self._at_mark("?:"):
            return value
        self._take()
        self._newlines()
        return Elvis(at, value, self._value())

    def _sum(self) -> Expression:
        at, first = self.token.at, self._item()
        rest: list[tuple[str, Expression]] = []
        while self._at_mark("+", "-"):
            sign = self._take().value
            self._newlines()
            rest.append((sign, self._item()))
        return Sum(at, first, tuple(rest)) if rest else first

    def _item(self) -> Expression:
        at, head = self.token.at, self._primary()
        links: list[Link] = []
        while self._at_mark("."):
            self._take()
            links.append(self._link())
        return Chain(at, head, tuple(links)) if links else head

    def _link(self) -> Link:
        if self.token.kind != "name":
            raise self._unexpected("a name", QUOTE_VERSIONS if self.token.kind == "number" else None)
        name = self._take()
        arguments: list[Expression | Comparison] | None = None
        if self._at_mark("("):
            self._take()
            arguments = list(self._list(")"))
        if self._at_mark("{"):
            arguments = [*(arguments or []), self._deeper(self._closure)]
        return Link(name.at, name.value, None if arguments is None else tuple(arguments))

    def _closure(self) -> Comparison:
        at = self._expect("{", "of a closure").at
        self._newlines()
        parameter = "it"
        if self.token.kind == "name" and self.tokens[self.place + 1].value == "->":
            parameter = self._take().value
            self._take()
            self._newlines()
        left = self._value()
        if not self._at_mark("==", "!="):
            raise self._unexpected("'==' or '!='", "Closures can only compare: { it != '-' }.")
        equal = self._take().value == "=="
        self._newlines()
        right = self._value()
        self._newlines()
        self._expect("}", "that closes the closure")
        return Comparison(at, parameter, left, equal, right)

    def _primary(self) -> Expression:
        token = self.token
        if token.kind == "text":
            self._take()
            return Text(token.at, tuple(self._piece(part) for part in token.parts))
        if token.kind == "number":
            self._take()
            return Literal(token.at, Decimal(token.value) if "." in token.value else int(token.value))
        if token.kind == "name" and token.value in _CONSTANTS:
            self._take()
            return Literal(token.at, _CONSTANTS[token.value])
        if token.kind == "name" and token.value not in _WORDS:
            self._take()
            return Name(token.at, token.value)
        if self._at_mark("["):
            self._take()
            return self._brackets(token.at)
        if self._at_mark("("):
            self._take()
            self._newlines()
            value = self._value()
            self._newlines()
            self._expect(")", "that closes the bracket")
            return value
        raise self._unexpected("a value")

    def _piece(self, part: str | tuple[Token, ...]) -> str | Expression:
        if isinstance(part, str):
            return part
        inner = _Parser(part, self.depth)
        inner._newlines()
        value = inner._value()
        inner._newlines()
        if inner.token.kind != "end":
            raise inner._unexpected("the end of the interpolation")
        return value

    def _brackets(self, at: Location) -> Expression:
        self._newlines()
        if self._at_mark(":"):
            self._take()
            self._newlines()
            self._expect("]", "of the empty map")
            return MapOf(at, ())
        following = self.tokens[min(self.place + 1, len(self.tokens) - 1)]
        if following.kind != "mark" or following.value != ":":
            return ListOf(at, self._list("]"))
        entries: list[tuple[Token, str, Expression]] = []
        while not self._at_mark("]"):
            key = self.token
            label = self._label("a key")
            self._expect(":", "after a key")
            self._newlines()
            entries.append((key, label, self._value()))
            self._comma("]")
        self._take()
        return MapOf(at, tuple(entries))

    def _list(self, closing: str) -> tuple[Expression, ...]:
        self._newlines()
        items: list[Expression] = []
        while not self._at_mark(closing):
            items.append(self._value())
            self._comma(closing)
        self._take()
        return tuple(items)

    def _comma(self, closing: str) -> None:
        self._newlines()
        if self._at_mark(","):
            self._take()
            self._newlines()
        elif not self._at_mark(closing):
            raise self._unexpected(f"',' or {closing!r}")


def _statement_hint(name: str, following: Token) -> str | None:
    if following.kind in ("text", "number", "name"):
        return f"Groovy reads this as a call of {name}, which ConfigSlurper does not know: write {name} = …"
    return None
