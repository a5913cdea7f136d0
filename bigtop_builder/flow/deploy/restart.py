"""Restart what runs with an outdated configuration, in an order and in turns that keep services up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari.errors import RefusedError
from bigtop_builder.cluster.rolling import Restart, restarts
from bigtop_builder.flow.deploy.desired_layout import is_client
from bigtop_builder.flow.deploy.host_states import listed
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.request_follower import carry_out
from bigtop_builder.flow.deploy.verification import check_service
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.service import HostComponent

UP_SECONDS = 120.0
"""Time limit for a restarted component to be reported as running."""
STANDBY_SECONDS = 300.0
"""Time limit for a restarted NameNode to be a standby again: it reads its image first."""
WATCH_SECONDS = 25.0
"""How long the first of several is watched: agents look every 20 seconds. Recorded: DataNodes that ended 8 s after
"START COMPLETED" and were still shown as STARTED."""
CHECKS = 3
"""Service checks before the service counts as broken."""


def restart_outdated(client: Ambari, world: World, reporter: Reporter) -> bool:
    """Restart running components and clients whose configuration is outdated; stopped components stay stopped.

    Return whether there were any. Raises AmbariError if a component does not come back; those that have not had their
    turn stay as they are.
    """
    stale = [
        one
        for one in world.components()
        if one.stale and not one.maintenance and (one.state == "STARTED" or is_client(world.stack, one.component))
    ]
    placed: dict[str, set[str]] = defaultdict(set)
    for one in stale:
        placed[one.component].add(one.host)
    services = {one.component: one.service for one in stale}
    standby = _standby(client, world) if len(placed.get("NAMENODE", ())) > 1 else frozenset()
    for turn in restarts(world.stack, placed, {"NAMENODE": standby}):
        targets = [(services[name], name, sorted(placed[name] & set(turn.hosts))) for name in turn.components]
        carry_out(
            client,
            world,
            reporter,
            f"restart {', '.join(turn.components)}, whose configuration is outdated, on {', '.join(turn.hosts)}",
            partial(client.restart_components, world.cluster, targets),
        )
        if not reporter.dry_run and not is_client(world.stack, turn.components[0]):
            _await_health(client, world, reporter, turn, bool(standby))
            if turn.checked:
                _check(client, world, reporter, services[turn.components[0]], turn)
    return bool(stale)


def _await_health(client: Ambari, world: World, reporter: Reporter, turn: Restart, standby: bool) -> None:
    begin, poll = reporter.clock(), seconds(world.loaded.ambari.poll)
    while _down(world, turn) and reporter.clock() - begin < UP_SECONDS:
        reporter.sleep(poll)
    if turn.watched and not _down(world, turn):
        reporter.sleep(WATCH_SECONDS)
    down = _down(world, turn)
    if down:
        raise AmbariError(
            f"{listed(down)} does not stay up after its restart",
            hint="See its log on the host; components that had no turn yet were left as they are. Correct the "
            "configuration and run the deployment again.",
        )
    if standby and turn.components == ("NAMENODE",):
        while not {*turn.hosts} <= {*_ha_states(client, world)} and reporter.clock() - begin < STANDBY_SECONDS:
            reporter.sleep(poll)


def _down(world: World, turn: Restart) -> list[HostComponent]:
    return [
        one
        for one in world.components()
        if one.component in turn.components and one.host in turn.hosts and one.state != "STARTED"
    ]


def _check(client: Ambari, world: World, reporter: Reporter, service: str, turn: Restart) -> None:
    if not check_service(client, world, reporter, service, attempts=CHECKS):
        raise AmbariError(
            f"the service check of {service} failed after the restart of {turn.components[0]} on {turn.hosts[0]}",
            hint="Components that had no turn yet were left as they are.",
        )


def _standby(client: Ambari, world: World) -> Collection[str]:
    """Return the hosts whose NameNode is not the active one; empty if nobody says which is."""
    states = _ha_states(client, world)
    return frozenset(host for host, state in states.items() if state != "active") if "active" in states.values() else ()


def _ha_states(client: Ambari, world: World) -> Mapping[str, str]:
    """Return the state of each NameNode that reports one: ``active`` or ``standby``."""
    try:
        return client.ha_states(world.cluster, "NAMENODE")
    except RefusedError:
        return {}
