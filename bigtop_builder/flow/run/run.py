"""The bracket around every run: it records, reacts to signals, and ends with one event that has the exit code."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.adapter.store import Run, Store
from bigtop_builder.flow.run.recorder import Bus, Recorder
from bigtop_builder.model.errors import BigtopBuilderError, ExitCode
from bigtop_builder.model.event import ClusterTarget, Notice, Phase, PlannedTask, RunFinished, RunKind, RunStarted

PROGRAM = "bigtop-builder"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, and what pipelines and closed terminals send."""


@dataclass
class ActiveRun:
    """A run that goes on: where its events go, whether it shall stop, and the exit code that its body sets."""

    run: Run | None
    """Its folder, scratch and lock in the store; None when nothing is recorded."""
    emit: Recorder
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set by the first signal: the run is to stop at the next safe point."""
    exit_code: ExitCode = ExitCode.DONE
    started: float = field(default_factory=time.monotonic)
    wake: Callable[[], object] | None = None
    """Called by the first signal after ``cancelled`` is set, for a body that waits for something else."""

    @property
    def id(self) -> str:
        """The name of the run; empty when nothing is recorded."""
        return self.run.id if self.run else ""

    @property
    def seconds(self) -> float:
        """The time since the run began."""
        return time.monotonic() - self.started


@contextmanager
def record_run(
    store: Store,
    run: Run | None,
    bus: Bus,
    kind: RunKind,
    *,
    tasks: Sequence[PlannedTask] = (),
    phases: Sequence[Phase] = (),
    target: ClusterTarget | None = None,
    started: float | None = None,
    redact: Callable[[str], str] = str,
    project: Path | None = None,
    output: Path | None = None,
    flags: Sequence[str] = (),
) -> Iterator[ActiveRun]:
    """Carry a run from its first event to its last, and close ``run`` in the end.

    The body sets ``exit_code``. An error that leaves it decides the exit code instead, and is reported through
    ``redact`` as a notice. The first signal asks the body of a recorded run to stop, the second raises
    KeyboardInterrupt in it. ``project``, ``output`` and ``flags`` are only
    recorded. ``started`` is the monotonic time at which the work began, when that was earlier: a
    build plans first.
    """
    started = time.monotonic() if started is None else started
    try:
        emit = Recorder(bus, run.folder / "events.jsonl" if run else None)
        active = ActiveRun(run, emit, started=started)
        try:
            with _stop_on_signals(active), _ended(active, redact):
                emit(
                    RunStarted(
                        run=active.id,
                        kind=kind,
                        command=[PROGRAM, *sys.argv[1:]],
                        store=str(store.root),
                        project=str(project) if project else None,
                        output=str(output) if output else None,
                        flags=list(flags),
                        tasks=list(tasks),
                        phases=list(phases),
                        target=target,
                    )
                )
                yield active
        finally:
            emit.close()
    finally:
        if run is not None:
            run.close()


@contextmanager
def _ended(active: ActiveRun, redact: Callable[[str], str]) -> Iterator[None]:
    """Emit the end of the run, however it ends."""
    try:
        yield
        active.emit(RunFinished(exit_code=active.exit_code, seconds=round(active.seconds, 3)))
    except BaseException as error:
        active.exit_code = _exit_code(error)
        # The log may be what failed; whoever watches is told all the same.
        with suppress(BigtopBuilderError):
            if isinstance(error, BigtopBuilderError):
                active.emit(Notice(level="error", text=redact(str(error))))
        with suppress(BigtopBuilderError):
            active.emit(RunFinished(exit_code=active.exit_code, seconds=round(active.seconds, 3)))
        raise


def _exit_code(error: BaseException) -> ExitCode:
    if isinstance(error, BigtopBuilderError):
        return error.exit_code
    return ExitCode.INTERRUPTED if isinstance(error, KeyboardInterrupt) else ExitCode.DEFECT


@contextmanager
def _stop_on_signals(active: ActiveRun) -> Iterator[None]:
    """Let the first signal stop the run at the next safe point, and the second at once."""
    if active.run is None or threading.current_thread() is not threading.main_thread():
        # A run without a record is over at once; and Python delivers signals to the main thread alone.
        yield
        return

    def stop(*_: object) -> None:
        if active.cancelled.is_set():
            raise KeyboardInterrupt
        active.cancelled.set()
        if active.wake is not None:
            active.wake()

    former = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
