"""No secret gets into a bundle: what a project refers to, and what looks like a private key, is searched for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bigtop_builder.adapter.redact import disguises
from bigtop_builder.adapter.secret import read_secret
from bigtop_builder.model.errors import ConfigurationError

SHORTEST = 6
"""Shorter values turn up by chance."""

REFERENCE = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:(?!//).+)$")
PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
LOGIN = re.compile(rb"[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{1,100}:([^\s/@'\"]{1,100})@")
"""A password in an address; a variable's name there is none."""

LONGEST_MATCH = 256
"""The most bytes that one of these patterns spans."""


class Secrets:
    """What must not get into a bundle. ``files`` are those that references lead to."""

    def __init__(self) -> None:
        self.files: set[Path] = set()
        self._forms: dict[bytes, str] = {}

    def add_references(self, document: Any, place: Path) -> None:
        """Note every secret that a document refers to, as far as it can be read here.

        A user's name is none. What is asked for or given by a command is not known before it is needed.
        """
        for key, reference in _strings(document):
            if key == "user" or not REFERENCE.match(reference):
                continue
            kind, _, name = reference.partition(":")
            if kind == "file":
                self.files.add(Path(name).expanduser().absolute())
            try:
                value = read_secret(reference, str(place))
            except ConfigurationError:
                continue
            if len(value) >= SHORTEST:
                for form in disguises(value):
                    self._forms[form.encode()] = reference

    def guarded(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces. Raises ConfigurationError when a secret or a private key is among them."""
        longest = max([LONGEST_MATCH, *map(len, self._forms)])
        tail = b""
        for chunk in chunks:
            window = tail + chunk
            self._search(name, window)
            tail = window[-longest:]
            yield chunk

    def _search(self, name: str, data: bytes) -> None:
        if PRIVATE_KEY.search(data):
            raise ConfigurationError(
                f"{name} holds a private key, which must not get into a bundle", hint="Keep it outside of the project."
            )
        for form, reference in self._forms.items():
            if form in data:
                raise ConfigurationError(
                    f"{name} holds the value of the secret {reference}, which must not get into a bundle",
                    hint=f"Write the reference there instead of the value: {reference}",
                )
        for login in LOGIN.finditer(data):
            if not login[1].startswith((b"$", b"{")):
                raise ConfigurationError(
                    f"{name} holds an address with a password, which must not get into a bundle",
                    hint="Give user and password by reference: credentials: {user: env:NAME, password: env:NAME}",
                )

    def check_place(self, path: Path) -> None:
        """Raises ConfigurationError for a file that a secret is read from."""
        if path.absolute() in self.files or path.resolve() in {file.resolve() for file in self.files}:
            raise ConfigurationError(
                f"{path} is the file of a secret, which must not get into a bundle",
                hint="Keep it outside of what goes into the bundle.",
            )


def references_of(secrets: Secrets, texts: Mapping[str, Path]) -> None:
    """Note what the YAML files among ``texts`` refer to; one that does not parse is told by whoever uses it."""
    for path in texts.values():
        if path.suffix in (".yaml", ".yml"):
            try:
                secrets.add_references(yaml.safe_load(path.read_text(encoding="utf-8")), path)
            except (yaml.YAMLError, UnicodeDecodeError):
                continue


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a document, and the key it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, key)
