"""Operations: planned changes to a host, shown before they run.

Facts go in, operations come out; none for a host that is already as wanted. So the same code answers "would it change?"
and then makes the change (pyinfra's model). Files, packages, services and accounts have a module each.
"""

from __future__ import annotations

from dataclasses import dataclass

KEPT = "/var/lib/bigtop-builder"
"""The folder on a host where deployments keep their own files."""

RESTARTS = f"{KEPT}/restart"
"""A file in this folder, named like a service, marks that the service needs a restart. It is created before the change
and removed after the restart, so that the next run makes up for one that was killed in between."""


@dataclass(frozen=True)
class Operation:
    """One change of one host."""

    name: str
    """``write /etc/security/limits.d/90-bigtop-builder.conf``."""
    detail: str
    """The change: a unified diff for files, else a line of text. Never a secret."""
    script: str
    """Bash that makes the change, run with ``set -euo pipefail``. It may run twice. Secrets belong in ``stdin``."""
    stdin: bytes = b""
    restarts: tuple[str, ...] = ()
    """Services that must be restarted afterwards."""
    disrupts: tuple[str, ...] = ()
    """Running services that it stops or restarts."""


@dataclass(frozen=True)
class Cannot:
    """A wanted setting that is impossible on this host, which is not a failure: ``what`` and why."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} cannot be set here: {self.why}"
