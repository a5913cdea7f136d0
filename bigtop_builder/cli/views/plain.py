"""A run as plain lines, for pipelines, files and terminals that cannot do more."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from bigtop_builder.cli.text_format import Line, clean, count, printable, size, span, styled
from bigtop_builder.cli.views.closing import MARKS, closing
from bigtop_builder.cli.views.log_tail import LogTail
from bigtop_builder.cli.views.phase_lines import PhaseLines
from bigtop_builder.flow.run.build_state import TaskState
from bigtop_builder.flow.run.state import RunState
from bigtop_builder.model.event import (
    AnyEvent,
    Notice,
    Reproduced,
    RunFinished,
    RunStarted,
    StepProgress,
    StepStarted,
    TaskFinished,
)

HEARTBEAT = 60.0
"""Seconds between signs of life of a long step: pipelines end a job that is silent for too long."""


class Command(str):
    """A line that is meant as a command of a pipeline, and has nothing else in it that could be one."""

    __slots__ = ()


class PlainView:
    """Writes lines as events come.

    Lines of parallel tasks would mix, so what a task has to say is written as one group when it ends; until then
    single lines say what goes on. A deployment's phases do not overlap, and their lines are written at once.
    """

    full_logs = False
    """Whether a task is shown with its logs also where nobody asked for more."""

    def __init__(self, out: TextIO, *, quiet: bool = False, colour: bool = False, verbose: bool = False) -> None:
        self.out = out
        self._with_logs = verbose or self.full_logs
        self.quiet = quiet
        self.colour = colour
        self._phases = PhaseLines(quiet=quiet)
        self._spoke: dict[str, float] = {}
        self._begun: dict[str, str] = {}

    def __call__(self, event: AnyEvent, state: RunState) -> None:
        """Show ``event``; ``state`` includes it already."""
        for text, style in self._lines(event, state):
            line = text if isinstance(text, Command) else printable(text)
            self.out.write((styled(line, style) if self.colour else line) + "\n")
        self.out.flush()

    def close(self) -> None:
        """Do nothing: lines leave nothing open."""

    def group(self, task: TaskState, title: str, inside: Iterable[str]) -> Iterator[str]:
        """Yield the lines about a task that has ended."""
        yield title
        yield from inside

    def annotation(self, level: str, title: str, text: str) -> str:
        """Return a warning or an error that belongs to no group."""
        return f"{level}: {title + ': ' if title else ''}{text}"

    def closing(self, state: RunState) -> Iterator[Line]:
        """Yield the last words."""
        if state.exit_code or not self.quiet:
            yield from closing(state)

    def notice(self, event: Notice) -> Iterator[str]:
        """Yield a notice of a build. Whoever catches an error that ends the run reports it."""
        if event.level == "info" and not self.quiet:
            yield f"{event.task}: {clean(event.text)}" if event.task else clean(event.text)
        elif event.level == "warning":
            yield self.annotation(event.level, event.task or "", clean(event.text))

    def _lines(self, event: AnyEvent, state: RunState) -> Iterator[Line]:
        if state.has_phases:
            yield from self._phases.lines(event, state)
        if state.has_tasks:
            yield from ((text, "") for text in self._task_lines(event, state))
        if isinstance(event, RunFinished):
            yield from self.closing(state)

    def _task_lines(self, event: AnyEvent, state: RunState) -> Iterator[str]:
        if isinstance(event, Notice):
            if not state.has_phases:
                yield from self.notice(event)
        elif self.quiet:
            return
        elif isinstance(event, RunStarted):
            yield _opening(event)
        elif isinstance(event, StepStarted):
            self._spoke[event.task] = event.time
            line = f"{event.task}: {event.step}" + (f" on {event.worker}" if event.worker else "")
            if self._begun.get(event.task) != line:
                self._begun[event.task] = line
                yield line
        elif isinstance(event, StepProgress):
            yield from self._sign_of_life(event, state)
        elif isinstance(event, Reproduced):
            yield f"{event.task}: a second build is {'identical' if event.identical else 'different'}"
        elif isinstance(event, TaskFinished):
            yield from self._ended(state.build.tasks[event.task], state)

    def _sign_of_life(self, event: StepProgress, state: RunState) -> Iterator[str]:
        if event.time - self._spoke.get(event.task, 0.0) < HEARTBEAT:
            return
        self._spoke[event.task] = event.time
        step = state.build.tasks[event.task].steps[event.step]
        elapsed = event.time - step.started
        amount = size(event.done) + (f" of {size(event.total)}" if event.total else " of log")
        place = ""
        if step.log:
            tail = LogTail(Path(step.log))
            tail.look()
            place = f", {tail.counted}" if tail.counted else ""
        yield f"{event.task}: {event.step} for {span(elapsed)}{place}, {amount}"

    def _ended(self, task: TaskState, state: RunState) -> Iterator[str]:
        title = f"{MARKS[task.state]} {task.planned.task} {task.state}"
        title += f" in {span(task.seconds)}" if task.seconds else ""
        title += f" by {task.blocked_by}" if task.blocked_by else ""
        broken = "  stopped" if task.state == "cancelled" else "  failed"
        inside = [
            f"  {step.name:<8} {span(step.seconds or 0.0):>7}{'' if step.ok else broken}"
            for step in task.steps.values()
        ]
        inside += [f"  {package.file}  {size(package.size)}  {package.sha256}" for package in task.artifacts]
        inside += [f"  note: {clean(note)}" for note in state.new_notes(task)]
        if self._with_logs and inside:
            yield from self.group(task, title, itertools.chain(inside, _logs(task)))
        elif inside:
            yield from self.group(task, title, inside)
        else:
            yield title


def _logs(task: TaskState) -> Iterator[str]:
    """Yield the lines of a task's logs, each log below its name."""
    for step in task.steps.values():
        log = Path(step.log or "")
        if step.log and log.is_file():
            yield f"── {step.name} ({log})"
            with log.open(encoding="utf-8", errors="backslashreplace", newline="\n") as lines:
                for line in lines:
                    yield clean(line.rstrip("\r\n").rpartition("\r")[2])


def _opening(event: RunStarted) -> str:
    actions = [task.action for task in event.tasks]
    refused = f", {actions.count('refuse')} refused" if "refuse" in actions else ""
    run = f"run {event.run}: " if event.run else ""
    return f"{run}{count(actions.count('build'), 'task')} to build, {actions.count('reuse')} to reuse{refused}"
