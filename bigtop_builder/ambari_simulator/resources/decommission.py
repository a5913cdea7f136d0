"""DECOMMISSION: a command to masters, which take their followers out of service (contract 8.2).

The rules are those of AmbariCustomCommandExecutionHelper. The request only tells the masters; how far DataNodes are is
seen in the NameNode's metrics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bigtop_builder.ambari_simulator.engine.cluster_state import Cluster, HostComponent
from bigtop_builder.ambari_simulator.engine.work import Work
from bigtop_builder.ambari_simulator.rest.replies import internal

COMMAND = "DECOMMISSION"
FOLLOWERS: Mapping[str, str] = {
    "NAMENODE": "DATANODE",
    "RESOURCEMANAGER": "NODEMANAGER",
    "HBASE_MASTER": "HBASE_REGIONSERVER",
}
COPY_SECONDS = 20.0
"""How long a NameNode takes to copy the blocks of a DataNode, if there are enough others."""
BLOCKS = 12
OUT, IN = "DECOMMISSIONED", "INSERVICE"


def masters_to_tell(
    work: Work, cluster: Cluster, info: Mapping[str, Any], wanted: Mapping[str, Any]
) -> list[HostComponent]:
    """Change the followers' state, and return the masters that get the command: one of HBase's, all of others.

    Raises ``Refusal`` 500.
    """
    service, master = str(wanted.get("service_name")), str(wanted.get("component_name"))
    if wanted.get("hosts"):
        raise internal("Decommission command cannot be issued with target host(s) specified.")
    follower = FOLLOWERS.get(master)
    if follower is None:
        raise internal(f"Decommissioning is not supported for {master}")
    named = str(info.get("parameters/slave_type") or follower)
    if named != follower:
        raise internal(f"Component {named} is not supported for decommissioning.")
    excluded, included = (_names(info, f"parameters/{key}_hosts") for key in ("excluded", "included"))
    if both := excluded & included:
        raise internal(f"Same host cannot be specified for inclusion as well as exclusion. Hosts: {both}")
    members = [one for one in cluster.of(service) if one.component == follower and one.maintenance == "OFF"]
    for one in members:
        if one.host in excluded and work.state_of(one) != "STARTED":
            raise internal(
                f"Component {follower} on host {one.host} cannot be decommissioned as its not in STARTED state. "
                "Aborting the whole request."
            )
    for one in members:
        if one.host in excluded and one.admin != OUT:
            one.admin, one.admin_since = OUT, work.world.now()
        if one.host in included:
            one.admin = IN
    masters = [one for one in cluster.of(service) if one.component == master]
    return masters[:1] if service == "HBASE" else masters


def _names(info: Mapping[str, Any], key: str) -> set[str]:
    return {name.strip() for name in str(info.get(key) or "").split(",") if name.strip()}


def name_node_metrics(work: Work, cluster: Cluster, one: HostComponent) -> dict[str, Any]:
    """Return ``metrics`` of a running NameNode: its DataNodes, each list as JSON in a text (NameNodeInfo of JMX)."""
    if one.component != "NAMENODE" or work.state_of(one) != "STARTED":
        return {}
    nodes = [other for other in cluster.of(one.service) if other.component == "DATANODE"]
    running = [other for other in nodes if work.state_of(other) == "STARTED"]
    states = {other.host: _admin_state(work, cluster, other, running) for other in running}
    live = {f"{host}:50010": {"infoAddr": f"{host}:50075", "adminState": state} for host, state in states.items()}
    leaving = {
        f"{host}:50010": {"underReplicatedBlocks": BLOCKS, "decommissionOnlyReplicas": 0}
        for host, state in states.items()
        if state == "Decommission In Progress"
    }
    # One that dies on its way out stays "in progress" for the NameNode: its blocks may be lost.
    dead = {
        f"{other.host}:50010": {
            "lastContact": 700,
            "decommissioned": _admin_state(work, cluster, other, running) == "Decommissioned",
        }
        for other in nodes
        if other not in running and other.state != "INIT"
    }
    texts = {"LiveNodes": live, "DecomNodes": leaving, "DeadNodes": dead}
    return {"dfs": {"namenode": {name: json.dumps(nodes) for name, nodes in texts.items()}}}


def _admin_state(work: Work, cluster: Cluster, one: HostComponent, running: Sequence[HostComponent]) -> str:
    """Blocks can only be copied if as many other DataNodes are in service as they shall have replicas."""
    if one.admin != OUT:
        return "In Service"
    others = sum(other.admin != OUT for other in running)
    replicas = int(cluster.properties("hdfs-site").get("dfs.replication", "3"))
    copied = others >= replicas and work.world.now() - one.admin_since >= COPY_SECONDS
    return "Decommissioned" if copied else "Decommission In Progress"
