"""Plan an upgrade: which packages change after a change of inventory or repository, and in which order.

BIGTOP has no upgrade packs, so Ambari itself cannot do it (``Could not locate … upgrade pack``). There are two kinds: a
newer release replaces an installed package; another version of the stack has other package names and another folder,
is installed beside the former one, and the selector's links are set to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cmp_to_key

from bigtop_builder.cluster.demand_check import OfferedPackage
from bigtop_builder.cluster.demands import PackageWish, name_suffix, selector_names, wanted_packages, wanted_services
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.json_text import parse_json

Compare = Callable[[str, str], int]
"""Compares two ``[epoch:]version-release``: -1, 0 or 1."""


@dataclass(frozen=True)
class Former:
    """What a host had before an upgrade of ``services``: EVRs by package, versions by selector name.

    It is kept on the host until the upgrade has ended, so that a deployment that was killed can still be rolled back.
    """

    services: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    selected: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the text of the file on the host."""
        return json.dumps({"services": self.services, "packages": self.packages, "selected": self.selected}) + "\n"


def read_former(text: str) -> Former:
    """Parse the text of a Former. Raises ValueError for anything else."""
    try:
        data = parse_json(text)
        return Former(tuple(data["services"]), dict(data["packages"]), dict(data["selected"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the record of an upgrade: {error!r}") from error


@dataclass(frozen=True)
class HostNow:
    """A host now: components installed by Ambari, EVRs by package, the selector's links, an unfinished upgrade."""

    family: str
    components: frozenset[str]
    packages: Mapping[str, str]
    selected: Mapping[str, str]
    former: Former | None = None


@dataclass(frozen=True)
class Move:
    """The part of a step on one host: packages to install, with their EVRs, and links to set."""

    packages: Mapping[str, str]
    selected: Mapping[str, str]
    former: Former


@dataclass(frozen=True)
class Step:
    """Services that are upgraded together because they share replaced packages; usually a single one."""

    services: tuple[str, ...]
    moves: Mapping[str, Move]


@dataclass(frozen=True)
class Upgrade:
    """A planned upgrade.

    ``tools``: the selector's own packages by host, which go first and stop nothing. ``available``: newer packages that
    were not requested, with both EVRs. ``lost``: former packages that the repository no longer has.
    """

    tools: Mapping[str, Mapping[str, str]]
    steps: tuple[Step, ...]
    available: Mapping[str, tuple[str, str]]
    lost: tuple[str, ...]


@dataclass
class _Part:
    """The changes of one service on one host. ``replaced``: those packages that belong to the service itself."""

    packages: dict[str, str] = field(default_factory=dict)
    selected: dict[str, str] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)


class Catalog:
    """A repository's packages: all of them, the newest of each name, and their dependencies within the repository."""

    def __init__(self, packages: Iterable[OfferedPackage], compare: Compare) -> None:
        self.compare = compare
        by_name: dict[str, list[OfferedPackage]] = {}
        for package in packages:
            by_name.setdefault(package.name, []).append(package)
        order = cmp_to_key(compare)
        best = {name: max(found, key=lambda package: order(package.evr)) for name, found in by_name.items()}
        self.newest = {name: package.evr for name, package in best.items()}
        self.all = {(package.name, package.evr) for found in by_name.values() for package in found}
        givers = {given: name for name, package in best.items() for given in (*package.provides_names, name)}
        self._needs = {name: {givers[one] for one in best[name].requires_names if one in givers} for name in best}

    def newer(self, name: str, installed: Mapping[str, str]) -> str | None:
        """Return the newest EVR of an installed package if it is newer than the installed one, else None."""
        evr = self.newest.get(name)
        present = installed.get(name)
        return evr if evr and present and self.compare(evr, present) > 0 else None

    def needed(self, names: Iterable[str]) -> set[str]:
        """Return the packages with all of their dependencies."""
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += self._needs.get(name, ())
        return found


def ordered(stack: StackDefinition, services: Iterable[str]) -> list[str]:
    """Return the services in order, each after those that it requires; ZooKeeper, which requires none, first."""
    wanted = set(services)
    found: dict[str, None] = {}
    open_: set[str] = set()

    def visit(name: str) -> None:
        if name in found or name in open_ or name not in stack.services:
            return
        open_.add(name)
        for required in stack.services[name].requires:
            visit(required)
        found[name] = None

    for name in ("ZOOKEEPER", *stack.services):
        visit(name)
    return [name for name in found if name in wanted]


def plan_upgrade(
    stack: StackDefinition,
    hosts: Mapping[str, HostNow],
    catalogs: Mapping[str, Catalog],
    version: str,
    *,
    latest: bool,
) -> Upgrade:
    """Plan the upgrade.

    ``catalogs`` are by OS family, ``version`` is the wanted repository version, ``latest`` is whether to install newer
    releases of installed packages.
    """
    parts: dict[str, dict[str, _Part]] = {}
    tools: dict[str, dict[str, str]] = {}
    available: dict[str, tuple[str, str]] = {}
    cluster = frozenset[str]().union(*(now.components for now in hosts.values()))
    requested = {family: wanted_packages(stack, cluster, family, version) for family in catalogs}
    for host, now in hosts.items():
        looked = _Look(stack, now, catalogs[now.family], requested[now.family], version, latest)
        parts[host] = looked.parts
        available |= looked.available
        if looked.tools:
            tools[host] = looked.tools
    steps = _steps(stack, hosts, parts)
    lost = {
        f"{name}-{evr}"
        for step in steps
        for host, move in step.moves.items()
        for name, evr in move.former.packages.items()
        if (name, evr) not in catalogs[hosts[host].family].all
    }
    return Upgrade(tools, steps, dict(sorted(available.items())), tuple(sorted(lost)))


class _Look:
    """Finds out what changes for the services of one host."""

    def __init__(
        self,
        stack: StackDefinition,
        now: HostNow,
        catalog: Catalog,
        requested: Sequence[PackageWish],
        version: str,
        latest: bool,
    ) -> None:
        self.stack, self.now, self.catalog, self.requested = stack, now, catalog, requested
        self.version, self.latest = version, latest
        self.parts: dict[str, _Part] = {}
        self.available: dict[str, tuple[str, str]] = {}
        self.tools: dict[str, str] = {}
        self._suffix = f"_{name_suffix(version)}"
        services = ordered(stack, wanted_services(stack, now.components))
        wishes = {service: self._wishes(service) for service in services}
        switched = [self._service(service, wishes[service]) for service in services]
        self._shared(services, wishes)
        tool = stack.tools.select.package
        newer = catalog.newer(tool, now.packages)
        # An old selector does not know the names of the new version, so it could not set their links.
        if newer and self._meant(tool, newer, also=any(switched)):
            self.tools[tool] = newer

    def _wishes(self, service: str) -> dict[str, list[str]]:
        """Return the packages that the service requires, each with its other installed versions."""
        return {
            wish.expected: [name for name in wish.matches(self.now.packages) if name != wish.expected]
            for wish in self.requested
            if wish.origin == "stack" and service in wish.services
        }

    def _service(self, service: str, wishes: Mapping[str, Sequence[str]]) -> bool:
        """Fill in the service's part; return whether it is switched to another version of the stack."""
        part = self.parts.setdefault(service, _Part())
        missing = [name for name in wishes if name not in self.now.packages]
        switched = any(wishes[name] for name in missing)
        offered = self.catalog.newest
        if any(wishes[name] and name not in offered for name in missing):
            return False
        if switched:
            part.packages |= {name: offered[name] for name in missing if name in offered}
        for name in self._siblings(wishes):
            newer = self.catalog.newer(name, self.now.packages)
            if newer and self._meant(name, newer):
                part.packages[name] = newer
                part.replaced.add(name)
        own = self.now.components & self.stack.services[service].components.keys()
        for name in selector_names(self.stack, own) if switched or not missing else ():
            present = self.now.selected.get(name)
            if present != self.version and (present is not None or switched):
                part.selected[name] = self.version
        return switched

    def _shared(self, services: Sequence[str], wishes: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Upgrade shared dependencies with the first service that needs them.

        Other services that need them keep running: processes keep the replaced files open.
        """
        seen = {self.stack.tools.select.package}
        seen.update(name for service in services for name in self._siblings(wishes[service]))
        for service in services:
            for name in sorted(self.catalog.needed(wishes[service]) - seen):
                seen.add(name)
                newer = self.catalog.newer(name, self.now.packages)
                if newer and self._meant(name, newer):
                    self.parts.setdefault(service, _Part()).packages[name] = newer

    def _siblings(self, wishes: Iterable[str]) -> list[str]:
        """Return installed packages of the same build: ``zookeeper_3_2_0`` and all ``zookeeper_3_2_0-…``."""
        bases = {self._base(name) for name in wishes}
        return [name for name in self.now.packages if self._base(name) in bases]

    def _base(self, name: str) -> str:
        head, suffix, _ = name.partition(self._suffix)
        return head + suffix

    def _meant(self, name: str, newer: str, *, also: bool = False) -> bool:
        if not (self.latest or also):
            self.available[name] = (self.now.packages[name], newer)
        return self.latest or also


def _steps(
    stack: StackDefinition, hosts: Mapping[str, HostNow], parts: Mapping[str, Mapping[str, _Part]]
) -> tuple[Step, ...]:
    moving = {name for own in parts.values() for name, part in own.items() if part.packages or part.selected}
    moving |= {name for now in hosts.values() if now.former for name in now.former.services}
    group = {name: {name} for name in moving}

    def join(names: Sequence[str]) -> None:
        joined = set[str]().union(*(group[name] for name in names))
        for name in joined:
            group[name] = joined

    for host, own in parts.items():
        replaced = {name for part in own.values() for name in part.replaced}
        for package in replaced:
            join([name for name, part in own.items() if package in part.replaced])
        former = hosts[host].former
        if former is not None and former.services:
            join(former.services)
    steps, done = [], set[str]()
    for name in ordered(stack, moving):
        if name not in done:
            done |= group[name]
            services = tuple(one for one in ordered(stack, moving) if one in group[name])
            found = {host: _move(services, hosts[host], own) for host, own in parts.items()}
            steps.append(Step(services, {host: move for host, move in found.items() if move is not None}))
    return tuple(steps)


def _move(services: tuple[str, ...], now: HostNow, own: Mapping[str, _Part]) -> Move | None:
    packages = {name: evr for service in services if service in own for name, evr in own[service].packages.items()}
    selected = {name: new for service in services if service in own for name, new in own[service].selected.items()}
    before = now.former if now.former is not None and set(now.former.services) & set(services) else None
    if before is None and not packages and not selected:
        return None
    kept = before or Former()
    former = Former(
        services,
        {**{name: now.packages[name] for name in packages if name in now.packages}, **kept.packages},
        {**{name: now.selected[name] for name in selected if name in now.selected}, **kept.selected},
    )
    return Move(packages, selected, former)
