"""Leftovers of runs that died: containers first, then the scratch that they could still write to."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from bigtop_builder.adapter.containers.container import remove_orphans
from bigtop_builder.adapter.containers.engine import connect, facts
from bigtop_builder.adapter.containers.handover import take_back
from bigtop_builder.adapter.store import Store
from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient


def clear_dead_runs(store: Store, client: DockerClient) -> list[str]:
    """Remove the leftovers; return a line about each of them. Raises EngineError, StoreError."""
    removed = [
        f"removed a container left by a run that died: {task}"
        for task in remove_orphans(client, store.root, store.is_live)
    ]
    cleared = store.remove_dead_work()
    left = [store.root / "work" / run for run in store.dead_work()]
    if left and os.geteuid() != 0 and facts(client).rootless:
        # A container's user still has them.
        take_back(client, left, {})
        cleared += store.remove_dead_work()
    return removed + [f"cleared the scratch of the run {run}, which died" for run in cleared]


def clear_after_crash(store: Store) -> list[str]:
    """Do the same for a command that needs no engine otherwise: connect to it only when there are leftovers.

    Without an engine everything stays for the next run that has one. Raises StoreError.
    """
    if store.dead_work():
        with contextlib.suppress(EngineError), contextlib.closing(connect()) as client:
            return clear_dead_runs(store, client)
    return []
