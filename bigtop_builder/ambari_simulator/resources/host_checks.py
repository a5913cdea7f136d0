"""``/requests``: checks of hosts outside clusters (contract 3.4; not recorded), and the requests of all clusters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from bigtop_builder.ambari_simulator.engine.state import Host, World
from bigtop_builder.ambari_simulator.resources.hosts import agent_environment
from bigtop_builder.ambari_simulator.resources.requests import REQUEST, STAGE, TASK, request_rows, task_rows
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call
from bigtop_builder.ambari_simulator.rest.replies import Refusal, Reply, accepted, uncaught

ACTION = "check_host"
SECONDS = 3.0
"""Seconds that a check of all hosts takes."""


@dataclass(frozen=True)
class HostCheck:
    """One run of checks on hosts; ``tasks``: host -> number."""

    id: int
    context: str
    checks: tuple[str, ...]
    tasks: dict[str, int]
    created: float

    def status(self, now: float) -> str:
        """The status of the request and of its tasks."""
        return "COMPLETED" if now >= self.created + SECONDS else "IN_PROGRESS"


def _create(call: Call, bodies: tuple[Body, ...]) -> Reply:
    info = bodies[0].info if bodies else {}
    if info.get("action") != ACTION:
        raise uncaught()
    hosts = [name.strip() for name in str(info.get("parameters/hosts", "")).split(",") if name.strip()]
    known = {host.name for host in call.world.live_hosts()}
    for name in hosts:
        if name not in known:
            raise Refusal(404, f"Host not found, hostname={name}")
    check = HostCheck(
        id=call.world.number("request"),
        context=str(info.get("context", "")),
        checks=tuple(str(info.get("parameters/check_execute_list", "")).split(",")),
        tasks={name: call.world.number("task") for name in hosts},
        created=call.world.now(),
    )
    call.world.checks[check.id] = check
    return accepted(call.href("requests", check.id), check.id)


def _rows(call: Call) -> Iterable[Row]:
    check = _asked(call)
    return [_row(check, call.world.now())] if check else request_rows(call)


def _task_rows(call: Call) -> Iterable[Row]:
    check = _asked(call)
    if check is None:
        return task_rows(call)
    return [_task(check, number, call.world.hosts[name], call.world) for name, number in check.tasks.items()]


def _asked(call: Call) -> HostCheck | None:
    number = call.ids.get(REQUEST.key, "")
    found: HostCheck | None = call.world.checks.get(int(number)) if number.isdecimal() else None
    return found


def _row(check: HostCheck, now: float) -> dict[str, Any]:
    status = check.status(now)
    done = status == "COMPLETED"
    return {
        "Requests": {
            "aborted_task_count": 0,
            "completed_task_count": len(check.tasks) if done else 0,
            "create_time": int(check.created * 1000),
            "end_time": int((check.created + SECONDS) * 1000) if done else -1,
            "exclusive": False,
            "failed_task_count": 0,
            "id": check.id,
            "progress_percent": 100.0 if done else 35.0,
            "queued_task_count": 0,
            "request_context": check.context,
            "request_status": status,
            "start_time": int(check.created * 1000),
            "task_count": len(check.tasks),
            "timed_out_task_count": 0,
            "type": "ACTION",
        }
    }


def _task(check: HostCheck, number: int, host: Host, world: World) -> dict[str, Any]:
    status = check.status(world.now())
    done = status == "COMPLETED"
    return {
        "Tasks": {
            "attempt_cnt": 1,
            "command": "ACTIONEXECUTE",
            "command_detail": f"{ACTION} ACTIONEXECUTE",
            "exit_code": 0 if done else 999,
            "host_name": host.name,
            "id": number,
            "request_id": check.id,
            "role": ACTION,
            "stage_id": 0,
            "status": status,
            "stderr": "",
            "stdout": "",
            "structured_out": {name: _found(name, check, host) for name in check.checks} if done else {},
        }
    }


def _found(name: str, check: HostCheck, host: Host) -> dict[str, Any]:
    if name == "host_resolution_check":
        return {
            "exit_code": 0,
            "message": "All hosts resolved to an IP address.",
            "failed_count": 0,
            "success_count": len(check.tasks),
            "failures": [],
        }
    if name == "last_agent_env_check":
        return agent_environment(int(host.registered_at * 1000))
    return {"exit_code": 0, "message": ""}


HOST_CHECK = replace(REQUEST, rows=_rows, create=_create, sub=(STAGE, replace(TASK, rows=_task_rows)))
