"""Follow one of Ambari's requests to its real end, and report every task as it changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari import progress
from bigtop_builder.adapter.ambari.following import Follower, Look
from bigtop_builder.adapter.ambari.progress import RequestView
from bigtop_builder.adapter.ambari.request import TaskView
from bigtop_builder.flow.deploy.failure_causes import last_lines, probable_cause
from bigtop_builder.flow.deploy.host_states import LOST
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError, LimitError
from bigtop_builder.model.event import AmbariTask, RequestProgress

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari

REPORTED = ("COMPLETED", "IN_PROGRESS", "SKIPPED_FAILED", *progress.BAD)
SHOWN_FAILURES = 20
"""The number of failed tasks whose last lines are shown; the logs of all are saved."""
PENDING_HOST = "PENDING HOST ASSIGNMENT"
AGENTS_ARE_STARTED = "With ambari.setup the deployment starts agents itself."


class TaskFailedError(AmbariError):
    """Tasks of a request failed. ``tasks`` are the ones that failed themselves, not those aborted because of them."""

    def __init__(self, message: str, tasks: tuple[AmbariTask, ...], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.tasks = tasks


def follow(client: Ambari, world: World, reporter: Reporter, request: int) -> RequestView:
    """Wait until a request is over, and report its progress and tasks.

    Raises TaskFailedError if tasks failed, AmbariError if hosts never register or the request was aborted, LimitError
    after ``ambari.request_timeout``, and InterruptedRunError (the request continues, and the next run follows it).
    """
    choice = world.loaded.ambari
    follower = Follower(client, world.cluster, request)
    limit = reporter.clock() + seconds(choice.request_timeout)
    failed: list[AmbariTask] = []
    reported: tuple[object, ...] = ()
    idle_since: float | None = None
    while True:
        look = follower.look()
        failed += _report_tasks(reporter, look.changed, SHOWN_FAILURES - len(failed), follower.seconds)
        reported = _report_request(reporter, look.view, reported)
        if look.over:
            return _ended(client, world, look, failed)
        idle = look.outcome == "waiting" or _unassigned(look.view)
        idle_since = (idle_since or reporter.clock()) if idle else None
        if idle_since is not None and reporter.clock() - idle_since > seconds(choice.registration_timeout):
            raise _never_came(client, world, look.view)
        if reporter.clock() > limit:
            raise LimitError(
                f"request {request} ({_title(look.view)}) is not over after {choice.request_timeout}; it continues",
                hint="Run the deployment again to follow it, or raise ambari.request_timeout.",
            )
        reporter.sleep(seconds(choice.poll))


def carry_out(
    client: Ambari,
    world: World,
    reporter: Reporter,
    name: str,
    call: Callable[[], int | None],
    detail: str = "",
) -> None:
    """Make a change for which ``call`` starts a request of Ambari's, unless there is nothing to do, and follow it."""
    started: list[int | None] = []
    reporter.change(name, detail, act=lambda: started.append(call()))
    for request in started:
        if request is not None:
            follow(client, world, reporter, request)


def _unassigned(view: RequestView) -> bool:
    return view.logical and view.tasks == 0 and view.pending_hosts > 0


def _ended(client: Ambari, world: World, look: Look, failed: list[AmbariTask]) -> RequestView:
    view = look.view
    if look.outcome == "completed":
        return view
    lost = _lost_agents(client, world, view) if view.aborted else []
    if look.outcome == "aborted" and not failed:
        if lost:
            raise AmbariError(
                f"request {view.id} ({_title(view)}) was aborted: Ambari lost the agent of {', '.join(lost)}",
                hint=f"Start it there (ambari-agent start), then run the deployment again. {AGENTS_ARE_STARTED}",
            )
        raise AmbariError(
            f"request {view.id} ({_title(view)}) was aborted", hint="Run the deployment again to continue."
        )
    count = view.failed + view.timed_out or len(failed)
    where = ", ".join(dict.fromkeys(f"{task.role} {task.command} on {task.host}" for task in failed[:3]))
    besides = f"; Ambari lost the agent of {', '.join(lost)}" if lost else ""
    raise TaskFailedError(
        f"{count} of {view.tasks} tasks of request {view.id} ({_title(view)}) failed: {where}{besides}",
        tuple(failed),
        hint="Fix the cause and run the deployment again: it continues from here.",
    )


def _lost_agents(client: Ambari, world: World, view: RequestView) -> list[str]:
    """Return the hosts of aborted tasks that Ambari no longer hears from: their tasks are aborted without a message."""
    aborted = {task.host for task in client.tasks(world.cluster, view.id, statuses={"ABORTED"})}
    return sorted(host.name for host in client.hosts() if host.name in aborted and host.state == LOST)


def _title(view: RequestView) -> str:
    return view.context.splitlines()[0] if view.context else "without a name"


def _never_came(client: Ambari, world: World, view: RequestView) -> AmbariError:
    registered = {host.name: host for host in client.hosts()}
    lines = []
    for name in world.hosts:
        host = registered.get(name)
        if host is None:
            lines.append(f"{name}: its agent has not registered")
        elif host.cluster not in (None, world.cluster):
            lines.append(f"{name}: it belongs to the cluster {host.cluster}")
        elif host.cluster is None:
            lines.append(
                f"{name}: it is {host.state} but was not assigned; a host of a deleted cluster is only "
                "assigned after a restart of its agent"
            )
    missing = "; ".join(lines) or "Ambari does not say which"
    return AmbariError(
        f"request {view.id} is still waiting for {view.pending_hosts or 'its'} hosts: {missing}",
        hint="Restart the agents of these hosts (ambari-agent restart), then run the deployment again.",
    )


def _report_request(reporter: Reporter, view: RequestView, before: tuple[object, ...]) -> tuple[object, ...]:
    reported = (view.status, round(view.percent), view.pending_hosts, tuple(sorted(view.counts.items())))
    if reported != before:
        reporter.emit(
            RequestProgress(
                phase=reporter.phase,
                request=view.id,
                context=view.context,
                status=view.status,
                percent=view.percent,
                tasks=view.counts,
                pending_hosts=view.pending_hosts,
            )
        )
    return reported


def _report_tasks(
    reporter: Reporter, tasks: Iterable[TaskView], room: int, took: Mapping[int, float]
) -> list[AmbariTask]:
    """Report changed tasks and return those that failed themselves. All logs are saved, ``room`` of them are shown.

    ``took``: seconds that tasks ran, by id.
    """
    failed: list[AmbariTask] = []
    for task in tasks:
        if task.status not in REPORTED or task.host.startswith(PENDING_HOST):
            continue
        if task.status not in progress.BAD or task.status == "ABORTED":
            reporter.emit(_event(reporter, task, seconds=took.get(task.id, 0.0)))
            continue
        cause, hint = probable_cause(task.status, task.stderr, task.stdout)
        logs = [str(path) for path in save_logs(reporter, task)]
        lines = last_lines(task.stderr, task.stdout) if len(failed) < room else []
        ran = took.get(task.id, 0.0)
        event = _event(reporter, task, seconds=ran, cause=cause, hint=hint, last_lines=lines, logs=logs)
        failed.append(event)
        reporter.emit(event)
    return failed


def _event(reporter: Reporter, task: TaskView, **more: object) -> AmbariTask:
    return AmbariTask.model_validate(
        {
            "phase": reporter.phase,
            "request": task.request,
            "task": task.id,
            "host": task.host,
            "role": task.role,
            "command": task.command,
            "status": task.status,
            **more,
        }
    )


def save_logs(reporter: Reporter, task: TaskView) -> list[Path]:
    """Write a task's output to the run's folder, without secrets, and return the files."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{task.request}-{task.id}-{task.host}-{task.role}-{task.command}")
    reporter.logs.mkdir(parents=True, exist_ok=True)
    written = []
    for kind, text in (("stderr", task.stderr), ("stdout", task.stdout)):
        if text.strip():
            path = reporter.logs / f"{name}.{kind}.log"
            path.write_text(reporter.secrets.redact(text), encoding="utf-8")
            written.append(path)
    return written
