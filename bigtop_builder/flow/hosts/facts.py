"""Gather the facts of hosts in parallel, one round trip per host."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bigtop_builder.flow.hosts.operations import Emit, report_failure
from bigtop_builder.hosts.facts import HostFacts, Wanted
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.event import Phase

if TYPE_CHECKING:
    from bigtop_builder.adapter.ssh.fleet import Fleet
    from bigtop_builder.adapter.ssh.remote import Remote


def gather(
    fleet: Fleet, wanted: Mapping[str, Wanted], *, phase: Phase, emit: Emit
) -> tuple[dict[str, HostFacts], dict[str, HostError]]:
    """Return the facts of the hosts in ``wanted``, and the errors of those that failed; one round trip each."""

    def work(remote: Remote) -> HostFacts:
        began = time.time()
        output = remote.run(HostFacts.script(wanted[remote.name]))
        return HostFacts.parse(remote.name, output.stdout, began=began, ended=time.time())

    results = fleet.each(work, list(wanted), done=report_failure(phase, emit)) if wanted else {}
    facts = {host: result for host, result in results.items() if isinstance(result, HostFacts)}
    return facts, {host: result for host, result in results.items() if isinstance(result, HostError)}
