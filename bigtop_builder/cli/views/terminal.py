"""A run on a terminal: what has ended scrolls by, what runs stays below as a live tree."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from bigtop_builder.cli.views.build_fold import RunView, Shown, StepView, TaskView
from bigtop_builder.cli.views.summary import MARKS, closing
from bigtop_builder.cli.wording import clean, count, size, span
from bigtop_builder.model.event import AnyEvent, Notice, Reproduced, RunFinished, RunStarted, TaskFinished

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


class TerminalFace:
    """Shows the run until its end; ``close`` gives the terminal back whatever happened."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.view = RunView()
        self._live = Live(console=console, get_renderable=self._tree, refresh_per_second=8, transient=True)

    def __call__(self, event: AnyEvent, view: RunView) -> None:
        """Show ``event``; ``view`` is the state with the event taken in."""
        self.view = view
        if isinstance(event, RunStarted):
            self._live.start()
        elif isinstance(event, TaskFinished):
            self.console.print(_ended(view.tasks[event.task], view), soft_wrap=True)
        elif isinstance(event, Reproduced):
            same = event.identical
            text = f"{event.task}  a second build is {'identical' if same else 'different'}"
            self.console.print(Text(text, "green" if same else "bold red"), soft_wrap=True)
        elif isinstance(event, Notice) and event.level != "error":
            # An error that ends the run is told by whoever catches it.
            style = "yellow" if event.level == "warning" else "dim"
            self.console.print(Text(clean(event.text), style), soft_wrap=True)
        elif isinstance(event, RunFinished):
            self.close()
            self._say_closing(view)

    def close(self) -> None:
        """Take the live tree away."""
        self._live.stop()

    def _say_closing(self, view: RunView) -> None:
        failed = bool(view.exit_code)
        *lines, last = closing(view)
        for line in lines:
            style = "bold red" if line and not line.startswith(" ") and " failed in " in line else ""
            self.console.print(Text(line, style), soft_wrap=True)
        self.console.print(Text(last, "bold red" if failed else "bold green"), soft_wrap=True)

    def _tree(self) -> RenderableType:
        waiting = sum(task.state == "waiting" for task in self.view.tasks.values())
        over = sum(task.state not in ("waiting", "running") for task in self.view.tasks.values())
        now = time.time()
        head = Text(f"{over} of {len(self.view.tasks)} tasks ended, {waiting} wait", "bold")
        head.append(f"  {span(now - self.view.started)}", "dim")
        tree = Tree(head, guide_style="dim")
        for task in self.view.running():
            branch = tree.add(Text(task.planned.task, "cyan"))
            if task.step is not None:
                branch.add(_running(task.step, now))
        return Group(tree)


def _running(step: StepView, now: float) -> Text:
    line = Text(f"{step.name:<8}{span(now - step.started):>8}")
    if step.total:
        line.append(f"  {size(step.done)} of {size(step.total)} ({100 * step.done // step.total}%)", "dim")
    elif step.done:
        line.append(f"  {size(step.done)}", "dim")
    if step.note:
        line.append(f"  {clean(step.note)}", "dim")
    line.truncate(200)
    return line


def _ended(task: TaskView, view: RunView) -> Text:
    line = Text(f"{MARKS[task.state]} {task.planned.task}", COLOURS[task.state])
    line.append(f"  {task.state}", COLOURS[task.state])
    if task.blocked_by:
        line.append(f" by {task.blocked_by}", "dim")
    if task.seconds:
        line.append(f"  {span(task.seconds)}", "dim")
    if task.artifacts:
        line.append(
            f"  {count(len(task.artifacts), 'package')}, {size(sum(item.size for item in task.artifacts))}", "dim"
        )
    for note in view.unsaid(task):
        line.append(f"\n    {clean(note)}", "dim")
    return line
