"""How much a container writes, measured while it runs: engines limit memory and processes, but not disks everywhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from bigtop_builder.model.errors import BigtopBuilderError

INTERVAL = 5.0
"""Seconds between two measurements at least."""

SHARE = 30
"""The pause before the next measurement, in durations of the last one: measuring must cost next to nothing."""


class DiskWatch:
    """Measures in a thread of its own, and kills what has written more than ``limit`` bytes."""

    def __init__(self, limit: int, measure: Callable[[], int], kill: Callable[[], None]) -> None:
        self.exceeded = False
        self._limit = limit
        self._measure = measure
        self._kill = kill
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def stop(self) -> None:
        """Stop measuring, and wait until nothing is measured any more."""
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause = INTERVAL
        while not self._done.wait(pause):
            started = time.monotonic()
            # What cannot be measured now, because the build removes it or the engine is busy, can be the next time.
            with suppress(OSError, BigtopBuilderError):
                if self._measure() > self._limit:
                    self.exceeded = True
                    self._kill()
                    return
            pause = max(INTERVAL, SHARE * (time.monotonic() - started))
