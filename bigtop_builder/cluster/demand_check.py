"""Check that a repository has everything that Ambari's agents will request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from bigtop_builder.cluster.demands import (
    PackageWish,
    all_components,
    selector_names,
    wanted_packages,
    wanted_paths,
    wanted_services,
)
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.capability import Capability, Requirement, meeting, names_in, parse_requirement
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.evr import parse_evr
from bigtop_builder.recipe.document import near

FindingKind = Literal["family", "package", "ambiguous", "version", "elsewhere", "selector", "path", "requires", "need"]
Level = Literal["error", "warning", "info"]
NO_SERVICE = "every host"


@dataclass(frozen=True)
class OfferedPackage:
    """A package of a repository.

    ``evr`` is ``3.5.9-2.el8``, preceded by the epoch if it is not 0; ``provides`` and ``requires`` are as packages
    state them: ``name``, ``name >= 1.0``, ``(a or b)``. ``listed`` are the path patterns of a package that is only
    planned: it may contain anything below them.
    """

    name: str
    evr: str
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()
    listed: tuple[str, ...] = ()

    @cached_property
    def capabilities(self) -> tuple[Capability, ...]:
        """What it provides, and itself."""
        return (Capability(self.name, "=", parse_evr(self.evr)), *map(Capability.parse, self.provides))

    @cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        """What it requires."""
        return tuple(map(parse_requirement, self.requires))

    @property
    def provides_names(self) -> list[str]:
        """The names of what it provides."""
        return [capability.name for capability in self.capabilities]

    @property
    def requires_names(self) -> list[str]:
        """The names of what it requires, also those in alternatives and conditions."""
        return [name for wanted in self.requirements for name in names_in(wanted)]


@dataclass(frozen=True)
class StackFinding:
    """An error, a warning or a remark. ``subject`` is a package, path or name that ``wanted_by`` requires."""

    kind: FindingKind
    level: Level
    subject: str
    wanted_by: str
    message: str
    hint: str | None = None


def choose_components(stack: StackDefinition, services: Iterable[str], components: Iterable[str] = ()) -> list[str]:
    """Return the selected components: the given ones, and all mandatory ones of services without any given.

    Raises ConfigurationError for a service or component that the stack does not have.
    """
    given = list(dict.fromkeys(components))
    for name in given:
        if stack.service_of(name) is None:
            known = [key for service in stack.services.values() for key in service.components]
            raise ConfigurationError(f"the stack {stack.id} has no component {name}", hint=near(name, known) or None)
    chosen = set(wanted_services(stack, given))
    for service in services:
        if service not in stack.services:
            raise ConfigurationError(
                f"the stack {stack.id} has no service {service}", hint=near(service, stack.services) or None
            )
        if service not in chosen:
            given += all_components(stack, [service])
    return given


def check_stack(
    packages: Sequence[OfferedPackage],
    stack: StackDefinition,
    components: Sequence[str],
    *,
    family: str,
    version: str,
    selector: Iterable[str] | None = None,
) -> list[StackFinding]:
    """Return what ``packages`` lack for ``components`` (of ``choose_components``), errors first.

    ``version`` is the repository version, ``selector`` the names that the packaged selector knows, or None if they are
    unknown.
    """
    if family not in stack.families:
        known = ", ".join(sorted(stack.families))
        message = f"Ambari has no repositories of {stack.id} for {family}; it knows {known}"
        return [StackFinding("family", "error", family, stack.id, message)]
    offered = sorted({package.name for package in packages})
    findings: list[StackFinding] = []
    chosen: list[str] = []
    for wish in wanted_packages(stack, components, family, version):
        taken, problems = _choice(wish, offered)
        findings += problems
        if taken:
            chosen.append(taken)
    findings += _selector(stack, components, selector)
    installed = closure(packages, chosen)
    if any(package.files or package.listed for package in packages):
        lacking = {finding.wanted_by for finding in findings if finding.kind in ("package", "version")}
        findings += _paths(stack, components, version, installed, lacking)
    findings += _other_versions(packages, installed)
    findings += _absent_services(stack, components)
    return by_level(findings)


def by_level(findings: Iterable[StackFinding]) -> list[StackFinding]:
    """Return findings with errors first."""
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(findings, key=lambda finding: order[finding.level])


def _choice(wish: PackageWish, offered: Sequence[str]) -> tuple[str | None, list[StackFinding]]:
    """Return the package that the agent installs, and problems with it. yum lists names in alphabetical order."""
    by = ", ".join(wish.services) or NO_SERVICE
    candidates = wish.matches(offered)
    if not candidates:
        return None, [_missing(wish, by, offered)]
    taken = candidates[0]
    if taken == wish.expected and len(candidates) == 1:
        return taken, []
    if len(candidates) > 1:
        level: Level = "warning" if taken == wish.expected else "error"
        message = f"several packages match: {', '.join(candidates)}; agents install the first, {taken}"
        if level == "error":
            message += f", not {wish.expected}"
        hint = "Keep one version of the stack in a repository."
        return taken, [StackFinding("ambiguous", level, wish.expected, by, message, hint)]
    message = f"agents will install {taken} instead: it is the only package whose name matches"
    hint = "Register the version of the stack that the packages have."
    return taken, [StackFinding("version", "error", wish.expected, by, message, hint)]


def _missing(wish: PackageWish, by: str, offered: Sequence[str]) -> StackFinding:
    if wish.origin == "system":
        message = "is expected from the operating system's repositories"
        return StackFinding("elsewhere", "info", wish.expected, by, message)
    if wish.origin == "ambari":
        message = "is not part of the stack: it must come from a repository with Ambari's own packages"
        return StackFinding("elsewhere", "warning", wish.expected, by, message)
    similar = [name for name in offered if name.startswith(wish.stem)]
    hint = f"The repository has {', '.join(similar[:5])}." if similar else "Build and publish it first."
    if similar and wish.pattern is None and wish.expected != wish.stem:
        hint += " Agents use a repository version with a dash literally: register it without a build number."
    return StackFinding("package", "error", wish.expected, by, "is not in the repository", hint)


def chosen_packages(
    packages: Iterable[OfferedPackage], stack: StackDefinition, components: Iterable[str], family: str, version: str
) -> list[str]:
    """Return the packages that agents install on a host with these components, without those that are missing."""
    offered = sorted({package.name for package in packages})
    matching = (wish.matches(offered) for wish in wanted_packages(stack, components, family, version))
    return [names[0] for names in matching if names]


def _selector(stack: StackDefinition, components: Sequence[str], known: Iterable[str] | None) -> Iterable[StackFinding]:
    tool = stack.tools.select
    names = selector_names(stack, components)
    if known is None:
        if names:
            message = f"could not be inspected: unknown whether {tool.name} knows every name"
            yield StackFinding("selector", "info", tool.package, NO_SERVICE, message)
        return
    have = set(known)
    for name, wanting in names.items():
        if name not in have:
            message = f"{tool.name} of {tool.package} does not know it; installing {wanting[0]} will fail"
            hint = f"Publish a {tool.package} that knows it."
            yield StackFinding("selector", "error", name, ", ".join(wanting), message, hint)


def closure(packages: Sequence[OfferedPackage], chosen: Iterable[str]) -> list[OfferedPackage]:
    """Return the chosen packages and what they require from the same repository.

    A condition (``a if b``) counts once what it asks for is among them.
    """
    offering = _Offering(packages)
    found: dict[str, OfferedPackage] = {}
    added = {name for name in chosen if name in offering.by_name}
    while added:
        found |= {name: offering.by_name[name] for name in added}
        wanted = {one for package in found.values() for one in package.requirements}
        added = {name for one in wanted for name in offering.needed(one, found)} - found.keys()
    return list(found.values())


class _Offering:
    """Which packages of a repository provide what; of several versions of one, the first."""

    def __init__(self, packages: Sequence[OfferedPackage]) -> None:
        self.by_name: dict[str, OfferedPackage] = {}
        self._providers: dict[str, list[tuple[str, Capability]]] = defaultdict(list)
        for package in packages:
            self.by_name.setdefault(package.name, package)
            for capability in package.capabilities:
                self._providers[capability.name].append((package.name, capability))

    def providing(self, wanted: Capability) -> list[str]:
        """Return the packages that provide a capability, in the repository's order."""
        return [name for name, given in self._providers.get(wanted.name, ()) if given.satisfies(wanted)]

    def versions_of(self, name: str) -> list[Capability]:
        """Return what is offered under a name, whatever the version."""
        return [capability for _, capability in self._providers.get(name, ())]

    def needed(self, wanted: Requirement, installed: Container[str]) -> list[str]:
        """Return the packages that a requirement brings."""
        if isinstance(wanted, Capability):
            return self.providing(wanted)[:1]
        first, *others = wanted.operands
        if wanted.operator == "and":
            return [name for operand in wanted.operands for name in self.needed(operand, installed)]
        if wanted.operator == "or":
            found = (self.needed(operand, installed) for operand in wanted.operands)
            return next((names for names in found if names), [])
        if wanted.operator in ("with", "without"):
            return sorted(meeting(wanted, lambda one: frozenset(self.providing(one))))[:1]
        holds = bool(meeting(others[0], lambda one: frozenset(filter(installed.__contains__, self.providing(one)))))
        if holds is (wanted.operator == "if"):
            return self.needed(first, installed)
        return self.needed(others[1], installed) if len(others) > 1 else []


def _other_versions(packages: Sequence[OfferedPackage], installed: Iterable[OfferedPackage]) -> Iterator[StackFinding]:
    """Find requirements for a version that the repository does not have, although it has others."""
    offering = _Offering(packages)
    for package in installed:
        for wanted in package.requirements:
            known = [one for name in names_in(wanted) for one in offering.versions_of(name)]
            everything = all(offering.versions_of(name) for name in names_in(wanted))
            if known and everything and not meeting(wanted, lambda one: frozenset(offering.providing(one))):
                offered = ", ".join(sorted({str(one) for one in known})[:5])
                message = f"is required, but the repository has {offered}: {package.name} could not be installed"
                yield StackFinding("version", "error", str(wanted), package.name, message)


def _paths(
    stack: StackDefinition,
    components: Sequence[str],
    version: str,
    installed: Iterable[OfferedPackage],
    lacking: set[str],
) -> Iterable[StackFinding]:
    """Find missing paths, but not of ``lacking`` services, whose packages are missing or wrong anyway."""
    installed = list(installed)
    present = {path for package in installed for path in package.files}
    folders = {path[:index] for path in present for index, letter in enumerate(path) if letter == "/"}
    patterns = [pattern for package in installed for pattern in package.listed]
    without = {service for services in lacking for service in services.split(", ")}
    for wish in wanted_paths(stack, components, version):
        service = wish.wanted_by if wish.wanted_by in stack.services else stack.service_of(wish.wanted_by)
        if service in without or any(path in present or path in folders for path in wish.paths):
            continue
        if any(may_hold(pattern, path) for pattern in patterns for path in wish.paths):
            continue
        message = "is in none of the packages that agents install, but Ambari's scripts use it"
        yield StackFinding("path", "error", " or ".join(wish.paths), wish.wanted_by, message)


def path_held(path: str, packages: Iterable[OfferedPackage]) -> bool:
    """Return whether a package has a file or folder; ``*`` in ``path`` matches any characters."""
    for package in packages:
        if path in package.files or any(one.startswith(f"{path}/") for one in package.files):
            return True
        if "*" in path and any(fnmatchcase(one, path) for one in package.files):
            return True
        if any(may_hold(pattern, path) for pattern in package.listed):
            return True
    return False


def may_hold(pattern: str, path: str) -> bool:
    """Return whether a file list's pattern matches the path, a folder above it, or something below it."""
    parents = [path, *map(str, PurePosixPath(path).parents)]
    return pattern.startswith(f"{path}/") or any(fnmatchcase(one, pattern) for one in parents if one != "/")


def _absent_services(stack: StackDefinition, components: Sequence[str]) -> Iterable[StackFinding]:
    present = set(wanted_services(stack, components))
    for service in sorted(present):
        absent = [required for required in stack.services[service].requires if required not in present]
        if absent:
            message = f"according to the stack, {service} requires this, but Ambari installs it without"
            yield StackFinding("requires", "warning", ", ".join(absent), service, message)
