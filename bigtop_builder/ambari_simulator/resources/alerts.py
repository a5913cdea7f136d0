"""Alerts of clusters and services. The recorded server had none (149); here a lost host or dead process raises one."""

from __future__ import annotations

from collections.abc import Iterable

from bigtop_builder.ambari_simulator.engine.cluster_state import Cluster, HostComponent
from bigtop_builder.ambari_simulator.engine.work import work_of
from bigtop_builder.ambari_simulator.resources.requests import cluster_of
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf

STATES = ("CRITICAL", "MAINTENANCE", "OK", "UNKNOWN", "WARNING")


def summary(critical: int = 0) -> Leaf:
    """``alerts_summary``."""
    return Leaf(dict.fromkeys(STATES, 0) | {"CRITICAL": critical})


def alert_rows(call: Call) -> Iterable[Row]:
    """Return a CRITICAL alert for each component that should run and does not, and for each lost host."""
    cluster = cluster_of(call)
    service = call.ids.get("ServiceInfo/service_name")
    rows: list[Row] = []
    for host in sorted(cluster.hosts) if service is None else ():
        if work_of(call.world).lost(host):
            text = f"{host} is not sending heartbeats"
            rows.append(_row(call, cluster, len(rows), "ambari_server_agent_heartbeat", "AMBARI", None, host, text))
    for one in sorted(cluster.components.values(), key=lambda one: (one.host, one.component)):
        if service in (None, one.service) and _down(call, one):
            name = f"{one.component.lower()}_process"
            text = f"{one.component} does not run on {one.host}"
            rows.append(_row(call, cluster, len(rows), name, one.service, one.component, one.host, text))
    return rows


def _down(call: Call, one: HostComponent) -> bool:
    state = work_of(call.world).state_of(one)
    return one.desired == "STARTED" and state in {"INSTALLED", "UNKNOWN"} and one.maintenance == "OFF"


def _row(
    call: Call, cluster: Cluster, place: int, name: str, service: str, component: str | None, host: str, text: str
) -> Row:
    now = call.world.milliseconds()
    return {
        "Alert": {
            "cluster_name": cluster.name,
            "component_name": component,
            "definition_id": place + 1,
            "definition_name": name,
            "firmness": "HARD",
            "host_name": host,
            "id": place + 1,
            "instance": None,
            "label": name.replace("_", " ").title(),
            "latest_timestamp": now,
            "maintenance_state": "OFF",
            "occurrences": 1,
            "original_timestamp": now,
            "repeat_tolerance": 1,
            "repeat_tolerance_remaining": 0,
            "scope": "HOST",
            "service_name": service,
            "state": "CRITICAL",
            "text": text,
        }
    }


def _summed(call: Call, rows: list[Row]) -> dict[str, object]:
    empty = {"original_timestamp": 0, "maintenance_count": 0, "count": 0}
    names = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
    counted = {name: Leaf(empty | {"count": len(rows) if name == "CRITICAL" else 0}) for name in names}
    return {"href": call.url, "alerts_summary": counted}


ALERT = Resource(
    type="Alert",
    plural="alerts",
    key="Alert/id",
    keys=(
        "Alert/cluster_name",
        "Alert/definition_id",
        "Alert/definition_name",
        "Alert/host_name",
        "Alert/id",
        "Alert/service_name",
    ),
    properties=properties(
        "Alert",
        "cluster_name component_name definition_id definition_name firmness host_name id instance label "
        "latest_timestamp maintenance_state occurrences original_timestamp repeat_tolerance "
        "repeat_tolerance_remaining scope service_name state text",
    ),
    rows=alert_rows,
    formats={"summary": _summed},
)


_AGENT_ALERTS = (
    ("Ulimit for open files", "ambari_agent_ulimit"),
    ("Ambari Agent Distro/Conf Select Versions", "ambari_agent_version_select"),
    ("Host Disk Usage", "ambari_agent_disk_usage"),
    ("Ambari Agent Heartbeat", "ambari_server_agent_heartbeat"),
    ("Ambari Server Performance", "ambari_server_performance"),
    ("Component Version", "ambari_server_component_version"),
    ("Ambari Server Alerts", "ambari_server_stale_alerts"),
)
_SERVICE_ALERTS = {
    "ZOOKEEPER": (
        ("Percent ZooKeeper Servers Available", "zookeeper_server_process_percent"),
        ("ZooKeeper Server Process", "zookeeper_server_process"),
    )
}


def _definition_rows(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    own = [pair for name in sorted(cluster.services) for pair in _SERVICE_ALERTS.get(name, ())]
    return [
        {"AlertDefinition": {"cluster_name": cluster.name, "id": number, "label": label, "name": name}}
        for number, (label, name) in enumerate([*own, *_AGENT_ALERTS], start=1)
    ]


ALERT_DEFINITION = Resource(
    type="AlertDefinition",
    plural="alert_definitions",
    key="AlertDefinition/id",
    keys=(
        "AlertDefinition/cluster_name",
        "AlertDefinition/id",
        "AlertDefinition/label",
        "AlertDefinition/name",
    ),
    properties=properties("AlertDefinition", "cluster_name id label name"),
    rows=_definition_rows,
)
