"""The output folder: where the packages of a run are put for whoever built them."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from bigtop_builder.adapter.store import translated
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.result import Result
from bigtop_builder.model.errors import ConfigurationError


def export(project: Project, result: Result) -> None:
    """Put a task's packages below the output folder, by platform; hard links where the file system permits."""
    if not result.artifacts:
        return
    folder = project.settings.output / result.platform
    # Two runs may put out the same package: one name for what is not in place yet, one of them at a time.
    with translated(folder), project.store.locked("export"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileNotFoundError, NotADirectoryError, FileExistsError) as error:
            raise ConfigurationError(
                f"the output folder {folder} cannot be made: {error.strerror}",
                hint="Choose another with --output or 'output:' in the project file.",
            ) from error
        for artifact in result.artifacts:
            _link(Path(artifact.path), folder / artifact.file)


def _link(source: Path, target: Path) -> None:
    with contextlib.suppress(OSError):
        if target.samefile(source):
            return
    temporary = target.with_name(f".{target.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        try:
            temporary.hardlink_to(source)
        except OSError:
            shutil.copy2(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
