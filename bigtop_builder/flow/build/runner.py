"""Runs a plan: the scheduler decides what starts, an executor carries it out, results go to the output folder."""

from __future__ import annotations

import contextlib
import queue
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, ParamSpec

from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.store import COLLECTING
from bigtop_builder.flow.build.executor import Execution, Executor
from bigtop_builder.flow.build.export import export
from bigtop_builder.flow.build.measured import Result as Measured
from bigtop_builder.flow.build.measured import measured_plan
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import Result, ended_without_running, finished, stored_result
from bigtop_builder.flow.run.run import ActiveRun
from bigtop_builder.model.errors import BigtopBuilderError, ExitCode, InterruptedRunError
from bigtop_builder.model.event import Failure, Notice, PlannedTask, Reproduced, State, TaskFinished, TaskStarted
from bigtop_builder.plan.scheduler import Outcome, Scheduler, Settle, Start, Work
from bigtop_builder.plan.task import Plan, Refusal, Task

if TYPE_CHECKING:
    from bigtop_builder.flow.build.images import NeededImage
    from bigtop_builder.flow.build.steps import Packagings
    from bigtop_builder.flow.build.work_order import WorkOrder

P = ParamSpec("P")

EXPECTED_SECONDS = {"compile": 120.0, "package": 10.0}
"""How long a task is expected to take that has never run here."""

PLACES = ("-C", "--project", "--store")
"""The flags of a build that ``shell`` needs as well, to find what failed."""


class Runner:
    """Runs the tasks of one plan."""

    def __init__(
        self,
        project: Project,
        request: Request,
        active: ActiveRun,
        packagings: Packagings,
        executor: Executor,
        measured: set[Measured],
    ) -> None:
        assert active.run is not None
        self.project = project
        self.request = request
        self._run = active.run
        self._emit = active.emit
        self._packagings = packagings
        self._executor = executor
        self._cancelled = active.cancelled
        self._measured = measured
        # A simple queue, since a signal handler puts into it: its put may interrupt another call of itself.
        self._ended: queue.SimpleQueue[Result | Literal["resized"] | BaseException | None] = queue.SimpleQueue()
        """Results in the order in which they arrive; None asks for the run to be cancelled, ``resized`` says that the
        executor has other slots than before, and an exception ends the run."""
        active.wake = lambda: self._ended.put(None)
        self._results: dict[str, Result] = {}
        self._store = project.store
        self._lost = False
        """Whether a shared result that the plan counts on could not be taken."""

    def run(self, plan: Plan) -> tuple[Plan, dict[str, Result], dict[str, Reproduced]]:
        """Run a plan. Return the plan that was really run once its images existed, the results by task, and with
        ``check_reproducible`` the verdicts on second builds.

        Raises EngineError, ConfigurationError, StoreError, StepFailedError for an image, InterruptedRunError.
        """
        if plan.nothing_to_do and not (self.request.verify or self.request.check_reproducible):
            plan = self._fetch_all(plan)
            if plan.nothing_to_do or self._cancelled.is_set():
                self._record_open(plan)
                return plan, self._results, {}
        with self._executor.open(self.project, self.request, self._run, self._emit, self._cancelled) as execution:
            execution.resized = lambda: self._ended.put("resized")
            plan = self._with_images(plan, execution)
            self._build(plan, execution)
            while self._lost and self._goes_on:
                plan = self._with_images(self._planned_again(), execution)
                self._build(plan, execution)
            self._record_open(plan)
            self.project.sharing.finish(self._cancelled)
            for refusal in plan.refusals:
                failure = Failure(step="plan", message=refusal.reason, exit_code=ExitCode.USAGE)
                self._emit(TaskFinished(task=refused(refusal).task, state="failed", failure=failure))
            if self.request.verify and not self._cancelled.is_set():
                self._test_again(self._untested(plan), execution)
            reproduced: dict[str, Reproduced] = {}
            if self.request.check_reproducible and not self._cancelled.is_set():
                reproduced = self._build_again(self._finished(plan), execution)
        return plan, self._results, reproduced

    def _with_images(self, plan: Plan, execution: Execution) -> Plan:
        """Have the images made. An image with another fingerprint than before changes keys: then plan again."""
        from bigtop_builder.flow.build.images import needed_images

        images = needed_images(self.project, plan, for_all=self.request.check_reproducible or bool(self.request.verify))
        return self._planned_again() if execution.prepare_images(images) else plan

    def _planned_again(self) -> Plan:
        self._lost = False
        with self.project.store.locked(COLLECTING, shared=True):
            plan, notes = measured_plan(self.project, self.request, self._measured)
            self._run.protect(keys_of(plan))
        for note in notes:
            self._emit(Notice(text=note))
        return plan

    @property
    def _goes_on(self) -> bool:
        """Whether more may start: nothing was cancelled, and nothing failed unless the run keeps going."""
        failed = any(_outcome(result) == "failed" for result in self._results.values())
        return not self._cancelled.is_set() and (self.request.keep_going or not failed)

    def _record_open(self, plan: Plan) -> None:
        """Record tasks as cancelled that were to be planned again, had the run not ended before."""
        self._lost = False
        for task in plan.tasks:
            if task.id not in self._results:
                self._settle(task, Settle(task.id, "cancelled"))

    def _fetch_all(self, plan: Plan) -> Plan:
        """Take everything from the shared results, for which no engine is needed; return a new plan if that failed."""
        self._build(plan, _NoExecution(self._cancelled))
        return self._planned_again() if self._lost and not self._cancelled.is_set() else plan

    def _build(self, plan: Plan, execution: Execution) -> None:
        scheduler = Scheduler(self._work(plan), execution.slots, self.request.keep_going)
        tasks = {task.id: task for task in plan.tasks}
        self._follow(scheduler.begin(), tasks, execution)
        while not scheduler.over:
            ended = self._arrived()
            if ended is None:
                execution.cancel()
                self._follow(scheduler.cancel(), tasks, execution)
                continue
            if ended == "resized":
                self._follow(scheduler.resize(execution.slots), tasks, execution)
                continue
            if self._lost and tasks[ended.task].shared and ended.state == "cancelled":
                # It is planned again, or recorded at the end: what became of it is told then.
                self._follow(scheduler.finished(ended.task, "cancelled"), tasks, execution)
                continue
            self._results[ended.task] = ended
            export(self.project, ended)
            if ended.state == "done" and execution.shares:
                self._share(tasks[ended.task])
            self._follow(scheduler.finished(ended.task, _outcome(ended)), tasks, execution)

    def _work(self, plan: Plan) -> dict[str, Work]:
        work: dict[str, Work] = {}
        for task in plan.tasks:
            last = self.project.store.last(task.id)
            expected = float(last["seconds"]) if last else EXPECTED_SECONDS[task.kind]
            local, pool = task.action == "reuse" and not task.shared, task.evaluated.target.arch
            work[task.id] = Work(task.depends, task.after, expected, reused=local, pool=pool)
        return work

    def _follow(self, instructions: list[Start | Settle], tasks: Mapping[str, Task], execution: Execution) -> None:
        for instruction in instructions:
            task = tasks[instruction.task]
            if isinstance(instruction, Start):
                self._start(task, execution)
            else:
                self._settle(task, instruction)

    def _start(self, task: Task, execution: Execution) -> None:
        from bigtop_builder.flow.build.steps import work_order

        self._emit(TaskStarted(task=task.id))
        if task.shared:
            fetch = self._guarded(self._fetch)
            threading.Thread(target=fetch, args=(task, execution), name="results", daemon=True).start()
            return
        try:
            order = work_order(self.project, task, self._packagings)
        except BigtopBuilderError as error:
            place = f"{error.location}: " if error.location else ""
            failure = Failure(step="run", message=place + error.message, hint=error.hint, exit_code=error.exit_code)
            self._deliver(task, replace(ended_without_running(task, "failed"), failure=failure))
        else:
            execution.submit(order, self._guarded(lambda result: self._deliver(task, result)))

    def _fetch(self, task: Task, execution: Execution) -> None:
        """Take a result from the store that a team shares; if that fails, the rest is planned again without it.

        Where other machines carry tasks out, they take the staged trees that they need themselves.
        """
        started = time.monotonic()
        state: State = "cancelled"
        needed = task.kind == "package" or execution.shares
        with contextlib.suppress(InterruptedRunError):
            if not needed or self.project.sharing.take(task.kind, task.key):
                state = "reused"
            else:
                self._lost = True
        try:
            result = ended_without_running(task, state) if state == "cancelled" else stored_result(self._store, task)
        except BigtopBuilderError as error:
            failure = Failure(step="run", message=error.message, hint=error.hint, exit_code=error.exit_code)
            result = replace(ended_without_running(task, "failed"), failure=failure)
        result = replace(result, seconds=round(time.monotonic() - started, 3))
        if state == "cancelled" and self._lost:
            self._ended.put(result)
        else:
            self._deliver(task, result)

    def _share(self, task: Task) -> None:
        """Put a new result into the store that a team shares, with whatever others need to find it."""
        image = recorded(self._store, image_key(self.project.image_spec(task.evaluated, task.kind)))
        sources = task.evaluated.sources if task.kind == "compile" else ()
        digests = tuple(one.digest for source in sources for one in source.alternatives)
        self.project.sharing.give(task.kind, task.key, image, digests)

    def _settle(self, task: Task, instruction: Settle) -> None:
        """Record a task that ends without having run."""
        state = instruction.state
        if self._lost and state in ("blocked", "cancelled") and not self._cancelled.is_set():
            return
        result = stored_result(self.project.store, task) if state == "reused" else ended_without_running(task, state)
        self._results[task.id] = result
        export(self.project, result)
        self._emit(finished(result, instruction.blocked_by))

    def _deliver(self, task: Task, result: Result) -> None:
        """Record the end of a task that has run; called from the executor's threads."""
        if result.failure is not None and result.failure.exit_code != ExitCode.DEFECT:
            shell = result.failure.shell and shlex.join([*shlex.split(result.failure.shell), *self._place_flags()])
            failure = result.failure.model_copy(update={"rerun": self._rerun(task), "shell": shell})
            result = replace(result, failure=failure)
        # A full disk is reported by whatever writes next.
        with contextlib.suppress(BigtopBuilderError):
            self._emit(finished(result))
        self._ended.put(result)

    def _guarded(self, work: Callable[P, None]) -> Callable[P, None]:
        """Return ``work`` for another thread: a defect there ends the run, which would wait for a result for ever."""

        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                work(*args, **kwargs)
            except BaseException as error:
                self._ended.put(error)

        return guarded

    def _arrived(self) -> Result | Literal["resized"] | None:
        """Return what arrives next. Raises what went wrong in another thread."""
        ended = self._ended.get()
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def _rerun(self, task: Task) -> str:
        """Return the command that builds this task again."""
        target = task.evaluated.target.platform.name
        return shlex.join(["bigtop-builder", "build", f"{task.evaluated.name}@{target}", *self.request.rerun_flags])

    def _place_flags(self) -> list[str]:
        """Return those of the request's flags that say where project and store are."""
        flags = self.request.rerun_flags
        return [text for pair in pairwise(flags) if pair[0] in PLACES for text in pair]

    def _next_result(self) -> Result | None:
        """Return the next result; None asks for the run to be cancelled."""
        while (ended := self._arrived()) == "resized":
            pass
        return ended

    def _finished(self, plan: Plan) -> list[Task]:
        """Return the package tasks that have a result, and the compile tasks that these were made from."""
        results = self._results
        done = [task for task in plan.tasks if task.id in results and results[task.id].state in ("done", "reused")]
        wanted = {task.compile_key for task in plan.tasks if task.kind == "package"}
        return [task for task in done if task.kind == "package" or task.key in wanted]

    def _untested(self, plan: Plan) -> list[Task]:
        """Return the package tasks to verify whose smoke test has not run in this run: their packages were reused."""
        return [
            task
            for task in plan.tasks
            if task.kind == "package"
            and task.evaluated.name in self.request.verify
            and self._results[task.id].state in ("done", "reused")
            and self._results[task.id].smoke is None
        ]

    def _test_again(self, tasks: list[Task], execution: Execution) -> None:
        """Run the smoke tests of packages that are in the store. Raises InterruptedRunError."""
        from bigtop_builder.flow.build.smoke_order import smoke_order
        from bigtop_builder.flow.build.steps import work_order

        for task in tasks:
            order = replace(work_order(self.project, task, self._packagings), smoke=smoke_order(self.project, task))
            execution.submit(replace(order, smoke_only=True), self._ended.put)
        for _ in tasks:
            ended = self._next_result()
            if ended is None or ended.state == "cancelled":
                execution.cancel()
                raise InterruptedRunError("stopped during the smoke tests")
            former = self._results[ended.task]
            self._results[ended.task] = replace(former, smoke=ended.smoke)
            if ended.failure is not None:
                self._results[ended.task] = replace(former, state="failed", failure=ended.failure)
                self._emit(
                    TaskFinished(task=ended.task, state="failed", failure=ended.failure, notes=list(ended.notes))
                )

    def _build_again(self, tasks: list[Task], execution: Execution) -> dict[str, Reproduced]:
        """Build finished tasks a second time; return the verdicts by task. Raises InterruptedRunError."""
        from bigtop_builder.flow.build.steps import work_order

        for task in tasks:
            order = work_order(self.project, task, self._packagings)
            execution.submit(replace(order, repeated=True), self._guarded(self._compared))
        verdicts: dict[str, Reproduced] = {}
        while len(verdicts) < len(tasks):
            ended = self._next_result()
            if ended is None or ended.state == "cancelled":
                execution.cancel()
                raise InterruptedRunError("stopped during the second builds")
            if ended.reproduced is None:
                raise BigtopBuilderError(ended.failure.message if ended.failure else f"{ended.task} has no verdict")
            verdicts[ended.task] = ended.reproduced
        return {task.id: verdicts[task.id] for task in tasks}

    def _compared(self, result: Result) -> None:
        """Record the end of a second build; called from the executor's threads."""
        with contextlib.suppress(BigtopBuilderError):
            if result.reproduced is not None:
                self._emit(result.reproduced)
        self._ended.put(result)


class _NoExecution:
    """What stands for an executor while nothing is carried out."""

    shares = False

    def __init__(self, cancelled: threading.Event) -> None:
        self.slots = {"x86_64": 4, "aarch64": 4}
        self.resized: Callable[[], object] = lambda: None
        self._cancelled = cancelled

    def prepare_images(self, images: Sequence[NeededImage]) -> bool:
        """See ``Execution.prepare_images``."""
        raise AssertionError("nothing is built here")

    def submit(self, order: WorkOrder, deliver: Callable[[Result], None]) -> None:
        """See ``Execution.submit``."""
        raise AssertionError("nothing is built here")

    def cancel(self) -> None:
        """See ``Execution.cancel``."""
        self._cancelled.set()


def _outcome(result: Result) -> Outcome:
    if result.failure is not None and result.failure.exit_code == ExitCode.SOURCE:
        return "out of reach"
    return result.state if result.state in ("done", "reused", "cancelled") else "failed"


def keys_of(plan: Plan) -> set[str]:
    """Return the keys of all results that a plan makes or builds on."""
    keys = {task.key for task in plan.tasks} | {task.compile_key for task in plan.tasks if task.compile_key}
    used = (key for task in plan.tasks for key in (*task.dependency_keys.values(), *task.smoke_keys.values()))
    return keys | {key for key in used if key}


def refused(refusal: Refusal) -> PlannedTask:
    """Return a refusal in the form that the event log records."""
    return PlannedTask(
        task=f"{refusal.component}@{refusal.platform}/package",
        component=refusal.component,
        platform=refusal.platform,
        kind="package",
        action="refuse",
        reasons=[refusal.reason],
        key="",
    )
