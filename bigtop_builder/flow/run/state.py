"""The state of a run, folded from its events. Every view shows this state; none keeps another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bigtop_builder.flow.run.build_state import BuildState, TaskState
from bigtop_builder.flow.run.deploy_state import DeployState
from bigtop_builder.model.event import (
    AnyEvent,
    CacheUsed,
    Notice,
    PhaseEvent,
    RunFinished,
    RunKind,
    RunStarted,
    TaskEvent,
)


@dataclass
class RunState:
    """A run so far, in two parts: what it builds, and what it does to a cluster."""

    begun: bool = False
    run: str = ""
    kind: RunKind = "build"
    command: list[str] = field(default_factory=list)
    store: str = ""
    project: str | None = None
    output: str | None = None
    flags: list[str] = field(default_factory=list)
    started: float = 0.0
    latest: float = 0.0
    build: BuildState = field(default_factory=BuildState)
    deploy: DeployState = field(default_factory=DeployState)
    notices: list[Notice] = field(default_factory=list)
    exit_code: int | None = None
    seconds: float | None = None

    def apply(self, event: AnyEvent) -> None:
        """Take in one event."""
        self.started = self.started or event.time
        self.latest = max(self.latest, event.time)
        if isinstance(event, RunStarted):
            self._start(event)
        elif isinstance(event, RunFinished):
            self.exit_code, self.seconds = event.exit_code, event.seconds
            # A run that breaks off leaves tasks without an end: nothing waits once it is over.
            self.close()
        elif isinstance(event, Notice):
            self.notices.append(event)
        elif isinstance(event, TaskEvent | CacheUsed):
            self.build.apply(event)
        elif isinstance(event, PhaseEvent):
            self.deploy.apply(event)

    def _start(self, event: RunStarted) -> None:
        self.run, self.kind, self.command, self.store = event.run, event.kind, event.command, event.store
        self.project, self.output, self.flags = event.project, event.output, event.flags
        self.begun, self.started = True, event.time
        self.build.plan(event.tasks)
        self.deploy.begin(event.phases, event.target)

    @property
    def has_phases(self) -> bool:
        """Whether the run works on a cluster."""
        return bool(self.deploy.phases or self.deploy.cluster)

    @property
    def has_tasks(self) -> bool:
        """Whether the run builds. A build that found nothing to do has no task, and is one all the same."""
        return bool(self.build.tasks) or not self.has_phases

    @property
    def elapsed(self) -> float:
        """Seconds from the first event to the last."""
        return self.seconds if self.seconds is not None else max(self.latest - self.started, 0.0)

    def new_notes(self, task: TaskState) -> list[str]:
        """The notes of a task that no notice has reported."""
        reported = {notice.text for notice in self.notices}
        return [note for note in task.notes if note not in reported]

    def close(self) -> None:
        """Mark what has not ended as cancelled: no event follows."""
        self.build.close()


def detailed_state() -> RunState:
    """Return the state of a run without events that will keep every Ambari task, as pages show them."""
    return RunState(deploy=DeployState(keep_tasks=True))


def fold(events: Iterable[AnyEvent], state: RunState | None = None) -> RunState:
    """Return the state after ``events``, by default from the start."""
    state = state or RunState()
    for event in events:
        state.apply(event)
    return state
