"""The phase ``destroy``: abort requests, stop services, and remove the cluster from Ambari."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari.errors import InUseError
from bigtop_builder.adapter.ssh import Remote
from bigtop_builder.flow.deploy.agent_repositories import remove_leftovers
from bigtop_builder.flow.deploy.cluster_setup import own_blueprints
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.pending_requests import clear
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import registered
from bigtop_builder.flow.deploy.request_follower import carry_out
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import AmbariError, HostError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari

REMOVABLE = frozenset({"INIT", "INSTALLING", "INSTALLED", "INSTALL_FAILED", "UNINSTALLED", "UNKNOWN", "DISABLED"})
"""States of components with which a cluster can be removed."""
RESTART_AGENT = "if command -v ambari-agent; then ambari-agent restart; fi"
RESTART_SECONDS = 120


def destroy_cluster(connections: Connections, world: World, reporter: Reporter) -> str:
    """Remove the cluster from Ambari, with its blueprints and repository version, as far as they exist.

    The order matters: removing a cluster with an unfinished request blocks the whole server (seen on a live server of
    3.0).
    """
    client, name = connections.client, world.cluster
    view = client.cluster(name)
    if view is not None:
        _abort(connections.client, world, reporter)
        _stop(connections.client, world, reporter)
        detail = f"{len(view.hosts)} hosts, services {', '.join(view.services)}"
        reporter.change(f"cluster {name} removed", detail, act=lambda: client.delete_cluster(name))
        _free_hosts(connections, world, reporter, view.hosts)
    for blueprint in own_blueprints(connections.client, world):
        reporter.change(f"blueprint {blueprint} removed", act=partial(client.delete_blueprint, blueprint))
    _forget_version(connections.client, world, reporter)
    # Last, because until then an agent may write its file again. Unreachable hosts were reported.
    remove_leftovers(connections, world, reporter)
    return "" if view is not None else f"there is no cluster {name}"


def _free_hosts(connections: Connections, world: World, reporter: Reporter, hosts: Collection[str]) -> None:
    """Restart the agents of a removed cluster's hosts.

    Ambari assigns the hosts to no other cluster before their agents have registered again (seen on a live server of
    3.0). An unreachable host only gets a warning: it hinders nothing but its own next cluster.
    """
    ours = sorted({*hosts} & {*world.hosts})
    if reporter.dry_run or not connections.hosted or not ours:
        return

    def restart(remote: Remote) -> None:
        output = remote.run(RESTART_AGENT, timeout=RESTART_SECONDS)
        if output.code:
            raise HostError(f"ambari-agent restart exited with {output.code}")

    for host, result in connections.fleet.each(restart, ours).items():
        if isinstance(result, HostError):
            reporter.notice(f"{host}: failed to restart its agent: {result.message}", warning=True)


def _abort(client: Ambari, world: World, reporter: Reporter) -> None:
    for _ in range(30):
        unfinished = client.requests(world.cluster, unfinished_only=True)
        physical = [view for view in unfinished if not view.logical]
        if not physical:
            clear(client, world, reporter, [view for view in unfinished if view.logical], "the cluster is removed")
            return
        clear(client, world, reporter, physical, "the cluster is removed")
        if reporter.dry_run:
            return
        reporter.sleep(1)
    raise AmbariError(
        f"requests of the cluster {world.cluster} did not end although they were aborted",
        hint="Restart the Ambari server; removing the cluster now would block it.",
    )


def _stop(client: Ambari, world: World, reporter: Reporter) -> None:
    """Stop the running services, judging by components: a service may report INSTALLED while a part of it runs."""
    running = sorted({one.service for one in world.components() if one.state not in REMOVABLE})
    if not running:
        return
    carry_out(
        client,
        world,
        reporter,
        f"stop {', '.join(running)}",
        lambda: client.set_services(world.cluster, "INSTALLED", running, "Stop services"),
    )


def _forget_version(client: Ambari, world: World, reporter: Reporter) -> None:
    version = registered(client, world)
    if version is None:
        return
    choice = world.inventory.stack

    def forget() -> None:
        client.delete_repository_version(choice.name, choice.version, version.id)

    try:
        reporter.change(f"version definition {choice.name}-{version.version} removed", act=forget)
    except InUseError:
        reporter.notice(f"{choice.name}-{version.version} stays registered: another cluster uses it")
