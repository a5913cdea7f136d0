"""Keep secrets out of a bundle: search for the project's own, and for anything that looks like a private key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.redact import disguises
from bigtop_builder.adapter.secret import read_secret
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.home import expand_home
from bigtop_builder.recipe.document import load

SHORTEST = 6
"""In characters: shorter values occur by chance."""

REFERENCE = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:(?!//).+)$")
PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
LOGIN = re.compile(rb"[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{1,100}:([^\s/@'\"]{1,100})@")
"""An address with a password; the name of a variable there is allowed."""

LONGEST_MATCH = 256
"""The longest match of these patterns, in bytes."""


class Secrets:
    """What must not be in a bundle. ``files`` are those that references name."""

    def __init__(self) -> None:
        self.files: set[Path] = set()
        self._forms: dict[bytes, str] = {}

    def add_references(self, document: Any, place: Path) -> None:
        """Add every secret that a document refers to and that is readable here.

        User names are not secrets. Values from a prompt or a command are unknown until they are needed.
        """
        for key, reference in _strings(document):
            if key == "user" or not REFERENCE.match(reference):
                continue
            kind, _, name = reference.partition(":")
            if kind == "file":
                self.files.add(expand_home(name).absolute())
            try:
                value = read_secret(reference, str(place))
            except ConfigurationError:
                continue
            if len(value) >= SHORTEST:
                for form in disguises(value):
                    self._forms[form.encode()] = reference

    def guarded(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the same chunks. Raises ConfigurationError when they contain a secret or a private key."""
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
                f"{name} contains a private key, which must not be in a bundle", hint="Keep it outside the project."
            )
        for form, reference in self._forms.items():
            if form in data:
                raise ConfigurationError(
                    f"{name} contains the value of the secret {reference}, which must not be in a bundle",
                    hint=f"Replace the value by the reference: {reference}",
                )
        for login in LOGIN.finditer(data):
            if not login[1].startswith((b"$", b"{")):
                raise ConfigurationError(
                    f"{name} contains an address with a password, which must not be in a bundle",
                    hint="Give user and password by reference: credentials: {user: env:NAME, password: env:NAME}",
                )

    def check_place(self, path: Path) -> None:
        """Raise ConfigurationError for a file that a secret is read from."""
        if path.absolute() in self.files or path.resolve() in {file.resolve() for file in self.files}:
            raise ConfigurationError(
                f"{path} is the file of a secret, which must not be in a bundle",
                hint="Keep it outside what goes into the bundle.",
            )


def references_of(secrets: Secrets, texts: Mapping[str, Path]) -> None:
    """Add what the YAML files among ``texts`` refer to; those that do not parse are skipped."""
    for path in texts.values():
        if path.suffix in (".yaml", ".yml"):
            try:
                secrets.add_references(load(path).data, path)
            except ConfigurationError:
                continue


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string of a document with its key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, key)
