"""Comparing a component of a Bigtop tree with the component file of the same name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.flow.bigtop.payload import platform_macros
from bigtop_builder.flow.bigtop.spec_query import ReadSpec, read_spec
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.worker import Worker
from bigtop_builder.flow.publish.package_compare import Allowance, Difference, compare_described, describe
from bigtop_builder.model.project import Choice
from bigtop_builder.recipe.bigtop.tree import BigtopRecipe
from bigtop_builder.recipe.evaluate import Evaluated, Target, evaluate
from bigtop_builder.recipe.spec import render_spec
from bigtop_builder.recipe.spec_files import Listed, described, paired

Packages = list[dict[str, Any]]


@dataclass(frozen=True)
class Comparison:
    """What was compared (finished packages, or specs where one side has not been built), and the differences."""

    basis: Literal["packages", "specs"]
    differences: list[Difference]


def compare_with_bigtop(
    worker: Worker, own: Project, theirs: Project, packaging: BigtopRecipe, name: str, platform: str
) -> Comparison:
    """Compare our packages of a component with those of the tree, with the reasons that the component file states.

    ``own`` packages with component files, ``theirs`` with the tree. Raises ConfigurationError, and RecipeError for a
    spec that rpm cannot read.
    """
    evaluated = evaluate_for(own, theirs, packaging, name, platform)
    rules = allowances(evaluated)
    built = _built(own, name, platform), _built(theirs, name, platform)
    if built[0] and built[1] and own.stack.version == theirs.stack.version:
        return Comparison("packages", compare_described(*built, allow=rules))
    mine = read_spec(worker, own.package_image(evaluated.target.builder.name), render_spec(evaluated), "", (), ())
    other = read_bigtop_spec(worker, theirs, packaging, evaluated.target)
    ours, reference = _side_by_side(mine, other)
    return Comparison("specs", compare_described(ours, reference, allow=rules))


def evaluate_for(own: Project, theirs: Project, packaging: BigtopRecipe, name: str, platform: str) -> Evaluated:
    """Evaluate our component for the stack of the tree: with its suffix, its prefix and, if we have it, its version."""
    component = own.catalog.component(name).component
    version = packaging.component.base_version
    choice = Choice(version=version if version in component.versions else None)
    labelled = own.platform(platform)
    target = Target(labelled, own.platform(own.builder_platform or platform), own.arch)
    return evaluate(own.catalog, theirs.stack, name, target, choice, own.versions)


def read_bigtop_spec(worker: Worker, project: Project, packaging: BigtopRecipe, target: Target) -> ReadSpec:
    """Have rpm read the spec of the tree. Raises RecipeError when it cannot."""
    macros = project.catalog.package_template("rpm", "bigtop.macros").read_text(encoding="utf-8")
    names = [file.name.removeprefix("SOURCES/") for file in packaging.files if file.name.startswith("SOURCES/")]
    return read_spec(
        worker,
        project.package_image(target.builder.name),
        packaging.spec_text,
        platform_macros(target.platform) + macros,
        tuple(dict.fromkeys((*packaging.source_defines("/work"), *packaging.binary_defines("/work")))),
        (*names, packaging.seed.name),
    )


def allowances(evaluated: Evaluated) -> list[Allowance]:
    """Return the differences that the component file explains, packages that it leaves out included."""
    found = [
        Allowance(deviation.reason, covered.package, covered.kind, covered.subject)
        for deviation in evaluated.deviations
        for covered in deviation.covers
    ]
    return found + [Allowance(gone.reason, gone.package, "package") for gone in evaluated.left_out]


def _built(project: Project, name: str, platform: str) -> Packages:
    """Describe the packages of a component, if the store has them as they would be built now."""
    plan = project.plan(Request(selectors=(name,), platforms=(platform,)))
    task = next((one for one in plan.tasks if one.kind == "package" and one.action == "reuse"), None)
    return [describe(read_header(rpm)) for rpm in project.store.packages(task.key)] if task else []


def _side_by_side(mine: ReadSpec, other: ReadSpec) -> tuple[Packages, Packages]:
    names = {header["name"]: header for header in mine.headers}
    others = {header["name"]: header for header in other.headers}
    ours, theirs = [], []
    for name in dict.fromkeys((*names, *others)):
        lists = _list(mine, name), _list(other, name)
        files = paired(*lists) if name in names and name in others else ([], [])
        if name in names:
            ours.append(described(names[name], files[0]))
        if name in others and (name in other.files or name in names):
            theirs.append(described(others[name], files[1]))
    return ours, theirs


def _list(spec: ReadSpec, package: str) -> Sequence[Listed]:
    return spec.files.get(package, [])
