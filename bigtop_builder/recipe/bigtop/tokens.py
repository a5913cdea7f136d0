"""The tokens of a Bigtop bill of materials (``bigtop.bom``), which is Groovy, each with its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bigtop_builder.model.errors import ConfigurationError, Location

Kind = Literal["name", "text", "number", "mark", "newline", "end"]
MAX_DEPTH = 50
MAX_DIGITS = 18
MAX_TOKENS = 30_000
"""Bigtop's own bill has a fifth of them."""
QUOTE_VERSIONS = "Put a version in quotes: '3.2.0'."

_MARKS = ("?:", "->", "==", "!=", "{", "}", "[", "]", "(", ")", "=", ":", ",", ".", "+", "-", ";")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", "'": "'", '"': '"', "$": "$"}


@dataclass(frozen=True)
class Token:
    """One token. The ``parts`` of a text are its plain pieces and, between them, the tokens of interpolations."""

    kind: Kind
    value: str
    at: Location
    parts: tuple[str | tuple[Token, ...], ...] = ()

    @property
    def shown(self) -> str:
        """The token as messages show it."""
        if self.kind == "text":
            return "a text"
        return {"newline": "the end of the line", "end": "the end"}.get(self.kind, f"{self.value!r}")


def tokenize(text: str, file: Path) -> tuple[Token, ...]:
    """Return all tokens; the last one has the kind ``end``. Raises ConfigurationError with the place of a mistake."""
    return tuple(_Reader(text.removeprefix("\ufeff"), file).read(""))


class _Reader:
    """Reads from left to right; ``line`` and ``column`` are those of the next character."""

    def __init__(self, text: str, file: Path) -> None:
        self.text = text
        self.file = file
        self.offset = 0
        self.line = 1
        self.column = 1
        self.depth = 0
        self.count = 0

    def read(self, closing: str) -> list[Token]:
        """Read tokens up to the end of the file, or to the bracket that closes an interpolation."""
        tokens: list[Token] = []
        open_braces = 0
        while True:
            self._skip()
            at = self._here()
            token = self._next()
            if token.kind == "end" and closing:
                raise ConfigurationError(f"the interpolation is not closed by {closing!r}", location=at)
            if token.kind == "mark" and token.value == closing and not open_braces:
                token = Token("end", closing, at)
            if token.kind == "mark" and token.value in "{}":
                open_braces += 1 if token.value == "{" else -1
            tokens.append(token)
            if token.kind == "end":
                return tokens

    def _here(self) -> Location:
        return Location(self.file, self.line, self.column)

    def _peek(self, length: int = 1) -> str:
        return self.text[self.offset : self.offset + length]

    def _take(self, length: int = 1) -> str:
        taken = self._peek(length)
        for character in taken:
            if character == "\n":
                self.line, self.column = self.line + 1, 1
            else:
                self.column += 1
        self.offset += len(taken)
        return taken

    def _skip(self) -> None:
        """Skip blanks and comments."""
        while self.offset < len(self.text):
            if self._peek() in " \t\r\f":
                self._take()
            elif self._peek(2) == "//" or (self.offset == 0 and self._peek(2) == "#!"):
                end = self.text.find("\n", self.offset)
                self._take((len(self.text) if end < 0 else end) - self.offset)
            elif self._peek(2) == "/*":
                at, end = self._here(), self.text.find("*/", self.offset + 2)
                if end < 0:
                    raise ConfigurationError("the comment that starts here is not closed", location=at)
                self._take(end + 2 - self.offset)
            else:
                return

    def _next(self) -> Token:
        at, character = self._here(), self._peek()
        self.count += 1
        if self.count > MAX_TOKENS:
            raise ConfigurationError(f"the file has more than {MAX_TOKENS} words and signs", location=at)
        if not character:
            return Token("end", "", at)
        if character == "\n":
            return Token("newline", self._take(), at)
        if character in "'\"":
            return self._string(at, character)
        if character in "0123456789":
            return self._number(at)
        if _begins_name(character):
            return Token("name", self._name(), at)
        for mark in _MARKS:
            if self.text.startswith(mark, self.offset):
                return Token("mark", self._take(len(mark)), at)
        raise ConfigurationError(f"unexpected character {character!r}", location=at)

    def _name(self) -> str:
        end = self.offset
        while end < len(self.text) and ("a" + self.text[end]).isidentifier():
            end += 1
        return self._take(end - self.offset)

    def _number(self, at: Location) -> Token:
        end = self.offset
        while end < len(self.text) and self.text[end] in "0123456789":
            end += 1
        if self.text[end : end + 1] == "." and self.text[end + 1 : end + 2] in tuple("0123456789"):
            end += 1
            while end < len(self.text) and self.text[end] in "0123456789":
                end += 1
        value = self.text[self.offset : end]
        if self.text[end : end + 1].isidentifier() or len(value) > MAX_DIGITS or _octal(value):
            raise ConfigurationError("invalid number", location=at, hint=QUOTE_VERSIONS)
        return Token("number", self._take(len(value)), at)

    def _string(self, at: Location, quote: str) -> Token:
        if self._peek(3) == quote * 3:
            raise ConfigurationError("texts of several lines are not supported", location=at)
        self._take()
        parts: list[str | tuple[Token, ...]] = []
        plain = ""
        while True:
            character = self._peek()
            if character in ("", "\n"):
                raise ConfigurationError(f"the text that starts here is not closed by {quote}", location=at)
            if character == quote:
                self._take()
                return Token("text", quote, at, (*parts, plain) if plain or not parts else tuple(parts))
            if character == "\\":
                plain += self._escape()
            elif character == "$" and quote == '"':
                if plain:
                    parts.append(plain)
                plain = ""
                parts.append(self._interpolation())
            else:
                plain += self._take()

    def _escape(self) -> str:
        at = self._here()
        self._take()
        character = self._take()
        if character == "u" and len(digits := self._peek(4)) == 4:
            try:
                value = chr(int(digits, 16)) if digits.isalnum() else ""
            except ValueError:
                value = ""
            if value and not "\ud800" <= value <= "\udfff":
                self._take(4)
                return value
        if character not in _ESCAPES:
            raise ConfigurationError(f"'\\{character}' is not a valid escape in a text", location=at)
        return _ESCAPES[character]

    def _interpolation(self) -> tuple[Token, ...]:
        """Read the tokens of ``${…}`` or of ``$name.name``."""
        at = self._here()
        self._take()
        if self._peek() == "{":
            self._take()
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ConfigurationError("nested too deeply", location=at)
            tokens = self.read("}")
            self.depth -= 1
            return tuple(tokens)
        tokens = []
        while _begins_name(self._peek()):
            here = self._here()
            tokens.append(Token("name", self._name(), here))
            if self._peek() != "." or not _begins_name(self.text[self.offset + 1 : self.offset + 2]):
                break
            tokens.append(Token("mark", ".", self._here()))
            self._take()
        if not tokens:
            raise ConfigurationError(
                "expected a name or { after $", location=self._here(), hint="A dollar sign is \\$, or stands in '…'."
            )
        return (*tokens, Token("end", "", self._here()))


def _begins_name(character: str) -> bool:
    return character.isidentifier()


def _octal(value: str) -> bool:
    return len(value) > 1 and value[0] == "0" and "." not in value
