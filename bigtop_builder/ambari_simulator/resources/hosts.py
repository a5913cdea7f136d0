"""Hosts whose agents registered, and the server's own components (011-021; contract 3.1)."""

from __future__ import annotations

from typing import Any

from bigtop_builder.ambari_simulator.engine.state import Host, World
from bigtop_builder.ambari_simulator.rest.authentication import NOT_TO_BE_READ
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf
from bigtop_builder.ambari_simulator.rest.replies import DONE, Refusal, Reply

HEARTBEAT_EVERY = 10.0
"""Seconds between an agent's heartbeats."""

HOST_PROPERTIES = properties(
    "Hosts",
    "attributes cluster_name cpu_count desired_configs disk_info host_health_report host_name host_state host_status "
    "ip last_agent_env last_heartbeat_time last_registration_time maintenance_state os_arch os_family os_type "
    "ph_cpu_count public_host_name rack_info recovery_report recovery_summary total_mem",
)


def host_row(world: World, host: Host) -> dict[str, Any]:
    """Return a host's row in the list of all hosts; ``cluster_name`` only if it is in one."""
    now = world.now()
    seen = host.lost_at if host.lost_at is not None else now - (now - host.registered_at) % HEARTBEAT_EVERY
    if host.returns_at is not None:
        seen = 0.0
    row: dict[str, Any] = {
        "cpu_count": host.cpu_count,
        "desired_configs": None,
        "disk_info": [_disk()],
        "host_health_report": "",
        "host_name": host.name,
        "host_state": host.state(now),
        "host_status": world.host_status(host),
        "ip": host.ip,
        "last_agent_env": agent_environment(int(host.registered_at * 1000)),
        "last_heartbeat_time": int(seen * 1000),
        "last_registration_time": int(host.registered_at * 1000),
        "os_arch": host.architecture,
        "os_family": host.os_family,
        "os_type": host.os_type,
        "ph_cpu_count": host.cpu_count,
        "public_host_name": host.name,
        "rack_info": host.rack,
        "recovery_report": Leaf(summary="DISABLED", component_reports=[]),
        "recovery_summary": "DISABLED",
        "total_mem": host.memory_kb,
    }
    if host.cluster is not None:
        row["cluster_name"] = host.cluster
    return {"Hosts": row}


def _disk() -> Leaf:
    return Leaf(
        available="71019648",
        device="overlay",
        used="24481616",
        percent="26%",
        size="95501264",
        type="overlay",
        mountpoint="/",
    )


def agent_environment(reported: int) -> Leaf:
    """Return what an agent reported about its host on registration, at ``reported`` (milliseconds since the epoch)."""
    health = Leaf(
        activeJavaProcs=[],
        agentTimeStampAtReporting=reported,
        serverTimeStampAtReporting=0,
        liveServices=[Leaf(name="chronyd", desc="", status="Healthy")],
    )
    return Leaf(
        stackFoldersAndFiles=[],
        alternatives=[],
        existingUsers=[],
        existingRepos=[],
        installedPackages=[],
        hostHealth=health,
        umask=18,
        transparentHugePage="",
        firewallRunning=False,
        firewallName="iptables",
        hasUnlimitedJcePolicy=None,
        reverseLookup=True,
    )


def check_may_read(call: Call) -> None:
    """Users without roles may not see hosts."""
    if not call.user.admin:
        raise Refusal(403, NOT_TO_BE_READ)


def _rows(call: Call) -> list[Row]:
    return [host_row(call.world, host) for host in call.world.live_hosts()]


def _update(call: Call, rows: list[Row], body: Body) -> Reply:
    for row in rows:
        host = call.world.hosts[row["Hosts"]["host_name"]]
        set_rack(call.world, host, body)
        host.maintenance = body.properties.get("Hosts/maintenance_state", host.maintenance)
    return DONE


def set_rack(world: World, host: Host, body: Body) -> None:
    """Set the rack that a call gives, if it does; services that depend on racks must be restarted then."""
    wanted = str(body.properties.get("Hosts/rack_info", host.rack))
    changed, host.rack = wanted != host.rack, wanted
    cluster = world.clusters.get(host.cluster or "")
    if changed and cluster is not None:
        cluster.rack_changed()


def _delete(call: Call, rows: list[Row]) -> Reply:
    for row in rows:
        remove_host(call.world, row["Hosts"]["host_name"])
    return DONE


def remove_host(world: World, name: str) -> None:
    """Remove a host from the server altogether; its agent may register again."""
    for hook in world.removing:
        hook(world.hosts[name])
    del world.hosts[name]


HOST = Resource(
    type="Host",
    plural="hosts",
    key="Hosts/host_name",
    keys=("Hosts/cluster_name", "Hosts/host_name"),
    properties=HOST_PROPERTIES,
    rows=_rows,
    missing=lambda call: f"Host not found, cluster=null, hostname={call.id('Hosts/host_name')}",
    guard=check_may_read,
    update=_update,
    delete=_delete,
)
