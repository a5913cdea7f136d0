"""``hosts check``, and the first phase of a deployment: gather the facts of all hosts and check them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigtop_builder.flow.hosts.facts import gather
from bigtop_builder.hosts import preparation
from bigtop_builder.hosts.checks import Finding, check, wanted
from bigtop_builder.hosts.facts import HostFacts, Wanted
from bigtop_builder.hosts.repository_access import ALL_OPEN, Accesses
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.event import AnyEvent, CheckFinished

if TYPE_CHECKING:
    from bigtop_builder.adapter.ssh import Fleet
    from bigtop_builder.recipe.inventory import LoadedInventory


@dataclass(frozen=True)
class HostsChecked:
    """Facts and findings of all hosts. ``failed``: hosts whose facts could not be gathered."""

    facts: Mapping[str, HostFacts]
    findings: tuple[Finding, ...]
    failed: Mapping[str, HostError]

    @property
    def note(self) -> str:
        """A summary in one line."""
        counts = {level: sum(found.level == level for found in self.findings) for level in ("error", "warning")}
        totals = [f"{count} {level}{'s' if count != 1 else ''}" for level, count in counts.items() if count]
        return ", ".join([f"{len(self.facts)} hosts checked", *totals])

    def raise_for_errors(self) -> None:
        """Raise HostError if a host has an error, or if its facts could not be gathered."""
        wrong = {found.host for found in self.findings if found.level == "error" and found.host is not None}
        if self.failed or wrong:
            lost = f"{len(self.failed)} could not be checked" if self.failed else ""
            bad = f"{len(wrong)} do not meet the requirements" if wrong else ""
            total = len(self.facts) + len(self.failed)
            raise HostError(
                f"of {total} hosts {' and '.join(filter(None, (lost, bad)))}",
                hint="Fix the problems listed above. Put a check that does not matter here into require.ignore.",
            )


def check_hosts(
    loaded: LoadedInventory,
    fleet: Fleet,
    emit: Callable[[AnyEvent], None],
    *,
    architectures: frozenset[str] | None = None,
    also: Mapping[str, Wanted] | None = None,
    accesses: Accesses = ALL_OPEN,
) -> HostsChecked:
    """Check all hosts, one round trip each. Emits HostFailed and CheckFinished events of the phase ``check``.

    The facts include those that ``prepare_hosts`` needs. ``architectures``: of the packages in the repository, if
    known; ``also``: what a caller wants to know of some hosts besides. Raises ConfigurationError if ``require.ignore``
    names an unknown check.
    """
    check({}, loaded)  # Fails for a bad require.ignore before any host is contacted.
    needed = wanted(loaded, accesses) | preparation.wanted(loaded)
    each = {host.name: needed | (also or {}).get(host.name, Wanted()) for host in loaded.hosts}
    facts, failed = gather(fleet, each, phase="check", emit=emit)
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
