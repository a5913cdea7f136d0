"""The deployment part of a run's state: its phases, and what they changed and found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bigtop_builder.model.event import (
    AmbariTask,
    Change,
    CheckFinished,
    ClusterTarget,
    Failure,
    HostFailed,
    Phase,
    PhaseEvent,
    PhaseFinished,
    PhaseStarted,
    RequestProgress,
)

BAD_STATUSES = ("FAILED", "TIMEDOUT", "ABORTED")
"""The statuses of an Ambari task that did not succeed."""


@dataclass
class PhaseState:
    """A phase: its changes, checks, failed hosts, Ambari requests and failed tasks."""

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
    """The number of Ambari task events by status."""
    keep_tasks: bool = False
    ambari_tasks: dict[int, AmbariTask] = field(default_factory=dict)
    """Each Ambari task by its id, as it was last reported; only with ``keep_tasks``."""

    def apply(self, event: PhaseEvent) -> None:
        """Take in one event."""
        if isinstance(event, PhaseStarted):
            self.state = "running"
        elif isinstance(event, PhaseFinished):
            self.state, self.seconds, self.note = event.state, event.seconds, event.note
            self.changed, self.failure = event.changes, event.failure
        elif isinstance(event, Change):
            self.changes.append(event)
        elif isinstance(event, HostFailed):
            self.hosts.append(event)
        elif isinstance(event, RequestProgress):
            self.requests[event.request] = event
        elif isinstance(event, AmbariTask):
            self.tasks[event.status] = self.tasks.get(event.status, 0) + 1
            if self.keep_tasks:
                self.ambari_tasks[event.task] = event
            if event.status in BAD_STATUSES:
                self.failed_tasks.append(event)
        else:
            self.checks.append(event)


@dataclass
class DeployState:
    """The phases of a run so far.

    Memory grows with phases, changes and failures, and with Ambari's tasks only where ``keep_tasks`` says so.
    """

    cluster: str = ""
    hosts: list[str] = field(default_factory=list)
    dry_run: bool = False
    rehearsal: bool = False
    phases: dict[Phase, PhaseState] = field(default_factory=dict)
    keep_tasks: bool = False

    def begin(self, phases: Sequence[Phase], target: ClusterTarget | None) -> None:
        """Take in the phases and the cluster of the run."""
        if target is not None:
            self.cluster, self.hosts = target.cluster, target.hosts
            self.dry_run, self.rehearsal = target.dry_run, target.rehearsal
        for phase in phases:
            self.phases.setdefault(phase, PhaseState(phase, keep_tasks=self.keep_tasks))

    def apply(self, event: PhaseEvent) -> None:
        """Take in one event."""
        self.phases.setdefault(event.phase, PhaseState(event.phase, keep_tasks=self.keep_tasks)).apply(event)

    @property
    def changes(self) -> int:
        """How much was changed, or in a dry run would be."""
        return sum(phase.changed for phase in self.phases.values())

    @property
    def failed(self) -> PhaseState | None:
        """The phase that failed and so ended the run."""
        return next((phase for phase in self.phases.values() if phase.state == "failed"), None)

    def logs(self) -> list[tuple[str, str]]:
        """The failed Ambari tasks as ``HOST ROLE COMMAND``, each with a file of what it printed."""
        tasks = [task for phase in self.phases.values() for task in phase.failed_tasks]
        return [(f"{task.host} {task.role} {task.command}", log) for task in tasks for log in task.logs]
