"""The package task: rpmbuild over a staged tree, then the check. Its result is RPMs in the store."""

from __future__ import annotations

import time
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount
from bigtop_builder.flow.bigtop.package_task import package_bigtop
from bigtop_builder.flow.build.build_facts import package_facts
from bigtop_builder.flow.build.package_check import check
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model import digest
from bigtop_builder.model.errors import BuildError
from bigtop_builder.model.event import Artifact
from bigtop_builder.recipe.bigtop.tree import packaging_of


def package_component(bench: Workbench) -> list[Artifact]:
    """Run the package and check steps and put the RPMs into the store. Raises StepFailedError."""
    evaluated, task = bench.evaluated, bench.task
    started = time.time()
    clock = time.monotonic()
    for gone in evaluated.left_out:
        bench.note(f"{gone.package} is left out: {gone.reason}")
    for lack in evaluated.lacks:
        bench.note(f"{evaluated.name} ({evaluated.variant}): {lack}")
    if evaluated.packaging == "bigtop":
        rpms = package_bigtop(bench, packaging_of(evaluated))
    else:
        rpms = _rpmbuild(bench)
        check(bench, rpms)
    result = bench.make("result")
    (result / "rpms").mkdir()
    for rpm in rpms:
        rpm.rename(result / "rpms" / rpm.name)
        (result / "rpms" / rpm.name).chmod(0o644)
    described = {rpm.name: digest.of_file(result / "rpms" / rpm.name) for rpm in rpms}
    manifest = {
        "task": task.id,
        "component": evaluated.name,
        "platform": evaluated.target.platform.name,
        "version": evaluated.version,
        "release": evaluated.release,
        "variant": evaluated.variant,
        "options": dict(evaluated.options),
        "key": task.key,
        "compile_key": task.compile_key,
        "ingredients": dict(task.ingredients),
        "rpms": described,
        "notes": bench.notes,
        **package_facts(bench),
        "built": started,
        "seconds": round(time.monotonic() - clock, 3),
    }
    place = bench.store.commit("package", task.key, result, manifest)
    # A result that was there already stays, also when the build was asked for: say so if it is another.
    kept = bench.store.manifest("package", task.key)["rpms"]
    differing = sorted(name for name in described if kept.get(name) != described[name])
    if differing:
        bench.note(
            f"not reproducible: another build of the same key gave other bytes, and stays: {', '.join(differing)}"
        )
    return artifacts(place, kept)


def artifacts(place: Path, described: dict[str, str]) -> list[Artifact]:
    """The packages of a result folder as events tell them."""
    return [
        Artifact(file=name, path=str(path), size=path.stat().st_size, sha256=sha256)
        for name, sha256 in sorted(described.items())
        if (path := place / "rpms" / name).is_file()
    ]


def _rpmbuild(bench: Workbench) -> list[Path]:
    evaluated, project = bench.evaluated, bench.shared.project
    with bench.step("package") as log:
        for name in ("SPECS", "SOURCES", "BUILD", "BUILDROOT", "RPMS", "SRPMS"):
            bench.make("rpm", name)
        bench.make("home")
        spec = bench.folder / "rpm" / "SPECS" / f"{evaluated.name}.spec"
        spec.write_text(project.spec(evaluated), encoding="utf-8")
        install = bench.folder / "rpm" / "SOURCES" / "install.sh"
        install.write_text("set -euo pipefail\n" + evaluated.install, encoding="utf-8")
        files = bench.lay_files((*evaluated.files, *project.services(evaluated)))
        stage = bench.store.stage(bench.task.compile_key) if bench.task.compile_key else bench.make("empty")
        mounts = [Mount(files, "/files"), Mount(stage, "/stage")]
        environment = {
            "STAGE": "/stage",
            "FILES": "/files",
            "SOURCE_DATE_EPOCH": str(evaluated.stack.epoch),
        }
        box = bench.sandbox(bench.image_id("package"), mounts, environment)
        with bench.session(box, "/work/rpm") as session:
            target = ["--target", evaluated.target.arch] if evaluated.native else []
            code = session.call(
                [
                    "rpmbuild",
                    "-bb",
                    "--nodeps",
                    *target,
                    "--define",
                    "_topdir /work/rpm",
                    f"/work/rpm/SPECS/{evaluated.name}.spec",
                ],
                log=log,
                timeout=bench.time_limit(),
                cancelled=bench.shared.cancelled,
            )
        if code != 0:
            raise BuildError(f"rpmbuild exited with {code}")
        rpms = sorted((bench.folder / "rpm" / "RPMS").rglob("*.rpm"))
        wanted, found = set(evaluated.package_files()), {rpm.name for rpm in rpms}
        if wanted != found:
            missing, extra = sorted(wanted - found), sorted(found - wanted)
            raise BuildError(
                "rpmbuild gave other packages than the component names: "
                + "; ".join(
                    part
                    for part in (
                        f"missing {', '.join(missing)}" if missing else "",
                        f"not expected {', '.join(extra)}" if extra else "",
                    )
                    if part
                )
            )
        return rpms
