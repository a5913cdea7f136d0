"""Needs of components beyond the stack's package lists: which files are missing where, and what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bigtop_builder.cluster.demand_check import OfferedPackage, StackFinding, chosen_packages, closure, path_held
from bigtop_builder.cluster.demands import PLACEHOLDER, name_suffix, wanted_packages
from bigtop_builder.cluster.layout import Layout, plain_properties
from bigtop_builder.model.ambari_stack import Need, StackDefinition
from bigtop_builder.model.properties import Configurations


@dataclass(frozen=True)
class Place:
    """Hosts with the same components and properties. Without hosts it stands for any host."""

    components: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    properties: Mapping[str, str] | None = None
    """``hdfs-site/dfs.replication`` → value, as the inventory has them."""
    packages: tuple[str, ...] = ()
    """Packages that are installed besides those of the stack's lists."""


@dataclass(frozen=True)
class UnmetNeed:
    """A file that a component needs, and that no package installed on its hosts has."""

    need: Need
    component: str
    hosts: tuple[str, ...]
    path: str
    package: str
    """The package that has it, by its name in this version."""
    offered: bool
    """Whether the repository has that package."""
    held: bool
    """Whether that package has the file: it is only not installed. One may be built without a part."""


def places(layout: Layout, packages: Iterable[str] = (), *, kerberos: bool = False) -> tuple[Place, ...]:
    """Return the places of a layout. ``packages``: those that every host gets (``prepare.packages``)."""
    environment = {"cluster-env/security_enabled": "true"} if kerberos else {}
    return tuple(
        Place(
            group.names,
            group.hosts,
            {**environment, **_flat(layout.configurations), **_flat(group.configurations)},
            tuple(packages),
        )
        for group in layout.groups
    )


def _flat(configurations: Configurations) -> dict[str, str]:
    return {
        f"{kind}/{name}": value
        for kind, properties in plain_properties(configurations).items()
        for name, value in properties.items()
    }


def unmet_needs(
    packages: Sequence[OfferedPackage],
    stack: StackDefinition,
    where: Iterable[Place],
    *,
    family: str,
    version: str,
) -> list[UnmetNeed]:
    """Return the needs that ``packages``, as far as they are installed at each place, do not meet.

    Left out are needs whose package is missing from the stack's own list (another finding says so), and all of them if
    no package has a file list.
    """
    if not any(package.files or package.listed for package in packages):
        return []
    names = {package.name for package in packages}
    found: dict[tuple[str, str, str], tuple[Need, list[str]]] = {}
    for place in where:
        pending = needs_of(place, stack)
        if not pending:
            continue
        chosen = [*chosen_packages(packages, stack, place.components, family, version), *place.packages]
        installed = closure(packages, chosen)
        wishes = wanted_packages(stack, place.components, family, version)
        absent = {wish.expected for wish in wishes} - names
        for name, need in pending:
            path = _expanded(need.path, stack, version)
            if not path_held(path, installed) and _package(need, version) not in absent:
                key = (name, path, need.why)
                found.setdefault(key, (need, []))[1].extend(place.hosts)
    unmet = []
    for (name, path, _), (need, hosts) in found.items():
        package = _package(need, version)
        held = path_held(path, [one for one in packages if one.name == package])
        unmet.append(UnmetNeed(need, name, tuple(hosts), path, package, package in names, held))
    return unmet


def needs_of(place: Place, stack: StackDefinition) -> list[tuple[str, Need]]:
    """Return the needs that apply at a place, whether they are met or not, each with its component."""
    return [
        (name, need)
        for name in place.components
        if (component := stack.component(name)) is not None
        for need in component.needs
        if _applies(need, place.properties or {})
    ]


def _applies(need: Need, properties: Mapping[str, str]) -> bool:
    return all(properties.get(name) == value for name, value in need.when.items()) and not any(
        properties.get(name) == value for name, value in need.unless.items()
    )


def _expanded(path: str, stack: StackDefinition, version: str) -> str:
    return path.replace("{root}", stack.root).replace(PLACEHOLDER, version.partition("-")[0])


def _package(need: Need, version: str) -> str:
    return need.package.replace(PLACEHOLDER, name_suffix(version.partition("-")[0]))


def settled(unmet: Iterable[UnmetNeed]) -> dict[str, dict[str, str]]:
    """Return the properties that a deployment sets because of what is missing, by configuration type."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for one in unmet:
        if one.need.settle:
            kind, name, value = _way_out(one.need)
            found[kind][name] = value
    return dict(found)


def _way_out(need: Need) -> tuple[str, str, str]:
    place, value = next(iter(need.unless.items()))
    kind, _, name = place.partition("/")
    return kind, name, value


def need_findings(unmet: Iterable[UnmetNeed]) -> list[StackFinding]:
    """Return a finding for each unmet need: what is missing where, why it matters, and the ways out."""
    return [_finding(one) for one in unmet]


def _finding(one: UnmetNeed) -> StackFinding:
    need = one.need
    where = f" on {', '.join(one.hosts)}" if one.hosts else ""
    message = f"is in none of the packages that agents install{where}, but {one.component} needs it: {need.why}"
    if one.offered and not one.held:
        hint = f"Build and publish {one.package} with it: the one in the repository is without"
    else:
        hint = f"Add {one.package} to prepare.packages{'' if one.offered else ', once it is built and published'}"
    if not need.unless:
        return StackFinding("need", need.level, one.path, one.component, message, f"{hint}.")
    kind, name, value = _way_out(need)
    if need.settle:
        message += f"; a deployment therefore sets {kind}/{name} to {value}"
        return StackFinding("need", "info", one.path, one.component, message, f"{hint}, if it should be used.")
    hint += f', or set {kind}/{name} to "{value}" in configurations.'
    return StackFinding("need", need.level, one.path, one.component, message, hint)
