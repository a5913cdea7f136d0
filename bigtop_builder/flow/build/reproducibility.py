"""Whether a task gives the same bytes twice: it is carried out once more, in scratch, and compared with its result.

Each task is judged by itself: the second packages are made from the first staged tree, so that a difference in a
staged tree is not reported again for each file that is packaged from it.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.rpm.difference import package_differences, tree_differences
from bigtop_builder.adapter.store import Store, remove_tree
from bigtop_builder.flow.build.step import StepFailedError
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.flow.build.worker import Worker
from bigtop_builder.model.errors import BigtopBuilderError, InterruptedRunError
from bigtop_builder.model.event import AnyEvent, Reproduced, Step, StepFinished, StepProgress, StepStarted
from bigtop_builder.plan.task import Kind

SHOWN = 20
"""How many differences of a task are reported."""

STEP: Step = "reproduce"


class _KeepsNothing(Store):
    """The store, read-only: a finished result stays in the scratch."""

    def commit(self, kind: Kind, key: str, folder: Path, manifest: Mapping[str, Any]) -> Path:
        return folder


class SecondBench(Workbench):
    """The workbench of a second build: own scratch and logs, one step in the events, nothing kept."""

    def __init__(self, worker: Worker, order: WorkOrder) -> None:
        def emit(event: AnyEvent) -> None:
            if isinstance(event, StepProgress):
                worker.emit(event.model_copy(update={"step": STEP, "note": event.step}))

        super().__init__(dataclasses.replace(worker, emit=emit), order)
        self.store = _KeepsNothing(self.store.root)
        self.folder = self.folder.with_name(f"{self.folder.name}+again")

    def note(self, text: str) -> None:
        """Drop the note: the first build has reported it."""

    def log_path(self, name: Step) -> Path:
        """Return a log beside that of the first build."""
        return super().log_path(name).with_name(f"{STEP}-{name}.log")


def reproduce(worker: Worker, order: WorkOrder, run_task: Callable[[Workbench], object]) -> Reproduced:
    """Carry an order out again with ``run_task`` and compare with its result.

    Any other error than InterruptedRunError, which is raised, is part of the verdict.
    """
    bench = SecondBench(worker, order)
    started = time.monotonic()
    worker.emit(StepStarted(task=order.task, step=STEP, log=str(bench.log_path(order.kind))))
    same = False
    try:
        run_task(bench)
        differences = list(islice(_differences(bench), SHOWN + 1))
        same = not differences
        if len(differences) > SHOWN:
            differences[SHOWN:] = [f"more than {SHOWN} differences in total"]
        return Reproduced(task=order.task, identical=same, differences=differences)
    except InterruptedRunError:
        raise
    except BigtopBuilderError as error:
        step = f" in {error.step}" if isinstance(error, StepFailedError) else ""
        return Reproduced(
            task=order.task, identical=False, differences=[f"the second build failed{step}: {error.message}"]
        )
    finally:
        worker.emit(StepFinished(task=order.task, step=STEP, ok=same, seconds=round(time.monotonic() - started, 3)))
        threading.Thread(target=_clear, args=(bench.folder,), name="clear").start()


def _clear(folder: Path) -> None:
    with suppress(OSError):
        remove_tree(folder)


def _differences(bench: SecondBench) -> Iterator[str]:
    order, result = bench.order, bench.folder / "result"
    if order.kind == "compile":
        yield from tree_differences(bench.store.stage(order.key), result / "stage")
        return
    for first in bench.store.packages(order.key):
        second = result / "rpms" / first.name
        if not second.is_file():
            yield f"{first.name}: only the first build has it"
            continue
        for difference in package_differences(first, second):
            yield f"{first.name}: {difference}"
