"""The steps of components that are described by component files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bigtop_builder.adapter.sources import Fetched
from bigtop_builder.adapter.tools.normalise import Report
from bigtop_builder.flow.build.component_compile import compile_script, take_staged_tree
from bigtop_builder.flow.build.component_package import package_staged_tree
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.steps import Compiled
from bigtop_builder.flow.build.work_order import ExpectedPackage, Patch, WorkOrder
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.component import Package
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.lock import read_lock
from bigtop_builder.recipe.patches import AppliedPatch


class ComponentSteps:
    """``Steps`` for component files: a compile script, an install script and a rendered spec."""

    def complete(self, order: WorkOrder, project: Project, evaluated: Evaluated) -> WorkOrder:
        """Add scripts, files and patches, or the spec and the expected packages."""
        if order.kind == "compile":
            patches = tuple(map(_patch, evaluated.patches))
            lock = read_lock(evaluated.lock) if evaluated.lock is not None else None
            return replace(
                order, script=evaluated.build.script, files=evaluated.build_files, patches=patches, lock=lock
            )
        missing = [f"{package.package} is left out: {package.reason}" for package in evaluated.left_out]
        return replace(
            order,
            script=evaluated.install,
            files=(*evaluated.files, *project.services(evaluated)),
            spec=project.spec(evaluated),
            packages=tuple(map(_expected, evaluated.packages)),
            package_format=evaluated.format.name,
            package_files=evaluated.package_files(),
            notes=(*missing, *(f"{evaluated.name} ({evaluated.variant}): {lack}" for lack in evaluated.lacks)),
        )

    def compile(self, bench: Workbench, fetched: list[Fetched]) -> Compiled:
        """Run the unpack, patch and compile steps."""
        return compile_script(bench, fetched)

    def take_over(self, bench: Workbench, started: float) -> Report:
        """Take over the staged tree."""
        return take_staged_tree(bench, started)

    def package(self, bench: Workbench) -> list[Path]:
        """Run the package and check steps."""
        return package_staged_tree(bench)


def _patch(patch: AppliedPatch) -> Patch:
    return Patch(patch.name, patch.note, patch.path.read_bytes(), str(patch.path))


def _expected(package: Package) -> ExpectedPackage:
    scripts: set[str] = set(package.scripts)
    if package.users:
        scripts.add("pre")
    if package.alternatives or package.services:
        scripts |= {"post", "preun"}
    services = tuple(service.name for service in package.services)
    return ExpectedPackage(package.name, tuple(package.requires), services, tuple(sorted(scripts)))
