"""Secrets by reference: ``env:NAME``, ``file:PATH``, ``command:COMMAND LINE`` or ``prompt``."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Set

from bigtop_builder.adapter.redact import MASK, disguises
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.home import expand_home

COMMAND_SECONDS = 60
_PLACES = r"""((?i:pass\w*|pwd|secret|credential)["']?\s*[:=\s]\s*["']?|://[^\s/:@]*:)(?:{})(?![A-Za-z0-9])"""
"""Where a word is a password: ``password=word``, ``://user:word@``."""


def read_secret(reference: str, place: str) -> str:
    """Return the secret of a reference; ``place`` is its place in the user's file, for messages.

    Raises ConfigurationError, which mentions the reference and never the value.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name)
        if value is None:
            raise ConfigurationError(
                f"{place}: the environment variable {name} is not set", hint=f"export {name} before running the command"
            )
        return value
    if kind == "command":
        return _first_line(name, place)
    if reference == "prompt":
        return _prompt(place)
    try:
        return expand_home(name).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{place}: {name} cannot be read: {error}", hint="name a readable file") from error


def _first_line(command: str, place: str) -> str:
    try:
        done = subprocess.run(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{place}: the command {command!r} cannot be run: {error}") from error
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        problem = f"ended with exit code {done.returncode}" if done.returncode else "printed nothing"
        raise ConfigurationError(f"{place}: the command {command!r} {problem}", hint="Its first line is the secret.")
    return lines[0]


def _prompt(place: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"{place}: there is no terminal to prompt on", hint="Use env:NAME, file:PATH or command:COMMAND instead."
        )
    # The place has keys of a file, which must not reach the terminal as commands.
    shown = "".join(letter if letter.isprintable() else "?" for letter in place)
    return getpass.getpass(f"{shown}: ", stream=sys.stderr)


class Secrets:
    """Reads each reference once and remembers all values, in order to redact them. Thread-safe."""

    def __init__(self, words: Set[str] = frozenset()) -> None:
        """``words``: everyday words of names and addresses, which stay readable even if a secret is one of them."""
        self._lock = threading.Lock()
        self._words = words
        self._values: dict[str, str] = {}
        self._shown: list[str] = []
        self._in_places: re.Pattern[str] | None = None

    def allow(self, words: Set[str]) -> None:
        """Let more everyday words stay readable."""
        with self._lock:
            self._words = self._words | words
            self._prepare()

    def is_word(self, value: str) -> bool:
        """Return whether a secret is an everyday word."""
        return value in self._words

    def value(self, reference: str, place: str) -> str:
        """Return the secret of a reference; ``place`` is its place in the file, for messages and prompts.

        Prompts once for each place. Raises ConfigurationError, also for an empty value.
        """
        key = f"prompt {place}" if reference == "prompt" else reference
        with self._lock:
            if key not in self._values:
                value = read_secret(reference, place)
                if not value:
                    raise ConfigurationError(
                        f"{place}: {reference} is empty", hint="Put the value there, or use another reference."
                    )
                self._keep(key, value)
            return self._values[key]

    def _keep(self, key: str, value: str) -> None:
        self._values[key] = value
        self._prepare()

    def _prepare(self) -> None:
        values = set(self._values.values())
        words = sorted(values & self._words, key=len, reverse=True)
        self._shown = sorted({form for one in values - self._words for form in disguises(one)}, key=len, reverse=True)
        self._in_places = re.compile(_PLACES.format("|".join(map(re.escape, words)))) if words else None

    def known(self) -> list[str]:
        """Return all values read so far."""
        with self._lock:
            return list(self._values.values())

    def redact(self, text: str, *, foreign: bool = False) -> str:
        """Return ``text`` with all values read so far masked.

        An everyday word is masked where it stands as a password; in ``foreign`` text, of hosts and servers, everywhere.
        """
        for form in self._shown:
            text = text.replace(form, MASK.decode())
        if self._in_places is not None:
            text = self._in_places.sub(lambda found: f"{found[1] or ''}{MASK.decode()}", text)
            for word in sorted(self._words & set(self._values.values())) if foreign else ():
                text = text.replace(word, MASK.decode())
        return text
