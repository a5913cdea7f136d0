"""The images that a plan's tasks run in: which ones are needed, and making those that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bigtop_builder.adapter.containers.image import ensure
from bigtop_builder.adapter.containers.image_recipe import ImageSpec, image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.step import run_step
from bigtop_builder.flow.build.work_order import ImageRole
from bigtop_builder.flow.build.worker import Worker
from bigtop_builder.plan.task import Plan, Task


@dataclass(frozen=True)
class NeededImage:
    """An image, and the id of the first task that needs it."""

    task: str
    spec: ImageSpec


def task_images(project: Project, task: Task) -> dict[ImageRole, ImageSpec]:
    """Return the images that a task uses, by what it uses them for."""
    evaluated = task.evaluated
    if task.kind == "compile":
        return {"compile": project.image_spec(evaluated, "compile")} if evaluated.compile_step == "container" else {}
    return {"package": project.image_spec(evaluated, "package"), "host": project.host_spec(evaluated)}


def needed_images(project: Project, plan: Plan, *, for_all: bool = False) -> list[NeededImage]:
    """Return each image that the tasks to build need once, with ``for_all`` also those of reused tasks."""
    found: dict[str, NeededImage] = {}
    for task in plan.tasks:
        if for_all or task.action == "build":
            for spec in task_images(project, task).values():
                found.setdefault(image_key(spec), NeededImage(task.id, spec))
    return list(found.values())


def prepare_images(worker: Worker, images: Sequence[NeededImage], log_size: int) -> bool:
    """Make the images that the engine does not have; ``log_size`` bounds each log, in bytes.

    Return whether a fingerprint changed: then keys have changed with it, and the plan must be made again.
    Raises StepFailedError.
    """
    before = _fingerprints(worker.store, images)
    for image in images:
        with run_step(worker, image.task, "image", worker.run.log(image.task, "image"), log_size) as log:
            ensure(worker.shop, image.spec, log)
    return before != _fingerprints(worker.store, images)


def _fingerprints(store: Store, images: Sequence[NeededImage]) -> list[str | None]:
    records = [recorded(store, image_key(image.spec)) for image in images]
    return [record.fingerprint if record else None for record in records]
