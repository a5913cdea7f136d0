"""What leaves a cluster: hosts and components that the inventory no longer names, and whether they can leave safely."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from bigtop_builder.cluster.layout import Layout
from bigtop_builder.model.ambari_stack import StackDefinition

DECOMMISSIONED: Mapping[str, str] = {
    "HBASE_REGIONSERVER": "HBASE_MASTER",
    "NODEMANAGER": "RESOURCEMANAGER",
    "DATANODE": "NAMENODE",
}
"""Followers that are taken out of service first, in the order in which they leave, and the master that is told."""
MOVABLE = frozenset(
    {
        *("RESOURCEMANAGER", "HISTORYSERVER", "APP_TIMELINE_SERVER", "TIMELINE_READER", "YARN_REGISTRY_DNS"),
        *("HIVE_SERVER", "HIVE_METASTORE", "WEBHCAT_SERVER", "SECONDARY_NAMENODE", "HBASE_MASTER", "ZOOKEEPER_SERVER"),
        *("SPARK_JOBHISTORYSERVER", "SPARK_THRIFTSERVER", "LIVY_SERVER", "FLINK_HISTORYSERVER", "METRICS_MONITOR"),
        *("ROUTER", "ZEPPELIN_SERVER"),
    }
)
"""Components that keep on their host nothing that another host cannot have, apart from logs and histories."""
NAME_NODE_BY_HAND = (
    "A NameNode is moved with its metadata: with Ambari's wizard (HDFS, Service Actions, Move NameNode), or by hand: "
    "stop HDFS, copy dfs.namenode.name.dir to the new host, change the addresses in hdfs-site and core-site, start. "
    "Then change the inventory."
)
BY_HAND: Mapping[str, str] = {
    "NAMENODE": NAME_NODE_BY_HAND,
    "ZKFC": "It stays beside its NameNode. " + NAME_NODE_BY_HAND,
    "JOURNALNODE": "A JournalNode is moved with its edits: with Ambari's wizard (HDFS, Manage JournalNodes), or by "
    "hand: one at a time, copy dfs.journalnode.edits.dir to the new host, change dfs.namenode.shared.edits.dir, "
    "restart the JournalNodes and then the NameNodes. Then change the inventory.",
    "KAFKA_BROKER": "Its partitions have to go first: kafka-reassign-partitions.sh to the other brokers, then stop and "
    "delete it in Ambari.",
}
"""What has to be done instead for components that keep data on their host."""
KEPT = frozenset({"HDFS"})
"""Services that a deployment does not remove as a whole: other people's files are in them."""
OTHERS_BY_HAND = (
    "It may keep data on its host, or others may know it by its address. Move that by hand, stop the component and "
    "delete it in Ambari; then run the deployment again."
)


@dataclass(frozen=True)
class Member:
    """A component on a host, as it is.

    ``out``: whether Ambari has ordered it out of service. ``died``: whether it should run and does not.
    """

    host: str
    component: str
    service: str
    state: str
    maintenance: bool = False
    out: bool = False
    died: bool = False

    def __str__(self) -> str:
        return f"{self.component} on {self.host}"


@dataclass(frozen=True)
class Removal:
    """What leaves a cluster. ``gone``: hosts that no longer exist, so that nothing on them is stopped."""

    hosts: tuple[str, ...]
    services: tuple[str, ...]
    members: tuple[Member, ...]
    gone: frozenset[str] = frozenset()

    @property
    def nothing(self) -> bool:
        """Whether nothing leaves."""
        return not (self.hosts or self.services or self.members)

    def marked(self, out: Collection[tuple[str, str]]) -> Removal:
        """Return the same with what was ordered out of service, as pairs of host and component."""
        marked = tuple(replace(one, out=(one.host, one.component) in out) for one in self.members)
        return replace(self, members=marked)

    def lines(self) -> list[str]:
        """Return what leaves as lines for people."""
        lines = [f"- service {name}" for name in self.services]
        lines += [f"- host {host}{' (gone)' if host in self.gone else ''}" for host in self.hosts]
        return lines + [f"- {one}" for one in self.members if one.host not in self.hosts]


@dataclass(frozen=True)
class Obstacle:
    """Why something cannot leave, and what to do about it."""

    message: str
    hint: str


def removal(
    layout: Layout,
    hosts: Collection[str],
    services: Collection[str],
    wanted_services: Collection[str],
    members: Collection[Member],
    gone: Collection[str] = (),
) -> Removal:
    """Return what a cluster of ``hosts``, ``services`` and ``members`` has beyond its layout."""
    return Removal(
        tuple(sorted(host for host in hosts if host not in layout.hosts)),
        tuple(sorted(name for name in services if name not in wanted_services)),
        tuple(
            sorted(
                (
                    one
                    for one in members
                    if one.host not in layout.hosts or one.component not in layout.hosts[one.host].names
                ),
                key=lambda one: (one.host, one.component),
            )
        ),
        frozenset(gone),
    )


def obstacles(
    leaving: Removal, layout: Layout, stack: StackDefinition, members: Collection[Member], replication: int
) -> tuple[Obstacle, ...]:
    """Return everything that speaks against a removal; ``replication`` is ``dfs.replication`` of the cluster."""
    found = [one for member in leaving.members for one in _obstacle(member, stack, leaving)]
    return (*found, *_data_nodes(leaving, layout, replication), *_quorum(leaving, layout, members))


def _obstacle(member: Member, stack: StackDefinition, leaving: Removal) -> list[Obstacle]:
    name = member.component
    component = stack.component(name)
    free = (component is not None and component.is_client) or name in MOVABLE or name in DECOMMISSIONED
    # A service that leaves as a whole has nobody to hand its data to: they stay on the hosts.
    free = free or (member.service in leaving.services and member.service not in KEPT)
    if not free and member.state not in ("INIT", "INSTALL_FAILED"):
        return [Obstacle(f"{member} cannot be removed by a deployment", BY_HAND.get(name, OTHERS_BY_HAND))]
    if member.host in leaving.gone:
        return []
    if member.maintenance:
        return [Obstacle(f"{member} is in maintenance: Ambari would not stop it", "End its maintenance in Ambari.")]
    if name == "DATANODE" and member.state == "INSTALLED" and not member.out:
        return [
            Obstacle(
                f"{member} is stopped, so that its blocks cannot be copied",
                "Start it in Ambari and run the deployment again: it is decommissioned first.",
            )
        ]
    return []


def _data_nodes(leaving: Removal, layout: Layout, replication: int) -> list[Obstacle]:
    nodes = [one for one in leaving.members if one.component == "DATANODE"]
    left = len(layout.hosts_with("DATANODE"))
    if not nodes or left >= replication:
        return []
    return [
        Obstacle(
            f"{left} DataNodes would be left, fewer than dfs.replication ({replication}): the blocks of "
            f"{', '.join(one.host for one in nodes)} could not be copied",
            "Keep or add DataNodes; or lower dfs.replication, also of the files that exist (hdfs dfs -setrep), first.",
        )
    ]


def _quorum(leaving: Removal, layout: Layout, members: Collection[Member]) -> list[Obstacle]:
    """Find what would break the ensemble of ZooKeeper, whose servers may leave one at a time."""
    name = "ZOOKEEPER_SERVER"
    going = [one.host for one in leaving.members if one.component == name]
    after = sorted(layout.hosts_with(name))
    if not going or not after:
        return []
    if len(going) > 1:
        return [
            Obstacle(
                f"{len(going)} ZooKeeper servers would leave at once: {', '.join(going)}",
                "Move one at a time: keep the others in the inventory until the first one has moved.",
            )
        ]
    servers = {one.host: one for one in members if one.component == name}
    staying = [servers[host] for host in after if host in servers]
    running = [one.host for one in staying if one.state == "STARTED"]
    joined = len(staying) == len(after)
    # Once the new server is installed, what is stopped is that one; before, all that are there belong to the ensemble.
    before = sorted([*running, *going] if joined else servers)
    down = [one.host for one in staying if one.state != "STARTED" and (one.died or not joined)]
    if down or len(running) <= len(before) // 2:
        return [
            Obstacle(
                f"without the ZooKeeper server of {going[0]} too few would run: {', '.join(running) or 'none'}",
                f"Start {', '.join(down)} first."
                if down
                else "Its data would be lost: add servers to the ensemble first.",
            )
        ]
    return _renumbered(going[0], running, before, after)


def _renumbered(going: str, running: Collection[str], before: list[str], after: list[str]) -> list[Obstacle]:
    """Find servers that would change their number.

    The stack numbers servers by the order of their hosts' names (``myid``, zookeeper.py). A server that stays must keep
    its number: while servers restart one after the other, two would have the same.
    """
    changed = [host for host in running if before.index(host) != after.index(host)]
    if not changed:
        return []
    return [
        Obstacle(
            f"without the ZooKeeper server of {going}, others get new numbers (myid): {', '.join(changed)}",
            "The stack numbers servers by their hosts' names. Choose a host whose name has the same place among them; "
            "or stop ZooKeeper and what uses it in Ambari, move the server there, and start everything again.",
        )
    ]
