"""The phase ``cluster``: create the cluster from a blueprint, or reconcile an existing one with the inventory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.ambari.errors import ConflictError, RefusedError
from bigtop_builder.cluster.blueprint import NO_ADMINISTRATOR, blueprint_body, cluster_template
from bigtop_builder.cluster.comparison import compare_blueprints
from bigtop_builder.flow.deploy.agent_repositories import refresh_metadata
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.desired_layout import desired_layout, is_blueprint_of
from bigtop_builder.flow.deploy.host_states import UNINSTALLED, await_reports, listed
from bigtop_builder.flow.deploy.installed_packages import check_installed
from bigtop_builder.flow.deploy.pending_requests import settle
from bigtop_builder.flow.deploy.reconcile import environment, reconcile, require_free_hosts
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import registered
from bigtop_builder.flow.deploy.request_follower import TaskFailedError, carry_out, follow
from bigtop_builder.flow.deploy.service_state import put_state
from bigtop_builder.flow.deploy.stack_upgrade import StackUpgrade
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model import digest
from bigtop_builder.model.errors import AmbariError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.cluster import ClusterView
    from bigtop_builder.adapter.ambari.service import HostComponent


def bring_cluster(connections: Connections, world: World, reporter: Reporter) -> str:
    """Create or reconcile the cluster, upgrade its packages, and install what is not installed.

    Raises AmbariError, ConfigurationError, HostError.
    """
    view = connections.client.cluster(world.cluster)
    if view is not None:
        view = _repaired(
            connections.client,
            world,
            reporter,
            connections.client.cluster(world.cluster) if settle(connections.client, world, reporter) else view,
        )
    if view is None:
        _create(connections, world, reporter)
        return "created" if not reporter.dry_run else ""
    await_reports(connections.client, world, reporter)
    stack = StackUpgrade(connections, world, reporter, view)
    reconcile(connections, world, reporter, stack.switch())
    stack.move()
    _install(connections, world, reporter)
    return ""


def named_blueprint(client: Ambari, world: World, reporter: Reporter) -> tuple[str, dict[str, Any]]:
    """Return the blueprint's name and body. The name has a digest of the body: another layout is another blueprint."""
    body = blueprint_body(
        desired_layout(client, world, reporter),
        world.stack,
        environment(client, world),
        world.inventory.security.kerberos,
    )
    return f"{world.cluster}-{digest.of_data(body)[:12]}", body


def template(
    connections: Connections, world: World, reporter: Reporter, name: str, *, secrets: bool = True
) -> dict[str, Any]:
    """Return the body that creates the cluster; without ``secrets`` it has references in place of their values."""
    inventory = world.inventory
    kerberos = inventory.security.kerberos

    def value(reference: str, place: str) -> str:
        return connections.secrets.value(reference, place) if secrets else f"({reference})"

    version = registered(connections.client, world)
    password = inventory.default_password
    credential = None
    if kerberos is not None:
        principal, secret = kerberos.administrator or (None, None)
        credential = (
            (principal, value(secret, "security.kerberos.admin_password")) if principal and secret else NO_ADMINISTRATOR
        )
    return cluster_template(
        desired_layout(connections.client, world, reporter),
        name,
        lambda secret, place: value(secret.secret, place),
        repository_version=version.id if version else None,
        default_password=value(password, "default_password") if password else None,
        recommendation=inventory.recommendation,
        kerberos=credential,
    )


def _create(connections: Connections, world: World, reporter: Reporter) -> None:
    client = connections.client
    layout = desired_layout(connections.client, world, reporter)
    require_free_hosts(connections.client, world, reporter, tuple(layout.hosts))
    name, body = named_blueprint(connections.client, world, reporter)
    for old in client.blueprints():
        if old == name and compare_blueprints(body, client.blueprint(old) or {}):
            raise AmbariError(f"a blueprint {name} exists with different content", hint="Delete it in Ambari.")
    if name not in client.blueprints():
        shown = json.dumps(body, indent=2)
        reporter.change(
            f"blueprint {name}", shown if reporter.dry_run else "", act=lambda: client.create_blueprint(name, body)
        )
    refresh_metadata(connections, reporter, layout.hosts)
    lines = [f"+{group.name}: {', '.join(group.hosts)}: {', '.join(group.names)}" for group in layout.groups]
    started: list[int] = []
    reporter.change(
        f"cluster {world.cluster}",
        "\n".join(lines),
        act=lambda: started.append(_post(connections, world, reporter, name)),
    )
    # Nobody uses yet what this run creates: a host that registers late may make Ambari want restarts at once.
    reporter.consent.cluster_is_new = True
    for request in started:
        _follow_creation(connections.client, world, reporter, request)
        check_installed(connections, world, reporter)


def _follow_creation(client: Ambari, world: World, reporter: Reporter, request: int) -> None:
    """Follow the request that creates the cluster; components that only failed to start are left to the next phase.

    The server starts each host's components as soon as that host has installed its own, whatever other hosts still
    lack, so that a NodeManager may start before there is a ResourceManager. The phase start knows the order.
    """
    try:
        follow(client, world, reporter, request)
    except TaskFailedError as error:
        if any(task.command != "START" for task in error.tasks) or not error.tasks:
            raise
        names = ", ".join(sorted({f"{task.role} on {task.host}" for task in error.tasks}))
        reporter.notice(f"not started yet: {names}; the phase start tries again, in the stack's order", warning=True)


def _post(connections: Connections, world: World, reporter: Reporter, blueprint: str) -> int:
    """Create the cluster and return the request. The half that a rejected creation leaves behind is removed again."""
    client, name = connections.client, world.cluster
    body = template(connections, world, reporter, blueprint)
    try:
        return client.create_cluster(name, body)
    except ConflictError:
        raise
    except RefusedError:
        left = client.cluster(name)
        if left is not None and not left.hosts:
            reporter.notice(f"the rejected creation left an empty cluster {name}: removing it", warning=True)
            client.delete_cluster(name)
        raise


def _repaired(client: Ambari, world: World, reporter: Reporter, view: ClusterView | None) -> ClusterView | None:
    """Return the cluster, or None after removing one that an interrupted creation left with no more than its name.

    Ambari creates the cluster before its configurations and hosts. A server that stops in between leaves a cluster
    that nothing can be installed on. Raises AmbariError if no deployment of ours created it.
    """
    if view is None or view.hosts or "cluster-env" in view.desired_configs:
        return view
    name = world.cluster
    if not own_blueprints(client, world):
        raise AmbariError(
            f"there is an empty cluster {name}, which was not created by a deployment",
            hint="Remove it in Ambari, or choose another name.",
        )
    reporter.change(f"cluster {name} removed: its creation was interrupted", act=lambda: client.delete_cluster(name))
    return None


def _install(connections: Connections, world: World, reporter: Reporter) -> None:
    """Install the components that are new or failed before; like Ambari, leave out those in maintenance.

    Raises AmbariError if some are not installed afterwards: Ambari silently skips hosts without a heartbeat.
    """
    await_reports(connections.client, world, reporter)
    missing = uninstalled(world)
    if not missing:
        return
    refresh_metadata(connections, reporter, {one.host for one in missing})
    carry_out(
        connections.client,
        world,
        reporter,
        f"install {listed(missing)}",
        lambda: put_state(connections.client, world, "INSTALLED", missing, "Install components"),
    )
    world.expected.state(missing, "INSTALLED", current=True)
    if reporter.dry_run:
        return
    left = uninstalled(world)
    if left:
        raise AmbariError(
            f"Ambari has not installed {listed(left)}",
            hint="Are the agents of these hosts running? See `bigtop-builder status`; then run the deployment again.",
        )
    check_installed(connections, world, reporter)


def uninstalled(world: World) -> list[HostComponent]:
    """Return the components that Ambari has not installed, without those in maintenance or about to leave."""
    return [
        one
        for one in world.components()
        if one.state in UNINSTALLED and not one.maintenance and not world.is_leaving(one)
    ]


def own_blueprints(client: Ambari, world: World) -> list[str]:
    """Return the blueprints that deployments of this cluster have created."""
    return [name for name in client.blueprints() if is_blueprint_of(name, world.cluster)]
