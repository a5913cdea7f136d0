"""A run as pages show it: its tasks with their places in the graph, its phases with a matrix of hosts for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bigtop_builder.cli.text_format import clean
from bigtop_builder.cli.views.closing import MARKS, failure_groups, group_title, headline
from bigtop_builder.cli.views.html.graph import Graph, critical_path, graph, predecessors
from bigtop_builder.cli.views.html.timeline import Timeline, timeline
from bigtop_builder.flow.run.build_state import Shown, StepState, TaskState
from bigtop_builder.flow.run.deploy_state import BAD_STATUSES, PhaseState
from bigtop_builder.flow.run.state import RunState
from bigtop_builder.model.event import Failure
from bigtop_builder.model.outcome import Artifact

ENDED = ("done", "reused", "failed", "blocked", "cancelled", "refused")
CELL_STATES = {
    "COMPLETED": "done",
    "IN_PROGRESS": "running",
    "PENDING": "waiting",
    "QUEUED": "waiting",
    "HOLDING": "waiting",
    "SKIPPED_FAILED": "cancelled",
    **dict.fromkeys(BAD_STATUSES, "failed"),
    "planned": "waiting",
    "ok": "done",
    "warning": "blocked",
    "error": "failed",
    "changed": "done",
    "unchanged": "reused",
    "skipped": "cancelled",
}
"""How states of Ambari's tasks, changes, checks and phases are coloured: as the state of a task."""
LISTED = 2000
"""The most changes of a phase that are listed in full."""


@dataclass(frozen=True)
class Problem:
    """Why something failed, for one or more components or for a phase."""

    title: str
    failure: Failure
    others: tuple[str, ...] = ()
    phase: bool = False
    """Whether ``title`` is the name of a phase."""


@dataclass(frozen=True)
class Cell:
    """What a matrix says of one row on one host. ``state`` gives the colour."""

    state: str
    text: str
    title: str = ""
    log: str | None = None


@dataclass(frozen=True)
class Matrix:
    """Rows by hosts; None where there is nothing to say."""

    title: str
    hosts: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


@dataclass
class RunPage:
    """A run as it is now. ``now`` is the time that running tasks are measured with; ``status`` that of the record."""

    state: RunState
    status: str
    now: float
    live: bool = False
    tasks: list[TaskState] = field(init=False)
    before: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.tasks = list(self.state.build.tasks.values())
        self.before = predecessors(self.tasks)

    @property
    def headline(self) -> str:
        """``2 done, 1 failed in 3m10s``."""
        return headline(self.state)

    @property
    def elapsed(self) -> float:
        """Seconds since the start, or from start to end."""
        if self.live and self.state.started:
            return max(self.now - self.state.started, 0.0)
        return self.state.elapsed

    @property
    def colour(self) -> str:
        """The state of a task whose colour the run has."""
        return status_colour(self.status)

    @property
    def counts(self) -> list[tuple[Shown, int]]:
        """The number of tasks in each state that occurs."""
        found: dict[Shown, int] = dict.fromkeys(MARKS, 0)
        for task in self.tasks:
            found[task.state] += 1
        return [(state, number) for state, number in found.items() if number]

    @property
    def done(self) -> int:
        """How many tasks have ended."""
        return sum(task.state in ENDED for task in self.tasks)

    def critical(self) -> list[int]:
        """The places of the tasks that decide how long the run takes."""
        return critical_path(self.tasks, self.before, self.now)

    def graph(self) -> Graph:
        """The drawing of the tasks."""
        return graph(self.tasks, self.before, self.critical())

    def timeline(self) -> Timeline:
        """When the tasks ran."""
        return timeline(self.tasks, self.state.started, self.now if self.live else self.state.latest)

    @property
    def packages(self) -> list[Artifact]:
        """All packages that were built or reused."""
        found = {one.path: one for task in self.tasks for one in task.artifacts}
        return sorted(found.values(), key=lambda one: one.file)

    @property
    def problems(self) -> list[Problem]:
        """What failed, each cause once."""
        found = []
        for group in failure_groups(self.state.build.components()):
            failure = group[0].culprit.failure
            assert failure is not None
            found.append(Problem(group_title(group), failure, tuple(one.name for one in group[1:])))
        failed = self.state.deploy.failed
        if failed is not None and failed.failure is not None:
            found.append(Problem(failed.name, failed.failure, phase=True))
        return found

    @property
    def errors(self) -> list[str]:
        """Errors that belong to no task or phase, such as the one that ended the run."""
        known = {problem.failure.message for problem in self.problems}
        return [one.text for one in self.state.notices if one.level == "error" and one.text not in known]

    @property
    def phases(self) -> list[PhaseState]:
        """The phases in their order."""
        return list(self.state.deploy.phases.values())

    def log_place(self, log: str | None) -> str | None:
        """Return a log's place below the logs of the run; None if it is not there.

        A store may have been moved since the path was recorded.
        """
        return log_place(log, self.state.run)

    def slow_steps(self, task: TaskState) -> Iterable[StepState]:
        """The steps of a task that have a log or took time."""
        return [step for step in task.steps.values() if step.log or step.seconds or step.ok is None]


def status_colour(status: str) -> str:
    """Return the state of a task whose colour a run has, from ``RecordedRun.status``."""
    if status in ("done", "running"):
        return status
    return "failed" if status.startswith("exit") else "cancelled"


def log_place(log: str | None, run: str) -> str | None:
    """Return where below ``logs/`` of a run a log is: ``spark@el8/compile/compile.log``."""
    _, found, place = (log or "").partition(f"/{run}/logs/") if run else ("", "", "")
    return place if found and place else None


def matrices(phase: PhaseState, run: str) -> list[Matrix]:
    """Return what a phase did on hosts: operations, checks, and the tasks of each request."""
    found = [_operations(phase), _checks(phase)]
    for number, request in phase.requests.items():
        found.append(
            _tasks(phase, number, f"{number}: {clean(request.context.splitlines()[0] if request.context else '')}", run)
        )
    return [one for one in found if one is not None]


def _matrix(title: str, cells: dict[tuple[str, str], Cell]) -> Matrix | None:
    if not cells:
        return None
    hosts = tuple(sorted({host for _, host in cells}))
    names = dict.fromkeys(name for name, _ in cells)
    return Matrix(title, hosts, tuple((name, tuple(cells.get((name, host)) for host in hosts)) for name in names))


def _operations(phase: PhaseState) -> Matrix | None:
    cells = {}
    for change in phase.changes:
        if change.host:
            state = CELL_STATES.get(change.state, change.state)
            cells[clean(change.name), change.host] = Cell(state, change.state, clean(change.detail)[:400])
    for failed in phase.hosts:
        cells[failed.kind, failed.host] = Cell("failed", failed.kind, clean(failed.message)[:400])
    return _matrix("operations", cells)


def _checks(phase: PhaseState) -> Matrix | None:
    cells = {}
    for check in phase.checks:
        if check.host:
            text = clean(check.message)
            cells[clean(check.check), check.host] = Cell(CELL_STATES[check.level], check.level, text[:400])
    return _matrix("checks", cells)


def _tasks(phase: PhaseState, request: int, title: str, run: str) -> Matrix | None:
    cells = {}
    for task in phase.ambari_tasks.values():
        if task.request == request:
            state = CELL_STATES.get(task.status, "waiting")
            log = next((place for one in task.logs if (place := log_place(one, run))), None)
            why = clean(task.cause or "")
            cells[clean(f"{task.role} {task.command}"), task.host] = Cell(state, task.status, why[:400], log)
    return _matrix(title, cells)
