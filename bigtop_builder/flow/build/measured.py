"""Measure results of the store before a build uses them: whatever is not what was recorded is told and made again."""

from __future__ import annotations

from collections.abc import Iterator

from bigtop_builder.adapter.measure import discard_altered
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.model.errors import StoreError
from bigtop_builder.plan.task import Kind, Plan

Result = tuple[Kind, str]
"""The kind and key of a result."""


def measured_plan(project: Project, request: Request, measured: set[Result]) -> tuple[Plan, list[str]]:
    """Return a plan that uses nothing but results that are as recorded, and what was removed for it, in words.

    ``measured`` are results that were measured before in this run; it grows. Raises what ``Project.plan`` raises.
    """
    notes: list[str] = []
    while True:
        plan, found = project.plan(request), False
        for result, task in _used(plan):
            if result in measured or not project.store.has(*result):
                continue
            measured.add(result)
            why = discard_altered(project.store, *result)
            if why is not None:
                found = True
                notes.append(f"{task}: a result in the store was altered, and is made again: {why}")
        if not found:
            return plan, notes


def _used(plan: Plan) -> Iterator[tuple[Result, str]]:
    """Yield the results that a plan reuses or builds on. A forced task has an earlier result, which would be kept."""
    for task in plan.tasks:
        yield (task.kind, task.key), task.id
        if task.action == "build":
            if task.compile_key:
                yield ("compile", task.compile_key), task.id
            for key in (*task.dependency_keys.values(), *task.smoke_keys.values()):
                yield (task.kind, key), task.id


def require_measured(store: Store, order: WorkOrder) -> None:
    """Measure what a task is about to work on, however it came into the store since the plan was made.

    Raises StoreError for what is not as recorded, after its removal.
    """
    used: list[Result] = [("compile", order.compile_key)] if order.compile_key else []
    used += [(order.kind, key) for key in order.dependency_keys.values()]
    used += [(order.kind, key) for key in order.smoke.keys.values()] if order.smoke else []
    for kind, key in used:
        if store.has(kind, key) and (why := discard_altered(store, kind, key)) is not None:
            raise StoreError(
                f"{store.folder(kind, key)} was altered while this build was running, and was removed: {why}",
                hint="Build again: it is then made anew.",
            )
