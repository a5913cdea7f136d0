"""The packages of a project: what is published, and what lies in its output folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.adapter.repository.metadata import PACKAGES
from bigtop_builder.flow.publish.served_repo_files import publications

if TYPE_CHECKING:
    from bigtop_builder.recipe.settings import Settings


@dataclass(frozen=True)
class PackageFile:
    """The file of a package; ``place`` is the repository or folder that has it."""

    file: str
    path: Path
    size: int
    place: str

    @property
    def name(self) -> str:
        """The name of the package."""
        return self.file.rsplit("-", 2)[0]

    @property
    def version(self) -> str:
        """Version and release."""
        return "-".join(self.file.removesuffix(".rpm").rpartition(".")[0].rsplit("-", 2)[1:])

    @property
    def arch(self) -> str:
        """The architecture."""
        return self.file.removesuffix(".rpm").rpartition(".")[2]


def package_files(settings: Settings) -> list[PackageFile]:
    """Return the packages by name: published ones first, then those of the output folders that are not."""
    found: dict[str, PackageFile] = {}
    for one in publications(settings.repository) if settings.repository.is_dir() else ():
        _add(found, one.folder / PACKAGES, f"{one.stack}/{one.platform}")
    for platform in settings.project.platforms:
        _add(found, settings.output / platform, str(settings.output / platform))
    return sorted(found.values(), key=lambda one: one.file)


def _add(found: dict[str, PackageFile], folder: Path, place: str) -> None:
    for path in folder.glob("*.rpm"):
        try:
            size = path.stat().st_size
        except OSError:
            continue
        found.setdefault(path.name, PackageFile(path.name, path, size, place))
