"""A cluster that is there, brought to the inventory's layout: hosts, services, components and configurations.

Whatever is in the cluster beyond the inventory is never taken away: that is said, and ends the deployment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari.errors import ConflictError
from bigtop_builder.cluster.blueprint import KDC_ALIAS, cluster_environment
from bigtop_builder.cluster.comparison import ActualCluster, ClusterDifference, compare_cluster
from bigtop_builder.cluster.layout import Layout, expand_tokens, plain_properties, secret_properties
from bigtop_builder.flow.deploy.config_groups import bring_config_groups
from bigtop_builder.flow.deploy.context import Deployment, show_difference
from bigtop_builder.flow.deploy.desired_layout import services_of, wanted_layout
from bigtop_builder.flow.deploy.repository import os_families, registered
from bigtop_builder.model.errors import AmbariError
from bigtop_builder.model.inventory import Secret

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.cluster import ClusterView


def environment(deployment: Deployment) -> dict[str, str]:
    """What ``cluster-env`` gets besides the stack's defaults."""
    return cluster_environment(deployment.inventory.repositories, os_families(deployment))


def demand_free(deployment: Deployment, hosts: Iterable[str]) -> None:
    """Raises AmbariError for hosts of another cluster: Ambari would take the order and wait for ever."""
    known = {host.name: host for host in deployment.client.hosts()}
    missing = [host for host in hosts if host not in known]
    if missing and not deployment.dry_run:
        raise AmbariError(
            f"these hosts have not registered with Ambari: {', '.join(missing)}", hint="Run the phase ambari first."
        )
    taken = [f"{host} ({known[host].cluster})" for host in hosts if host in known and known[host].cluster]
    if taken:
        raise AmbariError(
            f"these hosts belong to another cluster: {', '.join(taken)}",
            hint="Take them out of the inventory, or out of that cluster.",
        )


def adapt(deployment: Deployment, view: ClusterView) -> None:
    _same_security(deployment, view)
    layout = wanted_layout(deployment)
    actual = _actual(deployment, view)
    difference = compare_cluster(layout, deployment.stack, actual, environment(deployment))
    beyond = [line for line in difference.lines() if line.startswith("-")]
    if beyond:
        raise AmbariError(
            f"the cluster {deployment.cluster} is there with another layout than the inventory's:\n"
            + "\n".join(beyond),
            hint="Put into the inventory what should stay, or remove the rest in Ambari; nothing was changed.",
        )
    if difference.hosts_to_add or difference.components_to_add:
        _lend_credential(deployment)
    hosts = difference.hosts_to_add
    if hosts:
        demand_free(deployment, hosts)
        deployment.change(
            f"hosts {', '.join(hosts)} into the cluster",
            act=lambda: deployment.client.map_hosts(deployment.cluster, hosts),
        )
    fresh = _services(deployment, difference, view)
    _configure(deployment, difference, actual, fresh)
    _components(deployment, layout, difference, actual)
    bring_config_groups(deployment, layout)


def _actual(deployment: Deployment, view: ClusterView) -> ActualCluster:
    hosts: dict[str, set[str]] = {host: set() for host in view.hosts}
    for one in deployment.components():
        hosts.setdefault(one.host, set()).add(one.component)
    kinds = {*plain_properties(wanted_layout(deployment).configurations), "cluster-env"} & {*view.desired_configs}
    present = {
        kind: deployment.client.configuration(deployment.cluster, kind, view.desired_configs[kind]) for kind in kinds
    }
    return ActualCluster(
        {host: frozenset(components) for host, components in hosts.items()}, frozenset(view.services), present
    )


def _same_security(deployment: Deployment, view: ClusterView) -> None:
    wanted = "KERBEROS" if deployment.inventory.security.kerberos else "NONE"
    if view.security != wanted:
        raise AmbariError(
            f"the cluster {deployment.cluster} has the security {view.security}, the inventory says {wanted}",
            hint="Ambari's own wizard turns Kerberos on and off in a cluster that is there; nothing was changed.",
        )


def _lend_credential(deployment: Deployment) -> None:
    """What is new in a cluster with Kerberos gets identities, which Ambari makes as the administrator of the KDC."""
    kerberos = deployment.inventory.security.kerberos
    if kerberos is not None and not deployment.dry_run:
        key = deployment.secrets.value(kerberos.admin_password, "security.kerberos.admin_password")
        deployment.client.put_credential(deployment.cluster, KDC_ALIAS, kerberos.admin_principal, key)


def _services(deployment: Deployment, difference: ClusterDifference, view: ClusterView) -> set[str]:
    """New services, with their configurations before their components: Ambari fails on it the other way round. Gives
    the configuration types that are new.

    A service that has none of its types is one whose making was broken off between the two.
    """
    version = registered(deployment) if difference.services_to_add else None
    for service in difference.services_to_add:
        deployment.change(
            f"service {service}",
            act=partial(deployment.client.add_service, deployment.cluster, service, version.id if version else None),
        )
    services = services_of(deployment, wanted_layout(deployment))
    fresh: set[str] = set()
    for service in services:
        known = deployment.stack.services[service].configurations
        if service not in difference.services_to_add and (
            not known or any(kind in view.desired_configs for kind in known)
        ):
            continue
        configurations = _defaults(deployment, service, {**view.desired_configs, **dict.fromkeys(fresh, "")})
        fresh.update(configurations)
        if configurations:
            deployment.change(
                f"configurations of {service}: {', '.join(sorted(configurations))}",
                act=partial(
                    deployment.client.put_configurations,
                    deployment.cluster,
                    configurations,
                    f"{service} added by bigtop-builder",
                    services=dict.fromkeys(configurations, service),
                ),
            )
    return fresh


def _defaults(deployment: Deployment, service: str, present: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """A service's types that the cluster has not: the stack's defaults, with what the inventory gives over them. Types
    without any property are among them, for agents ask for all."""
    stack, layout = deployment.inventory.stack, wanted_layout(deployment)
    given = plain_properties(layout.configurations)
    hidden = secret_properties(layout.configurations)
    known = deployment.client.stack_defaults(stack.name, stack.version, service)
    found = {}
    for kind in {**known, **deployment.stack.services[service].configurations}:
        if kind in present:
            continue
        defaults = known.get(kind, {})
        own = {name: expand_tokens(value, layout) for name, value in given.get(kind, {}).items()}
        secrets = {name: _reveal(deployment, kind, name, value) for name, value in hidden.get(kind, {}).items()}
        found[kind] = {**defaults, **own, **secrets}
    return found


def _reveal(deployment: Deployment, kind: str, name: str, value: Secret) -> str:
    return deployment.secrets.value(value.secret, f"configurations.{kind}.{name}")


def _components(deployment: Deployment, layout: Layout, difference: ClusterDifference, actual: ActualCluster) -> None:
    """Components that hosts lack; hosts that lack the same get them in one call."""
    lacking: dict[str, set[str]] = defaultdict(set)
    for host in difference.hosts_to_add:
        lacking[host].update(layout.hosts[host].names)
    for host, component in difference.components_to_add:
        lacking[host].add(component)
    present = {name for names in actual.hosts.values() for name in names}
    new = sorted({name for names in lacking.values() for name in names} - present)
    for component in new:
        service = deployment.stack.service_of(component) or ""
        deployment.change(
            f"component {component} of {service}", act=partial(_add_component, deployment, service, component)
        )
    together: dict[frozenset[str], list[str]] = defaultdict(list)
    for host, names in lacking.items():
        together[frozenset(names)].append(host)
    for shared, hosts in together.items():
        components = sorted(shared)
        deployment.change(
            f"{', '.join(components)} on {', '.join(hosts)}",
            act=partial(deployment.client.add_host_components, deployment.cluster, components, hosts),
        )


def _add_component(deployment: Deployment, service: str, component: str) -> None:
    try:
        deployment.client.add_component(deployment.cluster, service, component)
    except ConflictError:
        return


def _configure(
    deployment: Deployment, difference: ClusterDifference, actual: ActualCluster, fresh: Collection[str]
) -> None:
    """Changed properties; types that are ``fresh`` have theirs."""
    wanted = {kind: changes for kind, changes in difference.configurations.items() if kind not in fresh}
    if not wanted:
        return
    types = deployment.stack.configuration_types()
    new: dict[str, dict[str, str]] = {}
    lines = []
    for kind, changes in wanted.items():
        before = dict(actual.configurations.get(kind, {}))
        new[kind] = {**before, **{name: value for name, (_, value) in changes.items()}}
        lines.append(show_difference(before, new[kind], kind, frozenset()))
    known = {kind: service for kind, service in types.items() if service is not None}
    deployment.change(
        f"configurations {', '.join(sorted(new))}",
        "\n".join(lines),
        act=lambda: deployment.client.put_configurations(
            deployment.cluster, new, "changed by bigtop-builder deploy", services=known
        ),
    )
