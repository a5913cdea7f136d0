"""Runs the phases of a deployment in their order, reports them as events, and returns one exit code."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from bigtop_builder.flow.deploy.deployment import Deployment
from bigtop_builder.flow.deploy.server_errors import look_up
from bigtop_builder.model.errors import (
    AmbariError,
    BigtopBuilderError,
    ConfigurationErrors,
    ExitCode,
    HostError,
    InterruptedRunError,
    SeveralErrors,
)
from bigtop_builder.model.event import Failure, Phase, PhaseFinished, PhaseStarted

PhaseWork = Callable[[Deployment], str]
"""Carries out a phase, counts its changes in ``Reporter.changes``, and returns a note for its line."""


def run_phases(deployment: Deployment, work: Mapping[Phase, PhaseWork], phases: Sequence[Phase]) -> ExitCode:
    """Carry out ``phases`` until one fails; its failure is in its event. Return the exit code."""
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
            logged = look_up(deployment.connections, error)
            _finished(deployment, started, failure=failure_of(phase, error, logged))
            return error.exit_code
        _finished(deployment, started, note=note)
    return ExitCode.DONE


def failure_of(phase: Phase, error: BigtopBuilderError, logged: Sequence[str] = ()) -> Failure:
    """Return an error as the failure of a phase: where, what, and what to do; ``logged`` is from the server's log."""
    if isinstance(error, ConfigurationErrors | SeveralErrors):
        return Failure(
            step=phase,
            message="\n".join(_with_hint(one) for one in error.errors),
            last_lines=list(logged),
            exit_code=error.exit_code,
        )
    lines = getattr(error, "last_lines", None) if isinstance(error, AmbariError | HostError) else None
    return Failure(
        step=phase,
        message=_located(error),
        hint=error.hint,
        last_lines=list(lines or logged),
        exit_code=error.exit_code,
    )


def _located(error: BigtopBuilderError) -> str:
    return f"{error.location}: {error.message}" if error.location else error.message


def _with_hint(error: BigtopBuilderError) -> str:
    """Return one of several errors: its own hint stands below it."""
    hint = error.hint.replace("\n", " ") if error.hint else ""
    return f"{_located(error)}\n  hint: {hint}" if hint else _located(error)


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
