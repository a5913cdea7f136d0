"""The builds that a bundle is made of: missing ones run first, and so does the creation of their images."""

from __future__ import annotations

from bigtop_builder.adapter.bundle.images import Images, gather
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.flow.build.builder import build
from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.build.task_runner import prepare_images
from bigtop_builder.flow.build.workbench import Shared
from bigtop_builder.flow.bundle.contents import image_specs
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.model.errors import EngineError, PartFailedError
from bigtop_builder.plan.task import Plan, Refusal, package_id

ATTEMPTS = 2


def built(shared: Shared, request: Request, bus: Bus) -> tuple[Plan, list[str]]:
    """Build what is missing; return a plan that would build everything again, and what had to be left out.

    Raises PartFailedError with the exit code of the build, unless the request keeps going.
    """
    project = shared.project
    for _ in range(ATTEMPTS):
        run = build(project, request, bus)
        fine = {name for name, result in run.results.items() if result.state in ("done", "reused")}
        available: list[str] = []
        left_out: list[str] = []
        for name, platform in project.pairs(request):
            (available if _package(shared, name, platform) in fine else left_out).append(f"{name}@{platform}")
        if left_out and (not request.keep_going or not available):
            failed = PartFailedError(
                f"no bundle, because these failed to build: {', '.join(left_out)}",
                hint="Fix them, or leave them out with --keep-going.",
            )
            failed.exit_code = run.exit_code
            raise failed
        plan = project.plan(Request(selectors=tuple(available), force=True, rerun_flags=request.rerun_flags))
        # An engine that lost its images gets new ones, which may differ: then the build keys differ too.
        if not prepare_images(shared, plan):
            return plan, left_out
    raise EngineError("the builder images changed while they were in use", hint="Repeat the command.")


def _package(shared: Shared, name: str, platform: str) -> str:
    """Return the id of a package task; empty for a refused one."""
    evaluated = shared.project.evaluate(name, platform)
    return "" if isinstance(evaluated, Refusal) else package_id(evaluated)


def images_of(shared: Shared, plan: Plan) -> Images:
    """Return the images of a plan, ready to be saved. Raises EngineError."""
    store = shared.project.store
    found = [recorded(store, image_key(spec)) for spec in image_specs(shared.project, plan)]
    return gather(shared.client, [record for record in found if record is not None])
