"""One step of a task: timed, logged to a file of its own, announced by events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bigtop_builder.adapter.redact import Redactor
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import translated
from bigtop_builder.flow.build.worker import Worker
from bigtop_builder.model.errors import BigtopBuilderError, InterruptedRunError, StoreError
from bigtop_builder.model.event import Step, StepFinished, StepProgress, StepStarted

PROGRESS_SECONDS = 0.25
"""The shortest time between two progress events of a step."""


class StepFailedError(BigtopBuilderError):
    """A step failed: carries the step, its log and the error that caused it."""

    def __init__(self, step: Step, log: Path, cause: BigtopBuilderError) -> None:
        super().__init__(cause.message, hint=cause.hint, location=cause.location)
        self.exit_code = cause.exit_code
        self.step = step
        self.log = log
        self.cause = cause


@contextmanager
def run_step(worker: Worker, task: str, name: Step, path: Path, limit: int) -> Iterator[LogWriter]:
    """Run a step of a task with a log at ``path`` of at most ``limit`` bytes.

    Raises StepFailedError for every error of ours inside the block, except InterruptedRunError, which passes through.
    """
    if worker.cancelled.is_set():
        raise InterruptedRunError(f"{task} was interrupted")
    emit = worker.emit
    started = last = time.monotonic()
    emit(StepStarted(task=task, step=name, log=str(path)))

    def progress(written: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            emit(StepProgress(task=task, step=name, done=written))

    def tee(data: bytes) -> None:
        if worker.tee is not None:
            worker.tee(task, name, data)

    ok = False
    try:
        redactor = Redactor(worker.sites.secrets)
        with LogWriter(path, limit, redactor=redactor, progress=progress, tee=tee) as log:
            try:
                with translated(worker.store.root):
                    yield log
            except InterruptedRunError:
                raise
            except BigtopBuilderError as error:
                with suppress(StoreError):
                    log.note(f"failed: {error.message}")
                raise StepFailedError(name, path, error) from error
        ok = True
    finally:
        emit(StepFinished(task=task, step=name, ok=ok, seconds=round(time.monotonic() - started, 3)))


class Between:
    """The time of a task that belongs to no step, by the names under which it is reported; so that times add up."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._seconds: dict[Step, float] = {}

    def spent(self, name: Step) -> None:
        """Count the time since the last step, or since this was last called, as ``name``."""
        now = time.monotonic()
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._since
        self._since = now

    @contextmanager
    def step(self) -> Iterator[None]:
        """Count the time up to a step as its preparation, and that of the step itself not at all."""
        self.spent("prepare")
        try:
            yield
        finally:
            self._since = time.monotonic()

    def report(self, worker: Worker, task: str) -> None:
        """Report what came between steps, at the end of a task: the rest was to keep what it left."""
        self.spent("keep")
        for name, seconds in self._seconds.items():
            if round(seconds, 1):
                worker.emit(StepFinished(task=task, step=name, ok=True, seconds=round(seconds, 3)))
