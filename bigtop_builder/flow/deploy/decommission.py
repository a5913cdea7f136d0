"""Take followers out of service before they are stopped, and wait until nothing depends on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari.errors import RefusedError
from bigtop_builder.cluster.removal import DECOMMISSIONED, Member
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.request_follower import carry_out
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError, LimitError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.decommission import DataNodeState

ANSWER_SECONDS = 180.0
"""Time limit for a NameNode to say anything about its DataNodes: Ambari asks it anew every minute."""


def decommission(client: Ambari, world: World, reporter: Reporter, members: Sequence[Member]) -> None:
    """Take running followers of one kind out of service, unless that was ordered before. Raises AmbariError."""
    running = [one for one in members if one.state == "STARTED"]
    new = [one for one in running if not one.out]
    if not new:
        return
    component, service = new[0].component, new[0].service
    if component == "DATANODE" and not reporter.dry_run:
        _require_others(client, world, members)
    hosts = [one.host for one in new]
    carry_out(
        client,
        world,
        reporter,
        f"decommission {component} on {', '.join(hosts)}",
        partial(client.decommission, world.cluster, service, DECOMMISSIONED[component], component, hosts),
        disrupts=[str(one) for one in new],
    )


def _require_others(client: Ambari, world: World, members: Sequence[Member]) -> None:
    """Raise AmbariError if too few DataNodes run for the blocks of those that leave."""
    leaving = {one.host for one in members}
    running = [
        one.host
        for one in world.components()
        if one.component == "DATANODE" and one.state == "STARTED" and one.host not in leaving
    ]
    tag = client.desired_configurations(world.cluster).get("hdfs-site")
    properties = client.configuration(world.cluster, "hdfs-site", tag).properties if tag else {}
    replication = properties.get("dfs.replication", "3")
    if replication.isdigit() and len(running) < int(replication):
        raise AmbariError(
            f"only {len(running)} of the DataNodes that stay run, fewer than dfs.replication ({replication}); "
            "none was decommissioned",
            hint="Start the others, then run the deployment again.",
        )


def await_decommission(client: Ambari, world: World, reporter: Reporter, hosts: Sequence[str]) -> None:
    """Wait until the NameNode has copied all blocks of DataNodes.

    Raises AmbariError if a node dies meanwhile or the NameNode says nothing, LimitError if it gets no further for
    ``ambari.request_timeout``; the decommission continues then, and the next run waits for it.
    """
    if not hosts or reporter.dry_run:
        return
    choice = world.loaded.ambari
    begin = last = reporter.clock()
    seen: dict[str, DataNodeState] = {}
    while True:
        known = _states(client, world)
        states = {host: known[host] for host in hosts if host in known}
        left = {host: states[host] for host in hosts if host in states and not states[host].decommissioned}
        if len(states) == len(hosts) and not left:
            return
        dead = [host for host, state in left.items() if not state.live]
        if dead:
            raise AmbariError(
                f"the DataNode of {', '.join(dead)} died before its blocks were copied; it was not removed",
                hint="Start it in Ambari and run the deployment again.",
            )
        if states != seen:
            last, seen = reporter.clock(), states
            if left:
                reporter.notice("waiting for HDFS to copy blocks: " + "; ".join(map(_told, left, left.values())))
        if len(states) < len(hosts) and reporter.clock() - begin > ANSWER_SECONDS:
            silent = ", ".join(host for host in hosts if host not in states)
            raise AmbariError(
                f"the NameNode does not say how far the decommission of {silent} is; nothing was stopped",
                hint="Look with: hdfs dfsadmin -report -decommissioning. Is the NameNode up, and does Ambari reach its "
                "web port? Then run the deployment again.",
            )
        if reporter.clock() - last > seconds(choice.request_timeout):
            raise LimitError(
                f"the decommission of {', '.join(left)} got no further for {choice.request_timeout}; it continues",
                hint="See hdfs dfsadmin -report: files with more replicas than DataNodes (hdfs fsck /) hold it up. Run "
                "the deployment again to wait on, or raise ambari.request_timeout.",
            )
        reporter.sleep(max(seconds(choice.poll), 1.0))


def _told(host: str, state: DataNodeState) -> str:
    return f"{host}: {state.state}" + (f", {state.blocks} blocks left" if state.blocks is not None else "")


def _states(client: Ambari, world: World) -> Mapping[str, DataNodeState]:
    """Return the DataNodes as the active NameNode sees them, or the only one that answers."""
    found = client.data_nodes(world.cluster)
    if len(found) > 1:
        try:
            roles = client.ha_states(world.cluster, "NAMENODE")
        except RefusedError:
            roles = {}
        found = {host: nodes for host, nodes in found.items() if roles.get(host) == "active"} or found
    nodes: dict[str, DataNodeState] = {}
    for one in found.values():
        # Without knowing the active one, the worst that any of them says counts.
        for host, state in one.items():
            if host not in nodes or nodes[host].decommissioned:
                nodes[host] = state
    return nodes
