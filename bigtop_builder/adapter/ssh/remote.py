"""What the rest of the program sees of a host that SSH reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Output:
    """What a script left: its exit code (-1: a signal ended it) and its texts. Of a long stderr the end is kept."""

    code: int
    stdout: str
    stderr: str


class Remote(Protocol):
    """One host."""

    @property
    def name(self) -> str:
        """Its FQDN."""

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None, user: str | None = None) -> Output:
        """Run a bash script, with sudo when the inventory says so, as ``user`` or as root (or whoever logs in).

        Script and ``stdin`` travel over the channel and are in no process list. ``LC_ALL`` is ``C`` and the system's
        folders are in ``PATH``. ``timeout`` is in seconds; without it ``ssh.command_timeout``. A non-zero exit is no
        error. Raises UnreachableHostError (nothing is known of what happened), HostLimitError, HostError (sudo
        refused, no bash, more output than fits) and InterruptedRunError.
        """

    def close(self) -> None:
        """Close the connection. The next ``run`` opens it again."""
