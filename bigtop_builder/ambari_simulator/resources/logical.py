"""Blueprint deployments: logical requests, host requests, and the physical requests that do the work.

As recorded: the logical request's tasks are numbered from 10000; it has task_count 0 until hosts are assigned; each
host gets an "Install components on host X" and a "Start components on host X" request of its own, and the second never
runs when the first failed; a host that never registers leaves the request COMPLETED with pending hosts (479).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bigtop_builder.ambari_simulator.engine.cluster_state import Cluster
from bigtop_builder.ambari_simulator.engine.java_hash_order import hash_order
from bigtop_builder.ambari_simulator.engine.state import Host
from bigtop_builder.ambari_simulator.engine.task import Request, Task, fold, stage_status
from bigtop_builder.ambari_simulator.rest.query import Predicate

if TYPE_CHECKING:
    from bigtop_builder.ambari_simulator.engine.work import Work

SPENT_NUMBERS = 2
"""Request numbers that the server uses up inside itself for each cluster from a blueprint (recorded)."""


@dataclass
class LogicalTask:
    """A command that will be given once its host is known; ``physical`` is what it has become."""

    id: int
    component: str
    command: str
    physical: Task | None = None


@dataclass
class HostRequest:
    """One host wanted: by name, or any that is free and meets the predicate."""

    id: int
    group: str
    wanted: str | None
    predicate: Predicate | None
    tasks: list[LogicalTask]
    rack: str | None = None
    host: str | None = None

    @property
    def shown_host(self) -> str:
        """``Tasks/host_name``."""
        return self.host or f"PENDING HOST ASSIGNMENT : HOSTGROUP={self.group}"


@dataclass
class LogicalRequest:
    """What a blueprint deployment, or the addition of hosts by blueprint, is followed by."""

    id: int
    cluster: Cluster
    context: str
    created: float
    host_requests: list[HostRequest]
    requests: list[Request] = field(default_factory=list)

    @property
    def pending_hosts(self) -> int:
        """Hosts that are not assigned."""
        return sum(1 for one in self.host_requests if one.host is None)

    @property
    def tasks(self) -> list[Task]:
        """The physical tasks known so far."""
        return [task for request in self.requests for task in request.tasks]

    @property
    def status(self) -> str:
        """A fold over the physical stages alone: COMPLETED even while hosts are missing."""
        if not self.requests:
            return "PENDING"
        return fold(stage_status(stage) for request in self.requests for stage in request.stages)

    def assign(self, work: Work, now: float) -> None:
        """Gives free hosts to the host requests that wait for one, and begins their work."""
        if not self.pending_hosts or now < self.created + work.pace.assign:
            return
        for host in work.world.live_hosts():
            if not (host.available and host.cluster is None and not host.lost(now)):
                continue
            chosen = next((one for one in self.host_requests if one.host is None and _meets(one, host)), None)
            if chosen:
                self._take(work, chosen, host, now)

    def _take(self, work: Work, one: HostRequest, host: Host, now: float) -> None:
        one.host = host.name
        host.cluster, host.available = self.cluster.name, False
        host.rack = one.rack or host.rack
        self.cluster.hosts.append(host.name)
        self.cluster.host_groups[host.name] = one.group
        for group in self.cluster.groups.values():
            if group.name == f"{self.cluster.blueprint}:{one.group}":
                group.hosts.append(host.name)
        for task in one.tasks:
            if (host.name, task.component) not in self.cluster.components:
                self.cluster.add(host.name, task.component)
            if task.command == "START" or self.cluster.components[(host.name, task.component)].desired == "INIT":
                self.cluster.components[(host.name, task.component)].desired = (
                    "STARTED" if task.command == "START" else "INSTALLED"
                )
        install = self._physical(work, one, "INSTALL", now)
        start = self._physical(work, one, "START", now)
        if install and start:
            start.follows = install
        for request in (install, start):
            if request:
                self.requests.append(request)
                work.engine.submit(request, now)

    def _physical(self, work: Work, one: HostRequest, command: str, now: float) -> Request | None:
        chosen = sorted((task for task in one.tasks if task.command == command), key=lambda task: task.component)
        if not chosen or one.host is None:
            return None
        number = work.world.number("request")
        for task in chosen:
            component = self.cluster.components[(one.host, task.component)]
            task.physical = Task(
                work.world.number("task"),
                one.host,
                task.component,
                component.service,
                command,
                f"{task.component} {command}",
                retry_for=retry_seconds(self.cluster.properties("cluster-env"), command),
            )
        verb = "Install" if command == "INSTALL" else "Start"
        stages = [[task.physical for task in chosen if task.physical]]
        context = f"{verb} components on host {one.host}"
        return Request(number, self.cluster.name, context, now, stages, user="internal")


def plan_host_request(
    work: Work,
    cluster: Cluster,
    group: str,
    components: Mapping[str, str],
    wanted: str | None,
    predicate: Predicate | None = None,
    rack: str | None = None,
) -> HostRequest:
    """A request for one host of a group; ``components``: name -> provision action."""
    tasks: list[LogicalTask] = []
    for name in hash_order(components):
        service = cluster.stack.service_of(name)
        client = service is None or cluster.stack.services[service].components[name].is_client
        if components[name] != "START_ONLY" or client:
            tasks.append(LogicalTask(work.world.number("logical task"), name, "INSTALL"))
        if components[name] != "INSTALL_ONLY" and not client:
            tasks.append(LogicalTask(work.world.number("logical task"), name, "START"))
    return HostRequest(work.world.number("host request"), group, wanted, predicate, tasks, rack)


def ordered_hosts(names: Sequence[str]) -> Iterable[str]:
    """Host names in the order in which the server makes their requests."""
    return hash_order(names)


def retry_seconds(environment: Mapping[str, str], command: str) -> float:
    """For how long agents repeat a command that fails in a blueprint's first installation and start."""
    wanted = environment.get("commands_to_retry", "").split(",")
    if environment.get("command_retry_enabled", "").lower() != "true" or command not in wanted:
        return 0.0
    try:
        return float(environment.get("command_retry_max_time_in_sec", "0"))
    except ValueError:
        return 0.0


def _meets(one: HostRequest, host: Host) -> bool:
    if one.wanted is not None:
        return one.wanted == host.name
    return one.predicate is None or one.predicate.test(lambda path: [_property(host, path)])


def _property(host: Host, path: str) -> object:
    name = path.rpartition("/")[2]
    return {
        "host_name": host.name,
        "cpu_count": host.cpu_count,
        "ph_cpu_count": host.cpu_count,
        "total_mem": host.memory_kb,
        "os_type": host.os_type,
        "os_family": host.os_family,
        "os_arch": host.architecture,
        "rack_info": host.rack,
        "ip": host.ip,
    }.get(name)
