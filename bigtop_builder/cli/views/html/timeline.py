"""When each task ran, in as many rows as ran at the same time, and charts of durations."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from bigtop_builder.cli.text_format import span
from bigtop_builder.flow.run.build_state import TaskState

WIDTH, ROW, TOP = 1000, 26, 22
DETAILED = 300
"""Above this many bars their steps are not told apart."""
TICKS = 8


@dataclass(frozen=True)
class Part:
    """A step within a bar."""

    name: str
    x: float
    width: float


@dataclass(frozen=True)
class Bar:
    """A task that ran; ``index`` is its place in the plan."""

    index: int
    x: float
    width: float
    y: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Tick:
    """A mark of the time axis."""

    x: float
    text: str


@dataclass(frozen=True)
class Timeline:
    """Bars in rows; a row is a slot that one task at a time takes."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    slots: int

    @property
    def height(self) -> int:
        """The height of the drawing."""
        return TOP + self.slots * ROW + 2


def timeline(tasks: Sequence[TaskState], began: float, now: float) -> Timeline:
    """Place the tasks that have started between ``began`` and ``now``."""
    spans = sorted(
        (
            task.started,
            task.started + (max(now - task.started, 0.0) if task.state == "running" else task.seconds),
            place,
        )
        for place, task in enumerate(tasks)
        if task.started is not None
    )
    if not spans:
        return Timeline((), (), 0)
    began = min(began, spans[0][0])
    total = max(max(end for _, end, _ in spans) - began, 1.0)
    scale = WIDTH / total
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    slots = 0
    bars = []
    for start, end, place in spans:
        # Two tasks of one slot may overlap by the time that it takes to say so.
        while busy and busy[0][0] <= start + 0.05:
            heapq.heappush(free, heapq.heappop(busy)[1])
        slot = heapq.heappop(free) if free else slots
        slots = max(slots, slot + 1)
        heapq.heappush(busy, (end, slot))
        parts = _parts(tasks[place], began, end, scale) if len(spans) <= DETAILED else ()
        x = round((start - began) * scale, 2)
        bars.append(Bar(place, x, round(max((end - start) * scale, 1.0), 2), TOP + slot * ROW, parts))
    return Timeline(tuple(bars), tuple(_ticks(total, scale)), slots)


def _parts(task: TaskState, began: float, end: float, scale: float) -> tuple[Part, ...]:
    found = []
    for step in task.steps.values():
        stop = step.started + step.seconds - step.earlier if step.seconds is not None else end
        start = max(step.started, task.started or step.started)
        if stop > start:
            found.append(Part(step.name, round((start - began) * scale, 2), round((stop - start) * scale, 2)))
    return tuple(found)


def _ticks(total: float, scale: float) -> list[Tick]:
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
    step = next((one for one in steps if total / one <= TICKS), steps[-1] * int(total / steps[-1] / TICKS + 1))
    return [Tick(round(at * step * scale, 2), span(at * step)) for at in range(int(0.97 * total / step) + 1)]


@dataclass(frozen=True)
class Column:
    """A run in the chart of durations."""

    x: float
    y: float
    height: float
    place: int


def columns(seconds: Sequence[float], width: int = 600, height: int = 64) -> list[Column]:
    """Return the columns of a chart of durations, the oldest on the left. ``place`` is that in ``seconds``."""
    if not seconds:
        return []
    highest = max(max(seconds), 1e-6)
    each = width / max(len(seconds), 20)
    found = []
    for place, value in enumerate(seconds):
        # By the root, so that beside a build of an hour one of a minute can be seen.
        tall = max(round((max(value, 0.0) / highest) ** 0.5 * height, 2), 1.5)
        found.append(Column(round(place * each, 2), round(height - tall, 2), tall, place))
    return found
