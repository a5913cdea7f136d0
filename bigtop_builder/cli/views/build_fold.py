"""The state of a run, folded from its events. Every face shows this state; none keeps another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from bigtop_builder.model.event import (
    EVENTS,
    AnyEvent,
    Artifact,
    BuildEvent,
    CacheFigures,
    CacheUsed,
    Failure,
    Notice,
    PlannedTask,
    Reproduced,
    RunFinished,
    RunStarted,
    State,
    StepFinished,
    StepProgress,
    StepStarted,
    TaskFinished,
    TaskStarted,
)

Shown = State | Literal["waiting", "running"]


@dataclass
class StepView:
    """A step of a task: ``done`` and ``total`` in bytes, ``seconds`` once it has finished."""

    name: str
    started: float
    log: str | None = None
    done: int = 0
    total: int | None = None
    note: str = ""
    ok: bool | None = None
    seconds: float | None = None


@dataclass
class TaskView:
    """A task of a run."""

    planned: PlannedTask
    state: Shown = "waiting"
    started: float | None = None
    seconds: float = 0.0
    steps: dict[str, StepView] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)
    failure: Failure | None = None
    blocked_by: str | None = None
    notes: list[str] = field(default_factory=list)
    reproduced: Reproduced | None = None
    """What the second build gave, when one was asked for."""

    @property
    def step(self) -> StepView | None:
        """The step that runs now."""
        return next((step for step in reversed(self.steps.values()) if step.ok is None), None)


@dataclass
class ComponentView:
    """A component on a platform: its package task, told together with the compile task that it stands on."""

    component: str
    platform: str
    tasks: list[TaskView]
    state: Shown
    culprit: TaskView

    @property
    def seconds(self) -> float:
        return sum(task.seconds for task in self.tasks)

    @property
    def name(self) -> str:
        """``zookeeper@el8``."""
        return f"{self.component}@{self.platform}"

    @property
    def artifacts(self) -> list[Artifact]:
        return self.tasks[-1].artifacts

    @property
    def identical(self) -> bool | None:
        """Whether a second build gave the same bytes; None when none was made, or it was not finished."""
        verdicts = [task.reproduced.identical if task.reproduced else None for task in self.tasks]
        return False if False in verdicts else None if None in verdicts else True

    @property
    def differences(self) -> list[str]:
        """What a second build gave otherwise: the task, and each difference."""
        return [
            f"{task.planned.kind}: {difference}"
            for task in self.tasks
            if task.reproduced
            for difference in task.reproduced.differences
        ]

    @property
    def reasons(self) -> list[str]:
        return self.culprit.planned.reasons

    @property
    def notes(self) -> list[str]:
        return list(dict.fromkeys(note for task in self.tasks for note in task.notes))


@dataclass
class RunView:
    """A run so far. Events of tasks that were never planned, twice or out of order do no harm."""

    begun: bool = False
    run: str = ""
    command: list[str] = field(default_factory=list)
    store: str = ""
    started: float = 0.0
    latest: float = 0.0
    tasks: dict[str, TaskView] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    caches: dict[str, CacheFigures] = field(default_factory=dict)
    exit_code: int | None = None
    seconds: float | None = None

    def apply(self, event: AnyEvent) -> None:
        """Take in one event."""
        self.latest = max(self.latest, event.time)
        if isinstance(event, RunStarted):
            self._start(event)
        elif isinstance(event, RunFinished):
            self.exit_code, self.seconds = event.exit_code, event.seconds
        elif isinstance(event, Notice):
            self.notices.append(event)
        elif isinstance(event, CacheUsed):
            self.caches[event.cache] = self.caches.get(event.cache, CacheFigures()) + event.figures
        elif isinstance(event, BuildEvent):
            self._task_event(self._task(event.task), event)

    def _start(self, event: RunStarted) -> None:
        self.run, self.command, self.store = event.run, event.command, event.store
        self.begun, self.started = True, event.time
        for planned in event.tasks:
            state: Shown = "refused" if planned.action == "refuse" else "waiting"
            self.tasks.setdefault(planned.task, TaskView(planned, state))

    def _task(self, name: str) -> TaskView:
        if name not in self.tasks:
            place, _, kind = name.partition("/")
            component, _, platform = place.partition("@")
            planned = PlannedTask(
                task=name,
                component=component,
                platform=platform,
                kind="compile" if kind == "compile" else "package",
                action="build",
                key="",
            )
            self.tasks[name] = TaskView(planned)
        return self.tasks[name]

    def _task_event(
        self, task: TaskView, event: TaskStarted | StepStarted | StepProgress | StepFinished | TaskFinished | Reproduced
    ) -> None:
        if isinstance(event, TaskStarted):
            task.state, task.started = "running", event.time
        elif isinstance(event, TaskFinished):
            task.state = "refused" if task.planned.action == "refuse" else event.state
            task.seconds = event.seconds
            task.artifacts, task.failure = event.artifacts, event.failure
            task.blocked_by, task.notes = event.blocked_by, event.notes
        elif isinstance(event, Reproduced):
            task.reproduced = event
        else:
            step = task.steps.setdefault(event.step, StepView(event.step, event.time))
            if isinstance(event, StepStarted):
                task.steps[event.step] = StepView(event.step, event.time, event.log)
            elif isinstance(event, StepProgress):
                step.done, step.total, step.note = event.done, event.total, event.note
            else:
                step.ok, step.seconds = event.ok, event.seconds

    @property
    def finished(self) -> bool:
        """Whether the run has told its end; the log of a killed run has none."""
        return self.exit_code is not None

    @property
    def elapsed(self) -> float:
        """Seconds from the first event to the last."""
        return self.seconds if self.seconds is not None else max(self.latest - self.started, 0.0)

    def running(self) -> list[TaskView]:
        """Tasks at work; one that still waits may have its image made already, one that is done be built again."""
        tasks = self.tasks.values()
        besides = ("waiting", "done", "reused")
        return [task for task in tasks if task.state == "running" or (task.state in besides and task.step)]

    def unsaid(self, task: TaskView) -> list[str]:
        """Notes of a task that no notice has told."""
        said = {notice.text for notice in self.notices}
        return [note for note in task.notes if note not in said]

    def components(self) -> list[ComponentView]:
        """One entry for each component and platform, in the order of the plan."""
        compiles = {task.planned.component: task for task in self.tasks.values() if task.planned.kind == "compile"}
        own = {
            (task.planned.component, task.planned.platform): task
            for task in self.tasks.values()
            if task.planned.kind == "compile"
        }
        views = []
        for task in self.tasks.values():
            if task.planned.kind == "package":
                name = task.planned.component
                compile_task = own.get((name, task.planned.platform)) or compiles.get(name)
                views.append(_component(task, compile_task))
        packaged = {view.component for view in views}
        views += [_component(task, None) for name, task in compiles.items() if name not in packaged]
        return views

    def totals(self) -> dict[Shown, int]:
        """How many components are in each state that occurs."""
        totals: dict[Shown, int] = {}
        for view in self.components():
            totals[view.state] = totals.get(view.state, 0) + 1
        return totals

    def close(self) -> None:
        """Nothing more will come: what waits or runs will never finish."""
        for task in self.tasks.values():
            if task.state in ("waiting", "running"):
                task.state = "cancelled"


def _component(task: TaskView, compile_task: TaskView | None) -> ComponentView:
    tasks = [compile_task, task] if compile_task else [task]
    culprit = task
    if compile_task is not None:
        blocked_by_own = task.state == "blocked" and task.blocked_by == compile_task.planned.task
        started_first = task.state == "waiting" and compile_task.state in ("running", "failed", "cancelled")
        if blocked_by_own or started_first:
            culprit = compile_task
    return ComponentView(task.planned.component, task.planned.platform, tasks, culprit.state, culprit)


def fold(events: Iterable[AnyEvent]) -> RunView:
    """The state after ``events``."""
    view = RunView()
    for event in events:
        view.apply(event)
    return view


def read_events(log: Path) -> Iterator[AnyEvent]:
    """The events of a log. A line that a killed run left half-written is passed over. Raises OSError."""
    with log.open("rb") as lines:
        for line in lines:
            try:
                yield EVENTS.validate_json(line)
            except ValidationError:
                continue
