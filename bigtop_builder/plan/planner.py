"""The plan: which tasks there are, what each one's key is, and whether its result is there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from bigtop_builder.model import digest
from bigtop_builder.plan import key as keys
from bigtop_builder.plan.graph import topological_order
from bigtop_builder.plan.task import Action, Kind, Plan, Refusal, Task, compile_id, package_id
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile

Pair = tuple[str, str]
"""A component and the platform it is wanted for."""


class Results(Protocol):
    """What the planner asks of the store."""

    def has(self, kind: Kind, key: str) -> bool: ...

    def last_ingredients(self, task_id: str) -> Mapping[str, str] | None: ...


class Recipes(Protocol):
    """What the planner asks of the recipes and of the image records."""

    def evaluate(self, name: str, platform: str) -> Evaluated | Refusal: ...

    def image(self, evaluated: Evaluated, kind: Kind) -> str | None: ...

    def spec(self, evaluated: Evaluated) -> str: ...

    def services(self, evaluated: Evaluated) -> tuple[RenderedFile, ...]: ...

    def local_digest(self, evaluated: Evaluated) -> str | None: ...


@dataclass(frozen=True)
class _Keyed:
    evaluated: Evaluated
    compile_key: str | None
    compile_ingredients: Mapping[str, str]
    compile_depends: Mapping[str, str]
    package_key: str
    package_ingredients: Mapping[str, str]
    package_depends: Mapping[str, str]


NO_IMAGE = "not made yet"


def make_plan(
    wanted: Iterable[Pair],
    recipes: Recipes,
    results: Results,
    *,
    force: bool = False,
    with_compiles: bool = False,
) -> Plan:
    """Plan ``wanted``.

    Compile tasks of build dependencies join as far as they are needed; packages of other components do not.
    ``with_compiles`` takes in the compile tasks of packages that are reused, too.
    Raises RecipeError for a cycle or a dependency that does not exist.
    """
    pairs = list(dict.fromkeys(wanted))
    evaluated, refusals = _evaluate_closure(pairs, recipes)
    refused = tuple(refusals[pair] for pair in pairs if pair in refusals)
    keyed = _keys(evaluated, recipes)
    tasks: dict[str, Task] = {}
    for pair in pairs:
        if pair in keyed:
            _add_package(pair, keyed, results, tasks, force, with_compiles)
    # A dependency that was not asked for is no task of this plan, so nothing can wait for it.
    for task in tasks.values():
        tasks[task.id] = replace(
            task,
            depends=tuple(name for name in task.depends if name in tasks),
            after=tuple(name for name in task.after if name in tasks),
        )
    order = topological_order({task.id: (*task.depends, *task.after) for task in tasks.values()})
    return Plan(tuple(tasks[name] for name in order), refused)


def _evaluate_closure(pairs: list[Pair], recipes: Recipes) -> tuple[dict[Pair, Evaluated], dict[Pair, Refusal]]:
    evaluated: dict[Pair, Evaluated] = {}
    refusals: dict[Pair, Refusal] = {}
    waiting = list(pairs)
    while waiting:
        pair = waiting.pop()
        if pair in evaluated or pair in refusals:
            continue
        value = recipes.evaluate(*pair)
        if isinstance(value, Refusal):
            refusals[pair] = value
            continue
        evaluated[pair] = value
        waiting.extend((name, pair[1]) for name in (*value.build_depends, *value.runtime_depends))
    return evaluated, refusals


def _keys(evaluated: Mapping[Pair, Evaluated], recipes: Recipes) -> dict[Pair, _Keyed]:
    names = {_text(pair): pair for pair in evaluated}
    edges = {
        _text(pair): [_text((name, pair[1])) for name in (*value.build_depends, *value.runtime_depends)]
        for pair, value in evaluated.items()
    }
    keyed: dict[Pair, _Keyed] = {}
    for text in topological_order(edges):
        pair = names[text]
        keyed[pair] = _key(evaluated[pair], pair[1], keyed, recipes)
    return keyed


def _text(pair: Pair) -> str:
    return f"{pair[0]}@{pair[1]}"


def _key(value: Evaluated, platform: str, keyed: Mapping[Pair, _Keyed], recipes: Recipes) -> _Keyed:
    # A refused dependency has no key; it is not there for anyone, which its absence from the key says too.
    compile_depends = {
        name: keyed[name, platform].compile_key or "" for name in value.build_depends if (name, platform) in keyed
    }
    package_depends = {
        name: keyed[name, platform].package_key
        for name in (*value.build_depends, *value.runtime_depends)
        if (name, platform) in keyed
    }
    compile_key = None
    compile_ingredients: Mapping[str, str] = {}
    if keys.compiles(value):
        image = recipes.image(value, "compile") or NO_IMAGE
        compile_ingredients = keys.compile_ingredients(value, image, recipes.local_digest(value), compile_depends)
        compile_key = digest.of_ingredients(compile_ingredients)
    package_ingredients = keys.package_ingredients(
        value,
        recipes.spec(value),
        recipes.services(value),
        recipes.image(value, "package") or NO_IMAGE,
        compile_key,
        package_depends,
    )
    return _Keyed(
        value,
        compile_key,
        compile_ingredients,
        compile_depends,
        digest.of_ingredients(package_ingredients),
        package_ingredients,
        package_depends,
    )


def _decide(
    kind: Kind, task_id: str, key: str, ingredients: Mapping[str, str], results: Results, force: bool
) -> tuple[Action, tuple[str, ...]]:
    if force:
        return "build", ("asked for",)
    if ingredients.get("image") == NO_IMAGE:
        return "build", ("builder image not made yet",)
    if results.has(kind, key):
        return "reuse", ()
    return "build", keys.reasons(results.last_ingredients(task_id), ingredients)


def _add_package(
    pair: Pair,
    keyed: Mapping[Pair, _Keyed],
    results: Results,
    tasks: dict[str, Task],
    force: bool,
    with_compiles: bool,
) -> None:
    mine = keyed[pair]
    task_id = package_id(mine.evaluated)
    if task_id in tasks:
        return
    action, why = _decide("package", task_id, mine.package_key, mine.package_ingredients, results, force)
    depends: list[str] = []
    if (action == "build" or with_compiles) and mine.compile_key is not None:
        depends.append(_add_compile(pair, keyed, results, tasks, force))
    tasks[task_id] = Task(
        id=task_id,
        kind="package",
        action=action,
        reasons=why,
        key=mine.package_key,
        ingredients=mine.package_ingredients,
        evaluated=mine.evaluated,
        depends=tuple(depends),
        after=tuple(package_id(keyed[name, pair[1]].evaluated) for name in mine.package_depends),
        dependency_keys=mine.package_depends,
        compile_key=mine.compile_key,
    )


def _add_compile(
    pair: Pair, keyed: Mapping[Pair, _Keyed], results: Results, tasks: dict[str, Task], force: bool
) -> str:
    mine = keyed[pair]
    assert mine.compile_key is not None
    task_id = compile_id(mine.evaluated)
    if task_id in tasks and tasks[task_id].key != mine.compile_key:
        # The script speaks of the platform, so this platform's staged tree is one of its own.
        task_id = f"{pair[0]}@{pair[1]}/compile"
    if task_id in tasks:
        return task_id
    action, why = _decide("compile", task_id, mine.compile_key, mine.compile_ingredients, results, force)
    depends: list[str] = []
    if action == "build":
        for name in mine.compile_depends:
            if keyed[name, pair[1]].compile_key is not None:
                depends.append(_add_compile((name, pair[1]), keyed, results, tasks, force))
    tasks[task_id] = Task(
        id=task_id,
        kind="compile",
        action=action,
        reasons=why,
        key=mine.compile_key,
        ingredients=mine.compile_ingredients,
        evaluated=mine.evaluated,
        depends=tuple(depends),
        dependency_keys=mine.compile_depends,
    )
    return task_id
