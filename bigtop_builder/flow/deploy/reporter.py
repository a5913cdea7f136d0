"""The reporter of a deployment: changes and notices as events without secrets, dry runs, cancellation and time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bigtop_builder.cluster.configuration import may_be_secret, value_lines
from bigtop_builder.cluster.rolling import Restarts
from bigtop_builder.flow.deploy.consent import Consent
from bigtop_builder.model.errors import AmbariError, InterruptedRunError
from bigtop_builder.model.event import EVENTS, AnyEvent, Change, Notice, Phase

if TYPE_CHECKING:
    from bigtop_builder.adapter.secret import Secrets

Emit = Callable[[AnyEvent], None]
OWN_WORDS = frozenset({"event", "phase", "phases", "step", "level", "state", "kind", "status", "tasks"})
"""Event fields with our own or Ambari's words, never with text of a host or a person."""
FOREIGN = frozenset({"last_lines"})
"""Event fields with the output of hosts and servers."""


@dataclass
class Reporter:
    """Reports what a deployment does, or with a dry run would do, and counts the changes."""

    bus: Emit
    secrets: Secrets
    """Removed from every event."""
    logs: Path
    """The folder for the logs of failed tasks."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    dry_run: bool = False
    clock: Callable[[], float] = time.monotonic
    """Seconds; with ``pause`` the time in which the deployment lives."""
    pause: Callable[[float], object] | None = None
    """Waits for so many seconds; without it until then or until ``cancelled``."""
    mark: Path | None = None
    """A file that exists while everything was verified and nothing has changed since."""
    passed: Callable[[], None] = lambda: None
    """Called when the world may have changed: before a change, during a wait, at the start of a phase."""
    consent: Consent = field(default_factory=Consent)
    """What may be disrupted."""
    restart: Restarts = "rolling"
    """How outdated components are restarted."""
    finalize: bool = False
    """Whether an upgrade to another version of the stack is finalized."""
    failures: dict[str, str] = field(default_factory=dict)
    """Different failures of tasks that were reported: what is the same about them → the first (``ROLE on HOST``)."""
    phase: Phase = "check"
    changes: int = 0
    """Changes of the current phase."""
    earlier_changes: int = 0
    """Changes of the phases before it."""
    run: str = ""
    """The name of the run; empty where none is recorded."""

    def signature(self, command: str) -> str:
        """Return what notes in Ambari end with, so that people find the run: ``bigtop-builder deploy, run NAME``."""
        return f"bigtop-builder {command}, run {self.run}" if self.run else f"bigtop-builder {command}"

    def begin(self, phase: Phase) -> None:
        """Begin a phase, which counts its own changes and relies on nothing that the one before has read."""
        self.earlier_changes += self.changes
        self.phase, self.changes = phase, 0
        self.passed()

    def emit(self, event: AnyEvent) -> None:
        """Emit an event without the secrets read so far."""
        if self.mark is not None and isinstance(event, Change) and event.state != "planned":
            self.mark.unlink(missing_ok=True)
        data = event.model_dump()
        clean = self._redacted(data)
        self.bus(event if clean == data else EVENTS.validate_python(clean))

    def _redacted(self, value: Any, *, foreign: bool = False) -> Any:
        """``value`` without secrets; each text by itself, so that no quoting of them matters."""
        if isinstance(value, str):
            return self.secrets.redact(value, foreign=foreign)
        if isinstance(value, list):
            return [self._redacted(item, foreign=foreign) for item in value]
        if isinstance(value, dict):
            # Words that we choose ourselves stay, even if a password is one of them.
            return {
                key: item if key in OWN_WORDS else self._redacted(item, foreign=key in FOREIGN)
                for key, item in value.items()
            }
        return value

    def notice(self, text: str, *, warning: bool = False) -> None:
        """Emit a notice."""
        self.emit(Notice(text=text, level="warning" if warning else "info"))

    def change(
        self, name: str, detail: str = "", *, act: Callable[[], object] | None = None, disrupts: Sequence[str] = ()
    ) -> None:
        """Report a change in Ambari and, unless this is a dry run, make it with ``act``.

        ``disrupts``: what runs and is stopped, restarted or removed by it. Raises NotAgreedError if that was not
        agreed to, and what ``act`` raises.
        """
        self.changes += 1

        def told(state: Literal["planned", "done", "failed"]) -> Change:
            return Change(phase=self.phase, name=name, state=state, detail=detail, disrupts=list(disrupts))

        if self.dry_run:
            self.emit(told("planned"))
            return
        self.check_cancelled()
        self.consent.require(name, disrupts)
        self.passed()
        try:
            if act is not None:
                act()
        except AmbariError:
            self.emit(told("failed"))
            raise
        self.emit(told("done"))

    def check_cancelled(self) -> None:
        """Raise InterruptedRunError if the user wants to stop."""
        if self.cancelled.is_set():
            raise InterruptedRunError("the deployment was interrupted; run it again to continue")

    def sleep(self, duration: float) -> None:
        """Wait for ``duration`` seconds. Raises InterruptedRunError."""
        self.passed()
        (self.pause or self.cancelled.wait)(duration)
        self.check_cancelled()


def show_difference(old: Mapping[str, str], new: Mapping[str, str], title: str, hidden: frozenset[str]) -> str:
    """Show properties that differ as lines of a diff, without the values of passwords and ``hidden`` ones."""
    lines = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name in hidden or may_be_secret(name):
            before, after = (None if value is None else "***" for value in (before, after))
        lines += value_lines(f"{title}/{name}", before, after)
    return "\n".join(lines)
