"""What becomes of a result that a worker sends: its packages are fetched, and the way to its failure is kept."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bigtop_builder.adapter.store import Store, translated, write_atomically
from bigtop_builder.flow.build.failed_tree import FAILED, failed_trees, tree_name
from bigtop_builder.flow.build.result import Result, defect, stored_packages
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.distributed.results import SharedResults
from bigtop_builder.model.errors import BigtopBuilderError, ExitCode, StoreError
from bigtop_builder.model.event import Failure

ELSEWHERE = ".elsewhere.json"
"""Beside the trees of failures: where the newest failure of a task lies, if a worker has it."""


def failed(message: str, hint: str | None) -> Failure:
    """Return the failure of an order that no worker carried out."""
    return Failure(step="run", message=message, hint=hint, exit_code=ExitCode.ENGINE)


def taken_over(results: SharedResults, store: Store, order: WorkOrder, worker: str, result: Result) -> Result:
    """Return a worker's result with its packages in this machine's store; compile results stay where they are.

    What a worker says of files is of its own machine: packages come from the shared results alone.
    """
    result = replace(result, artifacts=())
    if result.state not in ("done", "reused") or order.repeated or order.smoke_only:
        return result
    try:
        store.record_last(order.task, order.key, order.ingredients, result.seconds)
        if order.kind == "compile":
            return result
        if not results.fetch(order.kind, order.key, store):
            raise StoreError(
                f"the worker {worker} finished this, but the store of results that this machine uses does not have it",
                hint="All machines of a cluster need the same store of results: compare results.url.",
            )
        return replace(result, artifacts=stored_packages(store, order.kind, order.key)[0])
    except BigtopBuilderError as error:
        failure = Failure(step="run", message=error.message, hint=error.hint, exit_code=error.exit_code)
        return replace(result, state="failed", failure=failure)
    except Exception as error:
        # Somebody waits for this result.
        return replace(result, state="failed", failure=defect(error))


def keep_shell(store: Store, order: WorkOrder, worker: str, result: Result) -> None:
    """Keep the command that opens a shell in the tree of a failure on a worker, until the task fails or ends again."""
    path = _path(store, order.task)
    command = result.failure.shell if result.failure else None
    if command is not None and not _leads_elsewhere(command):
        command = None
    with translated(path):
        if command is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            step = result.failure.step if result.failure else ""
            data = {"task": order.task, "component": order.component, "platform": order.platform, "step": step}
            write_atomically(path, json.dumps({**data, "worker": worker, "command": command, "failed": time.time()}))


def _leads_elsewhere(command: str) -> bool:
    """Whether a worker's command runs nothing here: ssh, a host, and what runs there, with no option of ssh behind."""
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return len(words) > 3 and words[:2] == ["ssh", "-t"] and not any(word.startswith("-") for word in words[2:4])


@dataclass(frozen=True)
class FailureElsewhere:
    """A failure whose tree a worker has. ``failed`` is in seconds since the epoch."""

    task: str
    component: str
    platform: str
    step: str
    worker: str
    command: str
    """Opens a shell in it, from here."""
    failed: float


def failures_elsewhere(store: Store) -> list[FailureElsewhere]:
    """Return the failures whose trees workers have, the newest first."""
    found = []
    for path in (store.root / FAILED).glob(f"*{ELSEWHERE}"):
        with suppress(OSError, ValueError, TypeError):
            found.append(FailureElsewhere(**json.loads(path.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda one: -one.failed)


def failure_elsewhere(store: Store, component: str) -> FailureElsewhere | None:
    """Return the newest failure of a component, which may end in ``@PLATFORM``, if a worker has its tree.

    None if this machine has a newer one.
    """
    name, _, platform = component.partition("@")
    chosen = [one for one in failures_elsewhere(store) if one.component == name and platform in ("", one.platform)]
    here = [tree.failed for tree in failed_trees(store) if tree.data["component"] == name]
    return chosen[0] if chosen and chosen[0].failed > max(here, default=0.0) else None


def _path(store: Store, task: str) -> Path:
    return store.root / FAILED / (tree_name(task) + ELSEWHERE)
