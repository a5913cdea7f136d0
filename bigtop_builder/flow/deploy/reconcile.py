"""Reconcile an existing cluster with the inventory: hosts, services, components and configurations.

Nothing is removed here: whatever the cluster has beyond the inventory is reported and ends the deployment, unless its
removal was asked for (see ``removal``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari.errors import ConflictError
from bigtop_builder.adapter.ambari.service import new_component
from bigtop_builder.cluster.blueprint import KDC_ALIAS, NO_RETRY, cluster_environment
from bigtop_builder.cluster.comparison import ActualCluster, ClusterDifference, compare_cluster
from bigtop_builder.cluster.configuration import Configuration, with_unit
from bigtop_builder.cluster.layout import (
    Layout,
    plain_properties,
    property_attributes,
    resolved_properties,
    secret_properties,
)
from bigtop_builder.cluster.layout_fields import RACK
from bigtop_builder.cluster.outdated import outdated_by_type, outdated_with
from bigtop_builder.flow.deploy.config_groups import bring_config_groups
from bigtop_builder.flow.deploy.configuration_writer import write_configurations
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.desired_layout import desired_layout, is_client, services_of
from bigtop_builder.flow.deploy.existing_cluster import beyond, other_security, taken_hosts
from bigtop_builder.flow.deploy.host_states import installed
from bigtop_builder.flow.deploy.removal import with_moved_hosts
from bigtop_builder.flow.deploy.reporter import Reporter, show_difference
from bigtop_builder.flow.deploy.repository import os_families, registered
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import AmbariError
from bigtop_builder.model.properties import Secret

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.cluster import ClusterView
    from bigtop_builder.adapter.secret import Secrets


def environment(client: Ambari, world: World) -> dict[str, str]:
    """Return the properties that ``cluster-env`` gets besides the stack's defaults."""
    return cluster_environment(world.inventory.repositories, os_families(client, world))


def _environment_of(client: Ambari, world: World, present: Configuration | None) -> dict[str, str]:
    """Return the properties that an existing cluster's ``cluster-env`` should have.

    Ambari turns endless retries on for clusters from blueprints alone: without the property there are none.
    """
    wanted = environment(client, world)
    has = present.properties if present is not None else {}
    return {name: value for name, value in wanted.items() if name in has or NO_RETRY.get(name) != value}


def require_free_hosts(client: Ambari, world: World, reporter: Reporter, hosts: Sequence[str]) -> None:
    """Raise AmbariError for hosts of another cluster: Ambari would accept the request and wait forever."""
    known = {host.name: host for host in client.hosts()}
    missing = [host for host in hosts if host not in known]
    if missing and not reporter.dry_run:
        raise AmbariError(
            f"these hosts have not registered with Ambari: {', '.join(missing)}", hint="Run the phase ambari first."
        )
    for error in taken_hosts(client, world, tuple(hosts)):
        raise error


def reconcile(connections: Connections, world: World, reporter: Reporter, view: ClusterView) -> None:
    """Add to the cluster what the inventory has beyond it, and change what differs.

    Raises AmbariError if the cluster has anything beyond the inventory; nothing is changed then.
    """
    for refusal in other_security(world, view):
        raise refusal
    layout = desired_layout(connections.client, world, reporter)
    for obstacle in beyond(connections.client, world, view):
        raise obstacle
    layout = with_moved_hosts(connections.client, world, reporter, view, layout)
    present = _configurations(connections.client, world, layout, view)
    actual = _actual(connections.client, world, layout, view, present)
    difference = compare_cluster(
        layout, world.stack, actual, _environment_of(connections.client, world, present.get("cluster-env"))
    )
    if difference.hosts_to_add or difference.components_to_add:
        _lend_credential(connections, world, reporter)
    hosts = difference.hosts_to_add
    if hosts:
        require_free_hosts(connections.client, world, reporter, hosts)
        reporter.change(
            f"hosts {', '.join(hosts)} into the cluster",
            act=lambda: connections.client.map_hosts(world.cluster, hosts),
        )
    for host, changes in difference.settings.items():
        new = {name: value for name, (_, value) in changes.items()}
        old = {name: value for name, (value, _) in changes.items() if value is not None}
        reporter.change(
            f"settings of {host}: {', '.join(f'{name} {value}' for name, value in new.items())}",
            show_difference(old, new, host, frozenset()),
            act=partial(connections.client.set_host, world.cluster, host, new),
        )
        if RACK in new:
            world.expected.outdated(outdated_with(world.stack, installed(world), "rack", view.services), "a new rack")
    fresh = _services(connections, world, reporter, difference, view)
    for kind in sorted(fresh):
        world.expected.outdated(outdated_by_type(world.stack, installed(world), kind), kind)
    _configure(connections.client, world, reporter, difference, present, view.desired_configs, fresh)
    _components(connections.client, world, reporter, layout, difference, actual)
    bring_config_groups(connections, world, reporter, layout)


def _configurations(client: Ambari, world: World, layout: Layout, view: ClusterView) -> dict[str, Configuration]:
    """Read the types that the inventory says something about, as far as the cluster has them."""
    kinds = {*plain_properties(layout.configurations), "cluster-env"} & {*view.desired_configs}
    return {kind: client.configuration(world.cluster, kind, view.desired_configs[kind]) for kind in sorted(kinds)}


def _actual(
    client: Ambari, world: World, layout: Layout, view: ClusterView, present: Mapping[str, Configuration]
) -> ActualCluster:
    hosts: dict[str, set[str]] = {host: set() for host in view.hosts}
    for one in world.components():
        hosts.setdefault(one.host, set()).add(one.component)
    registered = client.hosts() if layout.settings else ()
    return ActualCluster(
        {host: frozenset(components) for host, components in hosts.items()},
        frozenset(view.services),
        {kind: one.properties for kind, one in present.items()},
        {kind: one.attributes for kind, one in present.items()},
        {host.name: host.settings for host in registered},
    )


def _lend_credential(connections: Connections, world: World, reporter: Reporter) -> None:
    """Give Ambari the KDC administrator's credential: it creates identities for whatever is new in the cluster."""
    kerberos = world.inventory.security.kerberos
    if kerberos is not None and kerberos.administrator is not None and not reporter.dry_run:
        principal, password = kerberos.administrator
        key = connections.secrets.value(password, "security.kerberos.admin_password")
        connections.client.put_credential(world.cluster, KDC_ALIAS, principal, key)


def _services(
    connections: Connections, world: World, reporter: Reporter, difference: ClusterDifference, view: ClusterView
) -> set[str]:
    """Add new services with their configurations; return the configuration types that are new.

    Ambari fails if components are added before configurations. A service without any of its types is one whose
    creation was interrupted between the two.
    """
    version = registered(connections.client, world) if difference.services_to_add else None
    for service in difference.services_to_add:
        reporter.change(
            f"service {service}",
            act=partial(connections.client.add_service, world.cluster, service, version.id if version else None),
        )
    services = services_of(world.stack, desired_layout(connections.client, world, reporter))
    fresh: set[str] = set()
    for service in services:
        known = world.stack.services[service].configurations
        if service not in difference.services_to_add and (
            not known or any(kind in view.desired_configs for kind in known)
        ):
            continue
        configurations = _defaults(
            connections, world, reporter, service, {**view.desired_configs, **dict.fromkeys(fresh, "")}
        )
        fresh.update(configurations)
        if configurations:
            reporter.change(
                f"configurations of {service}: {', '.join(sorted(configurations))}",
                act=partial(
                    write_configurations,
                    connections.client,
                    world.cluster,
                    configurations,
                    {},
                    f"{service} added: {reporter.signature('deploy')}",
                    dict.fromkeys(configurations, service),
                ),
            )
    return fresh


def _defaults(
    connections: Connections, world: World, reporter: Reporter, service: str, present: Mapping[str, str]
) -> dict[str, Configuration]:
    """Return the configuration types of a service that the cluster lacks: the inventory's values over stack defaults.

    Types without any property are included, because agents request all of them.
    """
    stack, layout = world.inventory.stack, desired_layout(connections.client, world, reporter)
    given = resolved_properties(layout.configurations, layout)
    attributes = property_attributes(layout.configurations)
    hidden = secret_properties(layout.configurations)
    known = connections.client.stack_defaults(stack.name, stack.version, service)
    found = {}
    for kind in {**known, **world.stack.services[service].configurations}:
        if kind in present:
            continue
        secrets = {
            name: _reveal(connections.secrets, kind, name, value) for name, value in hidden.get(kind, {}).items()
        }
        default = known.get(kind, Configuration())
        sized = {name: with_unit(kind, name, value) for name, value in default.properties.items()}
        values = {**sized, **given.get(kind, {}), **secrets}
        found[kind] = default.changed(values).attributed(attributes.get(kind, {}))
    return found


def _reveal(secrets: Secrets, kind: str, name: str, value: Secret) -> str:
    return secrets.value(value.secret, f"configurations.{kind}.{name}")


def _components(
    client: Ambari,
    world: World,
    reporter: Reporter,
    layout: Layout,
    difference: ClusterDifference,
    actual: ActualCluster,
) -> None:
    """Add the components that hosts lack, in one call for all hosts that lack the same ones."""
    lacking: dict[str, set[str]] = defaultdict(set)
    for host in difference.hosts_to_add:
        lacking[host].update(layout.hosts[host].names)
    for host, component in difference.components_to_add:
        lacking[host].add(component)
    present = {name for names in actual.hosts.values() for name in names}
    new = sorted({name for names in lacking.values() for name in names} - present)
    for component in new:
        service = world.stack.service_of(component) or ""
        reporter.change(
            f"component {component} of {service}", act=partial(_add_component, client, world, service, component)
        )
    together: dict[frozenset[str], list[str]] = defaultdict(list)
    for host, names in lacking.items():
        together[frozenset(names)].append(host)
    servers = sorted({name for names in lacking.values() for name in names if not is_client(world.stack, name)})
    for component in servers:
        service = world.stack.service_of(component) or ""
        asking = outdated_with(world.stack, installed(world), "added", [service])
        world.expected.outdated(asking, f"one more {component}")
    for shared, hosts in together.items():
        components = sorted(shared)
        reporter.change(
            f"{', '.join(components)} on {', '.join(hosts)}",
            act=partial(client.add_host_components, world.cluster, components, hosts),
        )
        world.expected.added(
            new_component(host, component, world.stack.service_of(component) or "")
            for host in hosts
            for component in components
        )


def _add_component(client: Ambari, world: World, service: str, component: str) -> None:
    try:
        client.add_component(world.cluster, service, component)
    except ConflictError:
        return


def _configure(
    client: Ambari,
    world: World,
    reporter: Reporter,
    difference: ClusterDifference,
    present: Mapping[str, Configuration],
    tags: Mapping[str, str],
    fresh: Collection[str],
) -> None:
    """Change the properties that differ; types in ``fresh`` were just created with the right ones.

    ``present`` and ``tags``: the existing types and their versions.
    """
    wanted = [kind for kind in {**difference.configurations, **difference.attributes} if kind not in fresh]
    if not wanted:
        return
    types = world.stack.configuration_types()
    new: dict[str, Configuration] = {}
    lines = []
    for kind in wanted:
        before = present.get(kind, Configuration())
        values = {name: value for name, (_, value) in difference.configurations.get(kind, {}).items()}
        attributes: dict[str, dict[str, str | None]] = defaultdict(dict)
        for (attribute, name), (_, value) in difference.attributes.get(kind, {}).items():
            attributes[attribute][name] = value
        new[kind] = before.changed(values).attributed(attributes)
        lines.append(show_difference(before.texts(), new[kind].texts(), kind, frozenset()))
        world.expected.outdated(outdated_by_type(world.stack, installed(world), kind), kind)
    known = {kind: service for kind, service in types.items() if service is not None}
    reporter.change(
        f"configurations {', '.join(sorted(new))}",
        "\n".join(lines),
        act=lambda: write_configurations(
            client,
            world.cluster,
            new,
            {kind: tags[kind] for kind in new if kind in tags},
            f"changed by {reporter.signature('deploy')}",
            known,
        ),
    )
