"""Alerts of clusters and services, and their definitions (663, 676, 686). ``engine.alerts`` says when they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bigtop_builder.ambari_simulator.engine.alerts import Definition, definitions
from bigtop_builder.ambari_simulator.engine.cluster_state import AlertState, Cluster
from bigtop_builder.ambari_simulator.resources.requests import cluster_of
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf

STATES = ("CRITICAL", "MAINTENANCE", "OK", "UNKNOWN", "WARNING")


def summary(critical: int = 0) -> Leaf:
    """``alerts_summary``."""
    return Leaf(dict.fromkeys(STATES, 0) | {"CRITICAL": critical})


def alert_rows(call: Call) -> Iterable[Row]:
    """Return what was last reported of each alert whose host and component still exist."""
    cluster = cluster_of(call)
    service = call.ids.get("ServiceInfo/service_name")
    rows: list[Row] = []
    for number, definition in enumerate(definitions(cluster), start=1):
        if service not in (None, definition.service):
            continue
        own = [(host, one) for (name, host), one in cluster.alerts.items() if name == definition.name]
        for host, one in sorted(own, key=lambda pair: pair[0] or ""):
            if _exists(cluster, definition, host):
                rows.append(_row(call, cluster, len(rows) + 1, number, definition, host, one))
    return rows


def _exists(cluster: Cluster, definition: Definition, host: str | None) -> bool:
    if host is None:
        return True
    if definition.source == "PORT":
        return (host, definition.component or "") in cluster.components
    return host in cluster.hosts


def _row(
    call: Call, cluster: Cluster, place: int, number: int, definition: Definition, host: str | None, one: AlertState
) -> Row:
    return {
        "Alert": {
            "cluster_name": cluster.name,
            "component_name": definition.component,
            "definition_id": number,
            "definition_name": definition.name,
            "firmness": "HARD",
            "host_name": host,
            "id": place,
            "instance": None,
            "label": definition.label,
            "latest_timestamp": int(one.latest * 1000),
            "maintenance_state": "ON" if _rests(call, cluster, definition, host) else "OFF",
            "occurrences": one.occurrences,
            "original_timestamp": int(one.original * 1000),
            "repeat_tolerance": 1,
            "repeat_tolerance_remaining": 0,
            "scope": "SERVICE" if definition.source == "AGGREGATE" else "HOST",
            "service_name": definition.service,
            "state": one.state,
            "text": one.text,
        }
    }


def _rests(call: Call, cluster: Cluster, definition: Definition, host: str | None) -> bool:
    """Whether the alert's component, service or host is in maintenance."""
    component = cluster.components.get((host or "", definition.component or ""))
    service = cluster.services.get(definition.service)
    machine = call.world.hosts.get(host or "")
    return any(one is not None and one.maintenance != "OFF" for one in (component, service, machine))


def _summed(call: Call, rows: list[Row]) -> dict[str, object]:
    empty = {"original_timestamp": 0, "maintenance_count": 0, "count": 0}
    counts = Counter(row["Alert"]["state"] for row in rows)
    counted = {name: Leaf(empty | {"count": counts[name]}) for name in ("OK", "WARNING", "CRITICAL", "UNKNOWN")}
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


def _definition_rows(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    return [
        {
            "AlertDefinition": {
                "cluster_name": cluster.name,
                "component_name": one.component,
                "enabled": True,
                "id": number,
                "interval": one.interval,
                "label": one.label,
                "name": one.name,
                "service_name": one.service,
                "source": Leaf(type=one.source),
            }
        }
        for number, one in enumerate(definitions(cluster), start=1)
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
    properties=properties(
        "AlertDefinition", "cluster_name component_name enabled id interval label name service_name source"
    ),
    rows=_definition_rows,
)
