"""What agents require to install components: packages, selector names, paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bigtop_builder.model.ambari_stack import Origin, StackDefinition, StackService

PLACEHOLDER = "{version}"
ANY_VERSION = r"(\d|_)+"


@dataclass(frozen=True)
class PackageWish:
    """A package that agents install.

    ``expected`` is its name in the wanted version of the stack; ``pattern`` is what an agent matches names against, or
    None if it uses ``expected`` literally.
    """

    expected: str
    pattern: str | None
    services: tuple[str, ...]
    origin: Origin
    stem: str
    """The part before the version: packages that start with it may be the intended ones."""

    def matches(self, names: Iterable[str]) -> list[str]:
        """Return the packages that match, in their order: the agent installs the first."""
        if self.pattern is None:
            return [name for name in names if name == self.expected]
        return [name for name in names if re.match(self.pattern, name)]


@dataclass(frozen=True)
class PathWish:
    """A path that Ambari's scripts use: one of ``paths`` must be in the packages."""

    paths: tuple[str, ...]
    wanted_by: str


def name_suffix(version: str) -> str:
    """Return a version as agents write it in package names: ``3.2.0`` → ``3_2_0``, ``3.2.0-1`` → ``3_2_0_1``."""
    return re.sub(r"[.-]", "_", version)


def wanted_services(stack: StackDefinition, components: Iterable[str]) -> list[str]:
    """Return the services of these components, in the stack's order."""
    chosen = set(components)
    return [name for name, service in stack.services.items() if chosen & set(service.components)]


def all_components(stack: StackDefinition, services: Iterable[str]) -> list[str]:
    """Return the mandatory components of services, and their clients."""
    return [
        name
        for service in services
        for name, component in stack.services[service].components.items()
        if component.is_client or not component.cardinality.startswith("0")
    ]


def wanted_packages(
    stack: StackDefinition, components: Iterable[str], family: str, version: str
) -> tuple[PackageWish, ...]:
    """Return every package that agents of an OS family install for these components, once each.

    ``version`` is the repository version. Without a ``-`` in it, an agent installs the first package of the repository
    whose name matches with any version; with one, it uses the name with that version literally (Ambari's agent,
    ``format_package_name``).
    """
    chosen = set(components)
    requested: dict[str, tuple[list[str], Origin]] = {}
    services = wanted_services(stack, chosen)
    if services:
        requested[stack.tools.select.package] = ([], "stack")
    for service in services:
        for template, origin in _requested_by(stack.services[service], chosen, family):
            requested.setdefault(template, ([], origin))[0].append(service)
    return tuple(_wish(name, tuple(by), origin, version) for name, (by, origin) in requested.items())


def _requested_by(service: StackService, components: set[str], family: str) -> list[tuple[str, Origin]]:
    return [
        (package.name, package.origin)
        for package in service.packages
        if (package.component is None or package.component in components)
        and (not package.families or family in package.families)
    ]


def _wish(template: str, services: tuple[str, ...], origin: Origin, version: str) -> PackageWish:
    expected = template.replace(PLACEHOLDER, name_suffix(version))
    head, placeholder, tail = template.partition(PLACEHOLDER)
    pattern = None
    if placeholder and "-" not in version:
        pattern = f"{re.escape(head)}{ANY_VERSION}{re.escape(tail)}$"
    return PackageWish(expected, pattern, services, origin, head.rstrip("_"))


def selector_names(stack: StackDefinition, components: Iterable[str]) -> dict[str, list[str]]:
    """Return the names that the selector must know, each with the components that are selected by it."""
    names: dict[str, list[str]] = {}
    for name in components:
        component = stack.component(name)
        for selected in component.select if component else ():
            names.setdefault(selected, []).append(name)
    return names


def wanted_paths(stack: StackDefinition, components: Sequence[str], version: str) -> tuple[PathWish, ...]:
    """Return folders that the selector links to, paths of components and configuration folders, once each.

    A configuration folder is usually created by ``alternatives`` when the package is installed; then the package has
    the target of that link (Bigtop 3.2.0 package layout: ``<root>/<version>/etc/zookeeper/conf.dist``;
    Hadoop's is called ``conf.empty``).
    """
    base = f"{stack.root}/{version.partition('-')[0]}"
    wishes: dict[tuple[str, ...], str] = {}
    for selected, wanting in selector_names(stack, components).items():
        folder = stack.folder_of(selected)
        if folder:
            wishes.setdefault((f"{base}/usr/lib/{folder}",), wanting[0])
    for name in components:
        component = stack.component(name)
        for path in component.paths if component else ():
            text = path.replace("{root}", stack.root).replace(PLACEHOLDER, version.partition("-")[0])
            wishes.setdefault((text,), name)
    for service in wanted_services(stack, components):
        for folder in stack.services[service].conf_dirs:
            wishes.setdefault((folder, f"{base}{folder}.dist", f"{base}{folder}.empty"), service)
    return tuple(PathWish(paths, by) for paths, by in wishes.items())
