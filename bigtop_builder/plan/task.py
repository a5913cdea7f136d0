"""What a plan consists of: tasks, and components that are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bigtop_builder.model.event import PlannedTask
from bigtop_builder.plan.graph import closure
from bigtop_builder.recipe.evaluate import Evaluated

Kind = Literal["compile", "package"]
Action = Literal["reuse", "build", "refuse"]

FROM_SHELL = "finished by hand in a shell"
"""The reason of a compile whose result is taken from the tree of a failed one."""

FORCED = "--force"
"""The reason of a task that is built again although it has a result."""


FROM_RESULTS = "from results"
"""The reason of a task whose result the store that a team shares has, and this machine's own store has not yet."""


@dataclass(frozen=True)
class Refusal:
    """A component that cannot be built for a platform, and why."""

    component: str
    platform: str
    reason: str


@dataclass(frozen=True)
class Task:
    """One unit of work with one key. ``depends`` are the ids of tasks of the same plan that must finish before."""

    id: str
    kind: Kind
    action: Action
    reasons: tuple[str, ...]
    key: str
    ingredients: Mapping[str, str]
    evaluated: Evaluated
    depends: tuple[str, ...]
    after: tuple[str, ...] = ()
    """The ids of tasks that run before this one if they are in the plan: their results are useful, not required."""
    dependency_keys: Mapping[str, str] = field(default_factory=dict)
    """Component → key: of its staged tree for a compile task, of the packages to check with for a package task."""
    smoke_keys: Mapping[str, str] = field(default_factory=dict)
    """Component → key of its packages, for all that the smoke test of a package task may install."""
    compile_key: str | None = None
    """The staged tree that a package task starts from; None when the component compiles nothing."""
    from_shell: str | None = None
    """The key of the failed task whose tree, finished by hand, is this compile's result."""

    @property
    def shared(self) -> bool:
        """Whether the result is to be taken from the store that a team shares."""
        return self.action == "reuse" and FROM_RESULTS in self.reasons

    @property
    def planned(self) -> PlannedTask:
        """The task as the event log records it."""
        target = self.evaluated.target
        return PlannedTask(
            task=self.id,
            component=self.evaluated.name,
            platform=target.builder_label if self.kind == "compile" else target.label,
            kind=self.kind,
            action=self.action,
            reasons=list(self.reasons),
            key=self.key,
            waits_for=[*self.depends, *self.after],
        )


@dataclass(frozen=True)
class Plan:
    """Tasks in an order in which each follows what it depends on."""

    tasks: tuple[Task, ...]
    refusals: tuple[Refusal, ...] = ()

    @property
    def nothing_to_do(self) -> bool:
        """Whether nothing is refused and every result can be reused."""
        return not self.refusals and all(task.action == "reuse" for task in self.tasks)

    @property
    def on_this_machine(self) -> bool:
        """Whether nothing is to be taken from the store that a team shares."""
        return not any(task.shared for task in self.tasks)

    def up_to(self, task_id: str) -> Plan:
        """Return the plan of one task and of what runs before it; an empty one if nothing needs that task."""
        edges = {task.id: (*task.depends, *task.after) for task in self.tasks}
        kept = closure([task_id], edges.__getitem__) | {task_id} if task_id in edges else set()
        return Plan(tuple(task for task in self.tasks if task.id in kept))

    def task(self, task_id: str) -> Task:
        """Return a task by its id."""
        return next(task for task in self.tasks if task.id == task_id)


def compile_id(evaluated: Evaluated) -> str:
    """Return ``zookeeper@debian-bootstrap/compile``: the platform is the builder's."""
    return f"{evaluated.name}@{evaluated.target.builder_label}/compile"


def package_id(evaluated: Evaluated) -> str:
    """Return ``zookeeper@el8/package``: the platform is the one on the label."""
    return f"{evaluated.name}@{evaluated.target.label}/package"
