"""A source tree or archive of the user's own, in place of a download."""

from __future__ import annotations

import shutil
from pathlib import Path

from bigtop_builder.model import digest
from bigtop_builder.model.errors import SourceError


def local_digest(path: Path) -> str:
    """SHA-256 of a folder (see ``digest.of_tree``) or of a file, as ``sha256:…``. Raises SourceError."""
    try:
        if path.is_dir():
            return f"sha256:{digest.of_tree(path)}"
        return f"sha256:{digest.of_file(path)}"
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", hint="see --source") from error


def copy_tree(folder: Path, into: Path) -> None:
    """Copies a folder with modes, times and symbolic links, without ``.git``; ``into`` may exist.

    Raises SourceError for what cannot be read.
    """
    try:
        shutil.copytree(
            folder,
            into,
            symlinks=True,
            ignore=lambda place, names: {".git"} & set(names),
            dirs_exist_ok=True,
        )
    except (shutil.Error, OSError) as error:
        raise SourceError(f"{folder} cannot be copied: {error}", hint="see --source") from error
