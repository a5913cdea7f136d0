"""What a store of a test's own takes from the shared one, so that it need not be fetched or made again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bigtop_builder.adapter.store import Store


def lend(shared: Path, store: Path, *folders: str) -> None:
    """Give ``store`` what ``shared`` has below ``folders``: hard links where the file system permits, else copies.

    Nothing in there is ever changed in place, so the shared store loses nothing by it.
    """
    Store(store).open()
    for folder in folders:
        if (shared / folder).is_dir():
            shutil.copytree(shared / folder, store / folder, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        # Another run has just renamed its temporary file.
        return
    except OSError:
        shutil.copy2(source, target)
