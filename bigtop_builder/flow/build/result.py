"""How tasks and runs end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bigtop_builder.adapter.store import Store
from bigtop_builder.model.errors import ExitCode, StoreError
from bigtop_builder.model.event import Artifact, Failure, Reproduced, State
from bigtop_builder.plan.task import Plan, Task


@dataclass(frozen=True)
class Result:
    """How one task ended."""

    task: Task
    state: State
    artifacts: tuple[Artifact, ...] = ()
    failure: Failure | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunResult:
    """How a run ended. ``run`` is None when there was nothing to do; ``seconds`` is its wall time."""

    plan: Plan
    results: Mapping[str, Result]
    exit_code: ExitCode
    run: str | None = None
    seconds: float = 0.0
    reproduced: Mapping[str, Reproduced] = field(default_factory=dict)
    """What the second build of a task gave, by its id, when one was asked for."""

    @property
    def artifacts(self) -> list[Artifact]:
        """Every package of the selection, by file name."""
        return sorted((one for result in self.results.values() for one in result.artifacts), key=lambda one: one.file)


def stored_result(store: Store, task: Task) -> Result:
    """A reused result, as the store has it. Notes it as used now."""
    store.touch(task.kind, task.key)
    if task.kind == "compile":
        return Result(task, "reused")
    manifest = store.manifest("package", task.key)
    folder = store.folder("package", task.key) / "rpms"
    try:
        found = tuple(
            Artifact(file=name, path=str(folder / name), size=(folder / name).stat().st_size, sha256=sha256)
            for name, sha256 in sorted(manifest["rpms"].items())
        )
    except OSError as error:
        raise StoreError(
            f"the result {folder.parent} is damaged: {error}", hint="Remove this folder and build again."
        ) from error
    return Result(task, "reused", found, notes=tuple(manifest["notes"]))


def exit_code(plan: Plan, results: Mapping[str, Result], reproduced: Mapping[str, Reproduced]) -> ExitCode:
    """One code for a run: the failure's own when all failed alike, ``PART_FAILED`` when something succeeded;
    ``NOT_REPRODUCIBLE`` when nothing failed but a second build gave other bytes."""
    failures = [result.failure for result in results.values() if result.failure is not None]
    if not failures and any(result.state == "cancelled" for result in results.values()):
        return ExitCode.INTERRUPTED
    if not failures and not plan.refusals:
        same = all(verdict.identical for verdict in reproduced.values())
        return ExitCode.DONE if same else ExitCode.NOT_REPRODUCIBLE
    succeeded = any(result.state in ("done", "reused") and result.task.kind == "package" for result in results.values())
    codes = {failure.exit_code for failure in failures}
    if not succeeded and len(codes) == 1:
        return ExitCode(codes.pop())
    return ExitCode.PART_FAILED
