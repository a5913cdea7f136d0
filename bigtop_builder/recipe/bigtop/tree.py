"""A Bigtop tree: the files and definitions that its ``packages.gradle`` (3.2 to 3.6) passes to ``rpmbuild``."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bigtop_builder.model import digest
from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.recipe.bigtop.bom import Bom, BomComponent, read_bom
from bigtop_builder.recipe.bigtop.source import Seed, seed
from bigtop_builder.recipe.bigtop.spec import check_sources, with_patches
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile

NAME = "bigtop"
"""The name of this packaging."""

PACKAGES = Path("bigtop-packages/src")
SCRIPT = "packages.gradle"
BOM = "bigtop.bom"

MAX_FILE = 64 << 20

_LEFT_OUT = ("*~", "#*#", ".#*", "%*%", "._*", ".gitignore", ".gitattributes", ".gitmodules", ".cvsignore", ".DS_Store")
_LEFT_OUT_FOLDERS = frozenset({".git", ".svn", ".hg", ".bzr", "CVS", "SCCS"})
"""Files and folders that Gradle never copies: Ant's default excludes."""

_PATCH = re.compile(r"patch.*diff")
_PATCH_NUMBER = re.compile(r"patch(\d{1,9})-")
_BY_NUMBER = r"/patch(\d+)-.*/"
"""Found in ``packages.gradle`` of 3.5 and later, which sort patches by number; earlier releases sort them by name."""


@dataclass(frozen=True)
class Layout:
    """Options of ``packages.gradle`` that shape packages: ``-PpkgSuffix``, ``-PparentDir``, ``BIGTOP_BUILD_STAMP``."""

    suffix: bool = True
    parent: str | None = "/usr/bigtop"
    """The stack root, without version; None when packages install below ``/usr``."""
    stamp: str | None = None
    """A release number that overrides those in the bill of materials."""


@dataclass(frozen=True)
class BigtopRecipe:
    """A component of a Bigtop tree, ready for ``rpmbuild``. Everything that it needs of the tree has been read."""

    bom: Bom
    component: BomComponent
    layout: Layout
    files: tuple[RenderedFile, ...]
    """Everything below ``_topdir`` except the seed tarball: ``SPECS/NAME.spec`` and ``SOURCES/…``."""
    patches: tuple[str, ...]
    """File names in SOURCES, in the order in which the spec applies them."""
    seed: Seed
    licence: bytes | None
    """The tree's LICENSE, if the seed is made from it."""

    @property
    def spec(self) -> str:
        """The spec's path below ``_topdir``."""
        return f"SPECS/{self.component.name}.spec"

    @cached_property
    def spec_text(self) -> str:
        """The text of the spec, with the patches inserted."""
        file = self.file(self.spec)
        assert file is not None
        return file.content.decode("utf-8", "surrogateescape")

    @property
    def depends(self) -> tuple[str, ...]:
        """The components that Bigtop builds before this one."""
        return self.bom.prerequisites(self.component.name)

    @property
    def suffix(self) -> str:
        """``_3_2_0``, or an empty text."""
        return (self.component.suffix or "") if self.layout.suffix else ""

    @property
    def parent_dir(self) -> str | None:
        """``/usr/bigtop/3.2.0``: it has Bigtop's version, whatever the suffix of the component is."""
        return f"{self.layout.parent}/{self.bom.base_version}" if self.layout.parent else None

    @property
    def release(self) -> str:
        """The release number, without the dist tag."""
        return self.layout.stamp or self.component.release

    def source_rpm(self, dist: str) -> str:
        """Return the file name of the source package."""
        one = self.component
        return f"{one.package}{self.suffix}-{one.version}-{self.release}{dist}.src.rpm"

    def source_defines(self, topdir: str) -> tuple[str, ...]:
        """Return the definitions of ``rpmbuild -bs --nodeps``, in Bigtop's order."""
        return (
            f"_topdir {topdir}",
            *self._versions(self.component.name.replace("-", "_")),
            f"pkg_name_suffix {self.suffix or '%{nil}'}",
        )

    def binary_defines(self, topdir: str) -> tuple[str, ...]:
        """Return the definitions of ``rpmbuild --rebuild``, in Bigtop's order; Maven deploys nothing.

        Dashes in names stay, because ``rpmbuild`` reads them as underscores. There is no ``hadoop_version`` unless
        the bill of materials has hadoop.
        """
        base, *others = self._versions(self.component.name)
        hadoop = self.bom.components.get("hadoop")
        return (
            f"_topdir {topdir}",
            base,
            *([f"hadoop_version {hadoop.version}"] if hadoop else []),
            *others,
            "do_maven_deploy false",
            "maven_deploy_source false",
            f"parent_dir {self.parent_dir or '%{nil}'}",
            f"bigtop_base_version {self.bom.base_version}",
            f"pkg_name_suffix {self.suffix or '%{nil}'}",
        )

    def _versions(self, prefix: str) -> tuple[str, ...]:
        return (
            f"{prefix}_base_version {self.component.base_version}",
            f"{prefix}_version {self.component.version}",
            f"{prefix}_release {self.release}%{{?dist}}",
        )

    def file(self, name: str) -> RenderedFile | None:
        """Return the file at a path below ``_topdir``, if there is one."""
        return next((file for file in self.files if file.name == name), None)

    @cached_property
    def digest(self) -> str:
        """A digest of everything that shapes the packages except the source: files, definitions, form of the seed."""
        return digest.of_data(
            {
                "files": {file.name: file.digest for file in self.files},
                "defines": [self.source_defines("/topdir"), self.binary_defines("/topdir")],
                "seed": [self.seed.name, self.seed.made, self.seed.top, digest.of_bytes(self.licence or b"")],
            }
        )


@dataclass(frozen=True)
class BigtopTree:
    """A checkout of Bigtop, or an unpacked release archive."""

    root: Path
    bom: Bom
    patches_by_number: bool

    def packaging(self, name: str, layout: Layout | None = None) -> BigtopRecipe:
        """Return what Bigtop passes to ``rpmbuild`` for a component.

        Raises ConfigurationError for an unknown component, and when a file that it needs is missing.
        """
        component = self.bom.component(name)
        laid = self._lay(name)
        for path, file in self._folder(Path("common") / name).items():
            laid[f"SOURCES/{path}"] = file
        laid["SOURCES/bigtop.bom"] = RenderedFile("", self.bom.version_lines().encode(), False)
        patches = self._patches(laid)
        spec = f"SPECS/{name}.spec"
        if spec not in laid:
            raise self._no_spec(name)
        original = laid[spec].content
        laid[spec] = RenderedFile("", with_patches(original, patches), False)
        made = seed(component)
        packaging = BigtopRecipe(
            bom=self.bom,
            component=component,
            layout=layout or Layout(),
            files=tuple(RenderedFile(path, file.content, file.executable) for path, file in sorted(laid.items())),
            patches=patches,
            seed=made,
            licence=_read(self.root / "LICENSE").content if made.made == "from the licence" else None,
        )
        names = {path.removeprefix("SOURCES/") for path in laid if path.startswith("SOURCES/")} | {made.name}
        check_sources(
            original.decode("utf-8", "replace"),
            Location(self._place(f"rpm/{name}/{spec}")),
            names,
            packaging.binary_defines("/topdir"),
            f"{PACKAGES}/common/{name}",
        )
        return packaging

    def _place(self, path: str) -> Path:
        return self.root / PACKAGES / path

    def _lay(self, name: str) -> dict[str, RenderedFile]:
        """Files that the component's own common files override; later ones override earlier ones."""
        laid = dict(self._folder(Path("rpm") / name))
        template = self._place("templates/init.d.tmpl")
        if template.is_file():
            laid["SOURCES/init.d.tmpl"] = _read(template)
        for folder in ("extensions", "scripts"):
            for path, file in self._folder(Path(folder)).items():
                if "/" not in path:
                    laid[f"SOURCES/{path}"] = file
        return laid

    def _folder(self, folder: Path) -> dict[str, RenderedFile]:
        """Every file below a folder of ``bigtop-packages/src``, by its path in that folder."""
        root = self.root / PACKAGES / folder
        found: dict[str, RenderedFile] = {}
        for here, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if name not in _LEFT_OUT_FOLDERS)
            for name in sorted(files):
                if not any(fnmatch.fnmatchcase(name, pattern) for pattern in _LEFT_OUT):
                    path = Path(here) / name
                    found[path.relative_to(root).as_posix()] = _read(path)
        return found

    def _patches(self, laid: Mapping[str, RenderedFile]) -> tuple[str, ...]:
        names = sorted(path.removeprefix("SOURCES/") for path in laid if path.startswith("SOURCES/"))
        patches = [name for name in names if "/" not in name and _PATCH.fullmatch(name)]
        return tuple(sorted(patches, key=_number) if self.patches_by_number else patches)

    def _no_spec(self, name: str) -> ConfigurationError:
        known = sorted(path.parent.parent.name for path in self._place("rpm").glob("*/SPECS/*.spec"))
        return ConfigurationError(
            f"{PACKAGES}/rpm/{name}/SPECS/{name}.spec, the spec that packages {name}, does not exist",
            location=Location(self.root),
            hint=near(name, known) or None,
        )


def read_tree(root: Path, environment: Mapping[str, str]) -> BigtopTree:
    """Read the bill of materials of a tree. ``environment`` has the variables that it may read: BIGTOP_JDK.

    Raises ConfigurationError when the folder is not a tree of Bigtop.
    """
    _check_there(root, BOM)
    # Before anything else: an old tree has another layout, too.
    bom = read_bom(root / BOM, environment)
    for name in (SCRIPT, str(PACKAGES)):
        _check_there(root, name)
    script = _read(root / SCRIPT).content.decode("utf-8", "replace")
    return BigtopTree(root, bom, _BY_NUMBER in script)


def _check_there(root: Path, name: str) -> None:
    if not (root / name).exists():
        raise ConfigurationError(
            f"{name} is missing, so this is not a tree of Apache Bigtop",
            location=Location(root),
            hint="Name the folder of a checkout or of an unpacked release, 3.2.0 or later.",
        )


def packaging_of(evaluated: Evaluated) -> BigtopRecipe:
    """Return what a Bigtop tree adds to a component that it evaluated."""
    assert isinstance(evaluated.payload, BigtopRecipe)
    return evaluated.payload


def _number(patch: str) -> int:
    found = _PATCH_NUMBER.search(patch)
    return int(found[1]) if found else 0


def _read(path: Path) -> RenderedFile:
    try:
        status = path.stat()
        if status.st_size > MAX_FILE:
            raise ConfigurationError(f"the file is larger than {MAX_FILE >> 20} MiB", location=Location(path))
        return RenderedFile("", path.read_bytes(), bool(status.st_mode & 0o100))
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror or error}", location=Location(path)) from None
