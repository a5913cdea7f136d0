"""Whether a task gives the same bytes twice: it is carried out once more, in scratch, and compared with its result.

Each task is judged by itself: the second packages are made from the first staged tree, so that a staged tree that
differs is not told again for each file that is packed from it.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.rpm.difference import package_differences, tree_differences
from bigtop_builder.adapter.store import Store, remove_tree
from bigtop_builder.flow.build.workbench import Shared, StepFailedError, Workbench
from bigtop_builder.flow.run.recorder import Recorder
from bigtop_builder.model.errors import BigtopBuilderError, InterruptedRunError
from bigtop_builder.model.event import AnyEvent, Reproduced, Step, StepFinished, StepProgress, StepStarted
from bigtop_builder.plan.task import Kind, Task

TOLD = 20
"""How many differences of a task are told."""

STEP: Step = "reproduce"


class _KeepsNothing(Store):
    """The store, to read from: a result that is finished stays in scratch."""

    def commit(self, kind: Kind, key: str, folder: Path, manifest: Mapping[str, Any]) -> Path:
        return folder


class SecondBench(Workbench):
    """The workbench of a second build: its own scratch and logs, its events told as one step, nothing kept."""

    def __init__(self, shared: Shared, task: Task) -> None:
        def bus(event: AnyEvent) -> None:
            if isinstance(event, StepProgress):
                shared.emit(event.model_copy(update={"step": STEP, "note": event.step}))

        super().__init__(dataclasses.replace(shared, emit=Recorder(bus, None)), task)
        self.store = _KeepsNothing(self.store.root)
        self.folder = self.folder.with_name(f"{self.folder.name}+again")

    def note(self, text: str) -> None:
        """All that is to be known was told by the first build."""

    def log_path(self, name: Step) -> Path:
        return super().log_path(name).with_name(f"{STEP}-{name}.log")


def reproduce(shared: Shared, task: Task, carry_out: Callable[[Workbench], object]) -> Reproduced:
    """Carry a task out again with ``carry_out`` and compare. Raises InterruptedRunError; what else fails is told."""
    bench = SecondBench(shared, task)
    started = time.monotonic()
    shared.emit(StepStarted(task=task.id, step=STEP, log=str(bench.log_path(_last_step(task)))))
    same = False
    try:
        carry_out(bench)
        differences = list(islice(_differences(bench), TOLD + 1))
        same = not differences
        if len(differences) > TOLD:
            differences[TOLD:] = [f"and more than {TOLD} such"]
        return Reproduced(task=task.id, identical=same, differences=differences)
    except InterruptedRunError:
        raise
    except BigtopBuilderError as error:
        step = f" in {error.step}" if isinstance(error, StepFailedError) else ""
        return Reproduced(
            task=task.id, identical=False, differences=[f"the second build failed{step}: {error.message}"]
        )
    finally:
        shared.emit(StepFinished(task=task.id, step=STEP, ok=same, seconds=round(time.monotonic() - started, 3)))
        threading.Thread(target=_clear, args=(bench.folder,), name="clear").start()


def _last_step(task: Task) -> Step:
    return "compile" if task.kind == "compile" else "package"


def _clear(folder: Path) -> None:
    with suppress(OSError):
        remove_tree(folder)


def _differences(bench: SecondBench) -> Iterator[str]:
    task, result = bench.task, bench.folder / "result"
    if task.kind == "compile":
        yield from tree_differences(bench.store.stage(task.key), result / "stage")
        return
    for first in bench.store.packages(task.key):
        second = result / "rpms" / first.name
        if not second.is_file():
            yield f"{first.name}: only the first build has it"
            continue
        for difference in package_differences(first, second):
            yield f"{first.name}: {difference}"


def reproduce_all(
    shared: Shared, tasks: list[Task], carry_out: Callable[[Workbench], object], jobs: int
) -> dict[str, Reproduced]:
    """The verdict on each task, by its id. Raises InterruptedRunError when the user stops the run."""

    def one(task: Task) -> Reproduced:
        verdict = reproduce(shared, task, carry_out)
        shared.emit(verdict)
        return verdict

    with ThreadPoolExecutor(jobs, thread_name_prefix="again") as pool:
        return {verdict.task: verdict for verdict in pool.map(one, tasks)}
