"""The build: a plan is made, its tasks run side by side, each result goes into the store."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from bigtop_builder.adapter.store import COLLECTING
from bigtop_builder.flow.build.export import export
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import RunResult, exit_code, stored_result
from bigtop_builder.flow.build.runner import Runner, keys_of, refused
from bigtop_builder.flow.run.recorder import Bus, Recorder
from bigtop_builder.model.errors import (
    BigtopBuilderError,
    ConfigurationError,
    ExitCode,
)
from bigtop_builder.model.event import (
    Notice,
    RunFinished,
    RunStarted,
    TaskFinished,
)
from bigtop_builder.plan.task import Plan

MEMORY_PER_JOB = 3 << 30


def build(project: Project, request: Request, bus: Bus, *, jobs: int = 0) -> RunResult:
    """Build what ``request`` selects.

    Failures of tasks are in the result and its exit code; what prevents the run as a whole is raised.
    """
    started = time.monotonic()
    store = project.store.open()
    with store.locked(COLLECTING, shared=True):
        plan = project.plan(request)
        if plan.nothing_to_do and not request.check_reproducible:
            return _nothing_to_do(project, plan, bus, started)
        if not plan.tasks:
            raise ConfigurationError("\n".join(refusal.reason for refusal in plan.refusals))
        run = store.start_run()
        run.protect(keys_of(plan))
    emit = Recorder(bus, run.folder / "events.jsonl")
    try:
        emit(
            RunStarted(
                run=run.id,
                command=["bigtop-builder", *sys.argv[1:]],
                store=str(store.root),
                tasks=[*(task.planned for task in plan.tasks), *map(refused, plan.refusals)],
            )
        )
        runner = Runner(project, request, run, emit, jobs or default_jobs(project))
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


def default_jobs(project: Project) -> int:
    """Tasks side by side: the project's, else what processors and memory permit."""
    if project.file.limits.jobs:
        return project.file.limits.jobs
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(os.cpu_count() or 1, memory // MEMORY_PER_JOB))


def _nothing_to_do(project: Project, plan: Plan, bus: Bus, started: float) -> RunResult:
    emit = Recorder(bus, None)
    cleared: list[str] = []
    if project.store.dead_work():
        from bigtop_builder.flow.build.dead_runs import clear_after_crash

        cleared = clear_after_crash(project.store)
    emit(
        RunStarted(
            run="",
            command=["bigtop-builder", *sys.argv[1:]],
            store=str(project.store.root),
            tasks=[task.planned for task in plan.tasks],
        )
    )
    for told in cleared:
        emit(Notice(text=told))
    results = {task.id: stored_result(project.store, task) for task in plan.tasks}
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
        export(project, result)
    seconds = time.monotonic() - started
    emit(RunFinished(exit_code=ExitCode.DONE, seconds=round(seconds, 3)))
    return RunResult(plan, results, ExitCode.DONE, None, seconds)
