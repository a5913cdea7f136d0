"""Directed graphs of names: order, closures, cycles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import heapify, heappop, heappush

from bigtop_builder.model.errors import RecipeError

Edges = Mapping[str, Iterable[str]]
"""Name → what it depends on."""


def closure(start: Iterable[str], neighbours: Callable[[str], Iterable[str]]) -> set[str]:
    """``start`` and everything reachable from it."""
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(neighbours(name))
    return seen


def dependants(edges: Edges) -> dict[str, set[str]]:
    """Name → what depends on it directly."""
    reverse: dict[str, set[str]] = {name: set() for name in edges}
    for name, needs in edges.items():
        for need in needs:
            reverse.setdefault(need, set()).add(name)
    return reverse


def topological_order(edges: Edges) -> list[str]:
    """Dependencies first; among what is free, by name, so that the order is always the same.

    Raises RecipeError that shows a cycle when there is one. Edges to names outside ``edges`` are ignored.
    """
    missing = {name: sum(1 for need in set(needs) if need in edges) for name, needs in edges.items()}
    reverse = dependants(edges)
    free = [name for name, count in missing.items() if count == 0]
    heapify(free)
    order: list[str] = []
    while free:
        name = heappop(free)
        order.append(name)
        for dependant in reverse[name]:
            missing[dependant] -= 1
            if missing[dependant] == 0:
                heappush(free, dependant)
    if len(order) < len(edges):
        rest = {name for name, count in missing.items() if count > 0}
        raise RecipeError(
            "the components depend on each other in a circle: " + " → ".join(_cycle(edges, rest)),
            hint="Take one of these out of the other's 'depends'.",
        )
    return order


def _cycle(edges: Edges, within: set[str]) -> list[str]:
    """One cycle among ``within``, closed."""
    path: list[str] = []
    place: dict[str, int] = {}
    name = min(within)
    while name not in place:
        place[name] = len(path)
        path.append(name)
        name = min(need for need in edges[name] if need in within)
    return [*path[place[name] :], name]
