"""Sends what happens on a worker to the run that it works for: events in their order, and logs while they grow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bigtop_builder.flow.distributed.messages import Verdict, verdict_to_json
from bigtop_builder.model.event import AnyEvent, CacheUsed, Notice, Step, StepFinished, StepProgress, StepStarted

CHUNK = 1 << 15
"""The scheduler keeps a thousand messages, so this times a thousand is what it needs for them."""
FLUSH_SECONDS = 0.3


class Forwarder:
    """The way back of one attempt. Any thread may use it."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None], attempt: str) -> None:
        self._send = send
        self._attempt = attempt
        self._lock = threading.RLock()
        self._grown: dict[tuple[str, Step], bytearray] = {}
        self._flushed = time.monotonic()

    def begun(self, worker: str, address: str) -> None:
        """Say where the attempt runs."""
        self._send({"attempt": self._attempt, "begun": worker, "address": address})

    def event(self, event: AnyEvent) -> None:
        """Send an event after the logs before it. The bracket of the worker's own run is not sent."""
        if isinstance(event, StepStarted | StepProgress | StepFinished | CacheUsed | Notice):
            with self._lock:
                self.flush()
                self._send({"attempt": self._attempt, "event": event.model_dump_json()})

    def log(self, task: str, step: Step, data: bytes) -> None:
        """Take what a log gained; it is sent soon."""
        with self._lock:
            grown = self._grown.setdefault((task, step), bytearray())
            grown += data
            if len(grown) >= CHUNK or time.monotonic() - self._flushed > FLUSH_SECONDS:
                self.flush()

    def flush(self) -> None:
        """Send what logs gained so far."""
        with self._lock:
            self._flushed = time.monotonic()
            for (task, step), grown in self._grown.items():
                for start in range(0, len(grown), CHUNK):
                    part = bytes(grown[start : start + CHUNK])
                    self._send({"attempt": self._attempt, "task": task, "step": step, "log": part})
            self._grown.clear()

    def verdict(self, verdict: Verdict) -> None:
        """Send how the attempt ended; nothing comes after it."""
        with self._lock:
            self.flush()
            self._send({"attempt": self._attempt, "verdict": verdict_to_json(verdict)})
