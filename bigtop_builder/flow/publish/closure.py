"""Check that every package of a repository can be installed: the repository or the system provides its requirements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bigtop_builder.adapter.rpm.version import EVR, compare_evr, parse_evr


@dataclass(frozen=True)
class Capability:
    """One capability: ``name``, ``name = 1.0-1`` or ``name >= 1.0``; ``sense`` is empty in the first case."""

    name: str
    sense: str = ""
    evr: EVR = (0, "", "")

    @classmethod
    def parse(cls, text: str) -> Capability:
        """Parse ``name >= version``; a boolean dependency, in parentheses, stays one name."""
        parts = text.split(" ")
        if text.startswith("(") or len(parts) != 3:
            return cls(text)
        return cls(parts[0], parts[1], parse_evr(parts[2]))

    def __str__(self) -> str:
        if not self.sense:
            return self.name
        epoch = f"{self.evr[0]}:" if self.evr[0] else ""
        release = f"-{self.evr[2]}" if self.evr[2] else ""
        return f"{self.name} {self.sense} {epoch}{self.evr[1]}{release}"

    def satisfies(self, wanted: Capability) -> bool:
        """Whether this provided capability satisfies ``wanted``: their version ranges overlap."""
        if self.name != wanted.name:
            return False
        if not wanted.sense:
            return True
        if not self.sense:
            return False
        order = compare_evr(self.evr, wanted.evr)
        if order == 0:
            return bool(set(self.sense) & set(wanted.sense))
        higher, lower = (self, wanted) if order > 0 else (wanted, self)
        return "<" in higher.sense or ">" in lower.sense


@dataclass(frozen=True)
class Member:
    """A package as its metadata describes it."""

    nevra: str
    requires: tuple[Capability, ...]
    provides: tuple[Capability, ...]
    files: tuple[str, ...]


def unmet(members: Iterable[Member], system: Iterable[str]) -> list[tuple[str, str]]:
    """Return sorted pairs of package and requirement that nothing provides.

    ``system`` lists what a host of the platform provides: names, paths, or patterns such as ``libc.so.6*``; an entry
    without a version satisfies any version. A boolean dependency counts as met if ``system`` lists it as a whole.
    """
    members = list(members)
    provided: dict[str, list[Capability]] = defaultdict(list)
    for member in members:
        for capability in member.provides:
            provided[capability.name].append(capability)
        for path in member.files:
            provided[path].append(Capability(path))
    exact: dict[str, list[Capability]] = defaultdict(list)
    patterns = []
    for text in system:
        capability = Capability.parse(text)
        exact[capability.name].append(capability)
        if "*" in text:
            patterns.append(text)

    def answered(wanted: Capability) -> bool:
        return (
            wanted.name.startswith("rpmlib(")
            or any(capability.satisfies(wanted) for capability in provided.get(wanted.name, ()))
            or any(not capability.sense or capability.satisfies(wanted) for capability in exact.get(wanted.name, ()))
            or any(fnmatchcase(wanted.name, pattern) for pattern in patterns)
        )

    return sorted(
        (member.nevra, str(wanted)) for member in members for wanted in member.requires if not answered(wanted)
    )
