"""Differences between the inventory and Ambari: of blueprints and of existing clusters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bigtop_builder.cluster.configuration import (
    SECRET_REFERENCE,
    AttributeChanges,
    Attributes,
    attribute_changes,
)
from bigtop_builder.cluster.demands import wanted_services
from bigtop_builder.cluster.layout import (
    INSTALL_AND_START,
    Layout,
    property_attributes,
    resolved_properties,
)
from bigtop_builder.cluster.layout_fields import Settings
from bigtop_builder.model.ambari_stack import StackDefinition

Properties = Mapping[str, Mapping[str, str]]
Changes = Mapping[str, Mapping[str, tuple[str | None, str]]]
"""Configuration type → property → its current value (None: not set) and the wanted one."""


def compare_blueprints(wanted: Mapping[str, Any], existing: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the differences as lines for people; empty if clusters created from either would be the same.

    The order of groups and components, the numbers of hosts (a blueprint stays as it is when a group grows) and the
    notation of configurations do not matter; passwords, which Ambari hides, are skipped.
    """
    ours, theirs = _Canonical.of(wanted), _Canonical.of(existing)
    lines: list[str] = []
    if ours.about != theirs.about:
        lines.append(f"stack and security: {' '.join(theirs.about)} → {' '.join(ours.about)}")
    lines += _configuration_lines("", theirs.configurations, ours.configurations)
    for name in sorted({*ours.groups, *theirs.groups}):
        lines += _group_lines(name, theirs.groups.get(name), ours.groups.get(name))
    return tuple(lines)


@dataclass(frozen=True)
class _Group:
    components: Mapping[str, str]
    configurations: Properties


@dataclass(frozen=True)
class _Canonical:
    about: tuple[str, str, str]
    configurations: Properties
    groups: Mapping[str, _Group]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> _Canonical:
        about = body.get("Blueprints", {})
        security = (about.get("security") or {}).get("type") or "NONE"
        groups = {
            group["name"]: _Group(
                {
                    one["name"]: str(one.get("provision_action") or INSTALL_AND_START)
                    for one in group.get("components", ())
                },
                _flat(group.get("configurations", ())),
            )
            for group in body.get("host_groups", ())
        }
        return cls(
            (str(about.get("stack_name")), str(about.get("stack_version")), security),
            _flat(body.get("configurations", ())),
            groups,
        )


def _flat(configurations: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """``[{type: {properties: {…}}}, {type: {…}}]`` → type → property → text."""
    flat: dict[str, dict[str, str]] = {}
    for one in configurations:
        for kind, content in one.items():
            if not isinstance(content, Mapping):
                continue
            attributes = content.get("properties_attributes") or {}
            properties = content.get("properties") or {k: v for k, v in content.items() if k != "properties_attributes"}
            own = flat.setdefault(kind, {})
            own.update({name: str(value) for name, value in properties.items() if not isinstance(value, Mapping)})
            for attribute, values in attributes.items():
                own.update({f"{name} ({attribute})": str(value) for name, value in values.items()})
    return flat


def _configuration_lines(place: str, old: Properties, new: Properties) -> list[str]:
    lines = []
    for kind in sorted({*old, *new}):
        before, after = old.get(kind, {}), new.get(kind, {})
        for name in sorted({*before, *after}):
            was, will = before.get(name), after.get(name)
            if was != will and not (was or "").startswith(SECRET_REFERENCE):
                lines.append(f"{place}{kind} {name}: {_shown(was)} → {_shown(will)}")
    return lines


def _shown(value: str | None) -> str:
    if value is None:
        return "(not set)"
    return repr(value) if len(value) <= 80 and "\n" not in value else f"({len(value)} characters)"


def _group_lines(name: str, old: _Group | None, new: _Group | None) -> list[str]:
    if old is None or new is None:
        return [f"group {name}: {'new' if old is None else 'gone'}"]
    lines = []
    for component in sorted({*old.components, *new.components}):
        was, will = old.components.get(component), new.components.get(component)
        if was is None or will is None:
            lines.append(f"group {name}: {component} {'added' if was is None else 'removed'}")
        elif was != will:
            lines.append(f"group {name}: {component} {was} → {will}")
    return lines + _configuration_lines(f"group {name}: ", old.configurations, new.configurations)


@dataclass(frozen=True)
class ActualCluster:
    """A cluster as Ambari has it.

    ``hosts`` has the components of every host, ``configurations`` and ``attributes`` what was read of types, and
    ``settings`` what is set for single hosts, in the cluster or about to join.
    """

    hosts: Mapping[str, frozenset[str]]
    services: frozenset[str]
    configurations: Properties = field(default_factory=dict)
    attributes: Mapping[str, Attributes] = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class ClusterDifference:
    """The changes that make a cluster as wanted. Pairs are host and component, without those of hosts to add."""

    hosts_to_add: tuple[str, ...]
    hosts_beyond: tuple[str, ...]
    """Hosts in the cluster, but not in the inventory."""
    services_to_add: tuple[str, ...]
    services_beyond: tuple[str, ...]
    components_to_add: tuple[tuple[str, str], ...]
    components_beyond: tuple[tuple[str, str], ...]
    configurations: Changes
    attributes: Mapping[str, AttributeChanges] = field(default_factory=dict)
    settings: Changes = field(default_factory=dict)
    """Settings of single hosts, also of hosts to add: host → property → its value now and the wanted one."""

    @property
    def same(self) -> bool:
        """Whether the cluster has exactly what the inventory says."""
        return not self.lines()

    def lines(self) -> tuple[str, ...]:
        """Return the differences as lines for people: ``+`` is missing, ``-`` is beyond what is wanted."""
        lines = [f"+ service {name}" for name in self.services_to_add]
        lines += [f"+ host {name}" for name in self.hosts_to_add]
        lines += [f"+ {component} on {host}" for host, component in self.components_to_add]
        lines += [f"- service {name}" for name in self.services_beyond]
        lines += [f"- host {name}" for name in self.hosts_beyond]
        lines += [f"- {component} on {host}" for host, component in self.components_beyond]
        for kind, changes in self.configurations.items():
            lines += [f"~ {kind} {name}: {_shown(old)} → {_shown(new)}" for name, (old, new) in changes.items()]
        for kind, changed in self.attributes.items():
            lines += [
                f"~ {kind} {name}: {attribute} {_shown(old)} → {_shown(new)}"
                for (attribute, name), (old, new) in changed.items()
            ]
        for host, changes in self.settings.items():
            lines += [f"~ {host} {name}: {_shown(old)} → {_shown(new)}" for name, (old, new) in changes.items()]
        return tuple(lines)


def compare_cluster(
    layout: Layout, stack: StackDefinition, actual: ActualCluster, environment: Mapping[str, str] | None = None
) -> ClusterDifference:
    """Return the changes that turn ``actual`` into ``layout`` (a checked one, with what Ambari adds).

    ``environment`` is added to ``cluster-env``. Only the given properties are compared, so that those set by Ambari and
    its defaults stay; secrets are skipped.
    """
    wanted = {host: frozenset(group.names) for host, group in layout.hosts.items()}
    services = wanted_services(stack, layout.components)
    known = [host for host in wanted if host in actual.hosts]
    return ClusterDifference(
        hosts_to_add=tuple(host for host in wanted if host not in actual.hosts),
        hosts_beyond=tuple(sorted(host for host in actual.hosts if host not in wanted)),
        services_to_add=tuple(name for name in services if name not in actual.services),
        services_beyond=tuple(sorted(actual.services.difference(services))),
        components_to_add=_pairs(known, wanted, actual.hosts),
        components_beyond=_pairs(known, actual.hosts, wanted),
        configurations=configuration_changes(layout, actual.configurations, environment),
        attributes=_attribute_changes(layout, actual.attributes),
        settings=_setting_changes(layout.settings, actual.settings),
    )


def _attribute_changes(layout: Layout, actual: Mapping[str, Attributes]) -> Mapping[str, AttributeChanges]:
    """Return the attributes that differ; those that the inventory does not give are left alone."""
    found = {
        kind: attribute_changes(wanted, actual.get(kind, {}))
        for kind, wanted in property_attributes(layout.configurations).items()
    }
    return {kind: changes for kind, changes in found.items() if changes}


def _setting_changes(wanted: Settings, actual: Settings) -> dict[str, dict[str, tuple[str | None, str]]]:
    """Return the settings that differ; settings that the inventory does not give are left alone."""
    changes: dict[str, dict[str, tuple[str | None, str]]] = {}
    for host, settings in wanted.items():
        present = actual.get(host, {})
        differing = {name: (present.get(name), value) for name, value in settings.items() if present.get(name) != value}
        if differing:
            changes[host] = differing
    return changes


def _pairs(
    hosts: Sequence[str], these: Mapping[str, frozenset[str]], without: Mapping[str, frozenset[str]]
) -> tuple[tuple[str, str], ...]:
    return tuple((host, name) for host in hosts for name in sorted(these[host] - without[host]))


def configuration_changes(
    layout: Layout, actual: Properties, environment: Mapping[str, str] | None = None
) -> dict[str, dict[str, tuple[str | None, str]]]:
    """Return the properties of the whole cluster that differ: configuration type → property → old and new value.

    What is wanted is compared as Ambari has it in a cluster (see ``resolved_properties``).
    """
    wanted = resolved_properties(layout.configurations, layout)
    if environment:
        wanted = {**wanted, "cluster-env": {**environment, **wanted.get("cluster-env", {})}}
    changes: dict[str, dict[str, tuple[str | None, str]]] = {}
    for kind, properties in wanted.items():
        present = actual.get(kind, {})
        for name, new in properties.items():
            old = present.get(name)
            if not same_value(old, new) and not (old or "").startswith(SECRET_REFERENCE):
                changes.setdefault(kind, {})[name] = (old, new)
    return changes


def same_value(old: str | None, new: str) -> bool:
    """Return whether a property is as wanted. The order of lists does not matter: Ambari writes hosts in its own."""
    if old is None or "," not in new:
        return old == new
    return sorted(part.strip() for part in old.split(",")) == sorted(part.strip() for part in new.split(","))
