"""``requests``, ``stages`` and ``tasks``: what followers of a deployment poll (contract 7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bigtop_builder.ambari_simulator.engine.cluster_state import Cluster, HostRequest, LogicalRequest, LogicalTask
from bigtop_builder.ambari_simulator.engine.task import Request, Status, Task, fold, progress, stage_status
from bigtop_builder.ambari_simulator.engine.work import Work, work_of
from bigtop_builder.ambari_simulator.resources.operations import command_request
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf
from bigtop_builder.ambari_simulator.rest.replies import CREATED, DONE, Refusal, Reply, accepted, uncaught

NEWEST = 20
"""Number of requests in a listing without paging."""
LOGS = "/var/lib/ambari-agent/data"


def counts(tasks: list[Task]) -> dict[str, int]:
    """Count the tasks of a request by status."""
    total = dict.fromkeys(Status, 0)
    for task in tasks:
        total[task.status] += 1
    ended = len(tasks) - total[Status.PENDING] - total[Status.QUEUED] - total[Status.IN_PROGRESS]
    return {
        "task_count": len(tasks),
        "queued_task_count": total[Status.QUEUED],
        "completed_task_count": ended,
        "failed_task_count": total[Status.FAILED],
        "aborted_task_count": total[Status.ABORTED],
        "timed_out_task_count": total[Status.TIMEDOUT],
    }


def request_row(request: Request) -> Row:
    """Return the row of a physical request."""
    tasks = request.tasks
    begun = [task.started for task in tasks if task.started is not None]
    ended = [task.ended for task in tasks if task.ended is not None]
    return {
        "Requests": {
            **_common(request.id, request.cluster, request.context, request.created),
            **counts(tasks),
            "end_time": stamp(max(ended)) if ended and not request.active else -1,
            "inputs": request.inputs,
            "operation_level": request.operation_level,
            "progress_percent": progress(tasks),
            "request_status": request.status,
            "resource_filters": request.resource_filters,
            "start_time": stamp(min(begun)) if begun else stamp(request.started),
            "type": request.type,
            "user_name": request.user,
        }
    }


def logical_row(logical: LogicalRequest) -> Row:
    """Return the row of a blueprint deployment as a whole."""
    tasks = logical.tasks
    return {
        "Requests": {
            **_common(logical.id, logical.cluster.name, logical.context, logical.created),
            **counts(tasks),
            "end_time": -1,
            "inputs": None,
            "operation_level": None,
            "pending_host_request_count": logical.pending_hosts,
            "progress_percent": progress(tasks),
            "request_status": logical.status,
            "resource_filters": None,
            "start_time": -1,
            "type": None,
            "user_name": None,
        }
    }


def _common(number: int, cluster: str, context: str, created: float) -> dict[str, Any]:
    return {
        "id": number,
        "cluster_name": cluster,
        "request_context": context,
        "create_time": stamp(created),
        "cluster_host_info": "{}",
        "exclusive": False,
        "request_schedule": None,
    }


def stamp(moment: float | None) -> int:
    """Format a time like Ambari: milliseconds, -1 if it has not happened."""
    return -1 if moment is None else int(moment * 1000)


def task_row(task: Task, cluster: str) -> Row:
    """Return the row of a physical task."""
    custom = {"custom_command_name": task.custom} if task.custom else {}
    return {
        "Tasks": {
            "attempt_cnt": task.attempts,
            "cluster_name": cluster,
            "command": task.command,
            "command_detail": task.detail,
            **custom,
            "end_time": stamp(task.ended),
            "error_log": f"{LOGS}/errors-{task.id}.txt",
            "exit_code": task.exit_code,
            "host_name": task.host,
            "id": task.id,
            "ops_display_name": None,
            "output_log": f"{LOGS}/output-{task.id}.txt",
            "request_id": task.request,
            "role": task.role,
            "stage_id": task.stage,
            "start_time": stamp(task.started),
            "status": task.status.value,
            "stderr": task.stderr,
            "stdout": task.stdout,
            "structured_out": None if task.structured is None else Leaf(task.structured),
        }
    }


def logical_task_row(task: LogicalTask, host: HostRequest, logical: LogicalRequest) -> Row:
    """Return the row of a logical task: its physical task under another number, or a placeholder."""
    if task.physical is not None:
        row = dict(task_row(task.physical, logical.cluster.name)["Tasks"])
        row |= {"id": task.id, "request_id": logical.id, "stage_id": host.id}
        return {"Tasks": row | {"attempt_cnt": max(1, task.physical.attempts)}}
    empty = Task(task.id, host.shown_host, task.component, "", task.command, "", request=logical.id, stage=host.id)
    empty.detail = f"Logical Task: {task.command} component {task.component} on host {host.shown_host}"
    row = dict(task_row(empty, logical.cluster.name)["Tasks"])
    return {"Tasks": row | {"attempt_cnt": 1}}


def cluster_of(call: Call) -> Cluster:
    """Return the cluster in the URI. Raises ``Refusal`` 404 if it does not exist."""
    cluster = call.world.clusters.get(call.id("Clusters/cluster_name"))
    if not isinstance(cluster, Cluster):
        raise Refusal(404, "Error while fetching cluster resource ID")
    return cluster


def _found(call: Call) -> list[Request | LogicalRequest]:
    work = work_of(call.world)
    name = call.ids.get("Clusters/cluster_name")
    clusters = [cluster_of(call)] if name is not None else []
    own = call.ids.get("Requests/id")
    if own is not None:
        return _one(work, clusters, own, call)
    logical = [one for cluster in clusters for one in cluster.logical.values() if not one.requests]
    physical = [one for one in work.engine.requests.values() if name is None or one.cluster == name]
    found: list[Request | LogicalRequest] = sorted([*logical, *physical], key=lambda one: one.id)
    if call.method == "GET" and call.predicate is None and not {"page_size", "from", "to"} & call.parameters.keys():
        return found[-NEWEST:]
    return found


def _one(work: Work, clusters: list[Cluster], own: str, call: Call) -> list[Request | LogicalRequest]:
    number = int(own) if own.isdigit() else -1
    for cluster in clusters or work.world.clusters.values():
        if number in cluster.logical:
            return [cluster.logical[number]]
    request = work.engine.requests.get(number)
    if request is not None and (not clusters or request.cluster == clusters[0].name):
        return [request]
    if call.method == "GET":
        raise Refusal(404, "Request resource doesn't exist.")
    return []


def request_rows(call: Call) -> Iterable[Row]:
    """List the requests of a cluster, or all; a logical one only while no host is assigned."""
    return [logical_row(one) if isinstance(one, LogicalRequest) else request_row(one) for one in _found(call)]


def task_rows(call: Call) -> Iterable[Row]:
    """List the tasks of a request. Raises ``Refusal`` 500 for a predicate on roles and a host at once (644)."""
    if call.predicate and {"Tasks/role", "Tasks/host_name"} <= {*call.predicate.names}:
        raise uncaught()
    (one,) = _found(call)
    if isinstance(one, LogicalRequest):
        return [logical_task_row(task, host, one) for host in one.host_requests for task in host.tasks]
    return [task_row(task, one.cluster) for task in one.tasks]


def stage_rows(call: Call) -> Iterable[Row]:
    """List the stages of a request; for a logical one, one for each host."""
    (one,) = _found(call)
    if isinstance(one, LogicalRequest):
        groups = [
            (host.id, f"Host {host.shown_host}", [task.physical for task in host.tasks if task.physical])
            for host in one.host_requests
        ]
        return [_stage_row(one.id, one.cluster.name, *group) for group in groups]
    return [_stage_row(one.id, one.cluster, number, one.context, stage) for number, stage in enumerate(one.stages)]


def _stage_row(request: int, cluster: str, number: int, context: str, tasks: list[Task]) -> Row:
    begun = [task.started for task in tasks if task.started is not None]
    ended = [task.ended for task in tasks if task.ended is not None]
    status = stage_status(tasks) if tasks else fold(["PENDING"])
    return {
        "Stage": {
            "stage_id": number,
            "request_id": request,
            "cluster_name": cluster,
            "context": context,
            "status": status,
            "display_status": status,
            "progress_percent": progress(tasks),
            "skippable": False,
            "start_time": stamp(min(begun)) if begun else -1,
            "end_time": stamp(max(ended)) if ended and len(ended) == len(tasks) else -1,
        }
    }


def update_request(call: Call, _rows: list[Row], body: Body) -> Reply:
    """Abort a request; on a logical one this has no effect (337-340), only on the physical ones."""
    given = body.properties
    found = _found(call)
    if not found:
        raise Refusal(400, f"Request {call.id('Requests/id')} does not exist")
    if str(given.get("Requests/remove_pending_host_requests", "")).lower() == "true":
        return _remove_pending(found[0])
    status, reason = given.get("Requests/request_status"), given.get("Requests/abort_reason")
    if not reason:
        raise Refusal(400, "Abort reason can not be empty.")
    if status != "ABORTED":
        raise Refusal(400, f"{status} is wrong value. The only allowed value for updating request status is ABORTED")
    work = work_of(call.world)
    if isinstance(found[0], LogicalRequest):
        return DONE
    work.engine.abort(found[0], str(reason), call.world.now())
    return DONE


def _remove_pending(one: Request | LogicalRequest) -> Reply:
    if not isinstance(one, LogicalRequest):
        raise Refusal(400, f"Request with id: {one.id}is not a Logical Request.")
    one.host_requests = [host for host in one.host_requests if host.host is not None]
    return DONE


def create_request(call: Call, bodies: tuple[Body, ...]) -> Reply:
    """Run a command: service check, restart, custom."""
    cluster = cluster_of(call)
    if not bodies or "command" not in bodies[0].info:
        raise uncaught()
    body = bodies[0]
    filters = body.properties.get("Requests/resource_filters") or []
    request = command_request(work_of(call.world), cluster, body.info, filters, call.user.name)
    if request is None:
        return CREATED
    return accepted(call.href("clusters", cluster.name, "requests", request.id), request.id)


TASK = Resource(
    type="Task",
    plural="tasks",
    key="Tasks/id",
    keys=("Tasks/cluster_name", "Tasks/id", "Tasks/request_id", "Tasks/stage_id"),
    properties=properties(
        "Tasks",
        "attempt_cnt cluster_name command command_detail custom_command_name end_time error_log exit_code host_name id "
        "ops_display_name output_log request_id role stage_id start_time status stderr stdout structured_out",
    ),
    rows=task_rows,
    cut_twice=True,
)
STAGE = Resource(
    type="Stage",
    plural="stages",
    key="Stage/stage_id",
    keys=("Stage/cluster_name", "Stage/request_id", "Stage/stage_id"),
    properties=properties(
        "Stage",
        "stage_id request_id cluster_name context status display_status progress_percent skippable start_time end_time",
    ),
    rows=stage_rows,
)
REQUEST = Resource(
    type="Request",
    plural="requests",
    key="Requests/id",
    keys=("Requests/cluster_name", "Requests/id"),
    properties=properties(
        "Requests",
        "aborted_task_count abort_reason cluster_host_info cluster_name completed_task_count create_time end_time "
        "exclusive failed_task_count id inputs operation_level pending_host_request_count progress_percent "
        "queued_task_count remove_pending_host_requests request_context request_schedule request_status "
        "resource_filters start_time task_count timed_out_task_count type user_name",
    ),
    rows=request_rows,
    sub=(STAGE, TASK),
    query_in_href=False,
    create=create_request,
    update=update_request,
    passes_missing=True,
)
