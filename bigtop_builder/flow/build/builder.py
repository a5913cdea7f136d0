"""The build: make a plan, run its tasks in parallel, put each result into the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from bigtop_builder.adapter.store import COLLECTING, Run, Store
from bigtop_builder.flow.build.executor import Executor
from bigtop_builder.flow.build.export import export
from bigtop_builder.flow.build.local_executor import LocalExecutor
from bigtop_builder.flow.build.measured import Result, measured_plan
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import RunResult, exit_code, finished, stored_result
from bigtop_builder.flow.build.runner import Runner, keys_of, refused
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.flow.run.run import ActiveRun, record_run
from bigtop_builder.model.errors import ConfigurationError, ExitCode
from bigtop_builder.model.event import Notice, PlannedTask
from bigtop_builder.plan.task import Plan, Task

if TYPE_CHECKING:
    from bigtop_builder.flow.build.steps import Packagings


def build(
    project: Project,
    request: Request,
    bus: Bus,
    packagings: Packagings,
    executor: Executor | None = None,
) -> RunResult:
    """Build what ``request`` selects, on this machine unless given another ``executor``.

    Failed tasks are in the result and decide its exit code; an error that prevents the whole run is raised.
    """
    started = time.monotonic()
    store = project.store.open()
    with store.locked(COLLECTING, shared=True):
        measured: set[Result] = set()
        plan, notes = measured_plan(project, request, measured)
        if plan.nothing_to_do and plan.on_this_machine and not (request.check_reproducible or request.verify):
            return _nothing_to_do(project, request, plan, bus, started)
        if not plan.tasks:
            raise ConfigurationError("\n".join(refusal.reason for refusal in plan.refusals))
        run = store.start_run()
        run.protect(keys_of(plan))
    tasks = [*(_expected(store, task) for task in plan.tasks), *map(refused, plan.refusals)]
    with _recorded(project, request, run, bus, tasks, started) as active:
        for note in notes:
            active.emit(Notice(text=note))
        _warn(project, plan, active)
        project.sharing.tell_to(lambda text: active.emit(Notice(text=text, level="warning")))
        runner = Runner(project, request, active, packagings, executor or LocalExecutor(packagings), measured)
        plan, results, reproduced = runner.run(plan)
        active.exit_code = exit_code(plan, results, reproduced)
        if active.cancelled.is_set() and any(result.state == "cancelled" for result in results.values()):
            # What failed before, with --keep-going, is not why the rest is missing.
            active.exit_code = ExitCode.INTERRUPTED
    return RunResult(plan, results, active.exit_code, run.id, active.seconds, reproduced)


def _expected(store: Store, task: Task) -> PlannedTask:
    """Return a task for the event log, with the time that it took last."""
    last = store.last(task.id) if task.action == "build" else None
    return task.planned.model_copy(update={"expected": last["seconds"]}) if last else task.planned


def _recorded(
    project: Project,
    request: Request,
    run: Run | None,
    bus: Bus,
    tasks: Sequence[PlannedTask],
    started: float,
) -> AbstractContextManager[ActiveRun]:
    """Bracket a build: see ``record_run``."""
    return record_run(
        project.store,
        run,
        bus,
        "build",
        tasks=tasks,
        started=started,
        project=project.settings.root.absolute(),
        output=project.settings.output.absolute(),
        flags=request.rerun_flags,
    )


def _warn(project: Project, plan: Plan, active: ActiveRun) -> None:
    for text in (*project.unused_choices(plan), *project.sharing.untold()):
        active.emit(Notice(text=text, level="warning"))


def _nothing_to_do(project: Project, request: Request, plan: Plan, bus: Bus, started: float) -> RunResult:
    """Report and export what the store has. Such a run is shown, and leaves no record."""
    cleared: list[str] = []
    if project.store.dead_work():
        from bigtop_builder.flow.build.dead_runs import clear_after_crash

        cleared = clear_after_crash(project.store)
    tasks = [task.planned for task in plan.tasks]
    with _recorded(project, request, None, bus, tasks, started) as active:
        for line in cleared:
            active.emit(Notice(text=line))
        _warn(project, plan, active)
        results = {task.id: stored_result(project.store, task) for task in plan.tasks}
        for result in results.values():
            active.emit(finished(result))
        for result in results.values():
            export(project, result)
    return RunResult(plan, results, ExitCode.DONE, None, active.seconds)
