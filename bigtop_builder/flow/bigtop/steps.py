"""The steps of components that are packaged with a tree of Bigtop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bigtop_builder.adapter.sources import Fetched
from bigtop_builder.adapter.tools.normalise import Report
from bigtop_builder.flow.bigtop.compile_task import compile_bigtop, take_installed
from bigtop_builder.flow.bigtop.package_task import package_bigtop
from bigtop_builder.flow.bigtop.payload import describe, to_json
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.steps import Compiled
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.recipe.bigtop.tree import packaging_of
from bigtop_builder.recipe.evaluate import Evaluated

MACROS = "bigtop.macros"
"""Our template of the macros that apply on all platforms."""


class BigtopSteps:
    """``Steps`` for Bigtop's tree: its own spec, run twice by ``rpmbuild``."""

    def complete(self, order: WorkOrder, project: Project, evaluated: Evaluated) -> WorkOrder:
        """Add the files of the topdir, the definitions of rpmbuild, and how the seed is made."""
        packaging = packaging_of(evaluated)
        macros = project.catalog.package_template("rpm", MACROS).read_text(encoding="utf-8")
        return replace(
            order,
            files=packaging.files,
            payload=to_json(describe(packaging, evaluated.target.platform, macros)),
        )

    def compile(self, bench: Workbench, fetched: list[Fetched]) -> Compiled:
        """Run the unpack and compile steps."""
        return compile_bigtop(bench, fetched)

    def take_over(self, bench: Workbench, started: float) -> Report:
        """Take over the installed tree."""
        return take_installed(bench, started)

    def package(self, bench: Workbench) -> list[Path]:
        """Run the package and check steps."""
        return package_bigtop(bench)
