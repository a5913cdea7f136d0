"""Versions of a service's configurations: how they differ, without showing what may be secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bigtop_builder.cluster.configuration import SECRET_REFERENCE, Configuration, may_be_secret, value_lines
from bigtop_builder.model.errors import ConfigurationError

HIDDEN = "(secret)"
_RANGE = re.compile(r"(\d+)(?:\.\.(\d+))?")


@dataclass(frozen=True)
class PropertyChange:
    """A property, or an attribute of one (``NAME (final)``), that differs. None: not set."""

    type: str
    name: str
    old: str | None
    new: str | None


def version_changes(old: Mapping[str, Configuration], new: Mapping[str, Configuration]) -> tuple[PropertyChange, ...]:
    """Return what differs between two versions, by type and name.

    What may be secret is hidden. Ambari returns a reference instead of a password, with the number of the type's
    version in it: whether the password itself differs cannot be said, so that a reference on both sides counts as the
    same.
    """
    found = []
    for kind in sorted({*old, *new}):
        before = old[kind].texts() if kind in old else {}
        after = new[kind].texts() if kind in new else {}
        for name in sorted({*before, *after}):
            was, will = before.get(name), after.get(name)
            if was != will and not (_is_reference(was) and _is_reference(will)):
                found.append(PropertyChange(kind, name, shown(name, was), shown(name, will)))
    return tuple(found)


def shown(name: str, value: str | None) -> str | None:
    """Return a value for people: hidden if Ambari hides it, or if the property's name says that it is a secret."""
    if value is None or not (_is_reference(value) or (may_be_secret(name) and value)):
        return value
    return HIDDEN


def _is_reference(value: str | None) -> bool:
    return (value or "").startswith(SECRET_REFERENCE)


def change_lines(changes: tuple[PropertyChange, ...]) -> list[str]:
    """Return changes as the lines of a diff."""
    return [line for one in changes for line in value_lines(f"{one.type}/{one.name}", one.old, one.new)]


def version_range(text: str) -> tuple[int, int | None]:
    """Parse ``3..5``, or ``3`` for version 3 and the current one. Raises ConfigurationError."""
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(
            f"--diff {text!r} is not a range of versions", hint="For example --diff 3..5, or --diff 3 for 3 and now."
        )
    return int(found[1]), int(found[2]) if found[2] else None
