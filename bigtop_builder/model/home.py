"""Paths that begin with ``~``."""

from __future__ import annotations

import os
from pathlib import Path


def expand_home(path: str | Path) -> Path:
    """Replace a leading ``~``; that of an unknown user stays, so that the missing file is reported by its name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser raises RuntimeError for unknown users)
