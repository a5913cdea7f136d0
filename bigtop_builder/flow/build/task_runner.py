"""How one work order is carried out: one run at a time for each key, every failure turned into a result."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from bigtop_builder.adapter.measure import altered, discard
from bigtop_builder.adapter.store import remove_tree, translated
from bigtop_builder.flow.build.causes import DISK_FULL
from bigtop_builder.flow.build.compile_task import run_compile_task
from bigtop_builder.flow.build.diagnosis import Diagnosis, diagnose, tail
from bigtop_builder.flow.build.measured import require_measured
from bigtop_builder.flow.build.package_task import run_package_task
from bigtop_builder.flow.build.reproducibility import reproduce
from bigtop_builder.flow.build.result import Result, stored_packages
from bigtop_builder.flow.build.smoke_test import smoke_test
from bigtop_builder.flow.build.step import StepFailedError
from bigtop_builder.flow.build.steps import Steps
from bigtop_builder.flow.build.tree_keeper import keep_tree, warn_of_tree
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.flow.build.worker import Worker
from bigtop_builder.model.errors import (
    BigtopBuilderError,
    EngineError,
    InterruptedRunError,
    SourceError,
    StoreError,
)
from bigtop_builder.model.event import Failure, Notice, State
from bigtop_builder.model.outcome import Artifact

LOCK_POLL_SECONDS = 0.3


def carry_out(worker: Worker, order: WorkOrder, steps: Steps) -> Result:
    """Carry out an order. Failures of the task are in the result."""
    if order.repeated:
        return _repeat(worker, order, steps)
    if order.smoke_only:
        return _test(worker, order)
    store, started = worker.store, time.monotonic()
    bench = Workbench(worker, order)
    try:
        with translated(store.root), _key_lock(worker, order):
            bench.between.spent("wait")
            made = store.has(order.kind, order.key) and not order.forced
            why = altered(store, order.kind, order.key) if made else None
            if made and why is None:
                store.touch(order.kind, order.key)
                return _result(order, "reused", *stored_packages(store, order.kind, order.key))
            if why is not None:
                discard(store, order.kind, order.key)
                worker.emit(
                    Notice(text=f"a result in the store was altered, and is made again: {why}", task=order.task)
                )
            warn_of_tree(bench)
            artifacts = run_task(bench, steps)
            store.record_last(order.task, order.key, order.ingredients, time.monotonic() - started)
        return replace(_result(order, "done", artifacts, bench.notes), smoke=bench.smoke)
    except InterruptedRunError:
        return _result(order, "cancelled")
    except BigtopBuilderError as error:
        failure = failure_of(error)
        if _keep_for_shell(bench, error, failure):
            failure = failure.model_copy(update={"shell": f"bigtop-builder shell {order.component}"})
        return _result(order, "failed", (), bench.notes, failure)
    finally:
        # A full disk is reported by whatever writes next.
        with suppress(BigtopBuilderError):
            bench.between.report(worker, order.task)
        # Removing a large tree takes seconds, which only the end of the run has to wait for.
        threading.Thread(target=_clear, args=(bench.folder,), name="clear").start()


def run_task(bench: Workbench, steps: Steps) -> list[Artifact]:
    """Run the steps of a task; return its packages. Raises StepFailedError, StoreError."""
    require_measured(bench.store, bench.order)
    if bench.order.kind == "package":
        return run_package_task(bench, steps)
    run_compile_task(bench, steps)
    return []


def _repeat(worker: Worker, order: WorkOrder, steps: Steps) -> Result:
    """Carry out an order a second time, and compare with its result."""
    try:
        verdict = reproduce(worker, order, lambda bench: run_task(bench, steps))
    except InterruptedRunError:
        return _result(order, "cancelled")
    return Result(order.task, order.kind, order.platform, "done", reproduced=verdict)


def _test(worker: Worker, order: WorkOrder) -> Result:
    """Run the smoke test of packages that are in the store."""
    bench = Workbench(worker, order)
    try:
        with translated(worker.store.root):
            require_measured(worker.store, replace(order, compile_key=None))
            found = smoke_test(bench, worker.store.packages(order.key))
        return replace(_result(order, "done", (), bench.notes), smoke=found)
    except InterruptedRunError:
        return _result(order, "cancelled")
    except BigtopBuilderError as error:
        return _result(order, "failed", (), bench.notes, failure_of(error))
    finally:
        threading.Thread(target=_clear, args=(bench.folder,), name="clear").start()


def _result(
    order: WorkOrder,
    state: State,
    artifacts: Sequence[Artifact] = (),
    notes: Sequence[str] = (),
    failure: Failure | None = None,
) -> Result:
    return Result(order.task, order.kind, order.platform, state, tuple(artifacts), failure, tuple(notes))


def _clear(folder: Path) -> None:
    with suppress(OSError):
        remove_tree(folder)


@contextmanager
def _key_lock(worker: Worker, order: WorkOrder) -> Iterator[None]:
    """Let only one run build a key; another waits for it and then finds the result."""
    announced = False
    while True:
        with worker.store.locked(f"{order.kind}-{order.key}", wait=False) as mine:
            if mine:
                yield
                return
        if not announced:
            announced = True
            worker.emit(Notice(text="waiting for another run that builds the same", task=order.task))
        if worker.cancelled.wait(LOCK_POLL_SECONDS):
            raise InterruptedRunError(f"{order.task} was interrupted")


def failure_of(error: BigtopBuilderError) -> Failure:
    """Return the digest of a failure: step, probable cause, first error, last lines and log."""
    if isinstance(error, StepFailedError):
        # The engine, the store and sources name the cause themselves: there is nothing to guess.
        own = isinstance(error.cause, EngineError | StoreError | SourceError)
        found = Diagnosis(None, None, [], tail(error.log)) if own else diagnose(error.log, error.message)
        return Failure(
            step=error.step,
            message=str(error.location) + ": " + error.message if error.location else error.message,
            cause=found.cause,
            hint=error.hint or found.hint,
            first_error=found.first_error,
            last_lines=found.last_lines,
            log=str(error.log),
            exit_code=error.exit_code,
        )
    return Failure(step="run", message=error.message, hint=error.hint, exit_code=error.exit_code)


def _keep_for_shell(bench: Workbench, error: BigtopBuilderError, failure: Failure) -> bool:
    """Keep the scratch for ``shell``, which is no use without an engine, and must go when it is what fills the disk.

    Return whether it is kept.
    """
    cause = error.cause if isinstance(error, StepFailedError) else error
    if not bench.boxes:
        return False
    if isinstance(cause, EngineError | StoreError) or failure.cause == DISK_FULL:
        # A full disk is reported by whatever writes next.
        with suppress(BigtopBuilderError):
            bench.tell(f"the tree of this failure is not kept for a shell: {failure.cause or cause.message}")
        return False
    # Of two errors the user must see the build's own.
    with suppress(OSError, BigtopBuilderError):
        return keep_tree(bench, failure.step)
    return False
