"""Gather the facts of hosts in parallel, one round trip per host."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from bigtop_builder.flow.hosts.operations import Emit, report_failure
from bigtop_builder.hosts.facts import Gathered, HostFacts, Wanted
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.event import Phase

if TYPE_CHECKING:
    from bigtop_builder.adapter.ssh.fleet import Fleet
    from bigtop_builder.adapter.ssh.remote import Remote


F = TypeVar("F", bound=Gathered)


def gather(
    fleet: Fleet, wanted: Mapping[str, Wanted], *, phase: Phase, emit: Emit
) -> tuple[dict[str, HostFacts], dict[str, HostError]]:
    """Return the facts of the hosts in ``wanted``, and the errors of those that failed; one round trip each."""
    return gather_some(HostFacts, fleet, wanted, phase=phase, emit=emit)


def gather_some(
    kind: type[F], fleet: Fleet, wanted: Mapping[str, Wanted], *, phase: Phase, emit: Emit
) -> tuple[dict[str, F], dict[str, HostError]]:
    """Do the same with the facts of a class that has only those which the caller needs."""

    def work(remote: Remote) -> F:
        began = time.time()
        output = remote.run(kind.script(wanted[remote.name]))
        return kind.parse(remote.name, output.stdout, began=began, ended=time.time())

    results = fleet.each(work, list(wanted), done=report_failure(phase, emit)) if wanted else {}
    facts = {host: result for host, result in results.items() if isinstance(result, kind)}
    return facts, {host: result for host, result in results.items() if isinstance(result, HostError)}
