"""Where the events of a run go: into its log, then to whoever watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from bigtop_builder.adapter.store import store_error
from bigtop_builder.model.event import AnyEvent

Bus = Callable[[AnyEvent], None]


class Recorder:
    """Stamps events with the time, writes them as JSON lines and passes them on; any thread may call it.

    An event that the log cannot take is passed on all the same, and then StoreError is raised.
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
            # A full disk takes a part of a line: the next one must not be read as its end.
            line = b"\n" + line if self._torn else line
            self._torn = True
            while line:
                line = line[self._log.write(line) :]
            self._torn = False
        except OSError as error:
            raise store_error(error, self._path) from error

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
