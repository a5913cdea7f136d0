"""The packages of a component: which of them are made, and what their file lists may say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bigtop_builder.model.base import is_template
from bigtop_builder.model.component import Component, FileEntry, Package
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors, RecipeError
from bigtop_builder.model.package_text import listed_path
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
        for mistake in _wrong_lines(package, ("packages", index), document)
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


def check_installed(component: Component, install: str, packages: Sequence[Package], document: Document) -> None:
    """Check that something puts the files of packages below $BUILDROOT. Raises RecipeError when nothing does.

    A spec of the component's own, or a block of it, may do so itself.
    """
    if install.strip() or component.spec is not None or "install_after" in component.spec_blocks:
        return
    for package in packages:
        listed = [entry for entry in package.files if isinstance(entry, str) or not (entry.exclude or entry.ghost)]
        if listed:
            raise RecipeError(
                f"'install' is empty, but the package {package.name} has files: {clipped(_path(listed[0]), 80)}",
                hint="Lay them out below $BUILDROOT in 'install', or leave 'files' empty.",
                location=document.locate(("install",)),
            )


def _rendered(package: Package, path: DocumentPath, renderer: Renderer) -> Package:
    rendered = renderer.model(package, path)
    # A template may render to what no file list may say: '%exclude ' ~ lib if …
    for mistake in _wrong_lines(rendered, path, renderer.document, rendered=True):
        raise mistake
    rendered = rendered.model_copy(update={"files": [entry for entry in rendered.files if _path(entry).strip()]})
    for mistake in _contradictions(rendered, path, renderer.document):
        raise mistake
    return rendered


def _contradictions(package: Package, path: DocumentPath, document: Document) -> Iterator[RecipeError]:
    """Find what is listed twice, and a package that holds nothing and requires nothing."""
    listed = [("files", entry if isinstance(entry, str) else entry.path) for entry in package.files if _included(entry)]
    listed += [("services", service.name) for service in package.services]
    listed += [("alternatives", link.link) for link in package.alternatives]
    listed += [("users", user.name) for user in package.users]
    for (kind, name), count in Counter(listed).items():
        if count > 1:
            place = document.locate((*path, kind))
            yield RecipeError(f"{kind} of the package {package.name} has {name} {count} times", location=place)
    for index, link in enumerate(package.alternatives):
        if link.link == link.path:
            place = document.locate((*path, "alternatives", index, "path"))
            yield RecipeError(f"the link {link.link} of the package {package.name} is its own target", location=place)
    for index, service in enumerate(package.services):
        if not service.command and service.script is None:
            place = document.locate((*path, "services", index))
            yield RecipeError(
                f"service {service.name} of {package.name} has neither a command nor a script", location=place
            )
    if not listed and not any(map(str.strip, (*package.requires, *package.provides, *package.obsoletes))):
        yield RecipeError(
            f"the package {package.name} has neither files nor requirements",
            hint="Name what 'install' puts below $BUILDROOT in 'files', or leave the package out with 'when'.",
            location=document.locate((*path, "files") if "files" in package.model_fields_set else path),
        )


def _included(entry: str | FileEntry) -> bool:
    return isinstance(entry, str) or not entry.exclude


def _path(entry: str | FileEntry) -> str:
    return entry if isinstance(entry, str) else entry.path


def _wrong_lines(
    package: Package, path: DocumentPath, document: Document, *, rendered: bool = False
) -> Iterator[RecipeError]:
    for index, line in enumerate(map(_path, package.files)):
        place = (*path, "files", index)
        for known in FORMATS.values():
            hint = known.correction(line)
            if hint is not None:
                yield RecipeError(
                    f"'files' takes paths and entries, not the syntax of {known.name}: {clipped(line)}",
                    hint=hint,
                    location=document.locate(place),
                )
                break
        else:
            if rendered or not is_template(line):
                try:
                    listed_path(line)
                except ValueError as error:
                    yield RecipeError(f"the path {clipped(line)!r} {error}", location=document.locate(place))
