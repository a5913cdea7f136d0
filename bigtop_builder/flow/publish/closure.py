"""Check that every package of a repository can be installed: the repository or the system provides its requirements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from bigtop_builder.model.capability import SYSTEM, Capability, Requirement, meeting

NOARCH = "noarch"


@dataclass(frozen=True)
class Member:
    """A package as its metadata describes it."""

    nevra: str
    requires: tuple[Requirement, ...]
    provides: tuple[Capability, ...]
    files: tuple[str, ...]
    arch: str = NOARCH


def unmet(members: Iterable[Member], system: Iterable[str]) -> list[tuple[str, str]]:
    """Return sorted pairs of package and requirement that nothing provides.

    ``system`` lists what a host of the platform provides: names, paths, or patterns such as ``libc.so.6*``; an entry
    without a version satisfies any version. What rpm itself must understand (``rpmlib(...)``) is left out.
    A host of one architecture gets nothing of another one. Where only hosts of some lack something, these are named.
    """
    members, system = list(members), list(system)
    architectures = sorted({member.arch for member in members} - {NOARCH}) or [NOARCH]
    common = {member.nevra for member in members if member.arch == NOARCH}
    lacking: dict[tuple[str, str], list[str]] = defaultdict(list)
    for arch in architectures:
        for pair in _unmet([member for member in members if member.arch in (arch, NOARCH)], system):
            lacking[pair].append(arch)
    return sorted(
        (nevra, f"{wanted} on {' and '.join(where)}" if nevra in common and where != architectures else wanted)
        for (nevra, wanted), where in lacking.items()
    )


def _unmet(members: Sequence[Member], system: Sequence[str]) -> list[tuple[str, str]]:
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

    return [
        (member.nevra, str(wanted))
        for member in members
        for wanted in member.requires
        if not str(wanted).startswith("rpmlib(") and not meeting(wanted, offering)
    ]
