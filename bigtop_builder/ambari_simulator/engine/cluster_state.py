"""What the simulated server knows about a cluster: services, components on hosts, configurations, deployments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from bigtop_builder.ambari_simulator.engine.task import Request, Task, fold, stage_status
from bigtop_builder.model.ambari_stack import StackDefinition

REMOVABLE = frozenset({"INIT", "INSTALLING", "INSTALLED", "INSTALL_FAILED", "UNINSTALLED", "UNKNOWN", "DISABLED"})
"""States in which a component on a host may be deleted (contract 8.1)."""


@dataclass(frozen=True)
class ConfigVersion:
    """One version of a configuration type."""

    type: str
    tag: str
    version: int
    properties: Mapping[str, str]
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass
class ServiceVersion:
    """One version of all configurations of a service, or of a config group's part of them (``group`` not -1)."""

    service: str
    version: int
    created: float
    user: str
    configurations: list[ConfigVersion]
    note: str | None = None
    group: int = -1
    group_name: str = "Default"
    hosts: list[str] = field(default_factory=list)
    current: bool = True
    stack: str = ""
    """The stack that it was made for."""


@dataclass
class HostComponent:
    """A component on a host. ``applied``: configuration type -> tag written by its agent.

    ``admin``: DECOMMISSIONED once its master was told so at ``admin_since``.
    """

    host: str
    service: str
    component: str
    client: bool
    state: str = "INIT"
    desired: str = "INIT"
    maintenance: str = "OFF"
    version: str = "UNKNOWN"
    applied: dict[str, str] = field(default_factory=dict)
    restart_required: bool = False
    """Whether Ambari asks for a restart although its configurations are current (see ``StackService.restarts_after``,
    read in the sources of 3.0: setRestartRequiredServices, registerRackChange, HeartbeatProcessor)."""
    upgrade_state: str = "NONE"
    admin: str = "INSERVICE"
    admin_since: float = 0.0


@dataclass
class Service:
    """A service of a cluster; ``repository``: id of the repository version that it was installed from."""

    name: str
    repository: int
    components: list[str] = field(default_factory=list)
    maintenance: str = "OFF"


@dataclass
class ConfigGroup:
    """Configurations that differ for some hosts; blueprint host groups become such groups."""

    id: int
    name: str
    service: str
    hosts: list[str]
    configurations: dict[str, ConfigVersion]
    description: str = ""


@dataclass
class AlertState:
    """What an agent, or the server, last reported for an alert. Times are seconds since the epoch."""

    state: str
    text: str
    latest: float
    original: float
    occurrences: int = 1


@dataclass
class StackUpgrade:
    """An upgrade to another version of the stack, or its way back: what leads to ``version``, and what was before."""

    request: int
    direction: str
    pack: str
    version: int
    stack: StackDefinition
    repositories: dict[str, int]
    tags: dict[str, str]
    status: str = "HOLDING"
    message: str = ""


class HostPredicate(Protocol):
    """A condition on a host, as the query language parses it."""

    def test(self, values: Callable[[str], list[Any]]) -> bool:
        """Whether it holds; ``values`` returns all values of a property path."""
        ...


@dataclass
class LogicalTask:
    """A command to be issued once its host is known; ``physical`` is the resulting task."""

    id: int
    component: str
    command: str
    physical: Task | None = None


@dataclass
class HostRequest:
    """A request for one host: by name, or any free one that matches the predicate."""

    id: int
    group: str
    wanted: str | None
    predicate: HostPredicate | None
    tasks: list[LogicalTask]
    rack: str | None = None
    host: str | None = None

    @property
    def shown_host(self) -> str:
        """``Tasks/host_name``."""
        return self.host or f"PENDING HOST ASSIGNMENT : HOSTGROUP={self.group}"


@dataclass
class LogicalRequest:
    """The request that tracks a blueprint deployment, or hosts added by blueprint."""

    id: int
    cluster: Cluster
    context: str
    created: float
    host_requests: list[HostRequest]
    requests: list[Request] = field(default_factory=list)

    @property
    def pending_hosts(self) -> int:
        """The number of hosts that are not assigned yet."""
        return sum(1 for one in self.host_requests if one.host is None)

    @property
    def tasks(self) -> list[Task]:
        """Return the physical tasks known so far."""
        return [task for request in self.requests for task in request.tasks]

    @property
    def status(self) -> str:
        """A fold over the physical stages alone: COMPLETED even while hosts are missing."""
        if not self.requests:
            return "PENDING"
        return fold(stage_status(stage) for request in self.requests for stage in request.stages)


@dataclass
class Cluster:
    """A cluster. All versions of configurations are kept; ``desired`` has the active one of each type."""

    id: int
    name: str
    stack: StackDefinition
    created: float
    provisioning: str = "INIT"
    security: str = "NONE"
    repository: int | None = None
    blueprint: str | None = None
    hosts: list[str] = field(default_factory=list)
    services: dict[str, Service] = field(default_factory=dict)
    components: dict[tuple[str, str], HostComponent] = field(default_factory=dict)
    versions: dict[str, list[ConfigVersion]] = field(default_factory=dict)
    desired: dict[str, ConfigVersion] = field(default_factory=dict)
    service_versions: list[ServiceVersion] = field(default_factory=list)
    groups: dict[int, ConfigGroup] = field(default_factory=dict)
    logical: dict[int, LogicalRequest] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    host_groups: dict[str, str] = field(default_factory=dict)
    """Host -> host group of the blueprint."""
    undeletable: bool = False
    """A deletion failed halfway: every other one fails until the server restarts (611)."""
    alerts: dict[tuple[str, str | None], AlertState] = field(default_factory=dict)
    """(definition, host or None) -> what was last reported."""
    installed_versions: list[int] = field(default_factory=list)
    """Repository versions whose packages count as installed on all hosts."""
    distributing: dict[int, int] = field(default_factory=dict)
    """Requests that install packages beside the used ones -> repository version."""
    upgrades: list[StackUpgrade] = field(default_factory=list)
    upgrading: int | None = None
    """The request of the upgrade that has begun and is neither over nor aborted."""
    _by_host: dict[str, dict[str, HostComponent]] = field(default_factory=dict)
    _layout: dict[str, tuple[str, ...]] | None = None

    def on(self, host: str) -> list[HostComponent]:
        """Return the components of a host, by name."""
        return sorted(self._by_host.get(host, {}).values(), key=lambda one: one.component)

    def layout(self) -> dict[str, tuple[str, ...]]:
        """Return component -> its hosts, sorted."""
        if self._layout is None:
            found: dict[str, list[str]] = {}
            for one in self.components.values():
                found.setdefault(one.component, []).append(one.host)
            self._layout = {name: tuple(sorted(hosts)) for name, hosts in found.items()}
        return self._layout

    def of(self, service: str) -> list[HostComponent]:
        """Return the components of a service, by host and name."""
        found = (one for one in self.components.values() if one.service == service)
        return sorted(found, key=lambda one: (one.host, one.component))

    def add(self, host: str, component: str) -> HostComponent:
        """Add a component to a host; its service must exist."""
        service = self.stack.service_of(component)
        if service is None or service not in self.services:
            raise KeyError(component)
        known = self.services[service].components
        if component not in known:
            known.append(component)
            known.sort()
        definition = self.stack.services[service].components[component]
        if not definition.is_client:
            self._require_restart("added", [service])
        one = HostComponent(host, service, component, definition.is_client)
        self.components[(host, component)] = one
        self._by_host.setdefault(host, {})[component] = one
        self._layout = None
        return one

    def remove(self, one: HostComponent) -> None:
        """Remove a component from its host."""
        if not one.client:
            self._require_restart("added", [one.service])
        del self.components[(one.host, one.component)]
        del self._by_host[one.host][one.component]
        self._layout = None

    def types_of(self, service: str) -> list[str]:
        """Return the configuration types of a service that the cluster has."""
        return [name for name in self.stack.services[service].configurations if name in self.desired]

    def rack_changed(self) -> None:
        """Take note that a host has another rack."""
        self._require_restart("rack", self.services)

    def _require_restart(self, reason: Literal["added", "rack"], services: Iterable[str]) -> None:
        for service in services:
            if reason in self.stack.services[service].restarts_after:
                for one in self.of(service):
                    one.restart_required = True

    def tags_for(self, one: HostComponent) -> dict[str, str]:
        """Return configuration type -> active tag of those that a component reads, config groups included."""
        names = self.stack.services[one.service].types_read_by(one.component)
        return {name: self.effective(one.host, name)[1] for name in names if name in self.desired}

    def effective(self, host: str, name: str) -> tuple[dict[str, str], str]:
        """Return the active properties and tag of a configuration type on a host."""
        version = self.desired[name]
        properties, tag = dict(version.properties), version.tag
        for group in self.groups.values():
            if host in group.hosts and name in group.configurations:
                properties |= group.configurations[name].properties
                tag = f"{tag}+{group.configurations[name].tag}"
        return properties, tag

    def selected(self, one: HostComponent) -> bool:
        """Whether the selector knows the component, so that its agent reports a version."""
        return bool(self.stack.services[one.service].components[one.component].select)

    def stale(self, one: HostComponent) -> bool:
        """Whether a component has to be restarted, because of its configurations or of something else."""
        if one.restart_required:
            return True
        return bool(one.applied) and any(one.applied.get(name) != tag for name, tag in self.tags_for(one).items())

    def properties(self, name: str) -> Mapping[str, str]:
        """Return the active properties of a configuration type; empty if it does not exist."""
        return self.desired[name].properties if name in self.desired else {}

    def put(self, name: str, tag: str, properties: Mapping[str, Any], attributes: Mapping[str, Any]) -> ConfigVersion:
        """Create a version of a configuration type and activate it."""
        kept = self.versions.setdefault(name, [])
        version = ConfigVersion(name, tag, len(kept) + 1, dict(properties), dict(attributes))
        kept.append(version)
        self.desired[name] = version
        return version

    def note_service(
        self,
        service: str,
        now: float,
        user: str,
        note: str | None,
        names: Iterable[str] | None = None,
        group: ConfigGroup | None = None,
    ) -> ServiceVersion:
        """Create a version of a service's configurations, or of a group's part of them, and make it current."""
        if group is not None:
            configurations = list(group.configurations.values())
        else:
            configurations = [self.desired[name] for name in names or self.types_of(service)]
        earlier = [one for one in self.service_versions if one.service == service]
        version = ServiceVersion(service, len(earlier) + 1, now, user, configurations, note, stack=self.stack.id)
        if group is not None:
            version.group, version.group_name, version.hosts = group.id, group.name, list(group.hosts)
        for one in earlier:
            one.current = one.current and one.group != version.group
        self.service_versions.append(version)
        return version

    def forget_group(self, group: ConfigGroup) -> None:
        """Remove a group; its versions stay, but none of them is current any more."""
        del self.groups[group.id]
        for one in self.service_versions:
            if one.group == group.id:
                one.current, one.group_name = False, "Deleted"

    def service_state(self, service: str) -> str:
        """``ServiceInfo/state``: the worst state of its masters and slaves, or of its clients if it has no others."""
        members = self.of(service)
        running = [one for one in members if not one.client]
        states = {one.state for one in running or members}
        for state in ("UNKNOWN", "STARTING", "STOPPING", "INSTALLING", "INSTALL_FAILED", "INIT", "INSTALLED"):
            if state in states:
                return state
        return "STARTED" if states else "INIT"
