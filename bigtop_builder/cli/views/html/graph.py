"""The graph of a build's tasks as it is drawn: a column for each depth, and the path that decides how long it takes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bigtop_builder.flow.run.build_state import TaskState

COMPACT = 120
"""Above this many tasks the boxes are small and without times."""


@dataclass(frozen=True)
class Sizes:
    """Measures of the drawing, in pixels."""

    width: int
    height: int
    gap: int
    between: int


WIDE, SMALL = Sizes(218, 40, 10, 60), Sizes(150, 18, 4, 46)


@dataclass(frozen=True)
class Node:
    """The box of a task; ``index`` is its place in the plan."""

    index: int
    x: int
    y: int


@dataclass(frozen=True)
class Edge:
    """A curve from a task to one that waits for it."""

    curve: str
    critical: bool


@dataclass(frozen=True)
class Graph:
    """The whole drawing."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    sizes: Sizes
    width: int
    height: int

    @property
    def compact(self) -> bool:
        """Whether the boxes are small."""
        return self.sizes is SMALL


def predecessors(tasks: Sequence[TaskState]) -> list[list[int]]:
    """Return for each task the places of those that it waits for, without what follows from the others.

    A plan lists whatever ends before a task begins; drawn are only the direct steps. Older runs do not say what waits
    for what: there a package waits for the compile of its component.
    """
    places = {task.planned.task: place for place, task in enumerate(tasks)}
    compiles = {task.planned.component: place for place, task in enumerate(tasks) if task.planned.kind == "compile"}
    before = [[places[name] for name in task.planned.waits_for if name in places] for task in tasks]
    if not any(before):
        for place, task in enumerate(tasks):
            compiled = compiles.get(task.planned.component)
            if task.planned.kind == "package" and compiled is not None:
                before[place] = [compiled]
    above = [0] * len(tasks)
    for place in _ordered(before):
        for other in before[place]:
            above[place] |= above[other] | 1 << other
    return [
        [one for one in set(given) if not any(above[other] >> one & 1 for other in given if other != one)]
        for given in before
    ]


def _ordered(before: Sequence[Sequence[int]]) -> list[int]:
    """Return the places so that each follows what it waits for. Whatever waits for itself is left out."""
    after: dict[int, list[int]] = {}
    missing = [len(set(given)) for given in before]
    for place, given in enumerate(before):
        for other in set(given):
            after.setdefault(other, []).append(place)
    ready = [place for place, number in enumerate(missing) if not number]
    for place in ready:
        for other in after.get(place, ()):
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    return ready


def duration(task: TaskState, now: float) -> float:
    """Return how long a task took, has been running, or is expected to take."""
    if task.state == "running":
        return max(now - (task.started or now), task.planned.expected or 0.0)
    if task.state == "waiting":
        return task.planned.expected or 0.0
    return task.seconds


def critical_path(tasks: Sequence[TaskState], before: Sequence[Sequence[int]], now: float) -> list[int]:
    """Return the chain of tasks that took the longest, the first task first. Tasks that took no time are left out."""
    total: dict[int, float] = {}
    via: dict[int, int] = {}
    for place in _ordered(before):
        best = max(before[place], key=lambda one: total.get(one, 0.0), default=None)
        total[place] = duration(tasks[place], now) + (total.get(best, 0.0) if best is not None else 0.0)
        if best is not None:
            via[place] = best
    if not total or max(total.values()) <= 0:
        return []
    last: int | None = max(total, key=lambda one: total[one])
    path: list[int] = []
    while last is not None:
        path.append(last)
        last = via.get(last)
    return [one for one in reversed(path) if duration(tasks[one], now) > 0]


def graph(tasks: Sequence[TaskState], before: Sequence[Sequence[int]], critical: Sequence[int]) -> Graph:
    """Lay out the tasks: each to the right of what it waits for, near the height of those."""
    sizes = SMALL if len(tasks) > COMPACT else WIDE
    depth: dict[int, int] = {}
    for place in _ordered(before):
        depth[place] = max((depth[one] + 1 for one in before[place]), default=0)
    columns: dict[int, list[int]] = {}
    for place in range(len(tasks)):
        columns.setdefault(depth.get(place, 0), []).append(place)
    rows: dict[int, float] = {}
    for column in sorted(columns):
        members = columns[column]
        members.sort(key=lambda one: (_middle(before[one], rows), one))
        for row, place in enumerate(members):
            rows[place] = float(row)
    nodes = tuple(
        Node(
            place,
            depth.get(place, 0) * (sizes.width + sizes.between) + 2,
            int(rows[place]) * (sizes.height + sizes.gap) + 2,
        )
        for place in range(len(tasks))
    )
    on_path = set(itertools.pairwise(critical))
    edges = tuple(
        Edge(_curve(nodes[one], nodes[place], sizes), (one, place) in on_path)
        for place in range(len(tasks))
        for one in before[place]
    )
    deepest = max(columns, default=0)
    longest = max((len(members) for members in columns.values()), default=0)
    return Graph(
        nodes,
        edges,
        sizes,
        (deepest + 1) * (sizes.width + sizes.between) - sizes.between + 4,
        longest * (sizes.height + sizes.gap) - sizes.gap + 4,
    )


def _middle(before: Sequence[int], rows: Mapping[int, float]) -> float:
    known = [rows[one] for one in before if one in rows]
    return sum(known) / len(known) if known else 0.0


def _curve(start: Node, end: Node, sizes: Sizes) -> str:
    x1, y1 = start.x + sizes.width, start.y + sizes.height // 2
    x2, y2 = end.x, end.y + sizes.height // 2
    bend = max((x2 - x1) // 2, 12)
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
