"""Consent: nothing that runs is stopped, restarted or removed unless somebody has agreed to it.

A change says what it disrupts (``Reporter.change(…, disrupts=…)``). Before a run changes anything, the dry run of the
same phases tells what all of them will disrupt, and one question asks for it (see ``preview``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bigtop_builder.model.errors import ConfigurationError

MOST_NAMED = 10


@dataclass(frozen=True)
class Question:
    """A question to the person who started the command."""

    title: str
    """What the command would do, as a sentence without an end: ``this stops or restarts what runs on cluster c1``."""
    lines: Sequence[str] = ()
    """The single changes."""


Confirm = Callable[[Question], None]
"""Asks a question, and returns if the answer is yes. Raises ConfigurationError if not, or if nobody can be asked."""


class NotAgreedError(ConfigurationError):
    """A change would disrupt what nobody has agreed to."""


class Consent:
    """What may be disrupted: components on hosts (``DATANODE on node1``) and services; without ``agreed`` anything."""

    def __init__(self, agreed: Iterable[str] | None = None) -> None:
        self._agreed = None if agreed is None else frozenset(agreed)
        self.cluster_is_new = False
        """Whether this run has created the cluster, so that nobody uses yet what Ambari manages."""

    def require(self, change: str, disrupts: Iterable[str]) -> None:
        """Raise NotAgreedError if the change disrupts anything in the cluster that was not agreed to."""
        if not self.cluster_is_new:
            self.require_outside(change, disrupts)

    def require_outside(self, change: str, disrupts: Iterable[str]) -> None:
        """Do the same for what Ambari does not manage, which may run before there is a cluster."""
        if self._agreed is None:
            return
        missing = sorted({*disrupts} - self._agreed)
        if missing:
            more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
            raise NotAgreedError(
                f"nobody has agreed to this: {change}; it disrupts {', '.join(missing[:MOST_NAMED])}{more}",
                hint="It was not known before the run. Run the command again: it asks for what is left to do.",
            )
