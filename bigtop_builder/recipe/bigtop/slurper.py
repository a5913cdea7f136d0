"""Evaluating a bill of materials with the scopes of Groovy's ConfigSlurper.

A name is looked up in the section that is being read, then in the sections around it, as far as they have been read;
the innermost match wins. An empty value counts as missing. For an unknown name ConfigSlurper makes an empty section,
and Bigtop's build would continue with ``[:]``; here it is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.recipe.bigtop import syntax
from bigtop_builder.recipe.document import near

MAX_TEXT = 1 << 16


@dataclass
class Block:
    """A section that has been read: names → values, and the place of each."""

    at: Location
    path: tuple[str, ...]
    values: dict[str, Value] = field(default_factory=dict)
    places: dict[str, Location] = field(default_factory=dict)

    def place(self, name: str) -> Location:
        """Return the place of ``name``, with its path; the place of the section when the name is missing."""
        return replace(self.places.get(name, self.at), path=".".join((*self.path, name)))


@dataclass
class Entries:
    """A map that has been read, with the place of each key."""

    values: dict[str, Value]
    places: dict[str, Location]


Value = str | int | Decimal | bool | None | list["Value"] | Entries | Block


def slurp(text: str, file: Path, environment: Mapping[str, str]) -> Block:
    """Return everything that a file assigns. ``environment`` is what ``System.getenv`` sees.

    Raises ConfigurationError with file, line and column.
    """
    top = Block(Location(file, 1, 1), ())
    _Reading(environment, [_Frame(top, {})]).run(syntax.parse(text, file))
    return top


@dataclass
class _Frame:
    block: Block
    scope: dict[str, Value]
    """What is visible: the values of the enclosing sections and of this one."""

    def assign(self, name: str, value: Value, at: Location) -> None:
        """Put a value into the section, where what follows can see it."""
        self.block.values[name] = self.scope[name] = value
        self.block.places[name] = at


@dataclass
class _Reading:
    environment: Mapping[str, str]
    frames: list[_Frame]
    local: dict[str, str] = field(default_factory=dict)

    def run(self, statements: tuple[syntax.Statement, ...]) -> None:
        """Evaluate statements in the innermost section. Raises ConfigurationError."""
        for statement in statements:
            if isinstance(statement, syntax.Section):
                self._section(statement)
            else:
                self._assign(statement)

    def _wrong(self, at: Location, message: str, hint: str | None = None) -> ConfigurationError:
        path = ".".join(self.frames[-1].block.path)
        return ConfigurationError(message, location=replace(at, path=path), hint=hint)

    def _section(self, section: syntax.Section) -> None:
        frame = self.frames[-1]
        if section.name == "environments":
            raise self._wrong(section.at, "sections called environments are not supported")
        known = frame.block.values.get(section.name)
        block = known if isinstance(known, Block) else Block(section.at, (*frame.block.path, section.name))
        frame.assign(section.name, block, section.at)
        self.frames.append(_Frame(block, dict(frame.scope)))
        self.run(section.body)
        self.frames.pop()

    def _assign(self, assignment: syntax.Assignment) -> None:
        frame = self.frames[-1]
        *way, last = assignment.path
        value = self._value(assignment.value)
        if not way:
            frame.assign(last, value, assignment.at)
            return
        block = frame.block.values.get(way[0]) or frame.scope.get(way[0])
        if block is None:
            block = Block(assignment.at, (*frame.block.path, way[0]))
            frame.assign(way[0], block, assignment.at)
        for name in way[1:]:
            if isinstance(block, Block):
                block = block.values.setdefault(name, Block(assignment.at, (*block.path, name)))
        if not isinstance(block, Block):
            raise self._wrong(assignment.at, f"{'.'.join(way)} is not a section, so nothing in it can be assigned")
        block.values[last] = value
        block.places[last] = assignment.at

    def _value(self, expression: syntax.Expression) -> Value:
        match expression:
            case syntax.Literal():
                return expression.value
            case syntax.Text():
                pieces = [part if isinstance(part, str) else self._shown(part) for part in expression.parts]
                return self._bounded("".join(pieces), expression.at)
            case syntax.Name():
                return self._named(expression)
            case syntax.ListOf():
                return [self._value(item) for item in expression.items]
            case syntax.MapOf():
                return self._map(expression)
            case syntax.Elvis():
                value = self._value(expression.value)
                return value if _holds(value) else self._value(expression.otherwise)
            case syntax.Sum():
                return self._sum(expression)
            case syntax.Chain():
                return self._chain(expression)

    def _bounded(self, text: str, at: Location) -> str:
        if len(text) > MAX_TEXT:
            raise self._wrong(at, f"the text is longer than {MAX_TEXT >> 10} KiB")
        return text

    def _shown(self, expression: syntax.Expression) -> str:
        value = self._value(expression)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str | int | Decimal):
            return str(value)
        raise self._wrong(expression.at, f"{_kind(value)} cannot be part of a text")

    def _named(self, name: syntax.Name) -> Value:
        frame = self.frames[-1]
        if name.name in self.local:
            return self.local[name.name]
        for found in (frame.block.values.get(name.name), frame.scope.get(name.name)):
            if _holds(found):
                return found
        if name.name in frame.scope:
            raise self._wrong(name.at, f"{name.name!r} is empty here, which Bigtop treats as missing")
        raise self._wrong(name.at, f"{name.name!r} is not defined above", near(name.name, frame.scope) or None)

    def _map(self, expression: syntax.MapOf) -> Entries:
        entries = Entries({}, {})
        for key, label, value in expression.entries:
            if label in entries.values:
                raise self._wrong(key.at, f"duplicate key {label!r}")
            entries.values[label] = self._value(value)
            entries.places[label] = key.at
        return entries

    def _sum(self, expression: syntax.Sum) -> Value:
        total = self._value(expression.first)
        for sign, item in expression.rest:
            value = self._value(item)
            if _whole(total) and _whole(value):
                total = int(str(total)) + (1 if sign == "+" else -1) * int(str(value))
            elif sign == "+" and (isinstance(total, str) or isinstance(value, str)):
                total = self._bounded(self._text(total, item.at) + self._text(value, item.at), item.at)
            elif isinstance(total, str):
                total = total.replace(self._text(value, item.at), "", 1)
            else:
                raise self._wrong(item.at, f"{sign!r} between {_kind(total)} and {_kind(value)} is not supported")
        return total

    def _text(self, value: Value, at: Location) -> str:
        if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
            return str(value)
        raise self._wrong(at, f"{_kind(value)} cannot be part of a text")

    def _chain(self, chain: syntax.Chain) -> Value:
        links = list(chain.links)
        if isinstance(chain.head, syntax.Name) and chain.head.name == "System":
            value = self._system(links.pop(0))
        else:
            value = self._value(chain.head)
        for link in links:
            value = self._property(value, link) if link.arguments is None else self._call(value, link)
        return value

    def _property(self, value: Value, link: syntax.Link) -> Value:
        if not isinstance(value, Block | Entries):
            raise self._wrong(link.at, f"{_kind(value)} has no {link.name!r}")
        if not _holds(value.values.get(link.name)):
            where, known = ".".join(value.path) if isinstance(value, Block) else "the map", value.values
            raise self._wrong(link.at, f"{where} has no {link.name!r} at this point", near(link.name, known) or None)
        return value.values[link.name]

    def _system(self, link: syntax.Link) -> Value:
        if link.name != "getenv" or not link.arguments or len(link.arguments) != 1:
            raise self._wrong(link.at, "only getenv('NAME') of System is supported")
        return self.environment.get(self._argument(link.arguments[0], link))

    def _argument(self, argument: syntax.Expression | syntax.Comparison, link: syntax.Link) -> str:
        if isinstance(argument, syntax.Comparison):
            raise self._wrong(argument.at, f"{link.name} takes no closure")
        return self._text(self._value(argument), argument.at)

    def _call(self, value: Value, link: syntax.Link) -> str:
        arguments = link.arguments or ()
        if link.name not in _METHODS:
            raise self._wrong(link.at, f"the method {link.name!r} is not supported", near(link.name, _METHODS))
        if not isinstance(value, str):
            raise self._wrong(link.at, f"{link.name} of {_kind(value)} is not supported")
        if len(arguments) != _METHODS[link.name]:
            raise self._wrong(link.at, f"{link.name} takes {_METHODS[link.name]} arguments, not {len(arguments)}")
        if link.name == "takeWhile":
            return self._take_while(value, arguments[0], link)
        if link.name == "replace":
            old, new = (self._argument(argument, link) for argument in arguments)
            if len(value) * max(1, len(new)) > MAX_TEXT * 4:
                raise self._wrong(link.at, f"the text is longer than {MAX_TEXT >> 10} KiB")
            return self._bounded(value.replace(old, new), link.at)
        return value.lower() if link.name == "toLowerCase" else value.upper()

    def _take_while(self, text: str, closure: syntax.Expression | syntax.Comparison, link: syntax.Link) -> str:
        if not isinstance(closure, syntax.Comparison):
            raise self._wrong(link.at, "takeWhile takes a closure: takeWhile { it != '-' }")
        taken = ""
        before = dict(self.local)
        for character in text:
            self.local[closure.parameter] = character
            if (self._value(closure.left) == self._value(closure.right)) is not closure.equal:
                break
            taken += character
        self.local = before
        return taken


_METHODS = {"replace": 2, "takeWhile": 1, "toLowerCase": 0, "toUpperCase": 0}
"""The supported methods of texts, and how many arguments each takes."""


def _whole(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _holds(value: Value) -> bool:
    """Whether Groovy treats a value as true."""
    return bool(value.values if isinstance(value, Block | Entries) else value)


def _kind(value: Value) -> str:
    match value:
        case None:
            return "nothing"
        case str():
            return "a text"
        case bool():
            return "true or false"
        case int() | Decimal():
            return "a number"
        case list():
            return "a list"
        case Entries():
            return "a map"
        case Block():
            return "a section"
