"""Following one of Ambari's requests to its true end, every task told as it changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.adapter.ambari import progress
from bigtop_builder.adapter.ambari.progress import RequestView
from bigtop_builder.adapter.ambari.request import TaskView
from bigtop_builder.flow.deploy.causes import last_lines, probable_cause
from bigtop_builder.flow.deploy.context import Deployment
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError, LimitError
from bigtop_builder.model.event import AmbariTask, RequestProgress

TOLD = ("COMPLETED", "IN_PROGRESS", "SKIPPED_FAILED", *progress.BAD)
SHOWN_FAILURES = 20
"""Failed tasks whose output is fetched and shown; the rest is counted."""
PENDING_HOST = "PENDING HOST ASSIGNMENT"


class TaskFailedError(AmbariError):
    """Tasks of a request ended badly. ``tasks``: those that failed first-hand, not the ones aborted because of them."""

    def __init__(self, message: str, tasks: tuple[AmbariTask, ...], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.tasks = tasks


@dataclass
class _Following:
    """``ended`` is the newest end of a task, in seconds by the server's clock."""

    known: dict[int, str] = field(default_factory=dict)
    failed: list[AmbariTask] = field(default_factory=list)
    ended: float | None = None
    told: tuple[object, ...] = ()


def follow(deployment: Deployment, request: int) -> RequestView:
    """Wait until a request is over; tell its progress and tasks.

    Raises TaskFailedError when tasks failed, AmbariError when hosts never come or it was aborted, LimitError after
    ``ambari.request_timeout``, InterruptedRunError (the request then goes on, and the next run follows it).
    """
    choice = deployment.ambari
    state = _Following()
    limit = deployment.clock() + seconds(choice.request_timeout)
    idle_since: float | None = None
    while True:
        view = deployment.client.request(deployment.cluster, request)
        _tell_tasks(deployment, view, state)
        _tell_request(deployment, view, state)
        ended = progress.outcome(view)
        if ended in ("completed", "failed", "aborted"):
            return _ended(view, ended, state)
        if view.logical and progress.may_be_stuck(view) and progress.is_stuck(_unfinished(deployment, view)):
            return _ended(view, "failed", state)
        idle_since = (idle_since or deployment.clock()) if ended == "waiting" or _unassigned(view) else None
        if idle_since is not None and deployment.clock() - idle_since > seconds(choice.registration_timeout):
            raise _never_came(deployment, view)
        if deployment.clock() > limit:
            raise LimitError(
                f"request {view.id} ({view.context}) is not over after {choice.request_timeout}; it goes on",
                hint="Run the deployment again to follow it, or raise ambari.request_timeout.",
            )
        deployment.sleep(seconds(choice.poll))


def carry_out(deployment: Deployment, name: str, call: Callable[[], int | None], detail: str = "") -> None:
    """A change that Ambari carries out with a request, if there is anything to do: it is followed to its end."""
    started: list[int | None] = []
    deployment.change(name, detail, act=lambda: started.append(call()))
    for request in started:
        if request is not None:
            follow(deployment, request)


def _unassigned(view: RequestView) -> bool:
    return view.logical and view.tasks == 0 and view.pending_hosts > 0


def _unfinished(deployment: Deployment, view: RequestView) -> list[TaskView]:
    wanted = ("PENDING", *progress.ACTIVE, *progress.BAD)
    return list(deployment.client.tasks(deployment.cluster, view.id, statuses=wanted))


def _ended(view: RequestView, ended: str, state: _Following) -> RequestView:
    if ended == "completed":
        return view
    if ended == "aborted" and not state.failed:
        raise AmbariError(f"request {view.id} ({_title(view)}) was aborted", hint="Run the deployment again to go on.")
    count = view.failed + view.timed_out or len(state.failed)
    where = ", ".join(dict.fromkeys(f"{task.role} {task.command} on {task.host}" for task in state.failed[:3]))
    raise TaskFailedError(
        f"{count} of {view.tasks} tasks of request {view.id} ({_title(view)}) failed: {where}",
        tuple(state.failed),
        hint="Mend the cause and run the deployment again: it goes on from here.",
    )


def _title(view: RequestView) -> str:
    return view.context.splitlines()[0] if view.context else "without a name"


def _never_came(deployment: Deployment, view: RequestView) -> AmbariError:
    registered = {host.name: host for host in deployment.client.hosts()}
    lines = []
    for name in deployment.hosts:
        host = registered.get(name)
        if host is None:
            lines.append(f"{name}: its agent has not registered")
        elif host.cluster not in (None, deployment.cluster):
            lines.append(f"{name}: it belongs to the cluster {host.cluster}")
        elif host.cluster is None:
            lines.append(
                f"{name}: it is {host.state} and yet not taken; a host of a deleted cluster comes after a "
                "restart of its agent"
            )
    told = "; ".join(lines) or "Ambari does not say which"
    return AmbariError(
        f"request {view.id} still waits for {view.pending_hosts or 'its'} hosts: {told}",
        hint="Restart the agents of these hosts (ambari-agent restart), then run the deployment again.",
    )


def _tell_request(deployment: Deployment, view: RequestView, state: _Following) -> None:
    told = (view.status, round(view.percent), view.pending_hosts, tuple(sorted(view.counts.items())))
    if told != state.told:
        state.told = told
        deployment.emit(
            RequestProgress(
                phase=deployment.phase,
                request=view.id,
                context=view.context,
                status=view.status,
                percent=view.percent,
                tasks=view.counts,
                pending_hosts=view.pending_hosts,
            )
        )


def _tell_tasks(deployment: Deployment, view: RequestView, state: _Following) -> None:
    """Asks only for tasks that run, went wrong, or ended since the last look: the answer stays small."""
    if view.tasks == 0:
        return
    since = state.ended if state.ended is not None else view.create or 1.0
    changed = deployment.client.tasks(
        deployment.cluster, view.id, statuses=("IN_PROGRESS", *progress.BAD), ended_since=since
    )
    bad: list[TaskView] = []
    for task in changed:
        if task.end is not None:
            state.ended = max(state.ended or 0.0, task.end)
        if state.known.get(task.id) == task.status or task.status not in TOLD or task.host.startswith(PENDING_HOST):
            continue
        state.known[task.id] = task.status
        if task.status in progress.BAD:
            bad.append(task)
        else:
            deployment.emit(_event(deployment, task))
    if bad:
        _tell_bad(deployment, view, bad, state)


def _event(deployment: Deployment, task: TaskView, **more: object) -> AmbariTask:
    took = task.end - task.start if task.end and task.start else 0.0
    return AmbariTask.model_validate(
        {
            "phase": deployment.phase,
            "request": task.request,
            "task": task.id,
            "host": task.host,
            "role": task.role,
            "command": task.command,
            "status": task.status,
            "seconds": took,
            **more,
        }
    )


def _tell_bad(deployment: Deployment, view: RequestView, tasks: Iterable[TaskView], state: _Following) -> None:
    """Failed tasks with their output. What was aborted because of them has nothing to say."""
    by_id = {task.id: task for task in tasks}
    failed = [task.id for task in by_id.values() if task.status != "ABORTED"]
    shown = failed[: max(0, SHOWN_FAILURES - len(state.failed))]
    if shown:
        for task in deployment.client.tasks(deployment.cluster, view.id, ids=shown, with_output=True):
            by_id[task.id] = task
    for task in by_id.values():
        if task.id not in shown:
            deployment.emit(_event(deployment, task))
            continue
        cause, hint = probable_cause(task.status, task.stderr, task.stdout)
        logs = [str(path) for path in save_logs(deployment, task)]
        event = _event(
            deployment, task, cause=cause, hint=hint, last_lines=last_lines(task.stderr, task.stdout), logs=logs
        )
        state.failed.append(event)
        deployment.emit(event)


def save_logs(deployment: Deployment, task: TaskView) -> list[Path]:
    """Write a task's output into the run's folder, without secrets; gives the files."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{task.request}-{task.id}-{task.host}-{task.role}-{task.command}")
    deployment.logs.mkdir(parents=True, exist_ok=True)
    written = []
    for kind, text in (("stderr", task.stderr), ("stdout", task.stdout)):
        if text.strip():
            path = deployment.logs / f"{name}.{kind}.log"
            path.write_text(deployment.secrets.redact(text), encoding="utf-8")
            written.append(path)
    return written
