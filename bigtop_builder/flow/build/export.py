"""The output folder: where users find the packages of a run."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from bigtop_builder.adapter.store import translated
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.result import Result
from bigtop_builder.model.errors import ConfigurationError


def export(project: Project, result: Result) -> None:
    """Put a task's packages into the output folder of their platform, as hard links where the file system permits.

    Raises ConfigurationError when the folder cannot be made, StoreError when it cannot be written.
    """
    if not result.artifacts:
        return
    folder = project.settings.output / result.platform
    # Two runs may export the same package, and both would use the same temporary name: one of them at a time.
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
