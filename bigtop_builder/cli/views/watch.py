"""Watching a run: every event is folded into the run's state and shown by the faces that fit the place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.cli.views.build_fold import RunView
from bigtop_builder.cli.views.plain import PlainFace, folding
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.event import AnyEvent, RunStarted

Face = Callable[[AnyEvent, RunView], None]


@dataclass(frozen=True)
class Reports:
    """The files that a run is told in."""

    events: Path | None = None
    junit: Path | None = None
    summary: Path | None = None

    def below(self, folder: Path) -> Reports:
        """The same, seen from ``folder``."""
        return Reports(*(path and folder / path for path in (self.events, self.junit, self.summary)))


class Watch:
    """A bus: takes the events of a run, one at a time, and keeps its state in ``view``.

    As a context manager it gives the terminal back and closes the event file, whatever happened inside.
    """

    def __init__(self, invocation: Invocation, events: Path | None = None) -> None:
        self.view = RunView()
        self._invocation = invocation
        self._face: Face | None = None
        self._events: IO[str] | None = None
        if events is not None:
            try:
                self._events = events.open("w", encoding="utf-8", buffering=1)
            except OSError as error:
                raise ConfigurationError(f"--events {events}: {error.strerror}") from error

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        close = getattr(self._face, "close", None)
        if close is not None:
            close()
        if self._events is not None:
            self._events.close()

    def __call__(self, event: AnyEvent) -> None:
        self.view.apply(event)
        if self._events is not None:
            self._events.write(event.model_dump_json() + "\n")
        if isinstance(event, RunStarted):
            self._face = self._choose(event)
        if self._face is not None:
            try:
                self._face(event, self.view)
            except OSError:
                # Nobody reads any more (a closed pipe): the build goes on without a face.
                self._face = None

    def _choose(self, event: RunStarted) -> Face:
        call = self._invocation
        live = sys.stderr.isatty() and not call.quiet and call.environment.get("TERM") != "dumb"
        if live and any(task.action == "build" for task in event.tasks):
            from rich.console import Console

            from bigtop_builder.cli.views.terminal import TerminalFace

            return TerminalFace(Console(stderr=True, no_color=not call.colours(sys.stderr), highlight=False))
        return PlainFace(sys.stderr, folding(call.environment), quiet=call.quiet)


def write_reports(view: RunView, invocation: Invocation, reports: Reports) -> None:
    """The report files of a run, and the page that GitHub shows. Raises ConfigurationError for an unwritable place."""
    if reports.junit is not None:
        from bigtop_builder.cli.views.junit import junit

        write_file("--junit", reports.junit, junit(view))
    page = invocation.environment.get("GITHUB_STEP_SUMMARY")
    if reports.summary is None and not page:
        return
    from bigtop_builder.cli.views.summary import markdown, summary

    if reports.summary is not None:
        as_json = reports.summary.suffix == ".json"
        text = summary(view).model_dump_json(indent=2) + "\n" if as_json else markdown(view)
        write_file("--summary", reports.summary, text.encode())
    if page:
        write_file("GITHUB_STEP_SUMMARY", Path(page), markdown(view).encode(), append=True)


def write_file(option: str, path: Path, data: bytes, *, append: bool = False) -> None:
    """Write a report; ``option`` is what asked for it. Raises ConfigurationError for an unwritable place."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab" if append else "wb") as stream:
            stream.write(data)
    except OSError as error:
        raise ConfigurationError(f"{option} {path}: {error.strerror}") from error
