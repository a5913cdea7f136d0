"""Directed graphs of names: order, closures, cycles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import heapify, heappop, heappush
from typing import TypeVar

from bigtop_builder.model.errors import RecipeError

T = TypeVar("T")
Edges = Mapping[str, Iterable[str]]
"""Name → what it depends on."""


def closure(start: Iterable[T], neighbours: Callable[[T], Iterable[T]]) -> set[T]:
    """Return ``start`` and everything reachable from it."""
    seen: set[T] = set()
    queue = list(start)
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue.extend(neighbours(name))
    return seen


def dependants(edges: Edges) -> dict[str, set[str]]:
    """Return name → what depends on it directly."""
    reverse: dict[str, set[str]] = {name: set() for name in edges}
    for name, needs in edges.items():
        for need in needs:
            reverse.setdefault(need, set()).add(name)
    return reverse


def topological_order(edges: Edges) -> list[str]:
    """Return the names, dependencies first; names that are free at the same time are sorted, so the order is stable.

    Edges to names outside ``edges`` are ignored. Raises RecipeError with a cycle when there is one.
    """
    unmet = {name: sum(1 for need in set(needs) if need in edges) for name, needs in edges.items()}
    reverse = dependants(edges)
    free = [name for name, count in unmet.items() if count == 0]
    heapify(free)
    order: list[str] = []
    while free:
        name = heappop(free)
        order.append(name)
        for dependant in reverse[name]:
            unmet[dependant] -= 1
            if unmet[dependant] == 0:
                heappush(free, dependant)
    if len(order) < len(edges):
        rest = {name for name, count in unmet.items() if count > 0}
        raise RecipeError(
            "components depend on each other in a cycle: " + " → ".join(_cycle(edges, rest)),
            hint="Remove one of them from the 'depends' of another.",
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
