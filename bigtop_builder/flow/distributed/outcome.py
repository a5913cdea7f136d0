"""What becomes of a result that a worker sends: its packages are fetched, and the way to its failure is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bigtop_builder.adapter.store import Store, translated, write_atomically
from bigtop_builder.flow.build.failed_tree import FAILED, tree_name
from bigtop_builder.flow.build.result import Result, stored_packages
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
    """Return a worker's result with its packages in this machine's store; compile results stay where they are."""
    if result.state not in ("done", "reused") or order.repeated or order.smoke_only:
        return result
    try:
        store.record_last(order.task, order.key, order.ingredients, result.seconds)
        if order.kind == "compile":
            return result
        with store.locked(f"{order.kind}-{order.key}"):
            if not store.has(order.kind, order.key) and not results.fetch(order.kind, order.key, store):
                raise StoreError(
                    f"the worker {worker} finished this, but the store of results that this machine uses does not "
                    "have it",
                    hint="All machines of a cluster need the same store of results: compare results.url.",
                )
        return replace(result, artifacts=stored_packages(store, order.kind, order.key)[0])
    except BigtopBuilderError as error:
        failure = Failure(step="run", message=error.message, hint=error.hint, exit_code=error.exit_code)
        return replace(result, state="failed", failure=failure, artifacts=())


def keep_shell(store: Store, order: WorkOrder, worker: str, result: Result) -> None:
    """Keep the command that opens a shell in the tree of a failure on a worker, until the task fails or ends again."""
    path = _path(store, order.task)
    command = result.failure.shell if result.failure else None
    with translated(path):
        if command is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            data = {"task": order.task, "component": order.component, "platform": order.platform}
            write_atomically(path, json.dumps({**data, "worker": worker, "command": command}))


def failures_elsewhere(store: Store) -> list[dict[str, str]]:
    """Return the failures whose trees workers have, the newest first: task, component, platform, worker, command."""
    paths = sorted((store.root / FAILED).glob(f"*{ELSEWHERE}"), key=lambda path: -path.stat().st_mtime)
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _path(store: Store, task: str) -> Path:
    return store.root / FAILED / (tree_name(task) + ELSEWHERE)
