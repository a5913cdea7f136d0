"""Watching a deployment: its events are folded, shown, and written where that is wanted."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.cli.views.deploy_fold import DeployView
from bigtop_builder.cli.views.deploy_lines import DeployLines
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.event import AnyEvent


@dataclass
class DeployWatch:
    """A bus: folds the events of a run and shows them."""

    invocation: Invocation
    events: Path | None = None

    def __post_init__(self) -> None:
        call = self.invocation
        self.view = DeployView()
        live = sys.stderr.isatty() and call.environment.get("TERM") != "dumb"
        self._face: DeployLines | None = DeployLines(
            sys.stderr, quiet=call.quiet, colour=call.colours(sys.stderr), live=live
        )
        self._file: IO[str] | None = None
        if self.events is not None:
            file = call.cwd / self.events
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                self._file = file.open("w", encoding="utf-8", buffering=1)
            except OSError as error:
                raise ConfigurationError(f"--events {self.events}: {error.strerror}") from error

    def __enter__(self) -> DeployWatch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._face is not None:
            self._face.close()
        if self._file is not None:
            self._file.close()

    def __call__(self, event: AnyEvent) -> None:
        self.view.apply(event)
        if self._file is not None:
            self._file.write(event.model_dump_json() + "\n")
        if self._face is not None:
            try:
                self._face(event, self.view)
            except OSError:
                # Nobody reads any more (a closed pipe): the work goes on without a face.
                self._face = None
