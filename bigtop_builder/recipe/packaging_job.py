"""What a packaging tool is given: folders, files and a command, without knowing which tool it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PackagingJob:
    """One call of a packaging tool. Its paths are below the tool's own folder, which is ``/work/FORMAT``."""

    folders: tuple[str, ...]
    files: Mapping[str, str]
    """Path → text."""
    command: tuple[str, ...]
    """Runs in the tool's folder; ``$STAGE`` and ``$FILES`` are set."""
    results: str
    """The folder that it puts packages into."""
