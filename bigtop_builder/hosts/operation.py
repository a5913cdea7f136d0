"""Operations: what is to be done on a host, told before it is done.

Facts go in, operations come out; where a host is as wanted, none do. So the same code answers 'would it change?' and
then does it (as in pyinfra's model). Files, packages, services and accounts have a module each.
"""

from __future__ import annotations

from dataclasses import dataclass

KEPT = "/var/lib/bigtop-builder"
"""On a host: what deployments keep there."""

RESTARTS = f"{KEPT}/restart"
"""On a host: a file here, named like a service, says that what the service stands on has changed since it was started.
It is made before the change and removed after the restart, so that a run that was killed in between is made good."""


@dataclass(frozen=True)
class Operation:
    """One change of one host."""

    name: str
    """``write /etc/security/limits.d/90-bigtop-builder.conf``."""
    detail: str
    """What changes: a unified diff for files, else a line of text. Never a secret."""
    script: str
    """Bash that does it, run with ``set -euo pipefail``; it may run twice, and holds no secret: those go to stdin."""
    stdin: bytes = b""
    restarts: tuple[str, ...] = ()
    """Services that must be restarted afterwards."""


@dataclass(frozen=True)
class Cannot:
    """Something that is wanted and cannot be had on this host, which is no failure: ``what`` and why."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} cannot be set here: {self.why}"
