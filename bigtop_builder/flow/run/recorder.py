"""Where the events of a run go: first into its log, then to whoever watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from bigtop_builder.adapter.store import store_error
from bigtop_builder.model.event import AnyEvent

Bus = Callable[[AnyEvent], None]
"""Takes the events of a run, one at a time."""


class Recorder:
    """A bus that stamps events with the time, writes them as JSON lines and passes them on. Any thread may call it.

    When the log cannot be written, the event is passed on all the same; then StoreError is raised.
    """

    def __init__(self, bus: Bus, log: Path | None) -> None:
        self._bus = bus
        self._path = log
        self._lock = threading.Lock()
        self._log: IO[bytes] | None = None
        self._torn = False
        if log is not None:
            try:
                self._log = log.open("ab", buffering=0)
            except OSError as error:
                raise store_error(error, log) from error

    def __call__(self, event: AnyEvent) -> None:
        """Record one event. Raises StoreError."""
        stamped = event.model_copy(update={"time": time.time()})
        with self._lock:
            try:
                self._write(stamped.model_dump_json(exclude_defaults=False).encode() + b"\n")
            finally:
                self._bus(stamped)

    def _write(self, line: bytes) -> None:
        if self._log is None or self._log.closed:
            return
        assert self._path is not None
        try:
            # A full disk may take half a line: then the next one must not be read as its other half.
            line = b"\n" + line if self._torn else line
            self._torn = True
            while line:
                line = line[self._log.write(line) :]
            self._torn = False
        except OSError as error:
            raise store_error(error, self._path) from error

    def close(self) -> None:
        """Close the log. Events that come later are only passed on."""
        if self._log is not None:
            self._log.close()
