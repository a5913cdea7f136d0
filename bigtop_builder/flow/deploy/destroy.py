"""The phase ``destroy``: abort requests, stop services, and remove the cluster from Ambari."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari.errors import InUseError, ServerError
from bigtop_builder.adapter.ssh import Remote
from bigtop_builder.flow.deploy.agent_repositories import remove_leftovers
from bigtop_builder.flow.deploy.cluster_setup import own_blueprints
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.host_states import UNKNOWN, await_reports, listed
from bigtop_builder.flow.deploy.pending_requests import clear
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import registered
from bigtop_builder.flow.deploy.request_follower import carry_out
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import AmbariError, ConfigurationError, HostError
from bigtop_builder.recipe.document import near

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.service import HostComponent

STOPPED = frozenset({"INIT", "INSTALLING", "INSTALLED", "INSTALL_FAILED", "UNINSTALLED", "DISABLED"})
"""States of components that do not run. Ambari would also remove a cluster with UNKNOWN ones, and leave their processes
running."""
RESTART_AGENT = "if command -v ambari-agent; then ambari-agent restart; fi"
RESTART_SECONDS = 120


def destroy_cluster(
    connections: Connections, world: World, reporter: Reporter, gone: Collection[str] = frozenset()
) -> str:
    """Remove the cluster from Ambari, with its blueprints and repository version, as far as they exist.

    ``gone``: hosts that no longer exist, so that nothing on them needs to be stopped. The order matters: removing a
    cluster with an unfinished request or a configuration group blocks the whole server (seen on a live server of 3.0).
    Raises AmbariError if Ambari does not hear from a host that may still run something, ConfigurationError for a host
    in ``gone`` that nobody knows.
    """
    client, name = connections.client, world.cluster
    view = client.cluster(name)
    if view is not None:
        _require_known(gone, {*view.hosts, *(entry.name for entry in world.loaded.hosts)})
        _abort(client, world, reporter)
        _stop(client, world, reporter, frozenset(gone))
        _remove_config_groups(client, world, reporter)
        detail = f"{len(view.hosts)} hosts, services {', '.join(view.services)}"
        reporter.change(f"cluster {name} removed", detail, act=lambda: _remove(client, name))
        _free_hosts(connections, world, reporter, {*view.hosts} - {*gone})
    for blueprint in own_blueprints(client, world):
        reporter.change(f"blueprint {blueprint} removed", act=partial(client.delete_blueprint, blueprint))
    _forget_version(client, world, reporter)
    # Last, because until then an agent may write its file again. Unreachable hosts were reported.
    remove_leftovers(connections, world, reporter, gone)
    return "" if view is not None else f"there is no cluster {name}"


def _require_known(gone: Collection[str], known: Collection[str]) -> None:
    for host in gone:
        if host not in known:
            raise ConfigurationError(
                f"--gone: neither the inventory nor the cluster has a host {host}", hint=near(host, known) or None
            )


def _remove_config_groups(client: Ambari, world: World, reporter: Reporter) -> None:
    """Remove every configuration group: a cluster with one is not deleted (610), nor is it after that until the server
    restarts (611)."""
    for group in client.config_groups(world.cluster):
        reporter.change(
            f"configuration group {group.name} of {group.service} removed",
            act=partial(client.delete_config_group, world.cluster, group.id),
        )


def _remove(client: Ambari, name: str) -> None:
    try:
        client.delete_cluster(name)
    except InUseError:
        raise
    except ServerError as error:
        error.hint = (
            "an earlier attempt may have blocked the cluster: restart the server (ambari-server restart), then run "
            f"the command again; otherwise {error.hint}"
        )
        raise


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


def _stop(client: Ambari, world: World, reporter: Reporter, gone: Collection[str]) -> None:
    """Stop the running services, judging by components: a service may report INSTALLED while a part of it runs.

    Raises AmbariError if anything runs afterwards, or may run on a host that Ambari does not hear from.
    """
    running = _running(client, world, reporter, gone)
    if not running:
        return
    services = sorted({one.service for one in running})
    carry_out(
        client,
        world,
        reporter,
        f"stop {', '.join(services)}",
        lambda: client.set_services(world.cluster, "INSTALLED", services, "Stop services"),
    )
    # Ambari leaves out lost hosts and components in maintenance without a word.
    if not reporter.dry_run and (left := _running(client, world, reporter, gone)):
        raise AmbariError(
            f"these components did not stop: {listed(left)}; the cluster is not removed",
            hint="End their maintenance if they are in maintenance, else stop them in Ambari; "
            "then run the command again.",
        )


def _running(client: Ambari, world: World, reporter: Reporter, gone: Collection[str]) -> list[HostComponent]:
    """Return the components that run, except on hosts that are gone.

    Raises AmbariError for those whose state is UNKNOWN, after waiting for their agents to report.
    """
    await_reports(client, world, reporter)
    present = [one for one in world.components() if one.host not in gone]
    unknown = [one for one in present if one.state == UNKNOWN]
    if unknown and not reporter.dry_run:
        hosts = sorted({one.host for one in unknown})
        flags = " ".join(f"--gone {host}" for host in hosts)
        raise AmbariError(
            f"Ambari does not hear from {', '.join(hosts)}, where these may still run: {listed(unknown)}; "
            "the cluster is not removed",
            hint="Start their agents (ambari-agent start) and run the command again. For hosts that no longer exist: "
            f"destroy … {flags}",
        )
    return [one for one in present if one.state not in STOPPED and one.state != UNKNOWN]


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
