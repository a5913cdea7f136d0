"""Restart what runs with an outdated configuration, in an order and in turns that keep services up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari.errors import RefusedError
from bigtop_builder.cluster.rolling import ALONE, CHECKED, Restart, restarts
from bigtop_builder.flow.deploy.desired_layout import is_client
from bigtop_builder.flow.deploy.host_states import listed
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.request_follower import carry_out
from bigtop_builder.flow.deploy.verification import check_service
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.service import HostComponent

UP_SECONDS = 120.0
"""Time limit for a restarted component to be reported as running."""
STANDBY_SECONDS = 300.0
"""Time limit for a restarted NameNode to be a standby again: it reads its image first."""
WATCH_SECONDS = 25.0
"""How long the first of several is watched: agents look every 20 seconds. Recorded: DataNodes that ended 8 s after
"START COMPLETED" and were still shown as STARTED."""
CHECKS = 3
"""Service checks before the service counts as broken."""
AT_ONCE = "deploy --restart all restarts everything at once, whatever runs."


def restart_outdated(client: Ambari, world: World, reporter: Reporter, *, repairing: bool = False) -> bool:
    """Restart running components and clients whose configuration is outdated; stopped components stay stopped.

    Return whether there were any. ``repairing``: something is down, and may come up only after this. Raises AmbariError
    if a component does not come back, or if a restart would end a service; those that have not had their turn stay as
    they are.
    """
    stale = _outdated(world)
    if not stale or reporter.restart == "none":
        return False
    placed: dict[str, set[str]] = defaultdict(set)
    for one in stale:
        placed[one.component].add(one.host)
    standby = _standby(client, world) if len(placed.get("NAMENODE", ())) > 1 else frozenset()
    waves = restarts(world.stack, placed, {"NAMENODE": standby}, together=reporter.restart == "all")
    careful = reporter.restart == "rolling" and not repairing
    for number, wave in enumerate(waves):
        members = [one for one in stale if one.component in wave.components and one.host in wave.hosts]
        try:
            if careful and not reporter.dry_run:
                _require_spare(client, world, reporter, waves[:number], wave, members)
            _restart(client, world, reporter, members, wave, f"wave {number + 1} of {len(waves)}", bool(standby))
        except AmbariError as error:
            left = [one for one in _outdated(world) if (one.host, one.component) not in _places(members)]
            rest = f"; not restarted yet, with an outdated configuration: {listed(left)}" if left else ""
            error.message = f"wave {number + 1} of {len(waves)} of the restarts: {error.message}{rest}"
            raise
    return True


def warn_of_outdated(world: World, reporter: Reporter) -> None:
    """Tell what still has to be restarted, if restarts are not wanted."""
    stale = _outdated(world)
    if stale and reporter.restart == "none":
        reporter.notice(
            f"not restarted, with an outdated configuration: {listed(stale)}; "
            "bigtop-builder deploy --phase start restarts them",
            warning=True,
        )


def _outdated(world: World) -> list[HostComponent]:
    return [
        one
        for one in world.components()
        if one.stale
        and not one.maintenance
        and not world.is_leaving(one)
        and (one.state == "STARTED" or is_client(world.stack, one.component))
    ]


def _places(components: Collection[HostComponent]) -> set[tuple[str, str]]:
    return {(one.host, one.component) for one in components}


def _restart(
    client: Ambari,
    world: World,
    reporter: Reporter,
    members: Sequence[HostComponent],
    wave: Restart,
    title: str,
    standby: bool,
) -> None:
    """Restart one wave and wait until it is healthy."""
    servers = [one for one in members if not is_client(world.stack, one.component)]
    placed: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in members:
        placed[(one.service, one.component)].append(one.host)
    targets = [(service, component, sorted(hosts)) for (service, component), hosts in sorted(placed.items())]
    carry_out(
        client,
        world,
        reporter,
        f"restart {listed(members)} ({title}, because of {', '.join(world.expected.why(members))})",
        partial(client.restart_components, world.cluster, targets),
        _afterwards(wave, members, standby),
        disrupts=[f"{one.component} on {one.host}" for one in servers],
    )
    world.expected.state(servers, "STARTED", current=True)
    world.expected.state([one for one in members if one not in servers], "INSTALLED", current=True)
    if reporter.dry_run or not servers:
        return
    _await_health(client, world, reporter, wave, _places(servers), standby)
    for service in _checked(members, wave):
        _check(client, world, reporter, service, f"after the restart of {listed(servers)}")


def _checked(members: Collection[HostComponent], wave: Restart) -> list[str]:
    return sorted({one.service for one in members if wave.checked and one.component in CHECKED})


def _afterwards(wave: Restart, members: Collection[HostComponent], standby: bool) -> str:
    """Return what has to be well before the next wave."""
    if wave.checked:
        return f"then the service check of {', '.join(_checked(members, wave))}"
    if standby and wave.components == ("NAMENODE",):
        return "then a wait until it is active or standby again"
    return f"then a watch of {WATCH_SECONDS:.0f} s, before the others follow" if wave.watched else ""


def _require_spare(
    client: Ambari,
    world: World,
    reporter: Reporter,
    before: Sequence[Restart],
    wave: Restart,
    members: Collection[HostComponent],
) -> None:
    """Raise AmbariError if one of a quorum is down already, or if its service does not work before the first restart.

    An earlier run may have ended between a restart and the look after it.
    """
    name = wave.components[0]
    peers = [one for one in world.components() if one.component == name]
    if name not in ALONE or len(peers) == 1:
        return
    down = [one for one in peers if one.state != "STARTED" and one.host not in wave.hosts]
    if down:
        raise AmbariError(
            f"{listed(down)} does not run, so that a restart of {listed(members)} could end the service",
            hint=f"Start it first. {AT_ONCE}",
        )
    if wave.checked and not any(one.components == wave.components for one in before):
        for service in _checked(members, wave):
            _check(client, world, reporter, service, "before any restart", AT_ONCE)


def _await_health(
    client: Ambari,
    world: World,
    reporter: Reporter,
    wave: Restart,
    places: Collection[tuple[str, str]],
    standby: bool,
) -> None:
    begin, poll = reporter.clock(), seconds(world.loaded.ambari.poll)

    def down() -> list[HostComponent]:
        return [one for one in world.components() if (one.host, one.component) in places and one.state != "STARTED"]

    while down() and reporter.clock() - begin < UP_SECONDS:
        reporter.sleep(poll)
    if wave.watched and not down():
        reporter.sleep(WATCH_SECONDS)
    if left := down():
        raise AmbariError(
            f"{listed(left)} does not stay up after its restart",
            hint="See its log on the host. Correct the configuration and run the deployment again.",
        )
    if standby and wave.components == ("NAMENODE",):
        while not {*wave.hosts} <= {*_ha_states(client, world)}:
            if reporter.clock() - begin > STANDBY_SECONDS:
                raise AmbariError(
                    f"NAMENODE on {', '.join(wave.hosts)} is neither active nor standby "
                    f"{STANDBY_SECONDS:.0f} s after its restart",
                    hint="See its log on the host; then run the deployment again.",
                )
            reporter.sleep(poll)


def _check(client: Ambari, world: World, reporter: Reporter, service: str, when: str, hint: str | None = None) -> None:
    if not check_service(client, world, reporter, service, attempts=CHECKS):
        raise AmbariError(f"the service check of {service} failed {when}", hint=hint)


def _standby(client: Ambari, world: World) -> Collection[str]:
    """Return the hosts whose NameNode is not the active one; empty if nobody says which is."""
    states = _ha_states(client, world)
    return frozenset(host for host, state in states.items() if state != "active") if "active" in states.values() else ()


def _ha_states(client: Ambari, world: World) -> Mapping[str, str]:
    """Return the state of each NameNode that reports one: ``active`` or ``standby``."""
    try:
        return client.ha_states(world.cluster, "NAMENODE")
    except RefusedError:
        return {}
