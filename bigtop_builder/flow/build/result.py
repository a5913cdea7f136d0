"""How tasks and runs end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bigtop_builder.adapter.store import Store
from bigtop_builder.model.errors import ExitCode, StoreError
from bigtop_builder.model.event import Failure, Reproduced, State, TaskFinished
from bigtop_builder.model.outcome import Artifact
from bigtop_builder.plan.task import Kind, Plan, Task


@dataclass(frozen=True)
class SmokeResult:
    """A smoke test that passed: the names of the tests that ran, and of those that were skipped, with reasons."""

    runs: tuple[str, ...]
    skipped: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Result:
    """How one task ended: plain data, which survives ``pickle`` and JSON."""

    task: str
    """The task's id."""
    kind: Kind
    platform: str
    """The platform that its packages are for."""
    state: State
    artifacts: tuple[Artifact, ...] = ()
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    """How long it took where it was carried out; 0 when nothing ran."""
    smoke: SmokeResult | None = None
    """The smoke test that passed."""
    reproduced: Reproduced | None = None
    """What a second build showed, when this is the result of one."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended. ``run`` is None when there was nothing to do; ``seconds`` is wall-clock time."""

    plan: Plan
    results: Mapping[str, Result]
    exit_code: ExitCode
    run: str | None = None
    seconds: float = 0.0
    reproduced: Mapping[str, Reproduced] = field(default_factory=dict)
    """What the second build of a task showed, by its id, when the run made second builds."""

    @property
    def artifacts(self) -> list[Artifact]:
        """Every package of the selection, sorted by file name."""
        return sorted((one for result in self.results.values() for one in result.artifacts), key=lambda one: one.file)


def defect(error: BaseException, where: str = "") -> Failure:
    """Return the failure of an order that something in this program prevented."""
    text = f"{type(error).__name__}: {error}"
    hint = f"This is a defect of bigtop-builder{where}."
    return Failure(step="run", message=text, hint=hint, exit_code=ExitCode.DEFECT)


def finished(result: Result, blocked_by: str | None = None) -> TaskFinished:
    """Return the event that tells how a task ended."""
    return TaskFinished(
        task=result.task,
        state=result.state,
        seconds=result.seconds,
        artifacts=list(result.artifacts),
        failure=result.failure,
        blocked_by=blocked_by,
        notes=list(result.notes),
    )


def ended_without_running(task: Task, state: State) -> Result:
    """Return the result of a task that never started: blocked or cancelled."""
    return Result(task.id, task.kind, task.evaluated.target.platform.name, state)


def stored_result(store: Store, task: Task) -> Result:
    """Return the result of a reused task, and mark it in the store as used now. Raises StoreError."""
    store.touch(task.kind, task.key)
    artifacts, notes = stored_packages(store, task.kind, task.key)
    return replace(ended_without_running(task, "reused"), artifacts=artifacts, notes=notes)


def stored_packages(store: Store, kind: Kind, key: str) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
    """Return the packages in the store under a key, and the notes on them. Raises StoreError for a damaged result."""
    if kind == "compile":
        return (), ()
    manifest = store.manifest("package", key)
    folder = store.folder("package", key)
    try:
        return tuple(artifacts_in(folder, manifest["rpms"])), tuple(manifest["notes"])
    except (OSError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise StoreError(
            f"the result {folder} is damaged: {error}", hint="Remove this folder and build again."
        ) from error


def artifacts_in(folder: Path, digests: Mapping[str, str]) -> list[Artifact]:
    """Return the packages of a result ``folder``, sorted; ``digests`` is file name → SHA-256. Raises OSError."""
    return [
        Artifact(file=name, path=str(path), size=path.stat().st_size, sha256=sha256)
        for name, sha256 in sorted(digests.items())
        for path in [folder / "rpms" / name]
    ]


def exit_code(plan: Plan, results: Mapping[str, Result], reproduced: Mapping[str, Reproduced]) -> ExitCode:
    """Return one code for a run: the failure's own when all failures have the same and nothing succeeded, else
    ``PART_FAILED``; ``NOT_REPRODUCIBLE`` when nothing failed but the bytes of a second build differ."""
    failures = [result.failure for result in results.values() if result.failure is not None]
    if not failures and any(result.state == "cancelled" for result in results.values()):
        return ExitCode.INTERRUPTED
    if not failures and not plan.refusals:
        same = all(verdict.identical for verdict in reproduced.values())
        return ExitCode.DONE if same else ExitCode.NOT_REPRODUCIBLE
    succeeded = any(result.state in ("done", "reused") and result.kind == "package" for result in results.values())
    codes = {failure.exit_code for failure in failures}
    if not succeeded and len(codes) == 1:
        return ExitCode(codes.pop())
    return ExitCode.PART_FAILED
