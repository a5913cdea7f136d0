"""Blueprint deployments: logical requests, host requests, and the physical requests that do the work.

As recorded: the logical request's tasks are numbered from 10000; it has task_count 0 until hosts are assigned; each
host gets an "Install components on host X" and a "Start components on host X" request of its own, and the second never
runs when the first failed; a host that never registers leaves the request COMPLETED with pending hosts (479).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bigtop_builder.ambari_simulator.engine.cluster_state import (
    Cluster,
    HostPredicate,
    HostRequest,
    LogicalRequest,
    LogicalTask,
)
from bigtop_builder.ambari_simulator.engine.engine import Engine
from bigtop_builder.ambari_simulator.engine.java_hash_order import hash_order
from bigtop_builder.ambari_simulator.engine.role_order import staged
from bigtop_builder.ambari_simulator.engine.state import Host, World
from bigtop_builder.ambari_simulator.engine.task import Request, Task

SPENT_NUMBERS = 2
"""Request numbers that the server uses internally for each cluster from a blueprint (recorded)."""


def assign_hosts(logical: LogicalRequest, world: World, engine: Engine, now: float) -> None:
    """Assign free hosts to the host requests that wait for one, and submit their work."""
    if not logical.pending_hosts or now < logical.created + engine.pace.assign:
        return
    for host in world.live_hosts():
        if not (host.available and host.cluster is None and not host.lost(now)):
            continue
        chosen = next((one for one in logical.host_requests if one.host is None and _meets(one, host)), None)
        if chosen:
            _take(logical, chosen, host, now)
            for request in _physical_requests(logical.cluster, world, chosen, now):
                logical.requests.append(request)
                engine.submit(request, now)


def _take(logical: LogicalRequest, one: HostRequest, host: Host, now: float) -> None:
    cluster = logical.cluster
    one.host = host.name
    host.cluster, host.available = cluster.name, False
    if one.rack and one.rack != host.rack:
        host.rack = one.rack
        cluster.rack_changed()
    cluster.hosts.append(host.name)
    cluster.host_groups[host.name] = one.group
    for group in cluster.groups.values():
        if group.name == f"{cluster.blueprint}:{one.group}":
            group.hosts.append(host.name)
    for task in one.tasks:
        if (host.name, task.component) not in cluster.components:
            cluster.add(host.name, task.component)
        component = cluster.components[(host.name, task.component)]
        if task.command == "START" or component.desired == "INIT":
            component.desired = "STARTED" if task.command == "START" else "INSTALLED"


def _physical_requests(cluster: Cluster, world: World, one: HostRequest, now: float) -> list[Request]:
    """The installation of a host's components, then their start, which follows it."""
    install = _physical(cluster, world, one, "INSTALL", now)
    start = _physical(cluster, world, one, "START", now)
    if install and start:
        start.follows = install
    return [request for request in (install, start) if request]


def _physical(cluster: Cluster, world: World, one: HostRequest, command: str, now: float) -> Request | None:
    chosen = sorted((task for task in one.tasks if task.command == command), key=lambda task: task.component)
    if not chosen or one.host is None:
        return None
    number = world.number("request")
    for task in chosen:
        component = cluster.components[(one.host, task.component)]
        task.physical = Task(
            world.number("task"),
            one.host,
            task.component,
            component.service,
            command,
            f"{task.component} {command}",
            retry_for=retry_seconds(cluster.properties("cluster-env"), command),
        )
    verb = "Install" if command == "INSTALL" else "Start"
    stages = staged(cluster.stack, command, [task.physical for task in chosen if task.physical], cluster.layout())
    context = f"{verb} components on host {one.host}"
    return Request(number, cluster.name, context, now, stages, user="internal")


def plan_host_request(
    world: World,
    cluster: Cluster,
    group: str,
    components: Mapping[str, str],
    wanted: str | None,
    predicate: HostPredicate | None = None,
    rack: str | None = None,
) -> HostRequest:
    """Plan a request for one host of a group; ``components``: name -> provision action."""
    tasks: list[LogicalTask] = []
    # The server has read the blueprint from its database, where components are sorted (753).
    for name in hash_order(sorted(components)):
        service = cluster.stack.service_of(name)
        client = service is None or cluster.stack.services[service].components[name].is_client
        if components[name] != "START_ONLY" or client:
            tasks.append(LogicalTask(world.number("logical task"), name, "INSTALL"))
        if components[name] != "INSTALL_ONLY" and not client:
            tasks.append(LogicalTask(world.number("logical task"), name, "START"))
    return HostRequest(world.number("host request"), group, wanted, predicate, tasks, rack)


def ordered_hosts(names: Sequence[str]) -> Iterable[str]:
    """Return host names in the order in which the server creates their requests."""
    return hash_order(names)


def retry_seconds(environment: Mapping[str, str], command: str) -> float:
    """Return for how many seconds agents retry a failing command during a blueprint's first installation and start."""
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
