"""The phase ``cluster``: made from a blueprint when it is not there, else brought to the inventory's layout.

Whatever is in the cluster beyond the inventory is never taken away: that is said, and ends the deployment.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.ambari.errors import ConflictError, RefusedError
from bigtop_builder.cluster.blueprint import blueprint_body, cluster_environment, cluster_template
from bigtop_builder.cluster.comparison import ActualCluster, ClusterDifference, compare_blueprints, compare_cluster
from bigtop_builder.cluster.layout import Layout, expand_tokens, plain_properties, secret_properties
from bigtop_builder.flow.deploy.context import Deployment, show_difference
from bigtop_builder.flow.deploy.following import carry_out, follow
from bigtop_builder.flow.deploy.grouping import bring_config_groups
from bigtop_builder.flow.deploy.installed import check_installed
from bigtop_builder.flow.deploy.repository import os_families, registered
from bigtop_builder.flow.deploy.settling import settle
from bigtop_builder.flow.deploy.starting import listed, put_state
from bigtop_builder.flow.deploy.upgrading import upgrade
from bigtop_builder.flow.deploy.wanted import is_blueprint_of, services_of, wanted_layout
from bigtop_builder.model import digest
from bigtop_builder.model.errors import AmbariError
from bigtop_builder.model.inventory import Secret

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.cluster import ClusterView
    from bigtop_builder.adapter.ambari.service import HostComponent

UNINSTALLED = ("INIT", "INSTALLING", "INSTALL_FAILED")
"""INSTALLING too, for nothing of the cluster runs when this is asked: a server that was restarted leaves it behind."""


def bring_cluster(deployment: Deployment) -> str:
    """Create or adapt the cluster, move it to other packages, install what is not installed.

    Raises AmbariError, ConfigurationError, HostError.
    """
    view = deployment.client.cluster(deployment.cluster)
    if view is not None:
        view = _whole(deployment, deployment.client.cluster(deployment.cluster) if settle(deployment) else view)
    if view is None:
        _create(deployment)
        return "made" if not deployment.dry_run else ""
    _adapt(deployment, view)
    upgrade(deployment)
    _install(deployment)
    return ""


def environment(deployment: Deployment) -> dict[str, str]:
    """What ``cluster-env`` gets besides the stack's defaults."""
    return cluster_environment(deployment.inventory.repositories, os_families(deployment))


def named_blueprint(deployment: Deployment) -> tuple[str, dict[str, Any]]:
    """The blueprint's name and body. The name holds the body's digest: another layout is another blueprint."""
    body = blueprint_body(
        wanted_layout(deployment), deployment.stack, environment(deployment), deployment.inventory.security.kerberos
    )
    return f"{deployment.cluster}-{digest.of_data(body)[:12]}", body


def template(deployment: Deployment, name: str, *, secrets: bool = True) -> dict[str, Any]:
    """The body that makes the cluster; ``secrets`` False puts references in place of values."""
    inventory = deployment.inventory
    kerberos = inventory.security.kerberos

    def value(reference: str, place: str) -> str:
        return deployment.secrets.value(reference, place) if secrets else f"({reference})"

    version = registered(deployment)
    password = inventory.default_password
    return cluster_template(
        wanted_layout(deployment),
        name,
        lambda secret, place: value(secret.secret, place),
        repository_version=version.id if version else None,
        default_password=value(password, "default_password") if password else None,
        recommendation=inventory.recommendation,
        kerberos=kerberos,
        kerberos_password=value(kerberos.admin_password, "security.kerberos.admin_password") if kerberos else None,
    )


def _create(deployment: Deployment) -> None:
    client = deployment.client
    layout = wanted_layout(deployment)
    _free(deployment, layout.hosts)
    name, body = named_blueprint(deployment)
    for old in client.blueprints():
        if old == name and compare_blueprints(body, client.blueprint(old) or {}):
            raise AmbariError(f"the blueprint {name} is there with another content", hint="Delete it in Ambari.")
    if name not in client.blueprints():
        shown = json.dumps(body, indent=2)
        deployment.change(
            f"blueprint {name}", shown if deployment.dry_run else "", act=lambda: client.create_blueprint(name, body)
        )
    lines = [f"+{group.name}: {', '.join(group.hosts)}: {', '.join(group.names)}" for group in layout.groups]
    started: list[int] = []
    deployment.change(
        f"cluster {deployment.cluster}", "\n".join(lines), act=lambda: started.append(_post(deployment, name))
    )
    for request in started:
        follow(deployment, request)
        check_installed(deployment)


def _post(deployment: Deployment, blueprint: str) -> int:
    """Create the cluster. A half that a refused creation leaves behind is ours, and is removed again."""
    client, name = deployment.client, deployment.cluster
    body = template(deployment, blueprint)
    try:
        return client.create_cluster(name, body)
    except ConflictError:
        raise
    except RefusedError:
        left = client.cluster(name)
        if left is not None and not left.hosts:
            deployment.notice(f"the refused creation left an empty cluster {name}: it is removed", warning=True)
            client.delete_cluster(name)
        raise


def _whole(deployment: Deployment, view: ClusterView | None) -> ClusterView | None:
    """The cluster; None once one is removed of which a creation has left no more than the name.

    Ambari makes the cluster before its configurations and hosts, so that a server which ends in between leaves one
    that nothing can be installed on. Raises AmbariError when such a one is not of our making.
    """
    if view is None or view.hosts or "cluster-env" in view.desired_configs:
        return view
    name = deployment.cluster
    if not own_blueprints(deployment):
        raise AmbariError(
            f"there is an empty cluster {name}, which no deployment has made",
            hint="Remove it in Ambari, or take another name.",
        )
    deployment.change(
        f"cluster {name} removed: its creation was broken off", act=lambda: deployment.client.delete_cluster(name)
    )
    return None


def _free(deployment: Deployment, hosts: Iterable[str]) -> None:
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


def _adapt(deployment: Deployment, view: ClusterView) -> None:
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
    hosts = difference.hosts_to_add
    if hosts:
        _free(deployment, hosts)
        deployment.change(
            f"hosts {', '.join(hosts)} into the cluster",
            act=lambda: deployment.client.map_hosts(deployment.cluster, hosts),
        )
    fresh = _services(deployment, difference, view)
    _configure(deployment, difference, actual, fresh)
    _components(deployment, layout, difference, actual)
    bring_config_groups(deployment, layout)


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


def _install(deployment: Deployment) -> None:
    """Whatever is on a host of the cluster and not installed: new, or failed before. What is in maintenance is left
    alone, as Ambari does.

    Raises AmbariError when some of it is not installed afterwards: Ambari leaves lost hosts out without a word.
    """
    missing = _uninstalled(deployment)
    if not missing:
        return
    carry_out(
        deployment,
        f"install {listed(missing)}",
        lambda: put_state(deployment, "INSTALLED", missing, "Install components"),
    )
    if deployment.dry_run:
        return
    left = _uninstalled(deployment)
    if left:
        raise AmbariError(
            f"Ambari has not installed {listed(left)}",
            hint="Are the agents of these hosts alive? `bigtop-builder status` tells; then run the deployment again.",
        )
    check_installed(deployment)


def _uninstalled(deployment: Deployment) -> list[HostComponent]:
    return [one for one in deployment.components() if one.state in UNINSTALLED and not one.maintenance]


def own_blueprints(deployment: Deployment) -> list[str]:
    """Blueprints that deployments of this cluster have made."""
    return [name for name in deployment.client.blueprints() if is_blueprint_of(name, deployment.cluster)]
