"""Check that every package of a repository can be installed: the repository or the system provides its requirements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from bigtop_builder.model.capability import SYSTEM, Capability, Requirement, meeting


@dataclass(frozen=True)
class Member:
    """A package as its metadata describes it."""

    nevra: str
    requires: tuple[Requirement, ...]
    provides: tuple[Capability, ...]
    files: tuple[str, ...]


def unmet(members: Iterable[Member], system: Iterable[str]) -> list[tuple[str, str]]:
    """Return sorted pairs of package and requirement that nothing provides.

    ``system`` lists what a host of the platform provides: names, paths, or patterns such as ``libc.so.6*``; an entry
    without a version satisfies any version. What rpm itself must understand (``rpmlib(...)``) is left out.
    """
    members = list(members)
    provided: dict[str, list[tuple[str, Capability]]] = defaultdict(list)
    for member in members:
        for capability in member.provides:
            provided[capability.name].append((member.nevra, capability))
        for path in member.files:
            provided[path].append((member.nevra, Capability(path)))
    exact: dict[str, list[Capability]] = defaultdict(list)
    patterns = []
    for text in system:
        capability = Capability.parse(text)
        exact[capability.name].append(capability)
        if "*" in text:
            patterns.append(text)

    @cache
    def offering(wanted: Capability) -> frozenset[str]:
        found = {nevra for nevra, capability in provided.get(wanted.name, ()) if capability.satisfies(wanted)}
        if any(
            not capability.sense or capability.satisfies(wanted) for capability in exact.get(wanted.name, ())
        ) or any(fnmatchcase(wanted.name, pattern) for pattern in patterns):
            found.add(SYSTEM)
        return frozenset(found)

    return sorted(
        (member.nevra, str(wanted))
        for member in members
        for wanted in member.requires
        if not str(wanted).startswith("rpmlib(") and not meeting(wanted, offering)
    )
