"""The compile task: fetch the sources, have the packaging compile them, keep the staged tree in the store."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.sources import Fetched
from bigtop_builder.adapter.store import CACHES, translated, write_atomically
from bigtop_builder.flow.build.build_facts import compile_facts
from bigtop_builder.flow.build.step import PROGRESS_SECONDS
from bigtop_builder.flow.build.steps import Compiled, Steps
from bigtop_builder.flow.build.toolchain import Downloads, provide_locked
from bigtop_builder.flow.build.tree_keeper import finished_tree
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.event import CacheUsed, StepProgress
from bigtop_builder.model.outcome import CacheFigures
from bigtop_builder.model.source import Source
from bigtop_builder.plan.key import BY_HAND


def run_compile_task(bench: Workbench, steps: Steps) -> None:
    """Run the compile steps and put the result into the store. Raises StepFailedError, StoreError."""
    started, clock = time.time(), time.monotonic()
    fetched = fetch_sources(bench)
    order, result = bench.order, bench.private("result")
    by_hand: dict[str, Any] = {}
    if order.from_shell is None:
        compiled = steps.compile(bench, fetched)
    else:
        compiled, by_hand = take_from_shell(bench, steps)
    asked = {kind: use.asked for kind, use in compiled.downloads.uses.items()}
    if asked:
        (result / CACHES).write_text(_as_text(asked), encoding="utf-8")
    report = compiled.report
    manifest = {
        "task": order.task,
        "component": order.component,
        "version": order.version,
        "key": order.key,
        "ingredients": dict(order.ingredients),
        **compile_facts(bench, fetched),
        **by_hand,
        "local_source": order.local_source,
        "normalised": {"archives": report.archives, "files": report.files, "left_alone": report.left_alone},
        "caches": compiled.downloads.counts,
        "built": started,
        "seconds": round(time.monotonic() - clock, 3),
    }
    place = bench.store.commit("compile", order.key, result, manifest)
    if asked:
        # The result of an earlier compile stays, but what that one read may no longer be in the caches.
        with translated(place):
            write_atomically(place / CACHES, _as_text(asked))


def take_from_shell(bench: Workbench, steps: Steps) -> tuple[Compiled, dict[str, Any]]:
    """Take over the tree that somebody finished in a shell, with the same care as what a build left.

    Return it, and what the manifest says about it. Raises StepFailedError.
    """
    with bench.step("compile") as log, finished_tree(bench) as tree:
        log.note(f"nothing is compiled: {tree} was finished by hand")
        bench.finished = tree.box
        try:
            report = steps.take_over(bench, tree.data["started"])
        finally:
            bench.finished = None
    facts = {"run": tree.data["run"], "step": tree.data["step"], "failed": tree.failed}
    return Compiled(report, Downloads()), {BY_HAND: facts, "hermetic": False}


def _as_text(asked: Mapping[str, Sequence[str]]) -> str:
    return json.dumps(asked, indent=1) + "\n"


def fetch_sources(bench: Workbench) -> list[Fetched]:
    """Run the fetch step; return the files in the order of the sources. Raises StepFailedError."""
    order = bench.order
    with bench.step("fetch") as log:
        fetched: list[Fetched] = []
        if order.local_source is not None:
            log.note(f"the source is {order.local_source}")
        for source in order.sources:
            one = _fetch(bench, source)
            if one.altered:
                bench.note(one.altered)
            for note in one.notes:
                log.note(note)
            log.note(f"{source.name}: {one.alternative} ({one.digest})")
            fetched.append(one)
        provide_locked(bench, log)
        if fetched:
            bench.worker.emit(CacheUsed(task=order.task, cache="sources", figures=_figures(fetched)))
        return fetched


def _fetch(bench: Workbench, source: Source) -> Fetched:
    last = 0.0

    def progress(done: int, total: int | None, note: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            bench.worker.emit(StepProgress(task=bench.order.task, step="fetch", done=done, total=total, note=note))

    base = Path(bench.order.source_base or "/")
    return bench.worker.fetcher.fetch(source, base=base, progress=progress, cancelled=bench.worker.cancelled)


def _figures(fetched: list[Fetched]) -> CacheFigures:
    hits = [one.path.stat().st_size for one in fetched if one.stored]
    new = [one.path.stat().st_size for one in fetched if not one.stored]
    return CacheFigures(asked=len(fetched), hit=len(hits), hit_bytes=sum(hits), new_bytes=sum(new))
