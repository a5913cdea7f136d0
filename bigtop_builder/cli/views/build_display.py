"""What stays on a terminal while a build runs: each running task with the end of its log, and what waits for what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from bigtop_builder.cli.text_format import clean, count, one_line, size, span
from bigtop_builder.cli.views.log_tail import LogTail
from bigtop_builder.flow.run.build_state import StepState, TaskState
from bigtop_builder.flow.run.state import RunState

LINES, LINES_VERBOSE = 3, 10
"""How many lines of a log are shown where there is room."""
WAITING = 4
"""How many waiting tasks are named."""
NARROW = 60
"""Below this many columns only the shortest of what is known is shown."""


class BuildDisplay:
    """Renders the state of a build as lines that fit a terminal."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._most = LINES_VERBOSE if verbose else LINES
        self._tails: dict[str, LogTail] = {}

    def lines(self, state: RunState, now: float, width: int, height: int) -> Iterator[Text]:
        """Yield the lines: what is done, each running task with its log, what waits."""
        tasks = list(state.build.tasks.values())
        running = state.build.running()
        waiting = [task for task in tasks if task.state == "waiting" and task not in running]
        yield _cut(_head(state, tasks, now), width)
        named = waiting[:WAITING] if width >= NARROW else waiting[:1]
        room = height - 2 - len(named) - bool(waiting) - 2 * len(running)
        shown = max(0, min(self._most, room // max(len(running), 1)))
        for task in running:
            yield from self._running(task, now, width, shown)
        for task in named:
            yield _cut(Text(f"· {one_line(task.planned.task)}{_waits_for(task, state)}", "dim"), width)
        if len(waiting) > len(named):
            yield _cut(Text(f"· {len(waiting) - len(named)} more wait", "dim"), width)
        logs = {task.step.log for task in running if task.step}
        self._tails = {log: tail for log, tail in self._tails.items() if log in logs}

    def _running(self, task: TaskState, now: float, width: int, shown: int) -> Iterator[Text]:
        line = Text("", "cyan").append(one_line(task.planned.task))
        if task.started is not None:
            line.append(f"  {span(now - task.started)}", "default")
            if task.planned.expected:
                line.append(f" of about {span(task.planned.expected)}", "dim")
        yield _cut(line, width)
        step = task.step
        if step is None:
            return
        tail = self._tail(step)
        yield _cut(_step(step, now, tail.counted if tail else "", narrow=width < NARROW), width)
        if tail is not None and shown:
            for text in list(tail.lines)[-shown:]:
                yield _cut(Text(f"    │ {one_line(text)}", "dim"), width)

    def _tail(self, step: StepState) -> LogTail | None:
        if not step.log:
            return None
        tail = self._tails.setdefault(step.log, LogTail(Path(step.log)))
        tail.look()
        return tail


def _head(state: RunState, tasks: list[TaskState], now: float) -> Text:
    queued = sum(task.state == "waiting" for task in tasks)
    over = sum(task.state not in ("waiting", "running") for task in tasks)
    head = Text(f"{over}/{len(tasks)} done, {queued} queued", "bold")
    failed = sum(task.state == "failed" for task in tasks)
    if failed:
        head.append(f", {failed} failed", "bold red")
    return head.append(f"  {span(now - state.started)}", "dim")


def _step(step: StepState, now: float, counted: str, *, narrow: bool) -> Text:
    """``  compile  7m12s  7 of 31``, ``  fetch  3.0s  42 MiB of 120 MiB (35%), 3.1 MiB/s, 25s left``."""
    line = Text(f"  {one_line(step.name):<8}{span(now - step.started):>8}")
    if counted:
        line.append(f"  {counted}", "bold")
    if step.total:
        amount = f"{size(step.done)} of {size(step.total)} ({100 * step.done // step.total}%)"
        line.append(f"  {100 * step.done // step.total}%" if narrow else f"  {amount}", "dim")
        if step.rate > 0 and step.done < step.total:
            left = span((step.total - step.done) / step.rate)
            line.append(f", {left} left" if narrow else f", {size(int(step.rate))}/s, {left} left", "dim")
    elif step.done and not narrow:
        line.append(f"  {size(step.done)} of log", "dim")
    if step.note and not narrow:
        line.append(f"  {one_line(clean(step.note))}", "dim")
    return line


def _waits_for(task: TaskState, state: RunState) -> str:
    """`` waits for hadoop@el8, tez@el8``; `` waits for a free slot``."""
    ended = ("done", "reused", "failed", "blocked", "cancelled", "refused")
    tasks = state.build.tasks
    open_ = [name for name in task.planned.waits_for if name in tasks and tasks[name].state not in ended]
    if not open_:
        return " waits for a free slot"
    shown = ", ".join(one_line(name) for name in open_[:2])
    return f" waits for {shown}" + (f" and {count(len(open_) - 2, 'task')} more" if open_[2:] else "")


def _cut(line: Text, width: int) -> Text:
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis")
    return line
