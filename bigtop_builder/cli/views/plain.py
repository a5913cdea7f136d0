"""A run as plain lines, for pipelines: one group of lines for each task, folded where GitHub or GitLab can."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, TextIO

from bigtop_builder.cli.views.build_fold import RunView, TaskView
from bigtop_builder.cli.views.summary import MARKS, closing, digest, failures
from bigtop_builder.cli.wording import clean, count, size, span
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

Folding = Literal["github", "gitlab", "none"]

HEARTBEAT = 60.0
"""Seconds between signs of life of a long step: pipelines end a job that is silent for too long."""


def folding(environment: Mapping[str, str]) -> Folding:
    """How the pipeline that runs this folds lines, told by its environment."""
    if environment.get("GITHUB_ACTIONS") == "true":
        return "github"
    return "gitlab" if environment.get("GITLAB_CI") == "true" else "none"


class PlainFace:
    """Writes lines as the events come. Tasks that run side by side would mix inside folds, so that a task's fold
    is written whole when the task ends; until then single lines say what goes on."""

    def __init__(self, out: TextIO, fold: Folding = "none", *, quiet: bool = False) -> None:
        self.out = out
        self.fold = fold
        self.quiet = quiet
        self._spoke: dict[str, float] = {}
        self._begun: dict[str, str] = {}

    def __call__(self, event: AnyEvent, view: RunView) -> None:
        """Show ``event``; ``view`` is the state with the event taken in."""
        for line in self._lines(event, view):
            # GitHub takes "##[" anywhere in a line for a command; a build's own words must not be one.
            self.out.write(line.replace("##[", "# #[") + "\n")
        self.out.flush()

    def _lines(self, event: AnyEvent, view: RunView) -> Iterator[str]:
        if isinstance(event, RunFinished):
            yield from self._closing(view)
        elif isinstance(event, Notice):
            yield from self._notice(event)
        elif self.quiet:
            return
        elif isinstance(event, RunStarted):
            yield from _opening(event)
        elif isinstance(event, StepStarted):
            self._spoke[event.task] = event.time
            line = f"{event.task}: {event.step}"
            if self._begun.get(event.task) != line:
                self._begun[event.task] = line
                yield line
        elif isinstance(event, StepProgress):
            yield from self._sign_of_life(event, view)
        elif isinstance(event, Reproduced):
            yield f"{event.task}: a second build is {'identical' if event.identical else 'different'}"
        elif isinstance(event, TaskFinished):
            yield from self._task(view.tasks[event.task], view)

    def _notice(self, event: Notice) -> Iterator[str]:
        if event.level == "info" and not self.quiet:
            yield f"{event.task}: {clean(event.text)}" if event.task else clean(event.text)
        elif event.level == "warning" or (event.level == "error" and self.fold == "github"):
            # An error that ends the run is told by whoever catches it; only the pipeline's page needs it here.
            yield self._annotation(event.level, event.task or "", clean(event.text))

    def _sign_of_life(self, event: StepProgress, view: RunView) -> Iterator[str]:
        if event.time - self._spoke.get(event.task, 0.0) < HEARTBEAT:
            return
        self._spoke[event.task] = event.time
        elapsed = event.time - view.tasks[event.task].steps[event.step].started
        amount = size(event.done) + (f" of {size(event.total)}" if event.total else " of log")
        yield f"{event.task}: {event.step} for {span(elapsed)}, {amount}"

    def _task(self, task: TaskView, view: RunView) -> Iterator[str]:
        title = f"{MARKS[task.state]} {task.planned.task} {task.state}"
        title += f" in {span(task.seconds)}" if task.seconds else ""
        title += f" by {task.blocked_by}" if task.blocked_by else ""
        broken = "  stopped" if task.state == "cancelled" else "  failed"
        inside = [
            f"  {step.name:<8} {span(step.seconds or 0.0):>7}{'' if step.ok else broken}"
            for step in task.steps.values()
        ]
        inside += [f"  {package.file}  {size(package.size)}  {package.sha256}" for package in task.artifacts]
        inside += [f"  note: {clean(note)}" for note in view.unsaid(task)]
        yield from self._folded(task.planned.task, title, inside, task)

    def _folded(self, name: str, title: str, inside: list[str], task: TaskView) -> Iterator[str]:
        if not inside or self.fold == "none":
            yield title
            yield from inside
        elif self.fold == "github":
            yield f"::group::{title}"
            yield from inside
            yield "::endgroup::"
        else:
            section = re.sub(r"[^A-Za-z0-9_.-]", "-", name)
            started = int(task.started or 0)
            ended = int((task.started or 0) + task.seconds)
            yield f"\x1b[0Ksection_start:{started}:{section}[collapsed=true]\r\x1b[0K{title}"
            yield from inside
            yield f"\x1b[0Ksection_end:{ended}:{section}\r\x1b[0K"

    def _closing(self, view: RunView) -> Iterator[str]:
        if self.fold == "github":
            for component in failures(view.components()):
                yield self._annotation("error", component.name, "\n".join(digest(component)))
        if view.exit_code or not self.quiet:
            yield from closing(view)

    def _annotation(self, level: str, title: str, text: str) -> str:
        if self.fold != "github":
            return f"{level}: {title + ': ' if title else ''}{text}"
        escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        name = title.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
        return f"::{level} title={name}::{escaped}" if name else f"::{level}::{escaped}"


def _opening(event: RunStarted) -> Iterator[str]:
    actions = [task.action for task in event.tasks]
    refused = f", {actions.count('refuse')} refused" if "refuse" in actions else ""
    run = f"run {event.run}: " if event.run else ""
    yield f"{run}{count(actions.count('build'), 'task')} to build, {actions.count('reuse')} to reuse{refused}"
