"""A run on a terminal: what has ended scrolls by, what runs stays below and is redrawn."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bigtop_builder.cli.text_format import Line, clean, count, one_line, printable, size, span
from bigtop_builder.cli.views.build_display import BuildDisplay
from bigtop_builder.cli.views.closing import MARKS, closing
from bigtop_builder.cli.views.phase_lines import PhaseLines
from bigtop_builder.flow.run.build_state import Shown, TaskState
from bigtop_builder.flow.run.state import RunState
from bigtop_builder.model.event import (
    AmbariTask,
    AnyEvent,
    Notice,
    PhaseFinished,
    Reproduced,
    RequestProgress,
    RunFinished,
    RunStarted,
    TaskFinished,
)

COLOURS: dict[Shown, str] = {
    "done": "green",
    "reused": "dim",
    "failed": "bold red",
    "blocked": "yellow",
    "cancelled": "yellow",
    "refused": "yellow",
    "running": "cyan",
    "waiting": "dim",
}
SHOWN_PARTS = 4
"""How many running Ambari tasks the line below names."""


class TerminalView:
    """Shows a run until its end. ``close`` gives the terminal back, whatever happened."""

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        self.console = console
        self._display = BuildDisplay(verbose=verbose)
        self.state = RunState()
        self._phases = PhaseLines(live=True)
        self._running: dict[int, AmbariTask] = {}
        self._request: RequestProgress | None = None
        self._live: Live | None = None

    def __call__(self, event: AnyEvent, state: RunState) -> None:
        """Show ``event``; ``state`` includes it already."""
        self.state = state
        if isinstance(event, RunStarted):
            # Live draws once when it is made: not before the state has tasks or phases.
            self._live = Live(console=self.console, get_renderable=self.render, refresh_per_second=8, transient=True)
            self._live.start()
        self._follow(event)
        if state.has_phases:
            self._print(self._phases.lines(event, state))
        if state.has_tasks:
            self._show_task_event(event, state)
        if isinstance(event, RunFinished):
            self.close()
            self._print(closing(state))

    def close(self) -> None:
        """Remove what is redrawn."""
        if self._live is not None:
            self._live.stop()

    def render(self) -> RenderableType:
        """Return what stays below: the running tasks, a line of what Ambari does."""
        parts: list[RenderableType] = []
        if self.state.has_tasks:
            width, height = self.console.size
            parts += self._display.lines(self.state, time.time(), width, height)
        if self.state.has_phases:
            parts.append(Text(one_line(self._footer())))
        return Group(*parts)

    def _print(self, lines: Iterator[Line]) -> None:
        for text, style in lines:
            self.console.print(Text(printable(text), style), soft_wrap=True)

    def _show_task_event(self, event: AnyEvent, state: RunState) -> None:
        if isinstance(event, TaskFinished):
            task = state.build.tasks[event.task]
            self.console.print(_ended(task))
            for note in state.new_notes(task):
                self.console.print(Text(f"    {clean(note)}", "dim"), soft_wrap=True)
        elif isinstance(event, Reproduced):
            same = event.identical
            text = f"{event.task}  a second build is {'identical' if same else 'different'}"
            self.console.print(Text(printable(text), "green" if same else "bold red"), soft_wrap=True)
        elif isinstance(event, Notice) and event.level != "error" and not state.has_phases:
            # Whoever catches an error that ends the run reports it.
            style = "yellow" if event.level == "warning" else "dim"
            place = f"{event.task.partition('/')[0]}: " if event.task else ""
            self.console.print(Text(clean(place + event.text), style), soft_wrap=True)

    def _follow(self, event: AnyEvent) -> None:
        """Note what Ambari does now."""
        if isinstance(event, AmbariTask):
            self._running.pop(event.task, None)
            if event.status == "IN_PROGRESS":
                self._running[event.task] = event
        elif isinstance(event, RequestProgress):
            self._request = event
        elif isinstance(event, PhaseFinished):
            self._running.clear()
            self._request = None

    def _footer(self) -> str:
        # Events come in while this is drawn by a thread of rich.
        running = list(self._running.values())
        parts = [f"{task.role} {task.command} on {task.host.partition('.')[0]}" for task in running]
        if self._request is not None:
            parts.insert(0, f"{self._request.percent:.0f}%")
        more = f" and {len(parts) - SHOWN_PARTS} more" if len(parts) > SHOWN_PARTS else ""
        return "  " + ", ".join(parts[:SHOWN_PARTS]) + more if parts else ""


def _ended(task: TaskState) -> Text:
    line = Text(f"{MARKS[task.state]} {one_line(task.planned.task)}", COLOURS[task.state])
    line.append(f"  {task.state}", COLOURS[task.state])
    if task.blocked_by:
        line.append(f" by {one_line(task.blocked_by)}", "dim")
    if task.seconds:
        line.append(f"  {span(task.seconds)}", "dim")
    if task.artifacts:
        line.append(
            f"  {count(len(task.artifacts), 'package')}, {size(sum(item.size for item in task.artifacts))}", "dim"
        )
    return line
