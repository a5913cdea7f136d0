"""``hosts check``, and the first look of a deployment: facts of all hosts, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigtop_builder.flow.hosts.facts import gather
from bigtop_builder.hosts import preparation
from bigtop_builder.hosts.checks import Finding, check, wanted
from bigtop_builder.hosts.facts import HostFacts
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.event import AnyEvent, CheckFinished

if TYPE_CHECKING:
    from bigtop_builder.adapter.ssh import Fleet
    from bigtop_builder.recipe.inventory import LoadedInventory


@dataclass(frozen=True)
class HostsChecked:
    """What was found. ``failed``: hosts that could not be looked at."""

    facts: Mapping[str, HostFacts]
    findings: tuple[Finding, ...]
    failed: Mapping[str, HostError]

    @property
    def note(self) -> str:
        """In one line."""
        counts = {level: sum(found.level == level for found in self.findings) for level in ("error", "warning")}
        told = [f"{count} {level}{'s' if count != 1 else ''}" for level, count in counts.items() if count]
        return ", ".join([f"{len(self.facts)} hosts looked at", *told])

    def demand(self) -> None:
        """Raises HostError when a host is not as it must be, or could not be looked at."""
        wrong = {found.host for found in self.findings if found.level == "error" and found.host is not None}
        if self.failed or wrong:
            lost = f"{len(self.failed)} could not be looked at" if self.failed else ""
            bad = f"{len(wrong)} are not as they must be" if wrong else ""
            total = len(self.facts) + len(self.failed)
            raise HostError(
                f"of {total} hosts {' and '.join(filter(None, (lost, bad)))}",
                hint="Mend what is told above. A check that does not matter here goes into require.ignore.",
            )


def check_hosts(
    loaded: LoadedInventory,
    fleet: Fleet,
    emit: Callable[[AnyEvent], None],
    *,
    architectures: frozenset[str] | None = None,
) -> HostsChecked:
    """Look at all hosts, one round trip each; tells HostFailed and CheckFinished of the phase ``check``. The facts
    are those that ``prepare_hosts`` needs too.

    ``architectures``: of the packages in the repository, when they are known. Raises ConfigurationError for
    ``require.ignore``.
    """
    check({}, loaded)
    demand = wanted(loaded) | preparation.wanted(loaded)
    facts, failed = gather(fleet, {host.name: demand for host in loaded.hosts}, phase="check", emit=emit)
    findings = tuple(check(facts, loaded, architectures=architectures))
    for found in findings:
        emit(
            CheckFinished(
                phase="check",
                check=found.check,
                host=found.host,
                level=found.level,
                message=found.message,
                hint=found.hint,
            )
        )
    return HostsChecked(facts, findings, failed)
