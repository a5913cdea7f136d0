"""A process that outlives the command that started it, and can be identified reliably later."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

END_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """A process, identified by its id and its start time (in kernel ticks), because ids are reused."""

    pid: int
    started: str

    @property
    def running(self) -> bool:
        """Whether this very process is still running."""
        return self.started != "" and _started(self.pid) == self.started

    def end(self) -> None:
        """End the process: SIGTERM first, SIGKILL after ten seconds. Does nothing if it has ended."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + END_SECONDS
            with contextlib.suppress(ProcessLookupError):
                if self.running:
                    os.kill(self.pid, number)
            while self.running and time.monotonic() < deadline:
                time.sleep(0.05)
        # A child of this process remains a zombie until it is waited for.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)


def start(argv: Sequence[str], *, environment: Mapping[str, str], log: Path) -> Process:
    """Start a program in its own session, with its output in ``log``. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(argv[0], list(argv), dict(environment), file_actions=actions, setsid=True)
    return Process(pid, _started(pid))


def _started(pid: int) -> str:
    """Return the start time of a process; empty if it does not exist or is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The program's name is in brackets and may contain anything, including brackets.
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
