"""What packages provide and require: capabilities, and boolean expressions of them (rpm's "rich" dependencies).

The semantics are those of rpm's documentation, "Boolean Dependencies". libsolv, which evaluates them for dnf, has no
wheels for macOS and Alpine, where deployments check repositories too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from bigtop_builder.model.evr import EVR, compare_evr, parse_evr

Operator = Literal["and", "or", "if", "unless", "with", "without"]
OPERATORS: dict[str, Operator] = {
    "and": "and",
    "or": "or",
    "if": "if",
    "unless": "unless",
    "with": "with",
    "without": "without",
}
CHAINED = ("and", "or", "with")
"""Operators that may be repeated without further parentheses."""
DEEPEST = 50
SYSTEM = ""
"""Stands for the system in a set of the packages that meet a requirement."""


@dataclass(frozen=True)
class Capability:
    """One capability: ``name``, ``name = 1.0-1`` or ``name >= 1.0``; ``sense`` is empty in the first case."""

    name: str
    sense: str = ""
    evr: EVR = (0, "", "")

    @classmethod
    def parse(cls, text: str) -> Capability:
        """Parse ``name >= version``."""
        parts = text.split()
        if len(parts) != 3:
            return cls(text)
        return cls(parts[0], parts[1], parse_evr(parts[2]))

    def __str__(self) -> str:
        if not self.sense:
            return self.name
        epoch = f"{self.evr[0]}:" if self.evr[0] else ""
        release = f"-{self.evr[2]}" if self.evr[2] else ""
        return f"{self.name} {self.sense} {epoch}{self.evr[1]}{release}"

    def satisfies(self, wanted: Capability) -> bool:
        """Whether this provided capability satisfies ``wanted``: their version ranges overlap."""
        if self.name != wanted.name:
            return False
        if not wanted.sense:
            return True
        if not self.sense:
            return False
        order = compare_evr(self.evr, wanted.evr)
        if order == 0:
            return bool(set(self.sense) & set(wanted.sense))
        higher, lower = (self, wanted) if order > 0 else (wanted, self)
        return "<" in higher.sense or ">" in lower.sense


@dataclass(frozen=True)
class Expression:
    """A boolean dependency: ``(a or b)``. ``if`` and ``unless`` have two operands, or three with ``else``."""

    operator: Operator
    operands: tuple[Requirement, ...]

    def __str__(self) -> str:
        parts = [str(operand) for operand in self.operands]
        if self.operator in CHAINED:
            return f"({f' {self.operator} '.join(parts)})"
        return f"({f' {self.operator} '.join(parts[:2])}{''.join(f' else {part}' for part in parts[2:])})"


Requirement = Capability | Expression


@lru_cache(maxsize=1 << 16)
def parse_requirement(text: str) -> Requirement:
    """Parse a requirement as packages state it; one in parentheses is a boolean expression.

    An expression that rpm itself could not parse stays one name, which nothing provides.
    """
    if not text.startswith("("):
        return Capability.parse(text)
    try:
        return _Parser(text).whole()
    except ValueError:
        return Capability(text)


class _Parser:
    def __init__(self, text: str) -> None:
        self._words = _words(text)
        self._next = 0

    def whole(self) -> Requirement:
        found = self._operand(0)
        if self._next != len(self._words):
            raise ValueError("text after the expression")
        return found

    def _peek(self) -> str:
        return self._words[self._next] if self._next < len(self._words) else ""

    def _take(self) -> str:
        word = self._peek()
        self._next += 1
        if not word:
            raise ValueError("the expression ends too early")
        return word

    def _operand(self, depth: int) -> Requirement:
        word = self._take()
        if word == "(":
            return self._expression(depth + 1)
        if word == ")":
            raise ValueError("an operand is missing")
        if self._peek() in ("<", "<=", "=", ">=", ">"):
            return Capability(word, self._take(), parse_evr(self._take()))
        return Capability(word)

    def _expression(self, depth: int) -> Requirement:
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
        operands = [self._operand(depth)]
        word = self._take()
        if word == ")":
            return operands[0]
        operator = OPERATORS.get(word)
        if operator is None:
            raise ValueError(f"{word} is no operator")
        operands.append(self._operand(depth))
        while (word := self._take()) != ")":
            chained = operator in CHAINED and word == operator
            otherwise = operator in ("if", "unless") and word == "else" and len(operands) == 2
            if not chained and not otherwise:
                raise ValueError(f"{word} does not fit here")
            operands.append(self._operand(depth))
        return Expression(operator, tuple(operands))


def _words(text: str) -> list[str]:
    """Split into parentheses and words; a word may hold balanced parentheses itself: ``config(x)``."""
    words: list[str] = []
    index = 0
    while index < len(text):
        if text[index].isspace():
            index += 1
            continue
        if text[index] in "()":
            words.append(text[index])
            index += 1
            continue
        start, open_ones = index, 0
        while index < len(text) and not text[index].isspace():
            if text[index] == ")" and not open_ones:
                break
            open_ones += {"(": 1, ")": -1}.get(text[index], 0)
            index += 1
        words.append(text[start:index])
    return words


def meeting(wanted: Requirement, offering: Callable[[Capability], frozenset[str]]) -> frozenset[str]:
    """Return what meets a requirement: packages, and ``SYSTEM``; nothing if it is not met.

    ``offering`` returns what provides a capability. A condition holds if its capability is offered at all: whoever
    installs both must find the first operand too.
    """
    if isinstance(wanted, Capability):
        return offering(wanted)
    first, *others = (meeting(operand, offering) for operand in wanted.operands)
    if wanted.operator == "and":
        return first.union(*others) if first and all(others) else frozenset()
    if wanted.operator == "or":
        return first.union(*others)
    if wanted.operator == "with":
        return first.intersection(*others)
    if wanted.operator == "without":
        # Nothing is known about the packages of the system, which are one here.
        return first - (others[0] - {SYSTEM})
    condition, otherwise = others[0], others[1] if len(others) > 1 else None
    if wanted.operator == "if":
        return first if condition else frozenset({SYSTEM}) if otherwise is None else otherwise
    # A repository that offers the condition may be used without it.
    return first | (otherwise or frozenset()) if condition else first


def names_in(wanted: Requirement) -> Iterator[str]:
    """Yield the names of all capabilities in a requirement."""
    if isinstance(wanted, Capability):
        yield wanted.name
    else:
        for operand in wanted.operands:
            yield from names_in(operand)
