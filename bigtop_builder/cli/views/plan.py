"""A plan as text and as data: for each task reuse, build or refuse, and why."""

from __future__ import annotations

from typing import Any

from bigtop_builder.cli.invocation import Colour, Invocation
from bigtop_builder.cli.text_format import columns, count
from bigtop_builder.model.event import PlannedTask
from bigtop_builder.plan.task import Plan

COLOURS: dict[str, Colour] = {"build": "green", "reuse": "dim", "refuse": "yellow"}


def planned_tasks(plan: Plan) -> list[PlannedTask]:
    """Return the plan's tasks, and an entry for each refusal."""
    refused = [
        PlannedTask(
            task=f"{refusal.component}@{refusal.platform}/package",
            component=refusal.component,
            platform=refusal.platform,
            kind="package",
            action="refuse",
            reasons=[refusal.reason],
            key="",
        )
        for refusal in plan.refusals
    ]
    return [*(task.planned for task in plan.tasks), *refused]


def plan_data(plan: Plan) -> dict[str, Any]:
    """Return what ``plan --json`` prints."""
    tasks = planned_tasks(plan)
    actions = ("build", "reuse", "refuse")
    return {
        "tasks": [task.model_dump() for task in tasks],
        "totals": {action: sum(task.action == action for task in tasks) for action in actions},
    }


def plan_text(plan: Plan, invocation: Invocation) -> str:
    """Return a line for each task, in an order in which they can run, and a total."""
    tasks = planned_tasks(plan)
    rows = [(task.action, task.task, "; ".join(task.reasons)) for task in tasks]
    lines = columns(rows).splitlines()
    painted = [
        invocation.paint(task.action, COLOURS[task.action]) + line[len(task.action) :]
        for task, line in zip(tasks, lines, strict=True)
    ]
    totals = plan_data(plan)["totals"]
    said = [f"{count(totals['build'], 'task')} to build", f"{totals['reuse']} to reuse"]
    if totals["refuse"]:
        said.append(f"{totals['refuse']} refused")
    return "\n".join([*painted, ", ".join(said)])
