"""Upgrade a cluster's services to other packages: find out from the hosts what differs, and go service by service.

BIGTOP has no upgrade packs. So components are stopped and started through Ambari, and in between packages and the
selector's links are changed over SSH. Agents report the new version when a component starts, and Ambari then renames
the repository version of the services; a ``PUT`` of another version is accepted and ignored by the server (read in the
sources of 3.0: ServiceResourceProvider, StackVersionListener). For another version of the stack see ``stack_upgrade``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cmp_to_key
from typing import TYPE_CHECKING

from bigtop_builder.cluster.upgrade import Catalog, Former, HostNow, Upgrade, plan_upgrade, read_former
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.host_states import UNINSTALLED
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import registered, switch_repositories, version_of
from bigtop_builder.flow.deploy.upgrade_step import ANNOUNCED, UpgradeStep
from bigtop_builder.flow.deploy.verification import checkable
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.flow.hosts.facts import gather_some
from bigtop_builder.flow.hosts.operations import WorkResult, apply
from bigtop_builder.flow.publish.stack_check import read_packages
from bigtop_builder.hosts.facts import SoftwareFacts, Wanted
from bigtop_builder.hosts.upgrade import FORMER, set_packages
from bigtop_builder.model.errors import AmbariError, HostError, InterruptedRunError, PublishError
from bigtop_builder.model.evr import compare_evr, parse_evr

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.service import HostComponent
    from bigtop_builder.hosts.operation import Operation

SHOWN = 8


def upgrade(
    connections: Connections,
    world: World,
    reporter: Reporter,
    before_start: Mapping[str, tuple[Operation, ...]] | None = None,
) -> None:
    """Upgrade to the packages that inventory and repository say. Raises AmbariError with what was rolled back.

    ``before_start``, by host, runs before services start with the new packages; with it the upgrade is part of one of
    the stack, whose services all go back together, and not one by one.
    """
    if not moves_packages(world):
        _warn_of_version(connections.client, world, reporter)
        return
    if not connections.packages_known:
        return
    components = _installed(world)
    if not components:
        return
    facts = _facts(connections, reporter, components)
    plan = _plan(connections.client, world, components, facts)
    _report(reporter, plan)
    if not plan.steps and not plan.tools:
        return
    if reporter.restart == "none":
        names = ", ".join(name for step in plan.steps for name in step.services) or "the selector"
        reporter.notice(f"{names} stays with the present packages: --restart none moves nothing", warning=True)
        return
    _require_stoppable(components, plan)
    checked = frozenset(checkable(connections.client, world, reporter)) if not reporter.dry_run else frozenset[str]()
    steps = [UpgradeStep(connections, world, reporter, step, facts, checked, before_start) for step in plan.steps]
    if before_start is None:
        _announce_first(connections.client, world, steps)
    back = switch_repositories(connections.client, world, reporter)
    _tools(connections, reporter, plan, facts)
    moved: list[str] = []
    for step in steps:
        try:
            step.carry_out()
        except InterruptedRunError:
            raise
        except AmbariError as error:
            if before_start is not None:
                raise
            if not moved and back is not None:
                back()
            kept = f"; upgraded before and kept: {', '.join(moved)}" if moved else ""
            raise AmbariError(error.message + kept, hint=error.hint) from error
        moved += step.step.services
    _confirm(connections.client, world, reporter)


def moves_packages(world: World) -> bool:
    """Return whether deployments move the cluster to other packages: only from repositories of the inventory."""
    return bool(world.inventory.repositories)


def _warn_of_version(client: Ambari, world: World, reporter: Reporter) -> None:
    """Tell that the cluster has other packages than the inventory names, if only a person can move it."""
    wanted = world.inventory.stack.repository_version
    present = registered(client, world) if wanted else None
    if present is not None and present.version != wanted:
        reporter.notice(
            f"{world.loaded.place('stack', 'repository_version')}: the cluster has the packages of {present.version}, "
            f"not {wanted}; without repositories in the inventory a deployment does not move it",
            warning=True,
        )


def install_ahead(connections: Connections, world: World, reporter: Reporter) -> bool:
    """Install the packages of another version beside the present ones, while everything runs.

    Return whether an earlier upgrade has not ended; then nothing is installed. Raises AmbariError, HostError.
    """
    components = _installed(world)
    facts = _facts(connections, reporter, components)
    plan = _plan(connections.client, world, components, facts)
    if any(_former(one) is not None for one in facts.values()):
        return True
    _require_stoppable(components, plan)
    _tools(connections, reporter, plan, facts)
    wanted: dict[str, dict[str, str]] = {host: dict(tools) for host, tools in plan.tools.items()}
    work: dict[str, tuple[Operation, ...]] = {}
    for host in components:
        present = installed(facts[host])
        moves = [step.moves[host] for step in plan.steps if host in step.moves]
        new = {name: evr for move in moves for name, evr in move.packages.items() if name not in present}
        work[host] = set_packages(new, present)
        wanted.setdefault(host, {}).update(new)
    result = apply(connections.fleet, work, phase=reporter.phase, emit=reporter.emit, dry_run=reporter.dry_run)
    reporter.changes += result.changes
    error = result.error()
    if error is not None:
        raise error
    if reporter.dry_run:
        world.expected.packages = wanted
    return False


def _installed(world: World) -> dict[str, list[HostComponent]]:
    """Return the components that Ambari has installed, by host of the inventory."""
    ours = set(world.hosts)
    found: dict[str, list[HostComponent]] = {}
    for one in world.components():
        if one.host in ours and one.state not in UNINSTALLED:
            found.setdefault(one.host, []).append(one)
    return found


def _facts(
    connections: Connections, reporter: Reporter, components: Mapping[str, list[HostComponent]]
) -> dict[str, SoftwareFacts]:
    """Gather the facts of the hosts, in one round trip each. Raises HostError."""
    wanted = dict.fromkeys(components, Wanted(files=(FORMER,)))
    facts, lost = gather_some(SoftwareFacts, connections.fleet, wanted, phase=reporter.phase, emit=reporter.emit)
    error = WorkResult(failed=lost).error()
    if error is not None:
        raise error
    return facts


def _plan(
    client: Ambari,
    world: World,
    components: Mapping[str, list[HostComponent]],
    facts: Mapping[str, SoftwareFacts],
) -> Upgrade:
    families = {host.name: host.os_family for host in client.hosts()}
    hosts = {
        host: HostNow(
            families[host],
            frozenset(one.component for one in own),
            {**installed(facts[host]), **world.expected.packages.get(host, {})},
            facts[host].selectors,
            _former(facts[host]),
        )
        for host, own in components.items()
    }
    return plan_upgrade(
        world.stack,
        hosts,
        _catalogs(world, {now.family for now in hosts.values()}),
        version_of(world),
        latest=world.inventory.stack.packages == "latest",
    )


def installed(facts: SoftwareFacts) -> dict[str, str]:
    """Return the EVR of each installed package; the newest of several with the same name."""
    newest = cmp_to_key(_compare)
    return {name: max((one.evr for one in found), key=newest) for name, found in facts.packages.items()}


def _former(facts: SoftwareFacts) -> Former | None:
    """Return what an unfinished upgrade left on the host, or None. Raises HostError if it is unreadable."""
    file = facts.files.get(FORMER)
    if file is None:
        return None
    try:
        return read_former(file.text or "")
    except ValueError as error:
        raise HostError(
            f"{facts.name}: {FORMER} is unreadable: {error}",
            hint="It records what the host had before an unfinished upgrade; remove it if you know that otherwise.",
        ) from error


def _catalogs(world: World, families: Iterable[str]) -> dict[str, Catalog]:
    found = {}
    for family in sorted(families):
        logins = world.logins(family)
        places = list(logins)
        try:
            packages = read_packages(places, {at: login for at, login in logins.items() if login})
            found[family] = Catalog(packages, _compare)
        except PublishError as error:
            raise AmbariError(f"the repository {', '.join(places)}: {error.message}", hint=error.hint) from error
    return found


def _report(reporter: Reporter, plan: Upgrade) -> None:
    if plan.available:
        names = [f"{name} {old} -> {new}" for name, (old, new) in plan.available.items()]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        reporter.notice(
            f"the repository has newer packages: {', '.join(names[:SHOWN])}{more}; "
            "`stack.packages: latest` in the inventory upgrades to them"
        )
    if plan.lost:
        reporter.notice(
            f"the repository no longer has {', '.join(plan.lost)}: a rollback to them would be impossible", warning=True
        )


def _require_stoppable(components: Mapping[str, list[HostComponent]], plan: Upgrade) -> None:
    """Raise AmbariError for what Ambari cannot stop: hosts without a heartbeat, components in maintenance."""
    moving = [
        one
        for step in plan.steps
        for host in step.moves
        for one in components.get(host, ())
        if one.service in step.services
    ]
    lost = sorted({one.host for one in moving if one.state == "UNKNOWN"})
    if lost:
        raise AmbariError(
            f"Ambari gets no heartbeat from {', '.join(lost)}, where services have to be upgraded",
            hint="Start their agents (ambari-agent start), then run the deployment again; nothing was changed.",
        )
    resting = sorted(f"{one.component} on {one.host}" for one in moving if one.maintenance)
    if resting:
        raise AmbariError(
            f"components in maintenance, which Ambari does not stop: {', '.join(resting)}",
            hint="End the maintenance in Ambari, then run the deployment again; nothing was changed.",
        )


def _announce_first(client: Ambari, world: World, steps: Sequence[UpgradeStep]) -> None:
    """Have the version announced if HDFS would be the first to report it. Raises AmbariError if no client can."""
    present = registered(client, world)
    if present is None or present.version == version_of(world):
        return
    first = next((step for step in steps if step.has_servers), None)
    if first is not None and ANNOUNCED in first.step.services:
        first.announce()


def _tools(connections: Connections, reporter: Reporter, plan: Upgrade, facts: Mapping[str, SoftwareFacts]) -> None:
    """Upgrade the selector first: it must know the folders and names of the new version."""
    work = {host: set_packages(wanted, installed(facts[host])) for host, wanted in plan.tools.items()}
    result = apply(connections.fleet, work, phase=reporter.phase, emit=reporter.emit, dry_run=reporter.dry_run)
    reporter.changes += result.changes
    error = result.error()
    if error is not None:
        raise error


def _confirm(client: Ambari, world: World, reporter: Reporter) -> None:
    if reporter.dry_run:
        return
    present = registered(client, world)
    if present is not None and present.version != version_of(world):
        reporter.notice(
            f"Ambari still calls the version {present.version}: it learns of {version_of(world)} when a "
            "component that reports its version starts",
            warning=True,
        )


def _compare(one: str, other: str) -> int:
    return compare_evr(parse_evr(one), parse_evr(other))
