"""Secrets by reference: ``env:NAME`` or ``file:PATH``."""

from __future__ import annotations

import os
from pathlib import Path

from bigtop_builder.model.errors import ConfigurationError


def read_secret(reference: str, place: str) -> str:
    """The value that ``reference`` leads to; ``place`` is where it stands in the project file.

    Raises ConfigurationError, which names the reference and never a value.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name)
        if value is None:
            raise ConfigurationError(
                f"{place}: the environment variable {name} is not set", hint=f"export {name} before the call"
            )
        return value
    try:
        return Path(name).expanduser().read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{place}: {name} cannot be read: {error}", hint="name a readable file") from error
