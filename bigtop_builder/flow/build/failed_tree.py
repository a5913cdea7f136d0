"""The trees of failed builds: kept for ``shell``, and taken over by ``build --from-shell`` once somebody finished one.

There is one for each task: the scratch of its newest failure. A failure that replaces an earlier one says so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.containers.container import Mount, Sandbox, User
from bigtop_builder.adapter.store import Store

FAILED = "failed"
"""The folder of the store with the scratch of the last failure of each task."""

CONTAINER = "container.json"
"""In such a scratch, beside the box, where no build can write: which build failed, and the container of ``shell``."""

ENTERED = "entered"
"""An empty file in such a scratch: a shell was opened in it, so somebody's work may be in it."""


@dataclass(frozen=True)
class FailedTree:
    """The kept scratch of a failed task."""

    folder: Path
    data: Mapping[str, Any]
    """What CONTAINER says."""

    @property
    def task(self) -> str:
        """The id of the task."""
        return str(self.data["task"])

    @property
    def box(self) -> Path:
        """What its containers have as ``/work``; only ``adapter.untrusted`` may look into it."""
        return self.folder / "box"

    @property
    def failed(self) -> float:
        """When it failed, in seconds since the epoch. Older versions did not say it, but wrote the description then."""
        return float(self.data.get("failed") or (self.folder / CONTAINER).stat().st_mtime)

    @property
    def entered(self) -> bool:
        """Whether a shell was opened in it."""
        return (self.folder / ENTERED).exists()

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.failed))
        return f"the tree of the failure of {when} ({self.folder})"


def tree_name(task: str) -> str:
    """Return the name of the folder that a task's scratch has."""
    return task.replace("/", "+").replace("@", "+")


def failed_trees(store: Store) -> list[FailedTree]:
    """Return the trees that are kept, the newest first."""
    found = []
    for path in (store.root / FAILED).glob(f"*/{CONTAINER}"):
        with suppress(OSError, ValueError):
            found.append((path.stat().st_mtime, _read(path)))
    return [tree for _, tree in sorted(found, key=lambda one: one[0], reverse=True)]


def failed_tree(store: Store, task: str) -> FailedTree | None:
    """Return the tree that is kept of a task, if there is one."""
    with suppress(OSError, ValueError):
        return _read(store.root / FAILED / tree_name(task) / CONTAINER)
    return None


def _read(description: Path) -> FailedTree:
    return FailedTree(description.parent, json.loads(description.read_text(encoding="utf-8")))


@contextmanager
def reserved(store: Store, folder: Path, *, shared: bool = False) -> Iterator[bool]:
    """Reserve a tree, so that nobody takes, replaces or removes it; False if somebody is in it. Shells share it."""
    with store.locked(f"{FAILED}-{folder.name}", wait=False, shared=shared) as mine:
        yield mine


def sandbox_of(tree: FailedTree, store: Store) -> Sandbox:
    """Return the container of a tree, without what the site's network needs."""
    data = tree.data
    return Sandbox(
        image=data["image"],
        run="shell",
        task=data["task"],
        store=store.root,
        user=User(**data["user"]),
        mounts=[Mount(Path(host), inside, read_only) for host, inside, read_only in data["mounts"]],
        environment=data["environment"],
        network=data["network"],
        memory=data["memory"],
        cpus=data["cpus"],
        measured=data["measured"] and Path(data["measured"]),
    )
