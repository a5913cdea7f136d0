"""Verifying components: build them, run their smoke tests on a clean host, and write down what ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder.flow.build.builder import build
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import RunResult
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.model.component import Component
from bigtop_builder.model.errors import BuildError, ConfigurationError, Location
from bigtop_builder.model.source import GitSource
from bigtop_builder.model.tap import read_tap
from bigtop_builder.model.verified import BuildSeconds, VerifiedRecord
from bigtop_builder.plan.task import Task
from bigtop_builder.recipe.evaluate import COMPONENT_FILES, Evaluated
from bigtop_builder.recipe.verified import add_record, recipe_digest

if TYPE_CHECKING:
    from bigtop_builder.flow.build.steps import Packagings

LARGEST_REPORT = 1 << 20


@dataclass(frozen=True)
class Written:
    """A record, and the file that it was written to."""

    component: str
    record: VerifiedRecord
    file: Path

    def data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"component": self.component, "file": str(self.file), **self.record.model_dump()}


def verify_components(
    project: Project, request: Request, bus: Bus, packagings: Packagings
) -> tuple[RunResult, list[Written]]:
    """Build what ``request.verify`` names, run the smoke tests, and write a record of each that passed.

    Raises ConfigurationError for a component without a smoke test, BuildError when a test did not run or does not
    count, and whatever ``build`` raises.
    """
    _require_tests(project, request)
    result = build(project, request, bus, packagings)
    written = []
    for task in _packaged(result.plan.tasks, request.verify):
        smoke = result.results[task.id].smoke
        if smoke is not None and smoke.runs:
            written.append(_write(project, task, smoke.runs, smoke.skipped, hosts=1))
    if nothing := sorted(request.verify - {one.component for one in written}):
        raise BuildError(
            f"nothing ran of {', '.join(nothing)}, so nothing is recorded",
            hint="The notes of the run say why its smoke test was skipped or does not count.",
        )
    return result, written


def record_reports(project: Project, request: Request, reports: Mapping[str, Path], hosts: int) -> list[Written]:
    """Write records of what ran on the hosts of a cluster: ``reports`` are TAP files by component.

    The packages must be in the store as the project builds them now. Raises ConfigurationError for a report of a
    failure or one that is incomplete, and for packages that are not built.
    """
    _require_tests(project, request)
    written = []
    for task in _packaged(project.plan(request).tasks, request.verify):
        report_file = reports[task.evaluated.name]
        if task.action != "reuse":
            raise ConfigurationError(
                f"{task.evaluated.name} is not built as it is now, so nothing can be recorded of it",
                hint=f"Build it first: bigtop-builder build {task.evaluated.name}",
            )
        report = read_tap(_text(report_file).splitlines())
        if not report.ok or not report.passed:
            what = ", ".join(report.failed) or "; ".join(report.problems) or "nothing ran"
            raise ConfigurationError(f"is no report of a test that passed: {what}", location=Location(report_file))
        written.append(_write(project, task, report.passed, report.skipped, hosts))
    return written


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST_REPORT).decode("utf-8", errors="replace")
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", location=Location(file)) from None


def _require_tests(project: Project, request: Request) -> None:
    if project.packaging.name != COMPONENT_FILES:
        raise ConfigurationError("only components that are described by component files have smoke tests")
    for name, platform in project.pairs(request):
        evaluated = project.evaluate(name, platform)
        if name in request.verify and isinstance(evaluated, Evaluated) and evaluated.smoke is None:
            raise ConfigurationError(
                f"{name} has no smoke test",
                hint=f"Write tests/smoke.sh in {project.catalog.component(name).folders[0]}.",
            )


def _packaged(tasks: Iterable[Task], names: frozenset[str]) -> list[Task]:
    return [task for task in tasks if task.kind == "package" and task.evaluated.name in names]


def _write(project: Project, task: Task, runs: Iterable[str], skipped: Iterable[str], hosts: int) -> Written:
    evaluated = task.evaluated
    loaded = project.catalog.component(evaluated.name)
    compiled = project.store.manifest("compile", task.compile_key) if task.compile_key else None
    packaged = project.store.manifest("package", task.key)
    record = VerifiedRecord(
        version=evaluated.version,
        variant=evaluated.variant,
        chosen=_chosen(evaluated, loaded.component),
        platform=evaluated.target.platform.name,
        date=datetime.now(UTC).date().isoformat(),
        source=source_of(evaluated, loaded.component, compiled),
        recipe=recipe_digest(loaded, evaluated.version, evaluated.variant),
        seconds=BuildSeconds(
            compile=round(compiled["seconds"], 1) if compiled else None, package=round(packaged["seconds"], 1)
        ),
        hosts=hosts,
        runs=list(runs),
        skipped=list(skipped),
    )
    return Written(evaluated.name, record, add_record(loaded, record))


def _chosen(evaluated: Evaluated, component: Component) -> dict[str, str]:
    """Return the options and variables that have other values than the component file gives."""
    found = {
        f"options.{name}": value
        for name, value in evaluated.options.items()
        if value != component.options[name].default
    }
    for name, value in evaluated.chosen_variables.items():
        keys = {"": value} if isinstance(value, str) else {f".{key}": one for key, one in value.items()}
        found |= {f"variables.{name}{key}": " ".join(str(one).split()) for key, one in keys.items()}
    return found


def source_of(evaluated: Evaluated, component: Component, compiled: Mapping[str, Any] | None) -> str:
    """Return what was compiled. A clean checkout of the pinned commit counts as that commit."""
    if compiled is None:
        return "own files"
    if evaluated.local_source is not None and "main" not in compiled["sources"]:
        commit = _pinned_checkout(evaluated, component, evaluated.local_source)
        return f"git:{commit}" if commit else f"local tree sha256:{compiled['ingredients']['source:main']}"
    sources: dict[str, Any] = compiled["sources"]
    main = sources.get("main") or next(iter(sources.values()), None)
    if main is None:
        return "own files"
    commit = main["digests"].get("gitCommit")
    return f"git:{commit}" if commit else f"sha256:{main['digests']['sha256']}"


def _pinned_checkout(evaluated: Evaluated, component: Component, folder: Path) -> str | None:
    """Return the commit of a clean checkout if the component file names it as the source of this version."""
    from bigtop_builder.adapter.sources.git import clean_checkout

    pinned = {
        one.commit
        for source in getattr(component.versions.get(evaluated.version), "sources", ())
        if source.name == "main" and source.variant in (None, evaluated.variant)
        for one in source.alternatives
        if isinstance(one, GitSource)
    }
    if not pinned or not folder.is_dir():
        return None
    commit = clean_checkout(folder)
    return commit if commit in pinned else None
