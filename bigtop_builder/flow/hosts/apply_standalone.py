"""Plan stand-alone services on hosts, install them, start them in order, and check that they are healthy."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from bigtop_builder.cluster.rolling import Restarts
from bigtop_builder.flow.hosts.facts import gather_some
from bigtop_builder.flow.hosts.operations import (
    Agreement,
    Emit,
    WorkResult,
    apply,
    disrupted,
    report_failure,
    require_agreed,
)
from bigtop_builder.hosts import standalone
from bigtop_builder.hosts.facts import SoftwareFacts
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.script import parse, render
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.event import CheckFinished, Notice, Phase
from bigtop_builder.recipe.inventory import LoadedInventory

if TYPE_CHECKING:
    from bigtop_builder.adapter.ssh.fleet import Fleet
    from bigtop_builder.adapter.ssh.remote import Remote

CHECK = "stand-alone"
EMPTY: Mapping[str, Collection[str]] = MappingProxyType({})
VERIFY_SECONDS = 10
"""How long ``verify`` waits for a service to answer: by then it should be running already."""


@dataclass(frozen=True)
class StandalonePlan:
    """Planned operations: first ``install`` on all hosts, then the ``start`` of each entry in order."""

    install: Mapping[str, tuple[Operation, ...]]
    start: Mapping[str, Mapping[str, tuple[Operation, ...]]]
    """By entry, then by host; entries that have nothing to start are included."""
    lost: Mapping[str, HostError]
    """Hosts whose facts could not be gathered."""

    @property
    def changes(self) -> int:
        """The number of planned operations."""
        starts = [operations for hosts in self.start.values() for operations in hosts.values()]
        return sum(len(operations) for operations in (*self.install.values(), *starts))


def plan_standalone(
    loaded: LoadedInventory,
    fleet: Fleet,
    emit: Emit,
    *,
    phase: Phase = "standalone",
    pending: Mapping[str, Collection[str]] = EMPTY,
) -> StandalonePlan:
    """Gather the facts of all hosts in stand-alone entries, and plan what they lack.

    ``pending``: services by host that restart besides, because of what earlier phases of a dry run would change.
    """
    hosts = _hosts(loaded)
    facts, lost = gather_some(
        SoftwareFacts, fleet, {host: standalone.wanted(loaded, host) for host in hosts}, phase=phase, emit=emit
    )
    install = {host: standalone.install(known, loaded, host) for host, known in facts.items()}
    start: dict[str, dict[str, tuple[Operation, ...]]] = {}
    for name in standalone.order(loaded):
        members = loaded.members(loaded.inventory.standalone[name].hosts)
        start[name] = {
            host: standalone.start(facts[host], loaded, name, install[host], pending.get(host, ()))
            for host in members
            if host in facts
        }
    return StandalonePlan(install, start, lost)


def _hosts(loaded: LoadedInventory) -> tuple[str, ...]:
    return loaded.members([name for entry in loaded.inventory.standalone.values() for name in entry.hosts])


def apply_standalone(
    loaded: LoadedInventory,
    fleet: Fleet,
    emit: Emit,
    *,
    dry_run: bool,
    restart: Restarts = "rolling",
    pending: Mapping[str, Collection[str]] = EMPTY,
    agreement: Agreement | None = None,
) -> WorkResult:
    """Plan the operations and carry them out. Raises what ``agreement`` raises, before anything changes.

    An entry starts only after the entries in its ``after`` are healthy on all their hosts. Its services restart host
    by host, each after the one before is healthy; with ``restart`` all at once, or not at all. ``pending``: see
    ``plan_standalone``.
    """
    plan = plan_standalone(loaded, fleet, emit, pending=pending)
    if restart == "none":
        plan = _without_restarts(plan, emit)
    if agreement is not None and not dry_run:
        require_agreed(plan.start.values(), agreement)
    result = WorkResult(failed=plan.lost)
    result = result.joined(apply(fleet, plan.install, phase="standalone", emit=emit, dry_run=dry_run))
    unwell: set[str] = set()
    dependants = standalone.dependants(loaded)
    starting = {name for name, hosts in plan.start.items() if any(hosts.values())}
    for name, hosts in plan.start.items():
        entry = loaded.inventory.standalone[name]
        blockers = [former for former in entry.after if former in unwell]
        if blockers:
            unwell.add(name)
            if name in starting:
                emit(Notice(level="error", text=f"{name} is not started: {', '.join(blockers)} is not healthy"))
            continue
        turns = _turns(hosts, together=restart == "all")
        for number, turn in enumerate(turns, start=1):
            whole = {host: hosts[host] for host in turn if host not in result.failed}
            result = result.joined(apply(fleet, whole, phase="standalone", emit=emit, dry_run=dry_run))
            if not dry_run and starting & {name, *dependants[name]}:
                healthy = {host: [name] for host in whole if host not in result.failed}
                result = result.joined(WorkResult(failed=_check_health(loaded, fleet, emit, healthy)))
            failed = [host for host in turn if host in result.failed]
            later = [host for others in turns[number:] for host in others]
            if failed and later:
                text = f"{name} is not restarted on {', '.join(later)}: {', '.join(failed)} failed"
                emit(Notice(level="error", text=text))
                break
        if any(host in result.failed for host in loaded.members(entry.hosts)):
            unwell.add(name)
    return result


def _turns(hosts: Mapping[str, tuple[Operation, ...]], *, together: bool) -> list[list[str]]:
    """Return the hosts in turns: first those where nothing restarts, then one after the other those where it does."""
    restarting = [host for host, operations in hosts.items() if any(one.disrupts for one in operations)]
    if together or len(hosts) == 1:
        return [list(hosts)]
    rest = [host for host in hosts if host not in restarting]
    return [*([rest] if rest else []), *([host] for host in restarting)]


def _without_restarts(plan: StandalonePlan, emit: Emit) -> StandalonePlan:
    """Return the plan without restarts of what runs, and warn of them. Their marks stay on the hosts."""
    held = sorted(
        {
            name
            for hosts in plan.start.values()
            for host, operations in hosts.items()
            for one in operations
            for name in disrupted(host, one)
        }
    )
    if not held:
        return plan
    emit(
        Notice(
            level="warning",
            text=f"not restarted, though packages or files have changed: {', '.join(held)}; "
            "bigtop-builder deploy --phase standalone restarts them",
        )
    )
    start = {
        name: {host: tuple(one for one in operations if not one.disrupts) for host, operations in hosts.items()}
        for name, hosts in plan.start.items()
    }
    return replace(plan, start=start)


def verify_standalone(loaded: LoadedInventory, fleet: Fleet, emit: Emit) -> WorkResult:
    """Check that everything matches the inventory and is healthy. Changes nothing; emits a CheckFinished per check."""
    plan = plan_standalone(loaded, fleet, emit, phase="verify")
    failed: dict[str, HostError] = dict(plan.lost)
    for host, installs in plan.install.items():
        starts = [operation for hosts in plan.start.values() for operation in hosts.get(host, ())]
        for operation in (*installs, *starts):
            emit(_differs(host, operation))
            failed[host] = HostError(f"{host} does not match the inventory: {operation.name}")
        if host not in failed:
            emit(CheckFinished(phase="verify", check=CHECK, host=host, level="ok", message="matches the inventory"))
    well = [host for host in plan.install if host not in plan.lost]
    names = {host: [name for name, _ in standalone.entries_of(loaded, host)] for host in well}
    unwell = _check_health(loaded, fleet, emit, names, phase="verify", within=VERIFY_SECONDS)
    return WorkResult(failed={**failed, **unwell})


def _differs(host: str, operation: Operation) -> CheckFinished:
    detail = f" ({operation.detail})" if "\n" not in operation.detail else ""
    return CheckFinished(
        phase="verify",
        check=CHECK,
        host=host,
        level="error",
        message=f"does not match the inventory; needed: {operation.name}{detail}",
        hint="run deploy --phase standalone",
    )


def _check_health(
    loaded: LoadedInventory,
    fleet: Fleet,
    emit: Emit,
    entries: Mapping[str, Sequence[str]],
    *,
    phase: Phase = "standalone",
    within: int | None = None,
) -> dict[str, HostError]:
    """Check the entries of each host, one round trip per host. Returns the hosts that are not healthy."""
    probes = {
        host: [probe for name in names for probe in standalone.probes(loaded, name, host, within=within)]
        for host, names in entries.items()
    }
    probes = {host: found for host, found in probes.items() if found}

    def work(remote: Remote) -> str:
        mark = f"bigtop-builder-{secrets.token_hex(8)}"
        found = probes[remote.name]
        operations = [Operation(probe.what, "", probe.script) for probe in found]
        script, stdin = render(operations, mark, keep_going=True)
        outcomes = parse(remote.run(script, stdin=stdin).stdout, mark)
        bad: list[str] = []
        for probe, outcome in zip(found, outcomes, strict=True):
            message = f"{probe.service}: {probe.what}"
            if outcome.code:
                message = outcome.lines[-1] if outcome.lines else f"{message}: exit code {outcome.code}"
                bad.append(message)
            emit(
                CheckFinished(
                    phase=phase,
                    check=f"{CHECK} {probe.entry}",
                    host=remote.name,
                    level="error" if outcome.code else "ok",
                    message=message,
                    hint=f"see the log of {probe.service} on the host" if outcome.code else None,
                )
            )
        return "; ".join(bad)

    results = fleet.each(work, list(probes), done=report_failure(phase, emit)) if probes else {}
    return {
        host: result if isinstance(result, HostError) else HostError(f"{host}: {result}")
        for host, result in results.items()
        if result
    }
