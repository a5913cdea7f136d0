"""The desired layout of a cluster: which components are on which hosts, and which of them should run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bigtop_builder.flow.deploy.recommended_values import with_recommended
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.cluster import ClusterView
    from bigtop_builder.adapter.ambari.service import HostComponent
    from bigtop_builder.cluster.layout import Layout
    from bigtop_builder.cluster.property_names import Served
    from bigtop_builder.model.ambari_stack import StackDefinition


def desired_layout(client: Ambari, world: World, reporter: Reporter) -> Layout:
    """Return the checked layout, with what Ambari adds to it and recommended properties under the inventory's own.

    With ``layout: auto`` the stack advisor recommends it.

    It is determined once. Raises ConfigurationErrors with their locations, AmbariError if the advisor fails.
    """
    if world.layout is None:
        from bigtop_builder.cluster.layout import layout_of
        from bigtop_builder.cluster.layout_rules import check_layout

        inventory = world.inventory
        own = layout_of(world.loaded) if inventory.placement == "groups" else _recommended(client, world)
        view = _existing(client, world)
        checked = check_layout(
            _with_high_availability(client, world, reporter, own, view),
            world.stack,
            world.loaded.place,
            services=tuple(inventory.services),
            kerberos=inventory.security.kerberos is not None,
            default_password=inventory.default_password is not None,
            served=_served(client, world),
        )
        layout, spared = _spared(own, checked.layout, view, world.components() if view is not None else ())
        for text in checked.added:
            if not text.startswith(spared):
                reporter.notice(text)
        for text in checked.warnings:
            reporter.notice(text, warning=True)
        world.layout = with_recommended(client, world, reporter, layout)
    return world.layout


def _served(client: Ambari, world: World) -> Served | None:
    """Return how to ask the server for the names of a service's properties; None without one."""
    if not (world.inventory.ambari and world.server_answers):
        return None
    stack = world.inventory.stack

    def names(service: str | None) -> Mapping[str, Iterable[str]]:
        found: dict[str, set[str]] = {}
        for one in client.stack_properties(stack.name, stack.version, service):
            found.setdefault(one.type, set()).add(one.name)
        return found

    return names


def _existing(client: Ambari, world: World) -> ClusterView | None:
    """Return the cluster if it exists; without hosts it is what an interrupted creation left, which goes."""
    view = client.cluster(world.cluster) if world.inventory.ambari and world.server_answers else None
    return view if view is not None and view.hosts else None


def _spared(
    own: Layout, checked: Layout, view: ClusterView | None, components: Sequence[HostComponent]
) -> tuple[Layout, tuple[str, ...]]:
    """Return the layout without components that a new cluster would get besides its own, but this one does without.

    Whoever made the cluster did not want them, unless its hosts get something new by now, which may need them. Also
    return how the lines about those components begin.
    """
    if view is None:
        return checked, ()
    present: dict[str, set[str]] = {host: set() for host in view.hosts}
    for one in components:
        present.setdefault(one.host, set()).add(one.component)
    given = {group.name: set(group.names) for group in own.groups}
    groups, spared = [], []
    for group in checked.groups:
        settled = all(given[group.name] <= present.get(host, set()) for host in group.hosts)
        absent = {
            name
            for name in group.names
            if settled and name not in given[group.name] and not any(name in present[host] for host in group.hosts)
        }
        groups.append(replace(group, components=tuple(one for one in group.components if one.name not in absent)))
        spared += [f"{name} on {group.name}:" for name in absent]
    return replace(checked, groups=tuple(groups)), tuple(spared)


HA_TYPES = ("hdfs-site", "core-site", "yarn-site", "hbase-site", "hive-site", "zoo.cfg")


def _with_high_availability(
    client: Ambari, world: World, reporter: Reporter, layout: Layout, view: ClusterView | None
) -> Layout:
    """Return the layout with the properties of high availability that follow from it, and show them.

    Raises ConfigurationError if the cluster exists without it.
    """
    from bigtop_builder.cluster.high_availability import high_availability

    present: dict[str, Mapping[str, str]] = {}
    if view is not None and high_availability(layout, world.cluster, {}).properties:
        tags = view.desired_configs
        present = {
            kind: client.configuration(world.cluster, kind, tags[kind]).properties for kind in HA_TYPES if kind in tags
        }
    derived = high_availability(layout, world.cluster, present)
    for problem in derived.problems:
        raise ConfigurationError(problem.message, hint=problem.hint, location=world.loaded.place(*problem.path))
    for kind, properties in derived.properties.items():
        listed = ", ".join(f"{name}={value}" for name, value in properties.items())
        reporter.notice(f"high availability, from the layout: {kind}: {listed}")
    for text in derived.differing:
        reporter.notice(f"{text}; it stays. Give it in configurations to change it.", warning=True)
    return derived.layout


def _recommended(client: Ambari, world: World) -> Layout:
    from bigtop_builder.cluster.layout import layout_recommended
    from bigtop_builder.cluster.layout_fields import host_settings

    inventory = world.inventory
    if not inventory.services:
        raise ConfigurationError(
            "layout: auto requires services to place", location=world.loaded.place("layout"), hint="Give services."
        )
    advice = client.recommend(
        inventory.stack.name, inventory.stack.version, "host_groups", world.hosts, inventory.services
    )
    return layout_recommended(advice, inventory.configurations, host_settings(world.loaded.hosts))


def starting(stack: StackDefinition, layout: Layout) -> dict[str, set[str]]:
    """Return the components that should run, by host."""
    return {
        host: {
            placed.name
            for placed in group.components
            if placed.provision != "INSTALL_ONLY" and not is_client(stack, placed.name)
        }
        for host, group in layout.hosts.items()
    }


def is_client(stack: StackDefinition, component: str) -> bool:
    """Return whether a component is only installed, never started."""
    known = stack.component(component)
    return known is not None and known.is_client


def services_of(stack: StackDefinition, layout: Layout) -> list[str]:
    """Return the services of a layout's components."""
    found = (stack.service_of(name) for name in layout.components)
    return list(dict.fromkeys(name for name in found if name is not None))


def as_recommendation(layout: Layout) -> dict[str, Any]:
    """Return a layout in the format of the stack advisor."""
    return {
        "blueprint": {
            "configurations": {},
            "host_groups": [
                {"name": group.name, "components": [{"name": name} for name in group.names]} for group in layout.groups
            ],
        },
        "blueprint_cluster_binding": {
            "host_groups": [
                {"name": group.name, "hosts": [{"fqdn": host} for host in group.hosts]} for group in layout.groups
            ]
        },
    }


def is_blueprint_of(blueprint: str, cluster: str) -> bool:
    """Return whether a deployment of this cluster created the blueprint: ``CLUSTER-0123456789ab``."""
    return re.fullmatch(re.escape(cluster) + r"-[0-9a-f]{12}", blueprint) is not None
