"""Writing the order for a smoke test: the components that run first, their scripts and the keys of their packages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.work_order import Limits, SmokeOrder, SmokePart
from bigtop_builder.model.base import seconds, size_in_bytes
from bigtop_builder.plan.task import Refusal, Task
from bigtop_builder.recipe.evaluate import RenderedFile
from bigtop_builder.recipe.smoke import SmokeTest

INSTALL_SECONDS = 1800
"""How long the installation of all packages may take."""


def smoke_order(project: Project, task: Task) -> SmokeOrder | None:
    """Return the order for the smoke test of a package task, or None when the component has none.

    Raises RecipeError, ConfigurationError, and OSError for a script that cannot be read.
    """
    own = task.evaluated.smoke
    if own is None:
        return None
    parts: dict[str, SmokePart] = {}
    missing: dict[str, None] = {}
    _add_needs(project, task, own, parts, missing)
    limits = project.file.limits
    parts[task.evaluated.name] = _part(task.evaluated.name, own, limits.timeout)
    return SmokeOrder(
        parts=tuple(parts.values()),
        keys=dict(task.smoke_keys),
        limits=Limits(
            memory=size_in_bytes(limits.memory or own.memory),
            cpus=None,
            seconds=INSTALL_SECONDS,
            # Each component has two scripts, and each of them its own time.
            lifetime=INSTALL_SECONDS + 2 * sum(part.seconds for part in parts.values()),
        ),
        missing=tuple(missing),
    )


def _add_needs(
    project: Project, task: Task, smoke: SmokeTest, parts: dict[str, SmokePart], missing: dict[str, None]
) -> None:
    """Add the needs of a smoke test to ``parts``, each after its own needs."""
    for name in smoke.needs:
        if name in parts or name in missing or name == task.evaluated.name:
            continue
        value = project.evaluate(name, task.evaluated.target.label)
        if isinstance(value, Refusal) or value.smoke is None or name not in task.smoke_keys:
            missing[name] = None
            continue
        _add_needs(project, task, value.smoke, parts, missing)
        parts[name] = _part(name, value.smoke, project.file.limits.timeout)


def _part(name: str, smoke: SmokeTest, limit: str | None) -> SmokePart:
    return SmokePart(
        component=name,
        packages=smoke.packages,
        environment=dict(smoke.environment),
        files=read_files(smoke.files),
        seconds=seconds(limit or smoke.timeout),
    )


def read_files(files: Mapping[str, Path]) -> tuple[RenderedFile, ...]:
    """Read the files of a smoke test. Raises OSError."""
    return tuple(
        RenderedFile(name, path.read_bytes(), bool(path.stat().st_mode & 0o100)) for name, path in files.items()
    )
