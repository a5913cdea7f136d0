"""Making a plan: which tasks it has, the key of each, and whether its result exists already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from bigtop_builder.model import digest
from bigtop_builder.plan.graph import closure, topological_order
from bigtop_builder.plan.key import BY_HAND, reasons
from bigtop_builder.plan.task import (
    FORCED,
    FROM_RESULTS,
    FROM_SHELL,
    Action,
    Kind,
    Plan,
    Refusal,
    Task,
    compile_id,
    package_id,
)
from bigtop_builder.recipe.evaluate import Evaluated

Pair = tuple[str, str]
"""A component and the platform to build it for."""


class Results(Protocol):
    """What the planner needs of the stores: this machine's own, and the one that a team shares."""

    def has(self, kind: Kind, key: str) -> bool:
        """Return whether there is a result of this key."""
        ...

    def expect(self, wanted: Iterable[tuple[Kind, str]]) -> None:
        """Be told what will be asked for, so that it can be looked up at once."""
        ...

    def offers(self, kind: Kind, key: str) -> bool:
        """Return whether a result that is not there can be taken from the store that a team shares."""
        ...

    def last_ingredients(self, task_id: str) -> Mapping[str, str] | None:
        """Return the ingredients of the newest result of a task, if it ever had one."""
        ...


class _NoResults:
    """A store with nothing in it."""

    def has(self, kind: Kind, key: str) -> bool:
        """See ``Results``."""
        return False

    def expect(self, wanted: Iterable[tuple[Kind, str]]) -> None:
        """See ``Results``."""

    def offers(self, kind: Kind, key: str) -> bool:
        """See ``Results``."""
        return False

    def last_ingredients(self, task_id: str) -> Mapping[str, str] | None:
        """See ``Results``."""
        return None


NO_RESULTS: Results = _NoResults()


class Recipes(Protocol):
    """What the planner needs of the recipes and of the image records."""

    def evaluate(self, name: str, platform: str) -> Evaluated | Refusal:
        """Evaluate a component for a platform."""
        ...

    def image(self, evaluated: Evaluated, kind: Kind) -> str | None:
        """Return the fingerprint of the image that a task of this kind runs in; None when it has not been made."""
        ...

    def compile_ingredients(self, evaluated: Evaluated, image: str, depends: Mapping[str, str]) -> Mapping[str, str]:
        """Return what shapes the result of compiling. ``depends`` maps a component to its compile key."""
        ...

    def package_ingredients(
        self, evaluated: Evaluated, image: str, compile_key: str | None, depends: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Return what shapes the packages. ``depends`` maps a component to the key of its packages."""
        ...


@dataclass(frozen=True)
class _Keyed:
    evaluated: Evaluated
    compile_key: str | None
    compile_ingredients: Mapping[str, str]
    compile_depends: Mapping[str, str]
    package_key: str
    package_ingredients: Mapping[str, str]
    package_depends: Mapping[str, str]
    from_shell: str | None = None


NO_IMAGE = "not made yet"


def make_plan(
    wanted: Iterable[Pair],
    recipes: Recipes,
    results: Results,
    *,
    force: bool = False,
    with_compiles: Callable[[str], bool] = lambda name: False,
    by_hand: Mapping[str, str] | None = None,
) -> Plan:
    """Plan the packages of ``wanted``.

    Compile tasks of build dependencies are added as far as they are needed; packages of other components are not.
    ``force`` builds again what is wanted, and what it depends on only if that has no result.
    Those of packages that are reused are added for the components that ``with_compiles`` names. ``by_hand`` are the
    keys of failed compiles that somebody finished in a shell, each with a token that makes a key of its own: nobody
    knows what was done, so nothing may be reused for it.
    Raises RecipeError for a cycle or a dependency that does not exist.
    """
    pairs = list(dict.fromkeys(wanted))
    evaluated, refusals = _evaluate_closure(pairs, recipes)
    refused = tuple(refusals[pair] for pair in pairs if pair in refusals)
    keyed = _keys(evaluated, recipes, by_hand or {})
    _announce(pairs, keyed, results)
    tasks: dict[str, Task] = {}
    forced = frozenset(pairs) if force else frozenset[Pair]()
    for pair in pairs:
        if pair in keyed:
            _add_package(pair, keyed, results, tasks, forced, with_compiles(pair[0]))
    # A dependency that was not requested is no task of this plan, so nothing can wait for it.
    for task in tasks.values():
        tasks[task.id] = replace(
            task,
            depends=tuple(name for name in task.depends if name in tasks),
            after=tuple(name for name in task.after if name in tasks),
        )
    _test_after_needs(tasks)
    order = topological_order({task.id: (*task.depends, *task.after) for task in tasks.values()})
    return Plan(tuple(tasks[name] for name in order), refused)


def _announce(pairs: Iterable[Pair], keyed: Mapping[Pair, _Keyed], results: Results) -> None:
    """Say which results will be asked for: those of packages, then the staged trees behind the missing ones."""
    packages = {pair: keyed[pair].package_key for pair in pairs if pair in keyed}
    results.expect(("package", key) for key in packages.values())
    missing = [
        pair for pair, key in packages.items() if not (results.has("package", key) or results.offers("package", key))
    ]
    behind = closure(missing, lambda pair: [(name, pair[1]) for name in keyed[pair].compile_depends])
    results.expect(("compile", key) for pair in sorted(behind) if (key := keyed[pair].compile_key))


def _test_after_needs(tasks: dict[str, Task]) -> None:
    """Let tasks run after those whose packages their smoke tests install, as long as that makes no cycle."""
    edges = {task.id: [*task.depends, *task.after] for task in tasks.values()}
    makers = {task.key: task.id for task in tasks.values()}
    for task_id in sorted(tasks):
        for key in tasks[task_id].smoke_keys.values():
            maker = makers.get(key)
            if maker and maker not in edges[task_id] and task_id not in closure([maker], edges.__getitem__):
                edges[task_id].append(maker)
                tasks[task_id] = replace(tasks[task_id], after=(*tasks[task_id].after, maker))


def _evaluate_closure(pairs: list[Pair], recipes: Recipes) -> tuple[dict[Pair, Evaluated], dict[Pair, Refusal]]:
    evaluated: dict[Pair, Evaluated] = {}
    refusals: dict[Pair, Refusal] = {}
    queue = list(pairs)
    while queue:
        pair = queue.pop()
        if pair in evaluated or pair in refusals:
            continue
        value = recipes.evaluate(*pair)
        if isinstance(value, Refusal):
            refusals[pair] = value
            continue
        evaluated[pair] = value
        queue.extend((name, pair[1]) for name in _neighbours(value))
    return evaluated, refusals


def _neighbours(value: Evaluated) -> tuple[str, ...]:
    """Return the components that a component depends on, and those that its smoke test needs."""
    return (*value.build_depends, *value.runtime_depends, *(value.smoke.needs if value.smoke else ()))


def _keys(evaluated: Mapping[Pair, Evaluated], recipes: Recipes, by_hand: Mapping[str, str]) -> dict[Pair, _Keyed]:
    names = {_text(pair): pair for pair in evaluated}
    edges = {
        _text(pair): [_text((name, pair[1])) for name in (*value.build_depends, *value.runtime_depends)]
        for pair, value in evaluated.items()
    }
    keyed: dict[Pair, _Keyed] = {}
    for text in topological_order(edges):
        pair = names[text]
        keyed[pair] = _key(evaluated[pair], pair[1], keyed, recipes, by_hand)
    return keyed


def _text(pair: Pair) -> str:
    return f"{pair[0]}@{pair[1]}"


def _key(
    value: Evaluated, platform: str, keyed: Mapping[Pair, _Keyed], recipes: Recipes, by_hand: Mapping[str, str]
) -> _Keyed:
    # A refused dependency has no key. Nothing can be built with it, so leaving it out of the key loses nothing.
    compile_depends = {
        name: keyed[name, platform].compile_key or "" for name in value.build_depends if (name, platform) in keyed
    }
    package_depends = {
        name: keyed[name, platform].package_key
        for name in (*value.build_depends, *value.runtime_depends)
        if (name, platform) in keyed
    }
    compile_key = from_shell = None
    compile_ingredients: Mapping[str, str] = {}
    if value.compile_step != "none":
        image = recipes.image(value, "compile") or NO_IMAGE
        compile_ingredients = recipes.compile_ingredients(value, image, compile_depends)
        compile_key = digest.of_ingredients(compile_ingredients)
        if compile_key in by_hand:
            from_shell = compile_key
            compile_ingredients = {**compile_ingredients, BY_HAND: by_hand[compile_key]}
            compile_key = digest.of_ingredients(compile_ingredients)
    package_image = recipes.image(value, "package") or NO_IMAGE
    package_ingredients = recipes.package_ingredients(value, package_image, compile_key, package_depends)
    return _Keyed(
        value,
        compile_key,
        compile_ingredients,
        compile_depends,
        digest.of_ingredients(package_ingredients),
        package_ingredients,
        package_depends,
        from_shell,
    )


def _decide(
    kind: Kind, task_id: str, key: str, ingredients: Mapping[str, str], results: Results, force: bool
) -> tuple[Action, tuple[str, ...]]:
    if BY_HAND in ingredients:
        return "build", (FROM_SHELL,)
    if force:
        return "build", (FORCED,)
    if ingredients.get("image") == NO_IMAGE:
        return "build", ("builder image not made yet",)
    if results.has(kind, key):
        return "reuse", ()
    if results.offers(kind, key):
        return "reuse", (FROM_RESULTS,)
    return "build", reasons(results.last_ingredients(task_id), ingredients)


def _add_package(
    pair: Pair,
    keyed: Mapping[Pair, _Keyed],
    results: Results,
    tasks: dict[str, Task],
    forced: frozenset[Pair],
    with_compiles: bool,
) -> None:
    mine = keyed[pair]
    task_id = package_id(mine.evaluated)
    if task_id in tasks:
        return
    action, why = _decide("package", task_id, mine.package_key, mine.package_ingredients, results, pair in forced)
    depends: list[str] = []
    if (action == "build" or with_compiles) and mine.compile_key is not None:
        depends.append(_add_compile(pair, keyed, results, tasks, forced))
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
        smoke_keys=_smoke_keys(pair, keyed),
        compile_key=mine.compile_key,
    )


def _smoke_keys(pair: Pair, keyed: Mapping[Pair, _Keyed]) -> dict[str, str]:
    """Return the keys of all packages that a component's smoke test may install: of needs and dependencies."""
    if keyed[pair].evaluated.smoke is None:
        return {}

    def neighbours(name: str) -> tuple[str, ...]:
        found = keyed.get((name, pair[1]))
        return _neighbours(found.evaluated) if found else ()

    names = sorted(closure([pair[0]], neighbours) - {pair[0]})
    return {name: keyed[name, pair[1]].package_key for name in names if (name, pair[1]) in keyed}


def _add_compile(
    pair: Pair, keyed: Mapping[Pair, _Keyed], results: Results, tasks: dict[str, Task], forced: frozenset[Pair]
) -> str:
    mine = keyed[pair]
    assert mine.compile_key is not None
    task_id = compile_id(mine.evaluated)
    if task_id in tasks and tasks[task_id].key != mine.compile_key:
        # The script depends on the platform, so this platform needs a staged tree of its own.
        task_id = f"{pair[0]}@{pair[1]}/compile"
    if task_id in tasks:
        return task_id
    action, why = _decide("compile", task_id, mine.compile_key, mine.compile_ingredients, results, pair in forced)
    depends: list[str] = []
    if action == "build" and mine.from_shell is None:
        for name in mine.compile_depends:
            if keyed[name, pair[1]].compile_key is not None:
                depends.append(_add_compile((name, pair[1]), keyed, results, tasks, forced))
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
        from_shell=mine.from_shell,
    )
    return task_id
