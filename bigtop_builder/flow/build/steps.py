"""The executing half of a packaging: what it adds to a work order, and how it carries one out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.sources import Fetched
from bigtop_builder.adapter.tools.normalise import Report
from bigtop_builder.flow.build.build_facts import OWN_SOURCE, source_facts
from bigtop_builder.flow.build.images import task_images
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.smoke_order import smoke_order
from bigtop_builder.flow.build.toolchain import Downloads
from bigtop_builder.flow.build.work_order import Limits, WorkOrder
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.base import seconds, size_in_bytes
from bigtop_builder.model.component import Build
from bigtop_builder.model.errors import Location, RecipeError
from bigtop_builder.model.source import FileSource
from bigtop_builder.plan.task import FORCED, Task
from bigtop_builder.recipe.evaluate import Evaluated

STEP_SECONDS = 1800
"""The time limit of steps that have none of their own: patch, package, check."""


@dataclass(frozen=True)
class Compiled:
    """What a compile step leaves in the scratch's folder ``result``: how it was normalised, and what it downloaded."""

    report: Report
    downloads: Downloads


class Steps(Protocol):
    """The steps of one packaging. They read the work order and the workbench, and nothing else of the project."""

    def complete(self, order: WorkOrder, project: Project, evaluated: Evaluated) -> WorkOrder:
        """Return the order with everything that this packaging's own steps need."""
        ...

    def compile(self, bench: Workbench, fetched: list[Fetched]) -> Compiled:
        """Compile the fetched sources into the scratch's folder ``result``. Raises StepFailedError."""
        ...

    def take_over(self, bench: Workbench, started: float) -> Report:
        """Take over what compiling left in the box into the scratch's folder ``result``, and normalise it.

        ``started`` is when compiling began. Raises BuildError.
        """
        ...

    def package(self, bench: Workbench) -> list[Path]:
        """Make and check the packages; return their paths, which are in the scratch's folder ``result/rpms``.

        Raises StepFailedError.
        """
        ...


Packagings = Mapping[str, Callable[[], Steps]]
"""The name of a packaging → what loads its steps. Loading is left until an order needs them."""


def work_order(project: Project, task: Task, packagings: Packagings) -> WorkOrder:
    """Write the order for a task of a plan. Raises RecipeError, also for a file that can no longer be read."""
    try:
        order = _common_parts(project, task)
        return packagings[order.packaging]().complete(order, project, task.evaluated)
    except OSError as error:
        place = Location(error.filename) if error.filename else None
        raise RecipeError(f"cannot be read: {error.strerror or error}", location=place) from None


def _common_parts(project: Project, task: Task) -> WorkOrder:
    """Return an order with the fields that every packaging has."""
    evaluated = task.evaluated
    target, build = evaluated.target, evaluated.build
    return WorkOrder(
        task=task.id,
        kind=task.kind,
        key=task.key,
        ingredients=dict(task.ingredients),
        packaging=evaluated.packaging,
        component=evaluated.name,
        version=evaluated.version if task.kind == "compile" else evaluated.package_version,
        release=f"{evaluated.release}{target.platform.dist}",
        arch=evaluated.arch,
        machine=target.arch,
        platform=target.platform.name,
        builder=target.builder.name,
        epoch=evaluated.stack.epoch,
        images={role: image_key(spec) for role, spec in task_images(project, task).items()},
        limits=_limits(project, Build(), STEP_SECONDS),
        build_limits=_limits(project, build),
        disk=size_in_bytes(project.file.limits.disk),
        result_size=size_in_bytes(project.file.limits.result_size),
        result_files=project.file.limits.result_files,
        log_size=size_in_bytes(project.file.limits.log_size),
        archive_limits=project.file.limits.archives,
        forced=FORCED in task.reasons,
        from_shell=task.from_shell,
        dependency_keys=dict(task.dependency_keys),
        compile_key=task.compile_key,
        **(_compile_parts(project, evaluated) if task.kind == "compile" else _package_parts(project, task)),
    )


def _limits(project: Project, build: Build, command_seconds: int | None = None) -> Limits:
    """The project's limits, else those of the component; ``command_seconds`` where a command has a time of its own."""
    own = project.file.limits
    lifetime = seconds(own.timeout or build.timeout)
    return Limits(
        memory=size_in_bytes(own.memory or build.memory),
        cpus=build.cpus,
        seconds=lifetime if own.timeout or command_seconds is None else command_seconds,
        lifetime=lifetime,
    )


def _compile_parts(project: Project, evaluated: Evaluated) -> dict[str, Any]:
    """The fields of an order that only a compile task has, whatever the packaging."""
    build = evaluated.build
    local_files = any(isinstance(one, FileSource) for source in evaluated.sources for one in source.alternatives)
    return {
        "sources": evaluated.sources,
        "local_source": str(evaluated.local_source) if evaluated.local_source else None,
        "version_chosen": evaluated.version_chosen,
        "source_base": str(evaluated.source_base) if local_files else None,
        "environment": dict(build.environment),
        "network": build.network,
        "caches": tuple(build.caches),
        "maven": build.maven is not None or "maven" in build.caches,
        "facts": {"patches": list(project.packaging.patches(evaluated)), **_own_source(project, evaluated)},
    }


def _own_source(project: Project, evaluated: Evaluated) -> dict[str, Any]:
    """For the manifest: what the user's own source is, if it was fetched for this build."""
    fetched = project.fetched.get(evaluated.name)
    return {OWN_SOURCE: source_facts(fetched)} if fetched and fetched.path == evaluated.local_source else {}


def _package_parts(project: Project, task: Task) -> dict[str, Any]:
    """The fields of an order that only a package task has, whatever the packaging."""
    evaluated = task.evaluated
    stack = evaluated.stack
    facts = {
        "release": evaluated.release,
        "variant": evaluated.variant,
        "options": dict(evaluated.options),
        "variables": dict(evaluated.chosen_variables) or None,
        "stack": {"name": stack.name, "version": stack.version, "epoch": stack.epoch},
        "packaging": project.packaging.origin,
    }
    return {"facts": facts, "smoke": smoke_order(project, task) if project.file.smoke_tests else None}
