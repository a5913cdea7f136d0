"""Ambari's configuration groups: one for each group of the inventory and service with properties of its own.

Blueprints name them ``BLUEPRINT:GROUP``; on an existing cluster they are created as ``CLUSTER:GROUP``. A group with any
other name is used if all its hosts that the inventory has are in one of the inventory's groups with properties of that
service, and keeps its name; all others belong to somebody else and are left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.cluster.comparison import same_value
from bigtop_builder.cluster.configuration import (
    SECRET_REFERENCE,
    Configuration,
    WantedAttributes,
    attribute_changes,
)
from bigtop_builder.cluster.layout import (
    Layout,
    LayoutGroup,
    property_attributes,
    resolved_properties,
    secret_properties,
)
from bigtop_builder.cluster.outdated import outdated_by_type
from bigtop_builder.flow.deploy.configuration_writer import check_group
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.desired_layout import is_blueprint_of
from bigtop_builder.flow.deploy.host_states import installed
from bigtop_builder.flow.deploy.reporter import Reporter, show_difference
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import AmbariError
from bigtop_builder.model.properties import Secret

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.configuration import ConfigGroup

HIDDEN = "(secret)"


@dataclass(frozen=True)
class _Wanted:
    """A group's properties of one service: plain ones and secrets by configuration type."""

    group: LayoutGroup
    service: str
    plain: Mapping[str, Mapping[str, str]]
    secret: Mapping[str, Mapping[str, Secret]]
    attributes: Mapping[str, WantedAttributes]

    @property
    def types(self) -> list[str]:
        return sorted({*self.plain, *self.secret})

    def shown(self, kind: str) -> dict[str, str]:
        return {**self.plain.get(kind, {}), **dict.fromkeys(self.secret.get(kind, {}), HIDDEN)}

    def as_it_is(self, kind: str, before: Configuration) -> bool:
        """Return whether the version before is as wanted; values of secrets cannot be compared."""
        wanted, old = self.shown(kind), before.properties
        hidden = self.secret.get(kind, {})
        if attribute_changes(self.attributes.get(kind, {}), before.attributes):
            return False
        return {*old} == {*wanted} and all(
            name in hidden or same_value(old[name], value) or old[name].startswith(SECRET_REFERENCE)
            for name, value in wanted.items()
        )

    def shown_with_attributes(self, kind: str, before: Configuration) -> dict[str, str]:
        """Return what the type will have, for people."""
        return before.replaced(self.shown(kind)).attributed(self.attributes.get(kind, {})).texts()


def bring_config_groups(connections: Connections, world: World, reporter: Reporter, layout: Layout) -> None:
    """Reconcile the configuration groups of an existing cluster with the inventory. Raises AmbariError."""
    client, cluster = connections.client, world.cluster
    wanted = {(one.group.name, one.service): one for one in _wanted(world, layout)}
    known = client.config_groups(cluster)
    for problem in _conflicts(world, layout, wanted, known):
        raise problem
    present = _present(world, layout, wanted, known)
    for key in sorted({*present} - {*wanted}):
        reporter.change(
            f"configuration group {present[key].name} of {key[1]} removed",
            act=partial(client.delete_config_group, cluster, present[key].id),
        )
        _expect(world, present[key].tags, present[key].hosts)
    former = {key: _configurations(connections.client, world, present[key]) for key in present if key in wanted}
    # A host must leave its former group before it can join another one.
    for key, old in former.items():
        group, hosts = present[key], frozenset(wanted[key].group.hosts)
        if group.hosts - hosts and not reporter.dry_run:
            _put(connections, world, reporter, wanted[key], hosts & group.hosts, group, old)
    for key, one in sorted(wanted.items()):
        _bring(connections, world, reporter, one, present.get(key), former.get(key, {}))


def group_conflicts(client: Ambari, world: World, layout: Layout) -> Iterator[AmbariError]:
    """Yield an error for each of somebody else's groups that has hosts which one of the inventory's groups needs."""
    wanted = {(one.group.name, one.service): one for one in _wanted(world, layout)}
    if wanted:
        yield from _conflicts(world, layout, wanted, client.config_groups(world.cluster))


_Groups = Mapping[tuple[str, str], _Wanted]
"""What is wanted, by group of the inventory and service."""


def _present(
    world: World, layout: Layout, wanted: _Groups, known: Sequence[ConfigGroup]
) -> dict[tuple[str, str], ConfigGroup]:
    """Return Ambari's groups that are the inventory's, by the latter's name and service."""
    present = {
        (name, group.service): group for group in known if (name := _own_name(group.name, world.cluster)) is not None
    }
    for group in known:
        # No host can be in two groups of a service: a group that has hosts of this one only is meant.
        hosts = group.hosts & {*layout.hosts}
        for key, one in wanted.items():
            if key[1] == group.service and hosts and hosts <= {*one.group.hosts}:
                present.setdefault(key, group)
    return present


def _conflicts(world: World, layout: Layout, wanted: _Groups, known: Sequence[ConfigGroup]) -> Iterator[AmbariError]:
    ours = {group.id for group in _present(world, layout, wanted, known).values()}
    for (name, service), one in wanted.items():
        for group in known:
            shared = sorted(group.hosts & {*one.group.hosts})
            if group.service == service and group.id not in ours and shared:
                yield AmbariError(
                    f"{', '.join(shared)}: in Ambari's configuration group {group.name!r} of {service}, which has "
                    f"{', '.join(sorted(group.hosts))}; the inventory's group {name} has properties of {service} too",
                    hint="A host can be in one configuration group of a service only. Remove these hosts from that "
                    "group in Ambari (Manage Config Groups), or make a group of the inventory of its hosts.",
                    location=world.loaded.place("groups", name, "configurations"),
                )


def _wanted(world: World, layout: Layout) -> list[_Wanted]:
    services = world.stack.configuration_types()
    found = []
    for group in layout.groups:
        plain = resolved_properties(group.configurations, layout)
        secret = secret_properties(group.configurations)
        for service in sorted({service for kind in (*plain, *secret) if (service := services.get(kind))}):
            found.append(
                _Wanted(
                    group,
                    service,
                    {kind: properties for kind, properties in plain.items() if services.get(kind) == service},
                    {kind: properties for kind, properties in secret.items() if services.get(kind) == service},
                    property_attributes(group.configurations),
                )
            )
    return found


def _own_name(name: str, cluster: str) -> str | None:
    """Return the inventory's group of a configuration group, or None if no deployment of this cluster created it."""
    maker, _, group = name.rpartition(":")
    return group if maker == cluster or is_blueprint_of(maker, cluster) else None


def _configurations(client: Ambari, world: World, group: ConfigGroup) -> dict[str, Configuration]:
    return {kind: client.configuration(world.cluster, kind, tag) for kind, tag in group.tags.items()}


def _bring(
    connections: Connections,
    world: World,
    reporter: Reporter,
    one: _Wanted,
    present: ConfigGroup | None,
    old: Mapping[str, Configuration],
) -> None:
    hosts, before = frozenset(one.group.hosts), present.hosts if present is not None else frozenset()
    kinds = sorted({*old, *one.types})
    before_of = {kind: old.get(kind, Configuration()) for kind in kinds}
    changed = [kind for kind in kinds if kind not in one.types or not one.as_it_is(kind, before_of[kind])]
    if present is not None and hosts == before and not changed:
        return
    lines = [f"-{host}" for host in sorted(before - hosts)] + [f"+{host}" for host in sorted(hosts - before)]
    for kind in changed:
        hidden = frozenset(one.secret.get(kind, {}))
        was = before_of[kind]
        lines.append(show_difference(was.texts(), one.shown_with_attributes(kind, was), kind, hidden))
    name = present.name if present is not None else f"{world.cluster}:{one.group.name}"
    reporter.change(
        f"configuration group {name} of {one.service}",
        "\n".join(lines),
        act=partial(_put, connections, world, reporter, one, hosts, present, old),
    )
    _expect(world, changed, before | hosts)
    _expect(world, kinds, before ^ hosts)


def _expect(world: World, kinds: Iterable[str], hosts: Collection[str]) -> None:
    """Take note that the components on these hosts that read the types are outdated."""
    places = [place for place in installed(world) if place[0] in hosts]
    for kind in kinds:
        world.expected.outdated(outdated_by_type(world.stack, places, kind), kind)


def _put(
    connections: Connections,
    world: World,
    reporter: Reporter,
    one: _Wanted,
    hosts: frozenset[str],
    present: ConfigGroup | None,
    old: Mapping[str, Configuration],
) -> None:
    def reveal(kind: str) -> dict[str, str]:
        place = f"groups.{one.group.name}.configurations.{kind}"
        secrets = one.secret.get(kind, {})
        return {name: connections.secrets.value(value.secret, f"{place}.{name}") for name, value in secrets.items()}

    name = present.name if present is not None else f"{world.cluster}:{one.group.name}"
    configurations = {
        kind: old.get(kind, Configuration())
        .replaced({**one.plain.get(kind, {}), **reveal(kind)})
        .attributed(one.attributes.get(kind, {}))
        for kind in one.types
    }
    connections.client.put_config_group(
        world.cluster,
        name,
        one.service,
        hosts,
        configurations,
        f"changed by {reporter.signature('deploy')}",
        present=present,
        unchanged=[kind for kind in one.types if kind in old and one.as_it_is(kind, old[kind])],
    )
    check_group(connections.client, world.cluster, name, one.service, hosts, configurations)
