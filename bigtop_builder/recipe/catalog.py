"""Finds stacks, platforms and components in the shipped templates and the user's overlays."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bigtop_builder.model.component import Component
from bigtop_builder.model.errors import ConfigurationError, Location, RecipeError
from bigtop_builder.model.platform import Platform
from bigtop_builder.model.safe_text import relative_path
from bigtop_builder.model.stack import Stack
from bigtop_builder.model.version import compare_versions, in_range
from bigtop_builder.recipe.document import Document, load, near
from bigtop_builder.recipe.package_format import FORMATS
from bigtop_builder.recipe.packages import check_file_lists
from bigtop_builder.recipe.validation import M, validate
from bigtop_builder.recipe.variables import check_used


def shipped(name: str) -> Path:
    """Return a shipped folder: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def shipped_templates() -> Path:
    """Return the folder of the shipped templates."""
    return shipped("templates")


@dataclass(frozen=True)
class LoadedComponent:
    """A component file, merged with those of overlays, and the folders that hold its patches and files."""

    component: Component
    document: Document
    folders: tuple[Path, ...]
    """The newest overlay's first."""

    def patches(self, version: str) -> list[Path]:
        """Return the patches of a version, numbers in their names in order; a newer overlay replaces those of one name.

        They are in ``patches/<version>/`` and in the folders of ranges that include it, ``patches/3.3.4..3.3.6/``.
        Raises RecipeError for a file that is not a patch, and for a folder of an unknown version.
        """
        found: dict[str, Path] = {}
        for folder in reversed(self.folders):
            names = [self._patch_folder(path, version) for path in sorted((folder / "patches").glob("[!.]*"))]
            for name in sorted(filter(None, names), key=lambda name: (name == version, name)):
                if (folder / "patches").is_symlink() or (folder / "patches" / name).is_symlink():
                    _check_inside(folder / "patches" / name, folder)
                for path in sorted((folder / "patches" / name).glob("[!.]*")):
                    if path.suffix not in (".patch", ".diff") or not path.is_file():
                        raise RecipeError(
                            "is not a patch", location=Location(path), hint="Names of patches end in .patch or .diff."
                        )
                    found[path.name] = _own(path, folder)
        return [found[name] for name in sorted(found, key=_by_number)]

    def _patch_folder(self, path: Path, version: str) -> str | None:
        """Return the name of a folder of patches for the version, else None. Raises RecipeError for an unknown one."""
        if not path.is_dir():
            raise RecipeError(
                "belongs to no version", location=Location(path), hint=f"Patches belong in patches/{version}/."
            )
        first, dots, last = path.name.partition("..")
        if dots:
            if last and compare_versions(first, last) > 0:
                raise RecipeError(f"no version is from {first} to {last}", location=Location(path))
            return path.name if in_range(version, first, last) else None
        if path.name != version and path.name not in self.component.versions:
            raise RecipeError(
                f"there is no version {path.name} of {self.component.name}",
                location=Location(path),
                hint=near(path.name, self.component.versions) or "A range is written 3.3.4..3.3.6, or 3.3.4.. if open.",
            )
        return path.name if path.name == version else None

    def files(self) -> dict[str, Path]:
        """Return every file below the ``files`` folders by its relative name; a newer overlay wins."""
        return self._below("files")

    def tests(self) -> dict[str, Path]:
        """Return every file below the ``tests`` folders by its relative name; a newer overlay wins."""
        return self._below("tests")

    def _below(self, name: str) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in reversed(self.folders):
            root = folder / name
            if root.is_dir():
                _check_inside(root, folder)
                for path in sorted(root.rglob("*")):
                    if path.is_file():
                        found[path.relative_to(root).as_posix()] = _own(path, folder)
        return found


class Catalog:
    """Stacks, platforms and components by name, read when first requested."""

    def __init__(self, overlays: tuple[Path, ...] = (), templates: Path | None = None) -> None:
        self.roots = (templates or shipped_templates(), *overlays)
        self._components: dict[str, LoadedComponent] = {}
        self._platforms: dict[str, Platform] = {}
        self._templates: dict[tuple[str, str], Path] = {}

    def _names(self, kind: str) -> dict[str, list[Path]]:
        """Name → its files, the shipped one first."""
        found: dict[str, list[Path]] = {}
        pattern = "*/component.yaml" if kind == "components" else "*.yaml"
        for root in self.roots:
            for file in sorted((root / kind).glob(pattern)):
                name = file.parent.name if kind == "components" else file.stem
                found.setdefault(name, []).append(file)
        return found

    @cached_property
    def component_files(self) -> dict[str, list[Path]]:
        """Component → its files, the shipped one first.

        Raises ConfigurationError for a folder of an overlay that belongs to no component: a misspelt name.
        """
        found = self._names("components")
        for root in self.roots[1:]:
            for folder in sorted((root / "components").glob("[!.]*/")):
                if folder.name not in found:
                    raise ConfigurationError(
                        f"there is no component.yaml here, and no other component is called {folder.name!r}",
                        location=Location(folder),
                        hint=near(folder.name, found) or None,
                    )
        return found

    @cached_property
    def platform_files(self) -> dict[str, list[Path]]:
        """Platform → its files, the shipped one first."""
        return self._names("platforms")

    @cached_property
    def stack_files(self) -> dict[str, list[Path]]:
        """Stack → its files, the shipped one first."""
        return self._names("stacks")

    def component(self, name: str) -> LoadedComponent:
        """Return a component. Raises RecipeError for an unknown name or an invalid file."""
        if name not in self._components:
            files = self.component_files.get(name)
            if files is None:
                raise RecipeError(f"there is no component {name!r}", hint=near(name, self.component_files) or None)
            document, component = _load(files, Component, templates=True)
            if component.name != name:
                raise RecipeError(f"the name must be that of the folder, {name!r}", location=document.locate(("name",)))
            check_file_lists(component, document)
            places = (root / "components" / name for root in reversed(self.roots))
            folders = tuple(filter(Path.is_dir, places))
            if len(files) > 1:
                check_used(document, files[0], folders)
            self._components[name] = LoadedComponent(component, document, folders)
        return self._components[name]

    def platform(self, name: str) -> Platform:
        """Return a platform. Raises ConfigurationError for an unknown name or an invalid file."""
        if name not in self._platforms:
            document, platform = self._single("platform", self.platform_files, name, Platform)
            if platform.package_format not in FORMATS:
                raise ConfigurationError(
                    f"there is no package format {platform.package_format!r}",
                    location=document.locate(("package_format",)),
                    hint=near(platform.package_format, FORMATS) or None,
                )
            self._platforms[name] = platform
        return self._platforms[name]

    def stack(self, name: str) -> Stack:
        """Return a stack. Raises ConfigurationError for an unknown name, an invalid file or a member without a file."""
        document, stack = self._single("stack", self.stack_files, name, Stack)
        for member in stack.components:
            if member not in self.component_files:
                raise RecipeError(
                    f"the stack names {member!r}, but components/{member}/component.yaml does not exist",
                    location=document.locate(("components", member)),
                    hint=near(member, self.component_files) or None,
                )
        return stack

    def _single(self, kind: str, known: dict[str, list[Path]], name: str, model: type[M]) -> tuple[Document, M]:
        if name not in known:
            hint = near(name.lower(), known) if name.lower() in known else near(name, known)
            raise ConfigurationError(f"there is no {kind} {name!r}", hint=hint or None)
        document, loaded = _load(known[name], model)
        if getattr(loaded, "name", None) != name:
            raise ConfigurationError(
                f"the name must be that of the file, {name!r}", location=document.locate(("name",))
            )
        return document, loaded

    def image_template(self, name: str) -> Path:
        """Return ``images/<name>`` in the newest overlay that has it. Raises RecipeError when none does."""
        return self._template("images", name)

    def smoke_library(self, name: str) -> Path:
        """Return ``smoke/<name>`` in the newest overlay that has it. Raises RecipeError when none does."""
        return self._template("smoke", name)

    def package_template(self, package_format: str, name: str) -> Path:
        """Return ``<format>/<name>`` in the newest overlay that has it. Raises RecipeError when none does."""
        return self._template(package_format, name)

    def _template(self, kind: str, name: str) -> Path:
        found = self._templates.get((kind, name))
        if found is not None:
            return found
        for root in reversed(self.roots):
            if (root / kind / name).is_file():
                return self._templates.setdefault((kind, name), root / kind / name)
        raise RecipeError(f"there is no template {kind}/{name}", location=Location(self.roots[0] / kind))


def _by_number(name: str) -> list[tuple[bool, int, str]]:
    """Order names with the numbers in them: ``patch2-x`` before ``patch10-x``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(not part.isdigit(), len(part.lstrip("0")) if part.isdigit() else 0, part) for part in parts]


def _own(path: Path, folder: Path) -> Path:
    """Return a file of a component's folder. Raises RecipeError for a name or a link that leads elsewhere."""
    try:
        relative_path(path.relative_to(folder).as_posix())
    except ValueError as error:
        raise RecipeError(f"the name of the file {error}", location=Location(path)) from None
    if path.is_symlink():
        _check_inside(path, folder)
    return path


def _check_inside(path: Path, folder: Path) -> None:
    """Raise RecipeError unless the real path is in the overlay of a component's folder, which is somebody else's."""
    root = os.path.realpath(folder.parent.parent)
    if os.path.commonpath((os.path.realpath(path), root)) != root:
        raise RecipeError("is a link to a file outside the overlay", location=Location(path))


def _load(files: list[Path], model: type[M], *, templates: bool = False) -> tuple[Document, M]:
    document = load(files[0])
    for file in files[1:]:
        document = document.merged(load(file))
    return document, validate(document, model, templates=templates)
