"""The scheduler's instructions carried out: tasks run side by side, each result goes to the output folder."""

from __future__ import annotations

import contextlib
import queue
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from bigtop_builder.adapter.store import COLLECTING
from bigtop_builder.flow.build.export import export
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import Result, stored_result
from bigtop_builder.flow.run.run import ActiveRun
from bigtop_builder.model.errors import BigtopBuilderError, ExitCode
from bigtop_builder.model.event import Failure, PlannedTask, Reproduced, TaskFinished, TaskStarted
from bigtop_builder.plan.scheduler import Outcome, Scheduler, Settle, Start, Work
from bigtop_builder.plan.task import Plan, Refusal, Task

EXPECTED_SECONDS = {"compile": 120.0, "package": 10.0}
"""What a task is expected to take that never ran here."""


class Runner:
    """Runs the tasks of one plan."""

    def __init__(self, project: Project, request: Request, active: ActiveRun, jobs: int) -> None:
        assert active.run is not None
        self.project = project
        self.request = request
        self._run = active.run
        self._emit = active.emit
        self._jobs = jobs
        self._cancelled = active.cancelled
        # A simple queue, since a signal handler puts into it: its put may interrupt another call of itself.
        self._ended: queue.SimpleQueue[Result | None] = queue.SimpleQueue()
        active.wake = lambda: self._ended.put(None)
        self._results: dict[str, Result] = {}
        self._carry_out: Callable[[Task], Result]

    def run(self, plan: Plan) -> tuple[Plan, dict[str, Result], dict[str, Reproduced]]:
        """Run the plan: the plan that was really run once the images were there, the results, and with
        ``check_reproducible`` what second builds gave."""
        # The engine's library and the network's are heavy: they are loaded when there is work.
        from bigtop_builder.flow.build.task_runner import carry_out, execute, open_shared, prepare_images

        with open_shared(self.project, self.request, self._run, self._emit, self._cancelled) as shared:
            again = self.request.check_reproducible
            if prepare_images(shared, plan, for_all=again):
                with self.project.store.locked(COLLECTING, shared=True):
                    plan = self.project.plan(self.request)
                    self._run.protect(keys_of(plan))
            self._carry_out = lambda task: execute(shared, task, self._rerun(task))
            scheduler = Scheduler(self._work(plan), self._jobs, self.request.keep_going)
            tasks = {task.id: task for task in plan.tasks}
            with (
                ThreadPoolExecutor(self._jobs, thread_name_prefix="task") as pool,
                _stopping(self._cancelled),
            ):
                self._follow(scheduler.begin(), tasks, pool)
                while not scheduler.over:
                    ended = self._ended.get()
                    if ended is None:
                        self._follow(scheduler.cancel(), tasks, pool)
                        continue
                    self._results[ended.task.id] = ended
                    export(self.project, ended)
                    self._follow(scheduler.finished(ended.task.id, _outcome(ended)), tasks, pool)
            for refusal in plan.refusals:
                planned = refused(refusal)
                failure = Failure(step="plan", message=refusal.reason, exit_code=ExitCode.USAGE)
                self._emit(TaskFinished(task=planned.task, state="failed", failure=failure))
            reproduced: dict[str, Reproduced] = {}
            if again and not self._cancelled.is_set():
                from bigtop_builder.flow.build.reproducibility import reproduce_all

                reproduced = reproduce_all(shared, self._finished(plan), carry_out, self._jobs)
        return plan, self._results, reproduced

    def _finished(self, plan: Plan) -> list[Task]:
        """The package tasks that have a result, and the compile tasks that these stand on."""
        results = self._results
        done = [task for task in plan.tasks if task.id in results and results[task.id].state in ("done", "reused")]
        wanted = {task.compile_key for task in plan.tasks if task.kind == "package"}
        return [task for task in done if task.kind == "package" or task.key in wanted]

    def _work(self, plan: Plan) -> dict[str, Work]:
        work: dict[str, Work] = {}
        for task in plan.tasks:
            last = self.project.store.last(task.id)
            expected = float(last["seconds"]) if last else EXPECTED_SECONDS[task.kind]
            work[task.id] = Work(task.depends, task.after, expected, reused=task.action == "reuse")
        return work

    def _follow(self, instructions: list[Start | Settle], tasks: Mapping[str, Task], pool: ThreadPoolExecutor) -> None:
        for instruction in instructions:
            task = tasks[instruction.task]
            if isinstance(instruction, Start):
                self._emit(TaskStarted(task=task.id))
                pool.submit(self._execute, task)
                continue
            result = (
                stored_result(self.project.store, task)
                if instruction.state == "reused"
                else Result(task, instruction.state)
            )
            self._results[task.id] = result
            export(self.project, result)
            self._emit(
                TaskFinished(
                    task=task.id,
                    state=instruction.state,
                    artifacts=list(result.artifacts),
                    blocked_by=instruction.blocked_by,
                    notes=list(result.notes),
                )
            )

    def _execute(self, task: Task) -> None:
        """In a thread of the pool; whatever happens, one result is put into the queue."""
        started = time.monotonic()
        try:
            result = self._carry_out(task)
        except BaseException as error:
            failure = Failure(
                step="run",
                message=f"{type(error).__name__}: {error}",
                hint="This is a defect of bigtop-builder.",
                exit_code=ExitCode.DEFECT,
            )
            result = Result(task, "failed", failure=failure)
        with contextlib.suppress(BigtopBuilderError):
            self._emit(
                TaskFinished(
                    task=task.id,
                    state=result.state,
                    seconds=round(time.monotonic() - started, 3),
                    artifacts=list(result.artifacts),
                    failure=result.failure,
                    notes=list(result.notes),
                )
            )
        self._ended.put(result)

    def _rerun(self, task: Task) -> str:
        """The command that builds this one again."""
        target = task.evaluated.target.platform.name
        return shlex.join(["bigtop-builder", "build", f"{task.evaluated.name}@{target}", *self.request.rerun_flags])


def _outcome(result: Result) -> Outcome:
    if result.failure is not None and result.failure.exit_code == ExitCode.SOURCE:
        return "out of reach"
    return result.state if result.state in ("done", "reused", "cancelled") else "failed"


@contextlib.contextmanager
def _stopping(cancelled: threading.Event) -> Iterator[None]:
    """What ends the run as a whole ends its running tasks too, which the pool waits for."""
    try:
        yield
    except BaseException:
        cancelled.set()
        raise


def keys_of(plan: Plan) -> set[str]:
    """The keys of all results that a plan makes or stands on."""
    keys = {task.key for task in plan.tasks} | {task.compile_key for task in plan.tasks if task.compile_key}
    return keys | {key for task in plan.tasks for key in task.dependency_keys.values() if key}


def refused(refusal: Refusal) -> PlannedTask:
    """A refusal as the event log keeps it."""
    return PlannedTask(
        task=f"{refusal.component}@{refusal.platform}/package",
        component=refusal.component,
        platform=refusal.platform,
        kind="package",
        action="refuse",
        reasons=[refusal.reason],
        key="",
    )
