"""A bundle is made of what was built: so it is built first, and its images are there."""

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
    """Build what is not built; gives the plan that would build all of it anew, and what had to be left out.

    Raises PartFailedError, with the exit code of the build, unless the request keeps going.
    """
    project = shared.project
    for _ in range(ATTEMPTS):
        run = build(project, request, bus)
        fine = {name for name, result in run.results.items() if result.state in ("done", "reused")}
        there: list[str] = []
        left_out: list[str] = []
        for name, platform in project.pairs(request):
            (there if _package(shared, name, platform) in fine else left_out).append(f"{name}@{platform}")
        if left_out and (not request.keep_going or not there):
            failed = PartFailedError(
                f"not built, so no bundle is made: {', '.join(left_out)}",
                hint="Mend that, or leave it out with --keep-going.",
            )
            failed.exit_code = run.exit_code
            raise failed
        plan = project.plan(Request(selectors=tuple(there), force=True, rerun_flags=request.rerun_flags))
        # An engine that lost its images makes them anew, which may be others: then the keys are others too.
        if not prepare_images(shared, plan):
            return plan, left_out
    raise EngineError("the builder images change while they are used", hint="Repeat the command.")


def _package(shared: Shared, name: str, platform: str) -> str:
    """The id of a package task; empty for what is refused."""
    evaluated = shared.project.evaluate(name, platform)
    return "" if isinstance(evaluated, Refusal) else package_id(evaluated)


def images_of(shared: Shared, plan: Plan) -> Images:
    """The images of a plan, as they are to be saved. Raises EngineError."""
    store = shared.project.store
    found = [recorded(store, image_key(spec)) for spec in image_specs(shared.project, plan)]
    return gather(shared.client, [record for record in found if record is not None])
