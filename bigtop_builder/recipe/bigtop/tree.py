"""Bigtop's tree: what its ``packages.gradle`` (3.2 to 3.6) lays before ``rpmbuild``, and with which definitions."""

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
from bigtop_builder.recipe.evaluate import RenderedFile

PACKAGES = Path("bigtop-packages/src")
SCRIPT = "packages.gradle"
BOM = "bigtop.bom"

MAX_FILE = 64 << 20

_LEFT_OUT = ("*~", "#*#", ".#*", "%*%", "._*", ".gitignore", ".gitattributes", ".gitmodules", ".cvsignore", ".DS_Store")
_LEFT_OUT_FOLDERS = frozenset({".git", ".svn", ".hg", ".bzr", "CVS", "SCCS"})
"""What Gradle never copies: Ant's default excludes."""

_PATCH = re.compile(r"patch.*diff")
_PATCH_NUMBER = re.compile(r"patch(\d{1,9})-")
_BY_NUMBER = r"/patch(\d+)-.*/"
"""What 3.5 and later have in ``packages.gradle``, which sort patches by number; those before sort names."""


@dataclass(frozen=True)
class Layout:
    """What is asked of ``packages.gradle`` with ``-PpkgSuffix``, ``-PparentDir`` and ``BIGTOP_BUILD_STAMP``."""

    suffix: bool = True
    parent: str | None = "/usr/bigtop"
    """The stack root, without version; None: packages go to ``/usr``."""
    stamp: str | None = None
    """A release number instead of the bill's."""


@dataclass(frozen=True)
class BigtopPackaging:
    """A component of a Bigtop tree, ready for ``rpmbuild``: nothing of it is read from the tree any more."""

    bom: Bom
    component: BomComponent
    layout: Layout
    files: tuple[RenderedFile, ...]
    """Everything below ``_topdir`` but the seed tarball: ``SPECS/NAME.spec`` and ``SOURCES/…``."""
    patches: tuple[str, ...]
    """Names in SOURCES, in the order in which they are applied."""
    seed: Seed
    licence: bytes | None
    """The tree's LICENSE where the seed is made of it."""

    @property
    def spec(self) -> str:
        """The spec's path below ``_topdir``."""
        return f"SPECS/{self.component.name}.spec"

    @property
    def depends(self) -> tuple[str, ...]:
        """Components that are built before."""
        return self.bom.prerequisites(self.component.name)

    @property
    def suffix(self) -> str:
        """``_3_2_0``, or nothing."""
        return (self.component.suffix or "") if self.layout.suffix else ""

    @property
    def parent_dir(self) -> str | None:
        """``/usr/bigtop/3.2.0``; it carries Bigtop's version, whatever the component's suffix."""
        return f"{self.layout.parent}/{self.bom.base_version}" if self.layout.parent else None

    @property
    def release(self) -> str:
        """The release number, without the dist tag."""
        return self.layout.stamp or self.component.release

    def source_rpm(self, dist: str) -> str:
        """The file name of the source package."""
        one = self.component
        return f"{one.package}{self.suffix}-{one.version}-{self.release}{dist}.src.rpm"

    def source_defines(self, topdir: str) -> tuple[str, ...]:
        """The definitions of ``rpmbuild -bs --nodeps``, in Bigtop's order."""
        return (
            f"_topdir {topdir}",
            *self._versions(self.component.name.replace("-", "_")),
            f"pkg_name_suffix {self.suffix or '%{nil}'}",
        )

    def binary_defines(self, topdir: str) -> tuple[str, ...]:
        """The definitions of ``rpmbuild --rebuild``, in Bigtop's order; Maven deploys nothing.

        Dashes in names are left to ``rpmbuild``, which takes them for underscores. Without a hadoop in the bill there
        is no ``hadoop_version``.
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
        """The file of a path below ``_topdir``."""
        return next((file for file in self.files if file.name == name), None)

    @cached_property
    def digest(self) -> str:
        """Over everything that shapes the packages but the source: files, definitions, the seed's form."""
        return digest.of_data(
            {
                "files": {file.name: file.digest for file in self.files},
                "defines": [self.source_defines("/topdir"), self.binary_defines("/topdir")],
                "seed": [self.seed.name, self.seed.made, self.seed.top, digest.of_bytes(self.licence or b"")],
            }
        )


@dataclass(frozen=True)
class BigtopTree:
    """A checkout of Bigtop, or a release archive that was unpacked."""

    root: Path
    bom: Bom
    patches_by_number: bool

    def packaging(self, name: str, layout: Layout | None = None) -> BigtopPackaging:
        """What Bigtop lays before ``rpmbuild`` for a component.

        Raises ConfigurationError that names the file that is missing.
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
        asked = laid[spec].content
        laid[spec] = RenderedFile("", with_patches(asked, patches), False)
        made = seed(component)
        packaging = BigtopPackaging(
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
            asked.decode("utf-8", "replace"),
            Location(self._place(f"rpm/{name}/{spec}")),
            names,
            packaging.binary_defines("/topdir"),
            f"{PACKAGES}/common/{name}",
        )
        return packaging

    def _place(self, path: str) -> Path:
        return self.root / PACKAGES / path

    def _lay(self, name: str) -> dict[str, RenderedFile]:
        """What comes before the component's own common files, later ones over earlier ones."""
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
        """Every file below a folder of the packages, by its path in there."""
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
            f"there is no {PACKAGES}/rpm/{name}/SPECS/{name}.spec, from which Bigtop packages {name}",
            location=Location(self.root),
            hint=near(name, known) or None,
        )


def read_tree(root: Path, environment: Mapping[str, str]) -> BigtopTree:
    """Read a tree's bill of materials; ``environment`` is what it may ask for: BIGTOP_JDK.

    Raises ConfigurationError when the folder is no tree of Bigtop's.
    """
    for name in (BOM, SCRIPT, str(PACKAGES)):
        if not (root / name).exists():
            raise ConfigurationError(
                f"there is no {name}, so this is no tree of Apache Bigtop",
                location=Location(root),
                hint="Name the folder of a checkout or of an unpacked release, 3.2.0 or newer.",
            )
    script = _read(root / SCRIPT).content.decode("utf-8", "replace")
    return BigtopTree(root, read_bom(root / BOM, environment), _BY_NUMBER in script)


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
