"""The state of a deployment, folded from its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bigtop_builder.model.event import (
    AmbariTask,
    AnyEvent,
    Change,
    CheckFinished,
    DeployStarted,
    Failure,
    HostFailed,
    Notice,
    Phase,
    PhaseFinished,
    PhaseStarted,
    RequestProgress,
    RunFinished,
)

BAD_TASKS = ("FAILED", "TIMEDOUT", "ABORTED")


@dataclass
class PhaseView:
    """A phase: what it changed, checked and waited for."""

    name: Phase
    state: str = "waiting"
    seconds: float = 0.0
    changed: int = 0
    note: str = ""
    failure: Failure | None = None
    changes: list[Change] = field(default_factory=list)
    checks: list[CheckFinished] = field(default_factory=list)
    hosts: list[HostFailed] = field(default_factory=list)
    requests: dict[int, RequestProgress] = field(default_factory=dict)
    failed_tasks: list[AmbariTask] = field(default_factory=list)
    tasks: dict[str, int] = field(default_factory=dict)
    """How many of Ambari's tasks ended in each status."""


@dataclass
class DeployView:
    """A deployment so far. Memory grows with phases, changes and failures, not with Ambari's tasks."""

    begun: bool = False
    run: str = ""
    command: list[str] = field(default_factory=list)
    cluster: str = ""
    hosts: list[str] = field(default_factory=list)
    dry_run: bool = False
    rehearsal: bool = False
    started: float = 0.0
    phases: dict[Phase, PhaseView] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    exit_code: int | None = None
    seconds: float = 0.0

    def apply(self, event: AnyEvent) -> None:
        """Take in one event."""
        if isinstance(event, DeployStarted):
            self.begun, self.started = True, event.time
            self.run, self.command, self.cluster = event.run, event.command, event.cluster
            self.hosts, self.dry_run, self.rehearsal = event.hosts, event.dry_run, event.rehearsal
            self.phases = {phase: PhaseView(phase) for phase in event.phases}
        elif isinstance(event, RunFinished):
            self.exit_code, self.seconds = event.exit_code, event.seconds
        elif isinstance(event, Notice):
            self.notices.append(event)
        elif isinstance(
            event, PhaseStarted | PhaseFinished | Change | HostFailed | RequestProgress | AmbariTask | CheckFinished
        ):
            _apply(self.phases.setdefault(event.phase, PhaseView(event.phase)), event)

    @property
    def changes(self) -> int:
        """What was changed, or with a dry run would be."""
        return sum(phase.changed for phase in self.phases.values())

    @property
    def failed(self) -> PhaseView | None:
        """The phase that ended the run."""
        return next((phase for phase in self.phases.values() if phase.state == "failed"), None)

    @property
    def headline(self) -> str:
        """``3 changes on cluster c1``, ``failed in cluster on c1``."""
        if self.failed is not None:
            return f"failed in {self.failed.name} on cluster {self.cluster}"
        dry = " to make" if self.dry_run else " rehearsed" if self.rehearsal else ""
        return f"{self.changes} change{'' if self.changes == 1 else 's'}{dry} on cluster {self.cluster}"

    def logs(self) -> list[tuple[str, str]]:
        """Failed tasks and the files with what they printed."""
        tasks = [task for phase in self.phases.values() for task in phase.failed_tasks]
        return [(f"{task.host} {task.role} {task.command}", log) for task in tasks for log in task.logs]

    def data(self) -> dict[str, Any]:
        """The answer of ``--json``."""
        return {
            "run": self.run,
            "cluster": self.cluster,
            "dry_run": self.dry_run,
            "rehearsal": self.rehearsal,
            "exit_code": self.exit_code,
            "seconds": round(self.seconds, 3),
            "changes": self.changes,
            "phases": [_phase_data(phase) for phase in self.phases.values()],
            "notices": [{"level": notice.level, "text": notice.text} for notice in self.notices],
        }


def _apply(
    phase: PhaseView,
    event: PhaseStarted | PhaseFinished | Change | HostFailed | RequestProgress | AmbariTask | CheckFinished,
) -> None:
    if isinstance(event, PhaseStarted):
        phase.state = "running"
    elif isinstance(event, PhaseFinished):
        phase.state, phase.seconds, phase.note = event.state, event.seconds, event.note
        phase.changed, phase.failure = event.changes, event.failure
    elif isinstance(event, Change):
        phase.changes.append(event)
    elif isinstance(event, HostFailed):
        phase.hosts.append(event)
    elif isinstance(event, RequestProgress):
        phase.requests[event.request] = event
    elif isinstance(event, AmbariTask):
        phase.tasks[event.status] = phase.tasks.get(event.status, 0) + 1
        if event.status in BAD_TASKS:
            phase.failed_tasks.append(event)
    else:
        phase.checks.append(event)


def _phase_data(phase: PhaseView) -> dict[str, Any]:
    hidden = {"event", "time", "phase"}
    return {
        "phase": phase.name,
        "state": phase.state,
        "seconds": round(phase.seconds, 3),
        "changes": [change.model_dump(mode="json", exclude=hidden) for change in phase.changes],
        "checks": [check.model_dump(mode="json", exclude=hidden) for check in phase.checks],
        "hosts": [host.model_dump(mode="json", exclude=hidden) for host in phase.hosts],
        "requests": [request.model_dump(mode="json", exclude=hidden) for request in phase.requests.values()],
        "failed_tasks": [task.model_dump(mode="json", exclude=hidden) for task in phase.failed_tasks],
        "note": phase.note,
        "failure": phase.failure.model_dump(mode="json") if phase.failure else None,
    }
