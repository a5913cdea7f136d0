"""What a plan is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bigtop_builder.model.event import PlannedTask
from bigtop_builder.recipe.evaluate import Evaluated

Kind = Literal["compile", "package"]
Action = Literal["reuse", "build", "refuse"]


@dataclass(frozen=True)
class Refusal:
    """A component that cannot be built for a platform, and why."""

    component: str
    platform: str
    reason: str


@dataclass(frozen=True)
class Task:
    """One unit of work with one key. ``depends`` are ids of tasks of the same plan that must come before."""

    id: str
    kind: Kind
    action: Action
    reasons: tuple[str, ...]
    key: str
    ingredients: Mapping[str, str]
    evaluated: Evaluated
    depends: tuple[str, ...]
    after: tuple[str, ...] = ()
    """Ids of tasks that come before if they come at all: what they give is of use and not needed."""
    dependency_keys: Mapping[str, str] = field(default_factory=dict)
    """Component → key: for compile of its staged trees, for package of the packages it is checked with."""
    compile_key: str | None = None
    """The staged tree that a package task starts from; None when the component compiles nothing."""

    @property
    def planned(self) -> PlannedTask:
        """The task as the event log keeps it."""
        target = self.evaluated.target
        return PlannedTask(
            task=self.id,
            component=self.evaluated.name,
            platform=(target.builder if self.kind == "compile" else target.platform).name,
            kind=self.kind,
            action=self.action,
            reasons=list(self.reasons),
            key=self.key,
        )


@dataclass(frozen=True)
class Plan:
    """Tasks in an order in which each comes after what it depends on."""

    tasks: tuple[Task, ...]
    refusals: tuple[Refusal, ...] = ()

    @property
    def nothing_to_do(self) -> bool:
        return not self.refusals and all(task.action == "reuse" for task in self.tasks)

    def task(self, task_id: str) -> Task:
        return next(task for task in self.tasks if task.id == task_id)


def compile_id(evaluated: Evaluated) -> str:
    """``zookeeper@debian-bootstrap/compile``: the platform is the builder's."""
    return f"{evaluated.name}@{evaluated.target.builder.name}/compile"


def package_id(evaluated: Evaluated) -> str:
    """``zookeeper@el8/package``."""
    return f"{evaluated.name}@{evaluated.target.platform.name}/package"
