"""Alerts as agents and the server see them: looked at once per interval, and outdated until the next look.

Recorded (663, 676, 686, 708, 710) and read in the sources of 3.0 (``AlertStatusReporter``): an agent looks at the
alerts of all components on its host, started or not, when their interval has passed, and reports only those whose state
or text differs from its last report. So ``latest_timestamp`` is the time of the last change, not of the last look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bigtop_builder.ambari_simulator.engine.cluster_state import AlertState, Cluster, HostComponent
from bigtop_builder.ambari_simulator.engine.state import World

WARNING_SHARE, CRITICAL_SHARE = 0.35, 0.70
"""Shares of affected components at which the alert of a whole service is raised."""


@dataclass(frozen=True)
class Definition:
    """An alert's definition; ``interval`` in minutes."""

    name: str
    label: str
    service: str
    component: str | None
    interval: int
    source: Literal["PORT", "SCRIPT", "SERVER", "AGGREGATE"]


AMBARI = (
    Definition("ambari_agent_ulimit", "Ulimit for open files", "AMBARI", "AMBARI_AGENT", 1, "SCRIPT"),
    Definition(
        "ambari_agent_version_select",
        "Ambari Agent Distro/Conf Select Versions",
        "AMBARI",
        "AMBARI_AGENT",
        5,
        "SCRIPT",
    ),
    Definition("ambari_agent_disk_usage", "Host Disk Usage", "AMBARI", "AMBARI_AGENT", 1, "SCRIPT"),
    Definition("ambari_server_agent_heartbeat", "Ambari Agent Heartbeat", "AMBARI", "AMBARI_SERVER", 2, "SERVER"),
    Definition("ambari_server_performance", "Ambari Server Performance", "AMBARI", "AMBARI_SERVER", 5, "SERVER"),
    Definition("ambari_server_component_version", "Component Version", "AMBARI", "AMBARI_SERVER", 5, "SERVER"),
    Definition("ambari_server_stale_alerts", "Ambari Server Alerts", "AMBARI", "AMBARI_SERVER", 5, "SERVER"),
)
PERCENT = Definition(
    "zookeeper_server_process_percent", "Percent ZooKeeper Servers Available", "ZOOKEEPER", None, 1, "AGGREGATE"
)
PROCESS = "ZOOKEEPER_SERVER"
LABELS = {PROCESS: "ZooKeeper Server Process"}


def definitions(cluster: Cluster) -> list[Definition]:
    """Return the definitions of a cluster: a process alert for each server component of its services, and Ambari's."""
    own: list[Definition] = []
    for name in sorted(cluster.services):
        if name == PERCENT.service:
            own.append(PERCENT)
        for component, about in cluster.stack.services[name].components.items():
            if not about.is_client:
                label = LABELS.get(component, f"{component} Process")
                own.append(Definition(f"{component.lower()}_process", label, name, component, 1, "PORT"))
    return [*own, *AMBARI]


def look(world: World, cluster: Cluster, minute: int, now: float) -> None:
    """Look at the alerts whose interval ends with ``minute``, counted from the start of the server."""
    due = [one for one in definitions(cluster) if minute % one.interval == 0]
    present: dict[str, list[HostComponent]] = {}
    for one in cluster.components.values():
        present.setdefault(one.component, []).append(one)
    for definition in due:
        if definition.source == "PORT":
            for one in present.get(definition.component or "", ()):
                if _reports(world, one.host):
                    _report(world, cluster, definition, one.host, *_process(one), now)
        elif definition.source == "SCRIPT":
            for host in cluster.hosts:
                if _reports(world, host):
                    _report(world, cluster, definition, host, "OK", "as it should be", now)
        elif definition.name == "ambari_server_agent_heartbeat":
            for host in cluster.hosts:
                lost = host not in world.hosts or world.hosts[host].lost(now)
                text = f"{host} is not sending heartbeats" if lost else f"{host} is healthy"
                _report(world, cluster, definition, host, "CRITICAL" if lost else "OK", text, now)
        elif definition.source == "SERVER":
            _report(world, cluster, definition, None, "OK", "as it should be", now)
    if PERCENT in due:
        _sum_up(world, cluster, now)


def _reports(world: World, name: str) -> bool:
    host = world.hosts.get(name)
    return host is not None and host.registered and host.lost_at is None and host.returns_at is None


def _process(one: HostComponent) -> tuple[str, str]:
    if one.state == "STARTED":
        return "OK", "TCP OK - 0.000s response"
    return "CRITICAL", f"Connection failed: [Errno 111] Connection refused to {one.host}"


def _sum_up(world: World, cluster: Cluster, now: float) -> None:
    states = [one.state for (name, _), one in cluster.alerts.items() if name == f"{PROCESS.lower()}_process"]
    if states:
        affected = sum(state != "OK" for state in states)
        share = affected / len(states)
        state = "CRITICAL" if share >= CRITICAL_SHARE else "WARNING" if share >= WARNING_SHARE else "OK"
        _report(world, cluster, PERCENT, None, state, f"affected: [{affected}], total: [{len(states)}]", now)


def _report(
    world: World, cluster: Cluster, definition: Definition, host: str | None, state: str, text: str, now: float
) -> None:
    """Take a report, unless it says the same as the one before it."""
    key = (definition.name, host)
    former = cluster.alerts.get(key)
    if former is None:
        cluster.alerts[key] = AlertState(state, text, now, now)
    elif (former.state, former.text) != (state, text):
        changed = former.state != state
        former.occurrences = 1 if changed else former.occurrences + 1
        former.original = now if changed else former.original
        former.state, former.text, former.latest = state, text, now
    else:
        return
    world.changes += 1
