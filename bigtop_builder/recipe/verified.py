"""Records of what has been built and run: reading and writing them, and whether a recipe has changed since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bigtop_builder.model import digest
from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.model.verified import Subject, VerifiedFile, VerifiedRecord
from bigtop_builder.recipe.catalog import LoadedComponent
from bigtop_builder.recipe.document import load
from bigtop_builder.recipe.validation import validate

FILE = "verified.yaml"
HEAD = "# Written by 'bigtop-builder verify-component'.\n"

COSMETIC = ("summary", "description", "url", "differs_from_bigtop", "smoke", "version", "variant")
"""Keys of a component file that change no package, or only choose among what is built."""


@dataclass(frozen=True)
class Verified:
    """A record, and whether the recipe is still the one that was verified."""

    record: VerifiedRecord
    current: bool

    def data(self) -> dict[str, Any]:
        """Return it as plain data, with ``current``."""
        return {**self.record.model_dump(), "current": self.current}


def verified(loaded: LoadedComponent) -> list[Verified]:
    """Return the records of a component, the newest first. Raises ConfigurationError for a file that is invalid."""
    found: dict[Subject, VerifiedRecord] = {}
    for folder in reversed(loaded.folders):
        found |= {record.subject: record for record in _read(folder / FILE)}
    return [
        Verified(record, record.recipe == recipe_digest(loaded, record.version, record.variant))
        for _, record in sorted(sorted(found.items()), key=lambda entry: entry[1].date, reverse=True)
    ]


def add_record(loaded: LoadedComponent, record: VerifiedRecord) -> Path:
    """Write a record beside the component file, in the newest overlay that has one; return the file's path.

    Raises ConfigurationError when it cannot be written.
    """
    file = loaded.folders[0] / FILE
    records = {one.subject: one for one in _read(file)} | {record.subject: record}
    data = [one.model_dump(exclude_defaults=True) for _, one in sorted(records.items())]
    text = yaml.safe_dump({"records": data}, sort_keys=False, allow_unicode=True, width=110)
    try:
        file.write_text(HEAD + text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"the record cannot be written: {error.strerror}",
            location=Location(file),
            hint="Give the component a folder in an overlay of your own: the record is then written there.",
        ) from None
    return file


def _read(file: Path) -> list[VerifiedRecord]:
    return validate(load(file), VerifiedFile).records if file.is_file() else []


def recipe_digest(loaded: LoadedComponent, version: str, variant: str | None) -> str:
    """Return the digest of a version's recipe: values of the component file, ``files/`` and patches.

    Comments, texts for people and whatever only other versions or variants use do not count.
    """
    document = loaded.document.data
    data = {key: value for key, value in document.items() if key not in COSMETIC}
    data["versions"] = _only(document.get("versions"), version)
    data["variants"] = {
        name: _without(one, "note", "lacks") for name, one in _only(document.get("variants"), variant).items()
    }
    data["options"] = {name: _without(one, "note") for name, one in (document.get("options") or {}).items()}
    data["packages"] = [_without(package, "summary", "description") for package in document.get("packages") or []]
    return digest.of_data(
        {
            "component": data,
            "files": {name: _content(path) for name, path in loaded.files().items()},
            "patches": {path.name: _content(path) for path in loaded.patches(version)},
        }
    )


def _only(values: Any, name: str | None) -> dict[str, Any]:
    return {key: value for key, value in (values or {}).items() if key == name}


def _without(value: Any, *keys: str) -> Any:
    return {key: one for key, one in value.items() if key not in keys} if isinstance(value, Mapping) else value


def _content(path: Path) -> str:
    try:
        return digest.of_file(path) + ("+x" if path.stat().st_mode & 0o100 else "")
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", location=Location(path)) from None
