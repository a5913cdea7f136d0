"""Watching a run: every event is folded into the run's state and shown by the view that fits the place."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.cli.text_format import printable_json
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.flow.run.state import RunState
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.event import AnyEvent, RunStarted


class View(Protocol):
    """Shows a run as its events come. A new view is a class like this in a module of its own."""

    def __call__(self, event: AnyEvent, state: RunState) -> None:
        """Show ``event``; ``state`` includes it already."""

    def close(self) -> None:
        """Give back what the view holds, whatever happened."""


@dataclass(frozen=True)
class Reports:
    """The files that a command writes about its run."""

    events: Path | None = None
    junit: Path | None = None
    summary: Path | None = None
    logs: Path | None = None
    """The folder that the logs of what failed are copied to."""

    def below(self, folder: Path) -> Reports:
        """Return the same with relative paths starting from ``folder``."""
        return Reports(*(path and folder / path for path in (self.events, self.junit, self.summary, self.logs)))


class JsonView:
    """Writes each event as a line of JSON."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def __call__(self, event: AnyEvent, state: RunState) -> None:
        """Show ``event``."""
        self._out.write(printable_json(event.model_dump_json()) + "\n")
        self._out.flush()

    def close(self) -> None:
        """Do nothing: lines leave nothing open."""


class Watch:
    """A bus that keeps the run's state in ``state`` and shows each event.

    As a context manager it closes the view and the event file, whatever happened inside.
    """

    def __init__(self, invocation: Invocation, events: Path | None = None) -> None:
        self.state = RunState()
        self._invocation = invocation
        self._view: View | None = None
        self._events: IO[str] | None = None
        if events is not None:
            try:
                events.parent.mkdir(parents=True, exist_ok=True)
                self._events = events.open("w", encoding="utf-8", buffering=1)
            except OSError as error:
                raise ConfigurationError(f"--events {events}: {error.strerror}") from error

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._view is not None:
            self._view.close()
        if self._events is not None:
            self._events.close()

    def __call__(self, event: AnyEvent) -> None:
        """Take in and show one event."""
        self.state.apply(event)
        if self._events is not None:
            self._events.write(event.model_dump_json() + "\n")
        if isinstance(event, RunStarted):
            if self._view is not None:
                self._view.close()
            self._view = _choose(self._invocation, self.state)
        if self._view is not None:
            try:
                self._view(event, self.state)
            except OSError:
                # Nobody reads any more (a closed pipe): the run goes on without a view.
                self._view = None


def watched(invocation: Invocation, reports: Reports, work: Callable[[Bus], object]) -> RunState:
    """Carry out ``work`` and show its run; write the reports even when it breaks off. Return how the run ended."""
    reports = reports.below(invocation.cwd)
    for option, path in (("--junit", reports.junit), ("--summary", reports.summary)):
        if path is not None:
            _require_writable(option, path)
    with Watch(invocation, reports.events) as watch:
        try:
            work(watch)
        finally:
            watch.state.close()
            if watch.state.begun:
                write_reports(watch.state, invocation, reports)
    return watch.state


def write_reports(state: RunState, invocation: Invocation, reports: Reports) -> None:
    """Write the report files of a run, and the page that GitHub shows.

    Raises ConfigurationError for a path that cannot be written.
    """
    if reports.junit is not None:
        from bigtop_builder.cli.views.junit import junit

        _write("--junit", reports.junit, junit(state))
    if reports.logs is not None:
        _copy_logs(state, reports.logs)
    page = invocation.environment.get("GITHUB_STEP_SUMMARY")
    if reports.summary is None and not page:
        return
    from bigtop_builder.cli.views.summary import json_data, markdown

    if reports.summary is not None:
        as_json = reports.summary.suffix == ".json"
        text = json.dumps(json_data(state), indent=2) + "\n" if as_json else markdown(state)
        _write("--summary", reports.summary, text.encode())
    if page:
        _write("GITHUB_STEP_SUMMARY", Path(page), markdown(state).encode(), append=True)


def _choose(invocation: Invocation, state: RunState) -> View:
    """Return the view for this place: a live one where a terminal can show it and there is work to follow."""
    smart = invocation.environment.get("TERM") != "dumb" or bool(invocation.environment.get("FORCE_COLOR"))
    colour = smart and invocation.colours(sys.stderr)
    work = state.has_phases or any(task.planned.action == "build" for task in state.build.tasks.values())
    progress = invocation.progress or "auto"
    if progress == "json":
        return JsonView(sys.stderr)
    if progress == "tty" or (progress == "auto" and sys.stderr.isatty() and smart and work and not invocation.quiet):
        from rich.console import Console

        from bigtop_builder.cli.views.terminal import TerminalView

        forced = True if progress == "tty" else None
        console = Console(stderr=True, no_color=not colour, highlight=False, force_terminal=forced)
        return TerminalView(console, verbose=invocation.verbose)
    from bigtop_builder.cli.views.ci import view_for

    view = view_for(invocation.environment)
    return view(sys.stderr, quiet=invocation.quiet, colour=colour, verbose=invocation.verbose)


def _copy_logs(state: RunState, folder: Path) -> None:
    """Copy the logs of failed steps, and what failed tasks of a cluster printed. Raises ConfigurationError."""
    failed = [(name, Path(log)) for name, log in state.deploy.logs()]
    for task in state.build.tasks.values():
        if task.failure is not None and task.failure.log:
            failed.append((task.planned.task, Path(task.failure.log)))
    for name, log in failed:
        if log.is_file():
            target = folder / re.sub(r"[^\w.+-]+", "+", name) / log.name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(log, target)
            except OSError as error:
                raise ConfigurationError(f"--logs {target}: {error.strerror}") from error


def _require_writable(option: str, path: Path) -> None:
    """Find out before the work, not after it, that a report cannot be written. Raises ConfigurationError."""
    existing = path.exists()
    _write(option, path, b"", append=True)
    if not existing:
        path.unlink()


def _write(option: str, path: Path, data: bytes, *, append: bool = False) -> None:
    """Write a report for ``option``. Raises ConfigurationError for a path that cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab" if append else "wb") as stream:
            stream.write(data)
    except OSError as error:
        raise ConfigurationError(f"{option} {path}: {error.strerror}") from error
