"""The examples that are shipped with the program: projects, inventories, files for CI."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.recipe.catalog import shipped
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.settings import PROJECT_FILE

CI_FILES = {
    "github": ("github.yaml", ".github/workflows/distribution.yaml"),
    "gitlab": ("gitlab.yaml", ".gitlab-ci.yml"),
    "jenkins": ("Jenkinsfile", "Jenkinsfile"),
}
"""Service → its file in ``examples/ci``, and where it expects it."""


@dataclass(frozen=True)
class Example:
    """A project (a folder) or an inventory (a file)."""

    name: str
    kind: str
    path: Path

    @property
    def title(self) -> str:
        """What its first comment says."""
        file = self.path / PROJECT_FILE if self.path.is_dir() else self.path
        lines = []
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                break
            lines.append(line.lstrip("# "))
        return " ".join(lines).partition(". ")[0].rstrip(".")


def examples() -> list[Example]:
    """Return all projects and inventories."""
    projects = sorted(file.parent for file in shipped("examples").glob(f"*/{PROJECT_FILE}"))
    inventories = sorted(shipped("inventories").glob("*.yaml"))
    return [Example(path.name, "project", path) for path in projects] + [
        Example(path.stem, "inventory", path) for path in inventories if path.stem not in {one.name for one in projects}
    ]


def copy_example(name: str, folder: Path) -> list[Path]:
    """Copy an example below ``folder``, with the overlays beside it that it uses; return what was made.

    Raises ConfigurationError for an unknown name and for what exists already.
    """
    known = {one.name: one for one in examples()}
    if name not in known:
        raise ConfigurationError(f"there is no example {name!r}", hint=near(name, known) or None)
    made = []
    for source in _with_overlays(known[name].path):
        made.append(copy_new(source, folder / source.name))
    return made


def copy_new(source: Path, target: Path, *, force: bool = False) -> Path:
    """Copy a file or folder to where nothing is. Raises ConfigurationError."""
    if target.exists() and not force:
        raise ConfigurationError(f"{target} exists already", hint="Choose another folder, or remove it.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=force)
        else:
            shutil.copyfile(source, target)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or target}: {error.strerror}") from error
    return target


def _with_overlays(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir():
        project = yaml.safe_load((path / PROJECT_FILE).read_text(encoding="utf-8"))
        for overlay in project.get("overlays", ()):
            if overlay.startswith("../"):
                yield (path / overlay).resolve()
