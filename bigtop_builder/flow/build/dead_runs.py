"""What runs that died left behind: containers first, then the scratch that those could still write to."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bigtop_builder.adapter.containers.container import remove_orphans
from bigtop_builder.adapter.containers.engine import connect
from bigtop_builder.adapter.store import Store
from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient


def clear_dead_runs(store: Store, client: DockerClient) -> list[str]:
    """Remove it; gives a line about each thing. Raises EngineError, StoreError."""
    told = [
        f"removed a container that a run which died left behind: {task}"
        for task in remove_orphans(client, store.root, store.is_live)
    ]
    return told + [f"cleared the scratch of the run {run}, which died" for run in store.remove_dead_work()]


def clear_after_crash(store: Store) -> list[str]:
    """The same for what needs no engine otherwise: nothing is asked of it unless there is something to clear.

    Without an engine all stays for the next run that has one. Raises StoreError.
    """
    if store.dead_work():
        with contextlib.suppress(EngineError), contextlib.closing(connect()) as client:
            return clear_dead_runs(store, client)
    return []
