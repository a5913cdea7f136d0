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
    """Stamps events with the time, writes them as JSON lines and passes them on; any thread may call it."""

    def __init__(self, bus: Bus, log: Path | None) -> None:
        self._bus = bus
        self._lock = threading.Lock()
        self._log: IO[str] | None = None
        if log is not None:
            try:
                self._log = log.open("a", encoding="utf-8", buffering=1)
            except OSError as error:
                raise store_error(error, log) from error

    def __call__(self, event: AnyEvent) -> None:
        stamped = event.model_copy(update={"time": time.time()})
        with self._lock:
            if self._log is not None and not self._log.closed:
                try:
                    self._log.write(stamped.model_dump_json(exclude_defaults=False) + "\n")
                except OSError as error:
                    raise store_error(error, Path(self._log.name)) from error
            self._bus(stamped)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
