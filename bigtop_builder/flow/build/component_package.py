"""How component files package: the format's packaging tool over the staged tree, then the check."""

from __future__ import annotations

from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount
from bigtop_builder.flow.build.native_files import refused_files
from bigtop_builder.flow.build.package_check import check
from bigtop_builder.flow.build.packages import take_packages
from bigtop_builder.flow.build.smoke_test import smoke_test
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.errors import BuildError
from bigtop_builder.recipe.package_format import FORMATS
from bigtop_builder.recipe.packaging_job import PackagingJob


def package_staged_tree(bench: Workbench) -> list[Path]:
    """Run the package, check and smoke steps; return the packages. Raises StepFailedError."""
    packages = _package(bench)
    check(bench, packages)
    if not bench.order.repeated:
        bench.smoke = smoke_test(bench, packages)
    return packages


def _package(bench: Workbench) -> list[Path]:
    order = bench.order
    package_format = FORMATS[order.package_format]
    with bench.step("package") as log:
        job = package_format.job(order.component, order.spec, order.script, order.arch)
        top = bench.make(package_format.name)
        _write(bench, top, job)
        stage = bench.store.stage(order.compile_key) if order.compile_key else bench.make("empty")
        mounts = [Mount(bench.write_files(order.files), "/files"), Mount(stage, "/stage")]
        environment = {"STAGE": "/stage", "FILES": "/files", "SOURCE_DATE_EPOCH": str(order.epoch)}
        box = bench.sandbox("package", mounts, environment)
        with bench.session(box, f"/work/{top.name}") as session:
            code = session.call(
                list(job.command),
                cwd=f"/work/{top.name}",
                log=log,
                timeout=order.limits.seconds,
                cancelled=bench.worker.cancelled,
            )
        if code != 0:
            refused = refused_files(log.end, bench.box, f"{top.name}/BUILDROOT")
            raise BuildError(f"{job.command[0]} exited with {code}{refused}")
        packages = take_packages(bench, f"{top.name}/{job.results}", package_format.suffix)
        _check_names(job.command[0], set(order.package_files), {package.name for package in packages})
        return packages


def _write(bench: Workbench, top: Path, job: PackagingJob) -> None:
    """Write what the packaging tool starts from."""
    for folder in job.folders:
        bench.make(top.name, folder)
    bench.make("home")
    for name, text in job.files.items():
        (top / name).write_text(text, encoding="utf-8")


def _check_names(tool: str, expected: set[str], found: set[str]) -> None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    parts = [f"missing {', '.join(missing)}"] if missing else []
    parts += [f"unexpected {', '.join(extra)}"] if extra else []
    if parts:
        raise BuildError(f"{tool} made other packages than the component names: {'; '.join(parts)}")
