"""The interface of a host that is reachable over SSH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Output:
    """The result of a script: exit code (-1: ended by a signal) and output. Only the end of a long stderr is kept."""

    code: int
    stdout: str
    stderr: str


class Remote(Protocol):
    """One host."""

    @property
    def name(self) -> str:
        """Its FQDN."""

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None, user: str | None = None) -> Output:
        """Run a bash script as ``user``, else as root (with sudo, if the inventory says so) or as the log-in user.

        Script and ``stdin`` travel over the channel and never show in a process list. ``LC_ALL`` is ``C``, and ``PATH``
        includes the system's folders. ``timeout``: in seconds; default ``ssh.command_timeout``. A non-zero exit code is
        not an error. Raises UnreachableHostError (what happened on the host is unknown), HostLimitError, HostError
        (sudo failed, no bash, too much output) and InterruptedRunError.
        """

    def close(self) -> None:
        """Close the connection. The next ``run`` opens it again."""
