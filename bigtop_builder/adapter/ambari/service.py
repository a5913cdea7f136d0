"""Services and components of a cluster: read and change their states."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bigtop_builder.adapter.ambari.connection import Connection, Json, listed, required
from bigtop_builder.adapter.ambari.errors import NotFoundError, UnexpectedAnswerError
from bigtop_builder.adapter.ambari.query import all_of, fields, one_of, path

State = Literal["INSTALLED", "STARTED"]

_COMPONENT_FIELDS = fields(
    "HostRoles", "host_name component_name service_name state desired_state stale_configs maintenance_state version"
)


HA_STATE = "metrics/dfs/FSNamesystem/HAState"


@dataclass(frozen=True)
class ServiceView:
    """A service. ``state`` is INIT, INSTALLED, STARTED, UNKNOWN (a host is lost) …"""

    name: str
    state: str
    maintenance: bool
    repository_version: int | None = None


@dataclass(frozen=True)
class HostComponent:
    """A component on a host.

    ``state`` is the real state; ``desired_state`` stays STARTED after a failed start or a dead process. ``version`` is
    UNKNOWN until an agent has reported one.
    """

    host: str
    component: str
    service: str
    state: str
    desired_state: str
    stale: bool
    maintenance: bool
    version: str


@dataclass(frozen=True)
class Alert:
    """An alert. ``state`` is OK, WARNING, CRITICAL, UNKNOWN or SKIPPED; ``host`` is None for a whole service.

    ``seen``: when its state or text last changed, in seconds since the epoch by the clock of the agent.
    """

    name: str
    label: str
    state: str
    text: str
    service: str
    host: str | None
    component: str | None
    maintenance: bool
    seen: float | None = None


class ServiceCalls(Connection):
    """``/clusters/…/services``, ``…/host_components``, ``…/alerts``."""

    def services(self, cluster: str) -> list[ServiceView]:
        """Return the services of a cluster."""
        requested = fields("ServiceInfo", "state maintenance_state desired_repository_version_id")
        found = self.items(path("clusters", cluster, "services"), fields=requested)
        return [_service(item.get("ServiceInfo", {})) for item in found]

    def host_components(
        self,
        cluster: str,
        *,
        host: str | None = None,
        component: str | None = None,
        stale: bool | None = None,
    ) -> Iterator[HostComponent]:
        """Return the components on hosts, with one page in memory at a time."""
        query = all_of(
            f"HostRoles/host_name={host}" if host else "",
            f"HostRoles/component_name={component}" if component else "",
            f"HostRoles/stale_configs={str(stale).lower()}" if stale is not None else "",
        )
        found = self.items(path("clusters", cluster, "host_components"), fields=_COMPONENT_FIELDS, query=query)
        return (host_component(item.get("HostRoles", {})) for item in found)

    def set_services(self, cluster: str, state: State, names: Sequence[str] | None, context: str) -> int | None:
        """Install, stop (both INSTALLED) or start services, or all of them if ``names`` is None.

        Return the id of the request, or None if there is nothing to do. Ambari silently skips components in maintenance
        and on hosts without a heartbeat.
        """
        level: Json = {"level": "CLUSTER", "cluster_name": cluster}
        where, query = path("clusters", cluster, "services"), ""
        if names is not None and len(names) == 1:
            level = {"level": "SERVICE", "cluster_name": cluster, "service_name": names[0]}
            where = path("clusters", cluster, "services", names[0])
        elif names is not None:
            query = one_of("ServiceInfo/service_name", names)
        info = {"context": context, "operation_level": level}
        return self.put(where, {"RequestInfo": info, "Body": {"ServiceInfo": {"state": state}}}, query=query).request

    def set_host_components(
        self, cluster: str, state: State, host: str, components: Collection[str], context: str = ""
    ) -> int | None:
        """Do the same for components of one host; clients cannot be STARTED."""
        names = sorted(components)
        info = {"context": context or f"{state}: {', '.join(names)} on {host}"}
        body = {"RequestInfo": info, "Body": {"HostRoles": {"state": state}}}
        where = path("clusters", cluster, "hosts", host, "host_components")
        if len(names) == 1:
            return self.put(f"{where}/{path(names[0])}", body).request
        return self.put(where, body, query=one_of("HostRoles/component_name", names)).request

    def set_maintenance(self, cluster: str, host: str, component: str, on: bool) -> None:
        """Turn the maintenance of a component on or off: in maintenance it is skipped by requests for its service."""
        where = path("clusters", cluster, "hosts", host, "host_components", component)
        self.put(where, {"Body": {"HostRoles": {"maintenance_state": "ON" if on else "OFF"}}})

    def add_service(self, cluster: str, service: str, repository_version: int | None = None) -> None:
        """Add a service without components. Raises ConflictError."""
        info: Json = {"service_name": service}
        if repository_version is not None:
            info["desired_repository_version_id"] = repository_version
        self.post(path("clusters", cluster, "services"), [{"ServiceInfo": info}])

    def add_component(self, cluster: str, service: str, component: str) -> None:
        """Add a component to a service, on no host yet. Raises ConflictError."""
        self.post(path("clusters", cluster, "services", service, "components", component))

    def add_host_component(self, cluster: str, host: str, component: str) -> None:
        """Add a component to a host of the cluster; its configurations must already exist. Raises ConflictError."""
        self.post(path("clusters", cluster, "hosts", host, "host_components", component))

    def delete_host_component(self, cluster: str, host: str, component: str) -> None:
        """Remove a stopped component, if it exists. Raises InUseError."""
        self._gone(path("clusters", cluster, "hosts", host, "host_components", component))

    def delete_service(self, cluster: str, service: str) -> None:
        """Remove a stopped service, if it exists. Raises InUseError."""
        self._gone(path("clusters", cluster, "services", service))

    def service_check(self, cluster: str, service: str, command: str) -> int:
        """Start a service's own check with the ``command`` of its stack; return the id of the request."""
        body = {
            "RequestInfo": {"command": command, "context": f"{service} service check"},
            "Requests/resource_filters": [{"service_name": service}],
        }
        request = self.post(path("clusters", cluster, "requests"), body).request
        if request is None:
            raise UnexpectedAnswerError(f"Ambari accepted the check of {service} but returned no request id")
        return request

    def restart_stale(self, cluster: str) -> int | None:
        """Restart what runs with outdated configurations; return the id of the request, or None if nothing does."""
        # Without the cluster's name in the predicate the server matches nothing.
        predicate = f"HostRoles/stale_configs=true&HostRoles/cluster_name={cluster}"
        return self._restart(cluster, [{"hosts_predicate": predicate}], "Restart all with stale configurations")

    def restart(
        self, cluster: str, service: str, component: str, hosts: Sequence[str], context: str = ""
    ) -> int | None:
        """Restart a component on hosts; return the id of the request."""
        return self.restart_components(cluster, [(service, component, hosts)], context)

    def restart_components(
        self, cluster: str, targets: Sequence[tuple[str, str, Sequence[str]]], context: str = ""
    ) -> int | None:
        """Restart components, each with its service and hosts, in one request; return its id."""
        filters: list[Json] = [
            {"service_name": service, "component_name": component, "hosts": ",".join(hosts)}
            for service, component, hosts in targets
        ]
        names = ", ".join(component for _, component, _ in targets)
        return self._restart(cluster, filters, context or f"Restart {names}")

    def ha_states(self, cluster: str, component: str) -> dict[str, str]:
        """Return ``active`` or ``standby`` by host, of NameNodes that answer Ambari's question for their metrics."""
        found = self.items(
            path("clusters", cluster, "host_components"),
            fields=f"HostRoles/host_name,{HA_STATE}",
            query=f"HostRoles/component_name={component}",
        )
        states = {item["HostRoles"]["host_name"]: _nested(item, HA_STATE.split("/")) for item in found}
        return {str(host): state for host, state in states.items() if isinstance(state, str)}

    def alerts(self, cluster: str) -> list[Alert]:
        """Return every alert of the cluster."""
        requested = fields(
            "Alert",
            "definition_name label state text service_name host_name component_name maintenance_state latest_timestamp",
        )
        found = self.get(path("clusters", cluster, "alerts"), fields=requested, minimal=True)
        return [_alert(item.get("Alert", {})) for item in listed(required(found, "items"))]

    def alert_intervals(self, cluster: str) -> dict[tuple[str, str], int]:
        """Return the interval in minutes of each enabled alert definition, by service and name."""
        requested = fields("AlertDefinition", "name service_name interval enabled")
        found = self.get(path("clusters", cluster, "alert_definitions"), fields=requested, minimal=True)
        known = [item.get("AlertDefinition", {}) for item in listed(found.get("items"))]
        return {
            (str(required(one, "service_name")), str(required(one, "name"))): int(required(one, "interval"))
            for one in known
            if one.get("enabled") is not False
        }

    def _restart(self, cluster: str, targets: list[Json], context: str) -> int | None:
        info = {"command": "RESTART", "context": context, "operation_level": "host_component"}
        body = {"RequestInfo": info, "Requests/resource_filters": targets}
        return self.post(path("clusters", cluster, "requests"), body).request

    def _gone(self, where: str) -> None:
        try:
            self.delete(where)
        except NotFoundError:
            return


def host_component(about: Json) -> HostComponent:
    """Parse a component on a host."""
    return HostComponent(
        host=str(required(about, "host_name")),
        component=str(required(about, "component_name")),
        service=about.get("service_name") or "",
        state=required(about, "state") or "",
        desired_state=required(about, "desired_state") or "",
        stale=about.get("stale_configs") in (True, "true"),
        maintenance=(about.get("maintenance_state") or "OFF") != "OFF",
        version=about.get("version") or "",
    )


def new_component(host: str, component: str, service: str) -> HostComponent:
    """Return a component as it is right after it was added to a host."""
    return HostComponent(host, component, service, "INIT", "INIT", stale=False, maintenance=False, version="UNKNOWN")


def _service(about: Json) -> ServiceView:
    version = about.get("desired_repository_version_id")
    return ServiceView(
        name=str(required(about, "service_name")),
        state=required(about, "state") or "",
        maintenance=(about.get("maintenance_state") or "OFF") != "OFF",
        repository_version=int(version) if version is not None else None,
    )


def _alert(about: Json) -> Alert:
    return Alert(
        name=str(required(about, "definition_name")),
        label=about.get("label") or "",
        state=required(about, "state") or "",
        text=about.get("text") or "",
        service=about.get("service_name") or "",
        host=about.get("host_name") or None,
        component=about.get("component_name") or None,
        maintenance=(about.get("maintenance_state") or "OFF") != "OFF",
        seen=stamp / 1000 if (stamp := about.get("latest_timestamp") or 0) > 0 else None,
    )


def _nested(item: Json, keys: Sequence[str]) -> object:
    value: object = item
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
