"""The build: a plan is made, its tasks run side by side, each result goes into the store."""

from __future__ import annotations

import contextlib
import os
import queue
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bigtop_builder.adapter.store import COLLECTING, Run, translated
from bigtop_builder.flow.build.project import Request, Workspace
from bigtop_builder.flow.build.result import Result, RunResult, exit_code, stored_result
from bigtop_builder.flow.run.recorder import Bus, Recorder
from bigtop_builder.model.errors import (
    BigtopBuilderError,
    ConfigurationError,
    ExitCode,
    InterruptedRunError,
)
from bigtop_builder.model.event import (
    Failure,
    Notice,
    PlannedTask,
    Reproduced,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
)
from bigtop_builder.plan.scheduler import Outcome, Scheduler, Settle, Start, Work
from bigtop_builder.plan.task import Plan, Refusal, Task

EXPECTED_SECONDS = {"compile": 120.0, "package": 10.0}
"""What a task is expected to take that never ran here."""

MEMORY_PER_JOB = 3 << 30


def build(workspace: Workspace, request: Request, bus: Bus, *, jobs: int = 0) -> RunResult:
    """Build what ``request`` selects.

    Failures of tasks are in the result and its exit code; what prevents the run as a whole is raised.
    """
    started = time.monotonic()
    store = workspace.store.open()
    with store.locked(COLLECTING, shared=True):
        plan = workspace.plan(request)
        if plan.nothing_to_do and not request.check_reproducible:
            return _nothing_to_do(workspace, plan, bus, started)
        if not plan.tasks:
            raise ConfigurationError("\n".join(refusal.reason for refusal in plan.refusals))
        run = store.start_run()
        run.protect(_keys(plan))
    emit = Recorder(bus, run.folder / "events.jsonl")
    try:
        emit(
            RunStarted(
                run=run.id,
                command=["bigtop-builder", *sys.argv[1:]],
                store=str(store.root),
                tasks=[*(task.planned for task in plan.tasks), *map(_refused, plan.refusals)],
            )
        )
        runner = _Runner(workspace, request, run, emit, jobs or default_jobs(workspace))
        plan, results, reproduced = runner.run(plan)
        code = exit_code(plan, results, reproduced)
        seconds = time.monotonic() - started
        emit(RunFinished(exit_code=code, seconds=round(seconds, 3)))
        return RunResult(plan, results, code, run.id, seconds, reproduced)
    except BaseException as error:
        code = error.exit_code if isinstance(error, BigtopBuilderError) else ExitCode.DEFECT
        with contextlib.suppress(BigtopBuilderError):
            if isinstance(error, BigtopBuilderError):
                emit(Notice(level="error", text=str(error)))
            emit(RunFinished(exit_code=code, seconds=round(time.monotonic() - started, 3)))
        raise
    finally:
        emit.close()
        run.close()


def default_jobs(workspace: Workspace) -> int:
    """Tasks side by side: the project's, else what processors and memory permit."""
    if workspace.project.limits.jobs:
        return workspace.project.limits.jobs
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(os.cpu_count() or 1, memory // MEMORY_PER_JOB))


def _keys(plan: Plan) -> set[str]:
    keys = {task.key for task in plan.tasks} | {task.compile_key for task in plan.tasks if task.compile_key}
    return keys | {key for task in plan.tasks for key in task.dependency_keys.values() if key}


def _refused(refusal: Refusal) -> PlannedTask:
    return PlannedTask(
        task=f"{refusal.component}@{refusal.platform}/package",
        component=refusal.component,
        platform=refusal.platform,
        kind="package",
        action="refuse",
        reasons=[refusal.reason],
        key="",
    )


def _nothing_to_do(workspace: Workspace, plan: Plan, bus: Bus, started: float) -> RunResult:
    emit = Recorder(bus, None)
    cleared: list[str] = []
    if workspace.store.dead_work():
        from bigtop_builder.flow.build.dead_runs import clear_after_crash

        cleared = clear_after_crash(workspace.store)
    emit(
        RunStarted(
            run="",
            command=["bigtop-builder", *sys.argv[1:]],
            store=str(workspace.store.root),
            tasks=[task.planned for task in plan.tasks],
        )
    )
    for told in cleared:
        emit(Notice(text=told))
    results = {task.id: stored_result(workspace.store, task) for task in plan.tasks}
    for result in results.values():
        emit(
            TaskFinished(
                task=result.task.id,
                state="reused",
                artifacts=list(result.artifacts),
                notes=list(result.notes),
            )
        )
    for result in results.values():
        export(workspace, result)
    seconds = time.monotonic() - started
    emit(RunFinished(exit_code=ExitCode.DONE, seconds=round(seconds, 3)))
    return RunResult(plan, results, ExitCode.DONE, None, seconds)


def export(workspace: Workspace, result: Result) -> None:
    """Put a task's packages below the output folder, by platform; hard links where the file system permits."""
    if not result.artifacts:
        return
    folder = workspace.settings.output / result.task.evaluated.target.platform.name
    # Two runs may put out the same package: one name for what is not in place yet, one of them at a time.
    with translated(folder), workspace.store.locked("export"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileNotFoundError, NotADirectoryError, FileExistsError) as error:
            raise ConfigurationError(
                f"the output folder {folder} cannot be made: {error.strerror}",
                hint="Choose another with --output or 'output:' in the project file.",
            ) from error
        for artifact in result.artifacts:
            _link(Path(artifact.path), folder / artifact.file)


def _link(source: Path, target: Path) -> None:
    with contextlib.suppress(OSError):
        if target.samefile(source):
            return
    temporary = target.with_name(f".{target.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        try:
            temporary.hardlink_to(source)
        except OSError:
            shutil.copy2(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


class _Runner:
    """Runs the tasks of one plan."""

    def __init__(self, workspace: Workspace, request: Request, run: Run, emit: Recorder, jobs: int) -> None:
        self.workspace = workspace
        self.request = request
        self._run = run
        self._emit = emit
        self._jobs = jobs
        self._cancelled = threading.Event()
        self._ended: queue.Queue[Result | None] = queue.Queue()
        self._results: dict[str, Result] = {}
        self._carry_out: Callable[[Task], Result]

    def run(self, plan: Plan) -> tuple[Plan, dict[str, Result], dict[str, Reproduced]]:
        """Run the plan: the plan that was really run once the images were there, the results, and with
        ``check_reproducible`` what second builds gave."""
        # The engine's library and the network's are heavy: they are loaded when there is work.
        from bigtop_builder.flow.build.task_runner import carry_out, execute, open_shared, prepare_images

        with (
            _stop_on_signal(self._cancelled, self._ended),
            open_shared(self.workspace, self.request, self._run, self._emit, self._cancelled) as shared,
        ):
            again = self.request.check_reproducible
            if prepare_images(shared, plan, for_all=again):
                with self.workspace.store.locked(COLLECTING, shared=True):
                    plan = self.workspace.plan(self.request)
                    self._run.protect(_keys(plan))
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
                    export(self.workspace, ended)
                    self._follow(scheduler.finished(ended.task.id, _outcome(ended)), tasks, pool)
            for refusal in plan.refusals:
                planned = _refused(refusal)
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
            last = self.workspace.store.last(task.id)
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
                stored_result(self.workspace.store, task)
                if instruction.state == "reused"
                else Result(task, instruction.state)
            )
            self._results[task.id] = result
            export(self.workspace, result)
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


@contextlib.contextmanager
def _stop_on_signal(cancelled: threading.Event, ended: queue.Queue[Result | None]) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM, SIGHUP) stops the run in an orderly way, the second at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: object) -> None:
        if cancelled.is_set():
            raise InterruptedRunError("stopped at once")
        cancelled.set()
        ended.put(None)

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
