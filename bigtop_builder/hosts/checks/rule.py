"""What a rule is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bigtop_builder.hosts.facts import HostFacts
from bigtop_builder.recipe.inventory import LoadedInventory

Level = Literal["ok", "warning", "error"]
GIB = 1 << 30
PREPARED = "bigtop-builder hosts prepare sets it."


@dataclass(frozen=True)
class Finding:
    """The result of a check. ``host`` None: it holds for all hosts."""

    check: str
    host: str | None
    level: Level
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class Problem:
    """What a rule found on a host, before the names of check and host are added."""

    level: Level
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class Fleetwide:
    """What a rule for one host needs to know about the others."""

    loaded: LoadedInventory
    facts: Mapping[str, HostFacts]
    architectures: frozenset[str] | None
    """Of the repository's packages, ``noarch`` included; None if the repository was not read."""
    skew: float
    """Seconds by which the median host is ahead of this machine."""
    system: tuple[str | None, str | None]
    """The OS and version that most hosts have."""


Problems = Iterator[Problem]
Rule = Callable[[HostFacts, Fleetwide], Problems]
"""Yields the problems of one host; it reads facts only."""


def some(names: Sequence[str]) -> str:
    """The first four names, and how many more there are."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
