"""How component files package: ``rpmbuild`` of the rendered spec over the staged tree, then the check."""

from __future__ import annotations

from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount
from bigtop_builder.flow.build.package_check import check
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.errors import BuildError


def package_staged_tree(bench: Workbench) -> list[Path]:
    """Run the package and check steps; return the RPMs. Raises StepFailedError."""
    rpms = _rpmbuild(bench)
    check(bench, rpms)
    return rpms


def _rpmbuild(bench: Workbench) -> list[Path]:
    order = bench.order
    with bench.step("package") as log:
        spec = _write_topdir(bench)
        stage = bench.store.stage(order.compile_key) if order.compile_key else bench.make("empty")
        mounts = [Mount(bench.write_files(order.files), "/files"), Mount(stage, "/stage")]
        environment = {"STAGE": "/stage", "FILES": "/files", "SOURCE_DATE_EPOCH": str(order.epoch)}
        box = bench.sandbox("package", mounts, environment)
        target = ["--target", order.arch] if order.arch != "noarch" else []
        with bench.session(box, "/work/rpm") as session:
            code = session.call(
                ["rpmbuild", "-bb", "--nodeps", *target, "--define", "_topdir /work/rpm", f"/work/rpm/{spec}"],
                log=log,
                timeout=order.limits.seconds,
                cancelled=bench.worker.cancelled,
            )
        if code != 0:
            raise BuildError(f"rpmbuild exited with {code}")
        rpms = sorted((bench.folder / "rpm" / "RPMS").rglob("*.rpm"))
        _check_names(set(order.package_files), {rpm.name for rpm in rpms})
        return rpms


def _write_topdir(bench: Workbench) -> str:
    """Write what rpmbuild starts from; return the path of the spec below the topdir."""
    order = bench.order
    for name in ("SPECS", "SOURCES", "BUILD", "BUILDROOT", "RPMS", "SRPMS"):
        bench.make("rpm", name)
    bench.make("home")
    spec = f"SPECS/{order.component}.spec"
    (bench.folder / "rpm" / spec).write_text(order.spec, encoding="utf-8")
    install = bench.folder / "rpm" / "SOURCES" / "install.sh"
    install.write_text("set -euo pipefail\n" + order.script, encoding="utf-8")
    return spec


def _check_names(expected: set[str], found: set[str]) -> None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    parts = [f"missing {', '.join(missing)}"] if missing else []
    parts += [f"unexpected {', '.join(extra)}"] if extra else []
    if parts:
        raise BuildError(f"rpmbuild made other packages than the component names: {'; '.join(parts)}")
