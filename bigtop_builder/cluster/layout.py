"""Layouts: which components are on which hosts, with which configurations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bigtop_builder.cluster.configuration import with_unit
from bigtop_builder.cluster.layout_fields import Settings, host_settings
from bigtop_builder.model.properties import Configurations, PropertyValue, Secret, Setting
from bigtop_builder.recipe.inventory import LoadedInventory

INSTALL_AND_START = "INSTALL_AND_START"
TOKEN = re.compile(r"%HOSTGROUP::([A-Za-z0-9_-]+)%(:[0-9]+)?")


@dataclass(frozen=True)
class Placed:
    """A component of a group."""

    name: str
    provision: str = INSTALL_AND_START


@dataclass(frozen=True)
class LayoutGroup:
    """Hosts with the same components. ``settings`` are those of its single hosts."""

    name: str
    hosts: tuple[str, ...]
    components: tuple[Placed, ...]
    configurations: Configurations = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The components' names."""
        return tuple(component.name for component in self.components)


@dataclass(frozen=True)
class Layout:
    """The groups of a cluster, and the configurations that all of them share."""

    groups: tuple[LayoutGroup, ...]
    configurations: Configurations = field(default_factory=dict)

    @property
    def components(self) -> tuple[str, ...]:
        """Every component's name, once."""
        return tuple(dict.fromkeys(name for group in self.groups for name in group.names))

    @property
    def hosts(self) -> dict[str, LayoutGroup]:
        """Every host with its group."""
        return {host: group for group in self.groups for host in group.hosts}

    @property
    def settings(self) -> dict[str, Mapping[str, str]]:
        """Settings of single hosts: host → property → value."""
        return {host: own for group in self.groups for host, own in group.settings.items()}

    def groups_with(self, component: str) -> list[LayoutGroup]:
        """Return the groups with a component."""
        return [group for group in self.groups if component in group.names]

    def hosts_with(self, component: str) -> list[str]:
        """Return the hosts with a component."""
        return [host for group in self.groups_with(component) for host in group.hosts]

    def property(self, kind: str, name: str) -> PropertyValue | None:
        """Return a property of the whole cluster, or None if it is not given."""
        return self.configurations.get(kind, {}).get(name)

    def adding(self, group: str, components: Iterable[str]) -> Layout:
        """Return the layout with additional components in a group."""
        changed = [
            replace(one, components=(*one.components, *(Placed(name) for name in components if name not in one.names)))
            if one.name == group
            else one
            for one in self.groups
        ]
        return replace(self, groups=tuple(changed))


def layout_of(loaded: LoadedInventory) -> Layout:
    """Return the layout of an inventory's groups, without groups that have no components: Ambari does not know them."""
    settings = host_settings(loaded.hosts)
    groups = []
    for name, group in loaded.inventory.groups.items():
        hosts = loaded.groups[name]
        components = tuple(
            Placed(one) if isinstance(one, str) else Placed(one.name, one.provision) for one in group.components
        )
        if components:
            own = {host: settings[host] for host in hosts if host in settings}
            groups.append(LayoutGroup(name, hosts, components, group.configurations, own))
    return Layout(tuple(groups), loaded.inventory.configurations)


def layout_recommended(recommendation: Mapping[str, Any], configurations: Configurations, settings: Settings) -> Layout:
    """Return the layout of the stack advisor: ``recommendations`` in its response to ``host_groups``."""
    blueprint, binding = recommendation["blueprint"], recommendation["blueprint_cluster_binding"]
    hosts = {
        group["name"]: tuple(sorted(host["fqdn"] for host in group.get("hosts", ())))
        for group in binding["host_groups"]
    }
    groups = []
    for group in sorted(blueprint["host_groups"], key=lambda one: str(one["name"])):
        components = tuple(Placed(name) for name in sorted(one["name"] for one in group.get("components", ())))
        members = hosts.get(group["name"], ())
        if components and members:
            own = {host: settings[host] for host in members if host in settings}
            groups.append(LayoutGroup(group["name"], members, components, {}, own))
    return Layout(tuple(groups), configurations)


def property_text(value: PropertyValue) -> str:
    """Return a property as Ambari stores it: ``true``, ``1024``. Raises TypeError for secrets."""
    if isinstance(value, Secret):
        raise TypeError("a secret has no text")
    if isinstance(value, Setting):
        value = value.value
    return str(value).lower() if isinstance(value, bool) else str(value)


def plain_properties(configurations: Configurations) -> dict[str, dict[str, str]]:
    """Return the properties that are not secrets, as text, by configuration type."""
    found = {
        kind: {name: property_text(value) for name, value in properties.items() if not isinstance(value, Secret)}
        for kind, properties in configurations.items()
    }
    return {kind: properties for kind, properties in found.items() if properties}


def property_attributes(configurations: Configurations) -> dict[str, dict[str, dict[str, str | None]]]:
    """Return the attributes that properties should have: type → attribute → property → value, None for none."""
    found: dict[str, dict[str, dict[str, str | None]]] = {}
    for kind, properties in configurations.items():
        for name, value in properties.items():
            for attribute, wanted in value.wanted.items() if isinstance(value, Setting) else ():
                found.setdefault(kind, {}).setdefault(attribute, {})[name] = wanted
    return found


def secret_properties(configurations: Configurations) -> dict[str, dict[str, Secret]]:
    """Return the properties that are secrets, by configuration type."""
    found = {
        kind: {name: value for name, value in properties.items() if isinstance(value, Secret)}
        for kind, properties in configurations.items()
    }
    return {kind: properties for kind, properties in found.items() if properties}


def expand_tokens(text: str, layout: Layout) -> str:
    """Replace ``%HOSTGROUP::master%:2181`` by the hosts of the group with that port, joined by commas."""
    hosts: Mapping[str, Sequence[str]] = {group.name: group.hosts for group in layout.groups}
    return TOKEN.sub(
        lambda found: ",".join(f"{host}{found[2] or ''}" for host in hosts.get(found[1], (found[0],))), text
    )


def resolved_properties(configurations: Configurations, layout: Layout) -> dict[str, dict[str, str]]:
    """Return the properties that are not secrets as Ambari has them in a cluster, by configuration type.

    Tokens for groups are replaced by their hosts, and sizes of heaps have their unit.
    """
    return {
        kind: {name: with_unit(kind, name, expand_tokens(value, layout)) for name, value in properties.items()}
        for kind, properties in plain_properties(configurations).items()
    }
