"""The packages of a component: which of them are made, and what their file lists may say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bigtop_builder.model.component import Component, FileEntry, Package
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors, RecipeError
from bigtop_builder.recipe.document import Document, DocumentPath, clipped
from bigtop_builder.recipe.package_format import FORMATS
from bigtop_builder.recipe.renderer import Renderer


@dataclass(frozen=True)
class LeftOut:
    """A package that an evaluation leaves out, and why."""

    package: str
    reason: str


def check_file_lists(component: Component, document: Document) -> None:
    """Check that file lists hold paths and entries, not lines of a package format.

    Raises RecipeError, or ConfigurationErrors for several, with the place and the entry to write instead.
    """
    mistakes: list[ConfigurationError] = [
        mistake
        for index, package in enumerate(component.packages)
        for mistake in _foreign_lines(package, ("packages", index), document)
    ]
    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        raise ConfigurationErrors(mistakes)


def evaluate_packages(component: Component, renderer: Renderer) -> tuple[tuple[Package, ...], tuple[LeftOut, ...]]:
    """Return the packages that this evaluation makes, rendered, and those it leaves out.

    Raises RecipeError for two packages of one name, for none at all, and for what ``check_file_lists`` raises it.
    """
    packages: list[Package] = []
    left_out: list[LeftOut] = []
    for index, package in enumerate(component.packages):
        path: DocumentPath = ("packages", index)
        if not renderer.truth(package.when, (*path, "when")):
            name = renderer.text(package.name, (*path, "name"))
            left_out.append(LeftOut(name, renderer.text(package.otherwise, (*path, "otherwise"))))
            continue
        rendered = _rendered(package, path, renderer)
        if rendered.name in {other.name for other in packages}:
            raise RecipeError(
                f"there are two packages {rendered.name}", location=renderer.document.locate((*path, "name"))
            )
        packages.append(rendered)
    if not packages:
        raise RecipeError(
            f"{component.name} has no package left for this choice",
            location=renderer.document.locate(("packages",)),
        )
    return tuple(packages), tuple(left_out)


def _rendered(package: Package, path: DocumentPath, renderer: Renderer) -> Package:
    rendered = renderer.model(package, path)
    # A template may render to what no file list may say: '%exclude ' ~ lib if …
    for mistake in _foreign_lines(rendered, path, renderer.document):
        raise mistake
    return rendered.model_copy(update={"files": [entry for entry in rendered.files if _path(entry).strip()]})


def _path(entry: str | FileEntry) -> str:
    return entry if isinstance(entry, str) else entry.path


def _foreign_lines(package: Package, path: DocumentPath, document: Document) -> Iterator[RecipeError]:
    for index, line in enumerate(map(_path, package.files)):
        for known in FORMATS.values():
            hint = known.correction(line)
            if hint is not None:
                yield RecipeError(
                    f"'files' takes paths and entries, not the syntax of {known.name}: {clipped(line)}",
                    hint=hint,
                    location=document.locate((*path, "files", index)),
                )
