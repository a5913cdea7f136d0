"""The builds that a bundle is made of: missing ones run first, and so does the creation of their images."""

from __future__ import annotations

from collections.abc import Callable

from bigtop_builder.adapter.bundle.images import Images, gather
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.flow.build.images import needed_images, prepare_images
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import RunResult
from bigtop_builder.flow.build.worker import Worker
from bigtop_builder.flow.bundle.contents import image_specs
from bigtop_builder.model.base import size_in_bytes
from bigtop_builder.model.errors import EngineError, PartFailedError
from bigtop_builder.plan.task import Plan, Refusal, package_id

ATTEMPTS = 2


def built(
    project: Project, worker: Worker, request: Request, build: Callable[[Request], RunResult]
) -> tuple[Plan, list[str]]:
    """Build what is missing; return a plan that would build everything again, and what had to be left out.

    Raises PartFailedError with the exit code of the build, unless the request keeps going.
    """
    for _ in range(ATTEMPTS):
        run = build(request)
        fine = {name for name, result in run.results.items() if result.state in ("done", "reused")}
        available: list[str] = []
        left_out: list[str] = []
        for name, platform in project.pairs(request):
            (available if _package(project, name, platform) in fine else left_out).append(f"{name}@{platform}")
        if left_out and (not request.keep_going or not available):
            failed = PartFailedError(
                f"no bundle, because these failed to build: {', '.join(left_out)}",
                hint="Fix them, or leave them out with --keep-going.",
            )
            failed.exit_code = run.exit_code
            raise failed
        plan = project.plan(Request(selectors=tuple(available), force=True, rerun_flags=request.rerun_flags))
        # An engine that lost its images gets new ones, which may differ: then the build keys differ too.
        if not prepare_images(worker, needed_images(project, plan), size_in_bytes(project.file.limits.log_size)):
            return plan, left_out
    raise EngineError("the builder images changed while they were in use", hint="Repeat the command.")


def _package(project: Project, name: str, platform: str) -> str:
    """Return the id of a package task; empty for a refused one."""
    evaluated = project.evaluate(name, platform)
    return "" if isinstance(evaluated, Refusal) else package_id(evaluated)


def images_of(project: Project, worker: Worker, plan: Plan) -> Images:
    """Return the images of a plan, ready to be saved. Raises EngineError."""
    found = [recorded(project.store, image_key(spec)) for spec in image_specs(project, plan)]
    return gather(worker.client, [record for record in found if record is not None])
