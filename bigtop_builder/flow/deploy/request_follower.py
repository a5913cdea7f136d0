"""Follow one of Ambari's requests to its real end, and report every task as it changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari import progress
from bigtop_builder.adapter.ambari.following import Follower, Look
from bigtop_builder.adapter.ambari.progress import RequestView
from bigtop_builder.adapter.ambari.request import TaskView
from bigtop_builder.flow.deploy.failure_causes import probable_cause
from bigtop_builder.flow.deploy.host_states import LOST
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.task_output import last_lines, same
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError, LimitError
from bigtop_builder.model.event import AmbariTask, RequestProgress

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari

REPORTED = ("COMPLETED", "IN_PROGRESS", "SKIPPED_FAILED", *progress.BAD)
SHOWN_FAILURES = 20
"""The number of different failures whose last lines are shown; the logs of all are saved."""
NAMED_CAUSES, NAMED_HOSTS = 3, 5
"""How much the error at the end of a request names."""
PENDING_HOST = "PENDING HOST ASSIGNMENT"
AGENTS_ARE_STARTED = "With ambari.setup the deployment starts agents itself."


class TaskFailedError(AmbariError):
    """Tasks of a request failed. ``tasks`` are the ones that failed themselves, not those aborted because of them."""

    def __init__(self, message: str, tasks: tuple[AmbariTask, ...], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.tasks = tasks

    @property
    def lasting(self) -> bool:
        """Whether trying again is pointless: a package is missing, say, or a configuration."""
        return any(task.lasting for task in self.tasks)


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
        _report_tasks(reporter, look.changed, failed, follower.seconds)
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
    *,
    disrupts: Sequence[str] = (),
) -> None:
    """Make a change for which ``call`` starts a request of Ambari's, unless there is nothing to do, and follow it."""
    started: list[int | None] = []
    reporter.change(name, detail, act=lambda: started.append(call()), disrupts=disrupts)
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
    besides = f"; Ambari lost the agent of {', '.join(lost)}" if lost else ""
    named = "\n".join(_by_cause(failed))
    hints = [*dict.fromkeys(task.hint for task in failed if task.hint)][:NAMED_CAUSES] or ["Fix the cause."]
    raise TaskFailedError(
        f"{count} of {view.tasks} tasks of request {view.id} ({_title(view)}) failed{besides}: {named}",
        tuple(failed),
        hint="\n".join([*hints, "Then run the deployment again: it continues from here."]),
    )


def _by_cause(failed: Iterable[AmbariTask]) -> Iterator[str]:
    """Yield ``DATANODE INSTALL on n1, n2: no repository has …`` for each cause, the first ones only."""
    groups: dict[str, list[AmbariTask]] = {}
    for task in failed:
        groups.setdefault(task.same_as or f"{task.role} on {task.host}", []).append(task)
    for tasks in [*groups.values()][:NAMED_CAUSES]:
        hosts: dict[str, list[str]] = {}
        for task in tasks:
            hosts.setdefault(f"{task.role} {task.command}", []).append(task.host)
        where = "; ".join(f"{what} on {_some(names)}" for what, names in hosts.items())
        yield f"{where}: {tasks[0].cause}" if tasks[0].cause else where
    if len(groups) > NAMED_CAUSES:
        yield f"and {len(groups) - NAMED_CAUSES} other failures"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED_HOSTS} more" if len(names) > NAMED_HOSTS else ""
    return ", ".join(names[:NAMED_HOSTS]) + more


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
    reporter: Reporter, tasks: Iterable[TaskView], failed: list[AmbariTask], took: Mapping[int, float]
) -> None:
    """Report changed tasks, and add those that failed themselves to ``failed``.

    All logs are saved; last lines are only those of different failures. ``took``: seconds that tasks ran, by id.
    """
    for task in tasks:
        if task.status not in REPORTED or task.host.startswith(PENDING_HOST):
            continue
        if task.status not in progress.BAD or task.status == "ABORTED":
            reporter.emit(_event(reporter, task, seconds=took.get(task.id, 0.0)))
            continue
        event = _failure(reporter, task, took.get(task.id, 0.0))
        essence = _essence(event)
        if essence in reporter.failures:
            event = event.model_copy(update={"same_as": reporter.failures[essence], "last_lines": []})
        elif sum(not one.same_as for one in failed) >= SHOWN_FAILURES:
            event = event.model_copy(update={"last_lines": []})
        reporter.failures.setdefault(essence, f"{event.role} on {event.host}")
        failed.append(event)
        reporter.emit(event)


def _failure(reporter: Reporter, task: TaskView, seconds: float) -> AmbariTask:
    found = probable_cause(task.status, task.stderr, task.stdout)
    cause = {"cause": found.text, "hint": found.hint, "lasting": found.lasting} if found else {}
    logs = [str(path) for path in save_logs(reporter, task)]
    lines = last_lines(task.stderr, task.stdout)
    return _event(reporter, task, seconds=seconds, **cause, last_lines=lines, logs=logs)


def _essence(task: AmbariTask) -> str:
    """What failures for the same cause have in common, on different hosts and when they are tried again."""
    return same(task.cause or "\n".join(task.last_lines)).replace(task.host, "HOST")


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
    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{task.request}-{task.id}-{task.host}-{task.role}-{task.command}")[:200]
    reporter.logs.mkdir(parents=True, exist_ok=True)
    written = []
    for kind, text in (("stderr", task.stderr), ("stdout", task.stdout)):
        if text.strip():
            path = reporter.logs / f"{name}.{kind}.log"
            path.write_text(reporter.secrets.redact(text, foreign=True), encoding="utf-8")
            written.append(path)
    return written
