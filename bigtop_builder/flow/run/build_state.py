"""The build part of a run's state: its tasks, and the components that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from bigtop_builder.model.event import (
    CacheUsed,
    Failure,
    PlannedTask,
    Reproduced,
    State,
    StepFinished,
    StepProgress,
    StepStarted,
    TaskEvent,
    TaskFinished,
    TaskStarted,
)
from bigtop_builder.model.outcome import Artifact, CacheFigures

Shown = State | Literal["waiting", "running"]
"""The state of a task or component as it is shown: how it ended, or where it is."""


@dataclass
class StepState:
    """A step of a task. ``done`` and ``total`` are bytes; ``seconds`` is None until the step has ended."""

    name: str
    started: float
    log: str | None = None
    done: int = 0
    total: int | None = None
    note: str = ""
    rate: float = 0.0
    """Bytes in a second, of late, where ``total`` is known."""
    ok: bool | None = None
    seconds: float | None = None
    looked: float = 0.0
    """When ``done`` was last told."""
    earlier: float = 0.0
    """The seconds of its earlier parts, when a task has the step more than once."""


@dataclass
class TaskState:
    """A task of a run."""

    planned: PlannedTask
    state: Shown = "waiting"
    started: float | None = None
    seconds: float = 0.0
    steps: dict[str, StepState] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)
    failure: Failure | None = None
    blocked_by: str | None = None
    notes: list[str] = field(default_factory=list)
    reproduced: Reproduced | None = None
    """How the second build compared, when there was one."""

    @property
    def step(self) -> StepState | None:
        """The step that runs now."""
        return next((step for step in reversed(self.steps.values()) if step.ok is None), None)


@dataclass
class ComponentState:
    """A component on a platform: its package task together with the compile task that it needs."""

    component: str
    platform: str
    tasks: list[TaskState]
    state: Shown
    culprit: TaskState
    """The task that explains ``state``."""

    @property
    def seconds(self) -> float:
        """The time that its tasks took together."""
        return sum(task.seconds for task in self.tasks)

    @property
    def name(self) -> str:
        """``zookeeper@el8``."""
        return f"{self.component}@{self.platform}"

    @property
    def artifacts(self) -> list[Artifact]:
        """Its packages."""
        return self.tasks[-1].artifacts

    @property
    def identical(self) -> bool | None:
        """Whether a second build gave the same bytes; None when there was none, or it did not finish."""
        verdicts = [task.reproduced.identical if task.reproduced else None for task in self.tasks]
        return False if False in verdicts else None if None in verdicts else True

    @property
    def differences(self) -> list[str]:
        """How the second build differs: the kind of task, and the difference."""
        return [
            f"{task.planned.kind}: {difference}"
            for task in self.tasks
            if task.reproduced
            for difference in task.reproduced.differences
        ]

    @property
    def reasons(self) -> list[str]:
        """Why it was built, reused or refused."""
        return self.culprit.planned.reasons

    @property
    def notes(self) -> list[str]:
        """The notes of its tasks, each once."""
        return list(dict.fromkeys(note for task in self.tasks for note in task.notes))


@dataclass
class BuildState:
    """The tasks of a run so far. Events for unplanned tasks, duplicates and wrong order do no harm."""

    tasks: dict[str, TaskState] = field(default_factory=dict)
    caches: dict[str, CacheFigures] = field(default_factory=dict)

    def plan(self, tasks: Sequence[PlannedTask]) -> None:
        """Take in the plan of the run."""
        for planned in tasks:
            state: Shown = "refused" if planned.action == "refuse" else "waiting"
            self.tasks.setdefault(planned.task, TaskState(planned, state))

    def apply(self, event: TaskEvent | CacheUsed) -> None:
        """Take in one event."""
        if isinstance(event, CacheUsed):
            self.caches[event.cache] = self.caches.get(event.cache, CacheFigures()) + event.figures
            return
        task = self._task(event.task)
        if isinstance(event, TaskStarted):
            task.state, task.started = "running", event.time
        elif isinstance(event, TaskFinished):
            task.state = "refused" if task.planned.action == "refuse" else event.state
            image = task.steps.get("image") if event.seconds else None
            task.seconds = event.seconds + (image.seconds or 0.0 if image else 0.0)
            task.artifacts, task.failure = event.artifacts, event.failure
            task.blocked_by, task.notes = event.blocked_by, event.notes
        elif isinstance(event, Reproduced):
            task.reproduced = event
        else:
            _apply_step(task, event)

    def _task(self, name: str) -> TaskState:
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
            self.tasks[name] = TaskState(planned)
        return self.tasks[name]

    def running(self) -> list[TaskState]:
        """The tasks at work, including queued ones whose image is being made and finished ones that build again."""
        tasks = self.tasks.values()
        besides = ("waiting", "done", "reused")
        return [task for task in tasks if task.state == "running" or (task.state in besides and task.step)]

    def components(self) -> list[ComponentState]:
        """One entry for each component and platform, in the order of the plan."""
        compiles = {task.planned.component: task for task in self.tasks.values() if task.planned.kind == "compile"}
        own = {
            (task.planned.component, task.planned.platform): task
            for task in self.tasks.values()
            if task.planned.kind == "compile"
        }
        found = []
        for task in self.tasks.values():
            if task.planned.kind == "package":
                name = task.planned.component
                # Output that is not native is compiled once, on the builder's platform, for all platforms.
                compile_task = own.get((name, task.planned.platform)) or compiles.get(name)
                found.append(_component(task, compile_task))
        packaged = {one.component for one in found}
        return found + [_component(task, None) for name, task in compiles.items() if name not in packaged]

    def totals(self) -> dict[Shown, int]:
        """The number of components in each state that occurs."""
        totals: dict[Shown, int] = {}
        for one in self.components():
            totals[one.state] = totals.get(one.state, 0) + 1
        return totals

    def close(self) -> None:
        """Mark tasks that have not ended as cancelled: no event follows."""
        for task in self.tasks.values():
            if task.state in ("waiting", "running"):
                task.state = "cancelled"


def _apply_step(task: TaskState, event: StepStarted | StepProgress | StepFinished) -> None:
    step = task.steps.setdefault(event.step, StepState(event.step, event.time))
    if isinstance(event, StepStarted):
        task.steps[event.step] = StepState(
            event.step, event.time, event.log, earlier=step.earlier + (step.seconds or 0.0)
        )
    elif isinstance(event, StepProgress):
        if event.total and event.done > step.done:
            since = event.time - (step.looked or step.started)
            latest = (event.done - step.done) / since if since > 0 else step.rate
            step.rate = latest if not step.rate else 0.7 * step.rate + 0.3 * latest
        step.done, step.total, step.note, step.looked = event.done, event.total, event.note, event.time
    else:
        step.ok, step.seconds = event.ok, step.earlier + event.seconds


def _component(task: TaskState, compile_task: TaskState | None) -> ComponentState:
    tasks = [compile_task, task] if compile_task else [task]
    culprit = task
    if compile_task is not None:
        blocked_by_own = task.state == "blocked" and task.blocked_by == compile_task.planned.task
        started_first = task.state == "waiting" and compile_task.state in ("running", "failed", "cancelled")
        if blocked_by_own or started_first:
            culprit = compile_task
    return ComponentState(task.planned.component, task.planned.platform, tasks, culprit.state, culprit)
