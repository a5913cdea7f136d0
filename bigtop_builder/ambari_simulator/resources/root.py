"""The server's own service AMBARI with its components AMBARI_SERVER and AMBARI_AGENT (018-021)."""

from __future__ import annotations

from typing import Any

from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.replies import Refusal

SERVER_PROPERTIES = {
    "agent.package.install.task.timeout": "1800",
    "agent.stack.retry.on_repo_unavailability": "false",
    "agent.stack.retry.tries": "5",
    "agent.task.timeout": "900",
    "client.api.port": "8080",
    "java.home": "/usr/lib/jvm/java-1.8.0",
    "jdk_location": "http://localhost:8080/resources",
    "server.http.session.inactive_timeout": "1800",
    "server.os_family": "redhat8",
    "server.os_type": "redhat8",
    "server.stages.parallel": "true",
    "server.task.timeout": "1200",
    "skip.service.checks": "false",
}


def _services(call: Call) -> list[Row]:
    return [{"RootService": {"service_name": "AMBARI"}}]


def _components(call: Call) -> list[Row]:
    server: dict[str, Any] = {
        "component_name": "AMBARI_SERVER",
        "component_version": call.world.version,
        "server_clock": int(call.world.now()),
        "service_name": "AMBARI",
        "properties": {
            **SERVER_PROPERTIES,
            **call.world.properties,
            "jdk_location": call.base.removesuffix("/api/v1") + "/resources",
        },
    }
    agent = {
        "component_name": "AMBARI_AGENT",
        "component_version": "NOT_APPLICABLE",
        "service_name": "AMBARI",
        "properties": {},
    }
    return [{"RootServiceComponents": agent}, {"RootServiceComponents": server}]


def _host_components(call: Call) -> list[Row]:
    if call.ids.get(COMPONENT.key) != "AMBARI_AGENT":
        return []
    return [_agent(call, host.name, host.state(call.world.now())) for host in call.world.live_hosts()]


def _agent(call: Call, host: str, state: str) -> dict[str, Any]:
    return {
        "RootServiceHostComponents": {
            "component_name": "AMBARI_AGENT",
            "component_state": state,
            "component_version": call.world.version,
            "host_name": host,
            "properties": {},
            "service_name": "AMBARI",
        }
    }


def _agent_address(call: Call, row: Row) -> str:
    own = row["RootServiceHostComponents"]
    return call.href("services", "AMBARI", "hosts", own["host_name"], "hostComponents", own["component_name"])


def _none(call: Call) -> list[Row]:
    return []


def _own_service(call: Call) -> None:
    if call.ids.get("RootService/service_name", "AMBARI") != "AMBARI":
        raise Refusal(404, f"The requested resource doesn't exist: {call.ids['RootService/service_name']}")


HOST_COMPONENT = Resource(
    type="RootServiceHostComponent",
    plural="hostComponents",
    key="RootServiceHostComponents/host_name",
    keys=(
        "RootServiceHostComponents/service_name",
        "RootServiceHostComponents/host_name",
        "RootServiceHostComponents/component_name",
    ),
    properties=properties(
        "RootServiceHostComponents",
        "component_name component_state component_version host_name properties service_name",
    ),
    rows=_host_components,
    href=_agent_address,
)

CONFIGURATION = Resource(
    type="RootServiceComponentConfiguration",
    plural="configurations",
    key="Configuration/category",
    properties=properties("Configuration", "category component_name properties property_attributes service_name"),
    rows=_none,
)

COMPONENT = Resource(
    type="RootServiceComponent",
    plural="components",
    key="RootServiceComponents/component_name",
    keys=("RootServiceComponents/service_name", "RootServiceComponents/component_name"),
    properties=properties(
        "RootServiceComponents", "component_name component_version properties server_clock service_name"
    ),
    rows=_components,
    missing=lambda call: f"Component name: {call.id('RootServiceComponents/component_name')}",
    sub=(HOST_COMPONENT, CONFIGURATION),
    guard=_own_service,
)

SERVICE = Resource(
    type="RootService",
    plural="services",
    key="RootService/service_name",
    properties=properties("RootService", "service_name"),
    rows=_services,
    sub=(COMPONENT,),
)
