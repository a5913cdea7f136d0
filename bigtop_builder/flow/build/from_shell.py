"""Which failed compiles ``build --from-shell`` takes over, and when it refuses to."""

from __future__ import annotations

from collections.abc import Iterable

from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.build.failed_tree import FailedTree, failed_trees
from bigtop_builder.flow.build.result_sharing import PlannedResults
from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError
from bigtop_builder.plan.key import reasons
from bigtop_builder.plan.planner import Pair, Recipes, make_plan
from bigtop_builder.plan.task import Task


def finished_by_hand(pairs: Iterable[Pair], recipes: Recipes, store: Store, token: str) -> dict[str, str]:
    """Return the keys of the failed compiles of the selected components, each with a token for a key of its own.

    Raises NothingSelectedError for one of which no failed compile is kept, ConfigurationError for one whose recipe,
    version, sources or image are no longer those that failed: the tree is then of something else than its label says.
    """
    # Forced, so that it lists the compile of each, whether the store has its result or not.
    plan = make_plan(pairs, recipes, PlannedResults(store, None), force=True)
    found: dict[str, str] = {}
    trees = failed_trees(store)
    for task in plan.tasks:
        if task.kind == "package":
            tree = next((tree for tree in trees if tree.task in task.depends), None)
            if tree is None:
                name = task.evaluated.name
                raise NothingSelectedError(f"no failed compile of {name} is kept", hint=_hint(name, trees))
            _check(plan.task(tree.task), tree)
            found[str(task.compile_key)] = token
    return found


def _hint(name: str, trees: Iterable[FailedTree]) -> str:
    if any(tree.data["component"] == name for tree in trees):
        return (
            "It was compiled, and failed later: the staged tree is in the store. Mend 'install' or 'files' of the "
            f"component, and package it again with: bigtop-builder build {name}"
        )
    return "Only a compile that failed can be finished by hand. See: bigtop-builder shell"


def _check(task: Task, tree: FailedTree) -> None:
    then = tree.data.get("ingredients")
    if then is None:
        raise ConfigurationError(
            f"an older version kept {tree}, and did not record what it was made from",
            hint=f"Compile it again: bigtop-builder build {task.evaluated.name}",
        )
    if tree.data["key"] != task.key:
        raise ConfigurationError(
            f"{task.id} is not what failed any more: {'; '.join(reasons(then, task.ingredients))}",
            hint=f"Undo the change to package {tree}, or compile again: bigtop-builder build {task.evaluated.name}",
        )
