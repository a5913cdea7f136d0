"""One deployment: its phases in their order, told as events, ended with one exit code."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from bigtop_builder.flow.deploy.deployment import Deployment
from bigtop_builder.model.errors import (
    AmbariError,
    BigtopBuilderError,
    ConfigurationErrors,
    ExitCode,
    HostError,
    InterruptedRunError,
)
from bigtop_builder.model.event import Failure, Phase, PhaseFinished, PhaseStarted

PhaseWork = Callable[[Deployment], str]
"""Carries out a phase; gives a note for its line. It counts what it changes in ``Deployment.changes``."""


def run_phases(deployment: Deployment, work: Mapping[Phase, PhaseWork], phases: Sequence[Phase]) -> ExitCode:
    """Carry out ``phases``. The first that fails ends the run; its failure is in its event."""
    for phase in phases:
        if phase not in work:
            continue
        deployment.reporter.begin(phase)
        deployment.reporter.emit(PhaseStarted(phase=phase))
        started = time.monotonic()
        try:
            note = work[phase](deployment)
        except InterruptedRunError:
            _finished(deployment, started, failure=Failure(step=phase, message="interrupted", exit_code=130))
            return ExitCode.INTERRUPTED
        except BigtopBuilderError as error:
            if deployment.reporter.cancelled.is_set():
                _finished(deployment, started, failure=Failure(step=phase, message="interrupted", exit_code=130))
                return ExitCode.INTERRUPTED
            _finished(deployment, started, failure=failure_of(phase, error))
            return error.exit_code
        _finished(deployment, started, note=note)
    return ExitCode.DONE


def failure_of(phase: Phase, error: BigtopBuilderError) -> Failure:
    """An error as the failure of a phase: where, what, and what to do."""
    errors = error.errors if isinstance(error, ConfigurationErrors) else [error]
    told = [f"{one.location}: {one.message}" if one.location else one.message for one in errors]
    hints = [one.hint for one in errors if one.hint]
    lines = getattr(error, "last_lines", None) if isinstance(error, AmbariError | HostError) else None
    return Failure(
        step=phase,
        message="\n".join(told),
        hint="\n".join(dict.fromkeys(hints)) or None,
        last_lines=list(lines or []),
        exit_code=error.exit_code,
    )


def _finished(deployment: Deployment, started: float, *, note: str = "", failure: Failure | None = None) -> None:
    state = "failed" if failure else "changed" if deployment.reporter.changes else "unchanged"
    deployment.reporter.emit(
        PhaseFinished(
            phase=deployment.reporter.phase,
            state=state,
            changes=deployment.reporter.changes,
            seconds=time.monotonic() - started,
            note=note,
            failure=failure,
        )
    )


@contextmanager
def stopping_on_signals(cancelled: threading.Event) -> Iterator[None]:
    """Ctrl-C and the signals that pipelines send stop the run at the next safe point; a second one stops at once."""

    def stop(*_: object) -> None:
        if cancelled.is_set():
            raise KeyboardInterrupt
        cancelled.set()

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
