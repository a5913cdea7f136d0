"""From a desired state to requests: which components get which command, in which stages (contract 8.1 and 8.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bigtop_builder.ambari_simulator.engine.cluster_state import Cluster, HostComponent
from bigtop_builder.ambari_simulator.engine.java_hash_order import hash_order
from bigtop_builder.ambari_simulator.engine.role_order import staged
from bigtop_builder.ambari_simulator.engine.task import Request, Task
from bigtop_builder.ambari_simulator.engine.work import Work
from bigtop_builder.ambari_simulator.resources import decommission
from bigtop_builder.ambari_simulator.rest.replies import Refusal, internal

STATES = frozenset(
    {"INIT", "INSTALLING", "INSTALL_FAILED", "INSTALLED", "STARTING", "STARTED", "STOPPING", "UNINSTALLING"}
    | {"UNINSTALLED", "WIPING_OUT", "UPGRADING", "DISABLED", "UNKNOWN"}
)


COMMANDS = frozenset(
    {"CONFIGURE", "CONFIGURE_FUNCTION", "DISABLE_SECURITY", "INSTALL", "RECONFIGURE", "RESTART", "START", "STOP"}
)
"""What every component knows besides its own commands."""


def check_state(state: str) -> None:
    """Refuse an unknown state (400)."""
    if state not in STATES:
        raise Refusal(400, f"No enum constant org.apache.ambari.server.state.State.{state}")


def change_states(
    work: Work,
    cluster: Cluster,
    chosen: Sequence[HostComponent],
    state: str,
    context: str,
    user: str,
    *,
    clients_of: Iterable[str] = (),
    check: Iterable[str] = (),
) -> Request | None:
    """Bring components to INSTALLED or STARTED; return ``None`` if there is nothing to do.

    Components in maintenance and on lost hosts are left out without a word (recorded: 308, 493). ``clients_of``:
    services whose clients are installed again before anything starts; ``check``: services to check afterwards.
    """
    taking = [one for one in chosen if one.maintenance == "OFF" and not _host_off(work, one)]
    if state == "STARTED":
        _refuse_failed(cluster, taking)
    commands = [(one, _command(work, one, state)) for one in taking]
    number = work.world.number("request")
    for one in chosen:
        if not (one.client and state == "STARTED"):
            one.desired = state
    first = [task_for(work, one, command) for one, command in commands if command in {"INSTALL", "STOP"}]
    starts = [task_for_later(one) for one, command in commands if command == "START"]
    if not first and not starts:
        return None
    stages: list[list[Task]] = []
    if starts:
        again = [one for name in clients_of for one in cluster.of(name) if one.client and not _host_off(work, one)]
        clients = [task_for(work, one, "INSTALL") for one in again if one.maintenance == "OFF"]
        stages += [clients] if clients else []
        ordered = staged(cluster.stack, "START", starts, cluster.layout())
        for task in (task for stage in ordered for task in stage):
            task.id = work.world.number("task")
        stages += ordered
    else:
        stages += _by_command(cluster, first)
    for name in check:
        stages.append([check_task(work, cluster, name)])
    request = Request(number, cluster.name, context, work.world.now(), stages, user=user)
    work.engine.submit(request, work.world.now())
    return request


def _by_command(cluster: Cluster, tasks: Sequence[Task]) -> list[list[Task]]:
    installs = [task for task in tasks if task.command == "INSTALL"]
    stops = staged(cluster.stack, "STOP", [task for task in tasks if task.command == "STOP"], cluster.layout())
    return [[*installs, *(stops[0] if stops else ())], *stops[1:]]


def task_for(work: Work, one: HostComponent, command: str) -> Task:
    """Create a task for a component."""
    return Task(work.world.number("task"), one.host, one.component, one.service, command, f"{one.component} {command}")


def task_for_later(one: HostComponent) -> Task:
    """Create a START whose number is assigned after those of the tasks before it."""
    return Task(0, one.host, one.component, one.service, "START", f"{one.component} START")


def check_task(work: Work, cluster: Cluster, service: str, hosts: Sequence[str] = ()) -> Task:
    """Create a service check, on a healthy host with a client of the service, or with any component of it."""
    members = [one for one in cluster.of(service) if not _host_off(work, one) and (not hosts or one.host in hosts)]
    members = [one for one in members if one.client] or members
    if not members:
        raise internal(f"No hosts were found on which to run the service check of {service}")
    role = cluster.stack.check_command(service)
    return Task(work.world.number("task"), members[-1].host, role, service, "SERVICE_CHECK", f"SERVICE_CHECK {service}")


def command_request(work: Work, cluster: Cluster, info: Mapping[str, Any], filters: Any, user: str) -> Request | None:
    """Create a request for POST ``requests``: RESTART, service check or custom command; ``None`` if nothing matched."""
    command = str(info.get("command", ""))
    number = work.world.number("request")
    found = [part for one in filters for part in _targets(work, cluster, command, one, info)]
    if not found:
        return None
    if command.endswith("_SERVICE_CHECK"):
        tasks = [check_task(work, cluster, str(one["service_name"]), _hosts(one)) for one in filters]
        shown = [dict(one) for one in filters]
    else:
        found.sort(key=lambda one: (one.host, one.component))
        tasks = [_custom(work, one, command) for one in found]
        shown = _filters(found)
    request = Request(
        number,
        cluster.name,
        str(info.get("context", "")),
        work.world.now(),
        [tasks],
        user=user,
        type="COMMAND",
        inputs='{"HAS_RESOURCE_FILTERS":"true"}',
        operation_level=_level(info),
        resource_filters=shown,
    )
    work.engine.submit(request, work.world.now())
    return request


def _targets(
    work: Work, cluster: Cluster, command: str, wanted: Mapping[str, Any], info: Mapping[str, Any]
) -> list[HostComponent]:
    if "hosts_predicate" in wanted:
        return _by_predicate(work, cluster, str(wanted["hosts_predicate"]))
    service, component = wanted.get("service_name"), wanted.get("component_name")
    _check_command(cluster, command, str(service), component)
    if command == decommission.COMMAND:
        return decommission.masters_to_tell(work, cluster, info, wanted)
    members = [one for one in cluster.of(str(service)) if component is None or one.component == component]
    for host in _hosts(wanted):
        if not any(one.host == host for one in members) and component is not None:
            raise internal(
                f"ServiceComponentHost not found, clusterName={cluster.name}, serviceName={service}, "
                f"serviceComponentName={component}, hostName={host}"
            )
    chosen = [one for one in members if not _hosts(wanted) or one.host in _hosts(wanted)]
    return [one for one in chosen if one.maintenance == "OFF" and not _host_off(work, one)]


def _check_command(cluster: Cluster, command: str, service: str, component: Any) -> None:
    """Refuse what cannot be run, as AmbariCustomCommandExecutionHelper does: an unknown service is only looked for if a
    component is named."""
    checked = service in cluster.stack.services and command == cluster.stack.check_command(service)
    if not checked and component is None:
        raise internal(f"Unsupported action {command} for Service: {service} and Component: null")
    if service not in cluster.services:
        raise internal(f"Service not found, clusterName={cluster.name}, serviceName={service}")
    if checked:
        return
    if component not in cluster.services[service].components:
        raise internal(
            f"ServiceComponent not found, clusterName={cluster.name}, serviceName={service}, "
            f"serviceComponentName={component}"
        )
    about = cluster.stack.services[service].components[str(component)]
    if command not in COMMANDS and command not in about.commands:
        raise internal(f"Unsupported action {command} for Service: {service} and Component: {component}")


def _by_predicate(work: Work, cluster: Cluster, predicate: str) -> list[HostComponent]:
    """Return the components that match a predicate; none if it lacks the cluster's name (recorded: 206)."""
    from bigtop_builder.ambari_simulator.rest.query import parse_predicate

    parsed = parse_predicate(predicate)
    if parsed is None or f"HostRoles/cluster_name={cluster.name}" not in predicate:
        return []
    found = []
    for one in cluster.components.values():
        values = {
            "stale_configs": cluster.stale(one),
            "cluster_name": cluster.name,
            "service_name": one.service,
            "component_name": one.component,
            "host_name": one.host,
            "state": work.state_of(one),
            "desired_state": one.desired,
            "maintenance_state": one.maintenance,
        }
        if parsed.test(lambda path, values=values: [values.get(path.partition("/")[2])]):  # type: ignore[misc]
            found.append(one)
    return [one for one in found if one.maintenance == "OFF" and not _host_off(work, one)]


def _custom(work: Work, one: HostComponent, command: str) -> Task:
    detail = f"{command} {one.service}/{one.component}"
    return Task(
        work.world.number("task"), one.host, one.component, one.service, "CUSTOM_COMMAND", detail, custom=command
    )


def _filters(found: Sequence[HostComponent]) -> list[dict[str, Any]]:
    names = hash_order(one.component for one in found)
    services = {one.component: one.service for one in found}
    return [
        {
            "service_name": services[name],
            "component_name": name,
            "hosts": [one.host for one in found if one.component == name],
        }
        for name in names
    ]


def _hosts(wanted: Mapping[str, Any]) -> list[str]:
    return [name.strip() for name in str(wanted.get("hosts", "")).split(",") if name.strip()]


def _level(info: Mapping[str, Any]) -> str | None:
    level = info.get("operation_level/level")
    return str(level) if level else None


def _host_off(work: Work, one: HostComponent) -> bool:
    host = work.world.hosts.get(one.host)
    return host is None or work.lost(one.host) or host.maintenance == "ON"


def _command(work: Work, one: HostComponent, state: str) -> str | None:
    if state == "STARTED":
        return None if one.client or work.state_of(one) in {"STARTED", "STARTING"} else "START"
    if state != "INSTALLED":
        return None
    if one.state in {"INIT", "INSTALL_FAILED", "INSTALLING"}:
        return "INSTALL"
    return "STOP" if one.state in {"STARTED", "STARTING", "STOPPING"} else None


def _refuse_failed(cluster: Cluster, chosen: Iterable[HostComponent]) -> None:
    for one in chosen:
        if one.state == "INSTALL_FAILED" and not one.client:
            raise Refusal(
                400,
                f"Invalid transition for servicecomponenthost, clusterName={cluster.name}, clusterId={cluster.id}, "
                f"serviceName={one.service}, componentName={one.component}, hostname={one.host}, "
                "currentState=INSTALL_FAILED, newDesiredState=STARTED",
            )
