"""The package task: have the packaging make and check the RPMs, then keep them in the store."""

from __future__ import annotations

import time

from bigtop_builder.flow.build.build_facts import package_facts
from bigtop_builder.flow.build.result import artifacts_in
from bigtop_builder.flow.build.steps import Steps
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model import digest
from bigtop_builder.model.outcome import Artifact
from bigtop_builder.plan.key import BY_HAND


def run_package_task(bench: Workbench, steps: Steps) -> list[Artifact]:
    """Run the package and check steps and put the RPMs into the store. Raises StepFailedError, StoreError."""
    order = bench.order
    started, clock = time.time(), time.monotonic()
    for note in order.notes:
        bench.note(note)
    compiled = bench.store.manifest("compile", order.compile_key) if order.compile_key else None
    if compiled and BY_HAND in compiled:
        bench.note("made from a tree that was finished by hand in a shell: the recipe alone does not make this package")
    result = bench.private("result")
    described = {package.name: digest.of_file(package) for package in steps.package(bench)}
    manifest = {
        "task": order.task,
        "component": order.component,
        "platform": order.platform,
        "version": order.version,
        "key": order.key,
        "compile_key": order.compile_key,
        # The packages may go where their staged tree does not, and their attestation speaks of both.
        "compiled": compiled,
        "ingredients": dict(order.ingredients),
        "rpms": described,
        "notes": bench.notes,
        **package_facts(bench),
        "built": started,
        "seconds": round(time.monotonic() - clock - (bench.smoke.seconds if bench.smoke else 0), 3),
    }
    place = bench.store.commit("package", order.key, result, manifest)
    # An earlier result of the same key stays, even when this build was forced: report it if the bytes differ.
    kept = bench.store.manifest("package", order.key)["rpms"]
    differing = sorted(name for name in described if kept.get(name) != described[name])
    if differing:
        bench.note(
            "not reproducible: the bytes differ from an earlier build of the same key, which is kept: "
            + ", ".join(differing)
        )
    # The files of a second build, which is not kept, may have other names than those of the first.
    return artifacts_in(place, {name: one for name, one in kept.items() if (place / "rpms" / name).is_file()})
