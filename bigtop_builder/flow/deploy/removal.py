"""Remove from the cluster what has left the inventory: only with ``deploy --remove``, and never silently.

Masters that another host takes over are stopped before their successors start (``make_way``). Everything else leaves
last, when what stays runs: followers are taken out of service by their master, then all of it is stopped and removed,
and at the end hosts and services (``remove``). Of a service that leaves as a whole nothing is taken out of service:
there is nobody to take over. All of it is read from Ambari, so that an interrupted removal continues where it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.cluster.moved_hosts import left_over, moved_properties, with_moved
from bigtop_builder.cluster.outdated import outdated_with
from bigtop_builder.cluster.removal import DECOMMISSIONED, Member, Removal, obstacles, removal
from bigtop_builder.flow.deploy.decommission import await_decommission, decommission
from bigtop_builder.flow.deploy.desired_layout import desired_layout, is_client, services_of
from bigtop_builder.flow.deploy.host_states import HEARD, UNINSTALLED, await_reports, installed, listed
from bigtop_builder.flow.deploy.pending_requests import settle
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.request_follower import carry_out
from bigtop_builder.flow.deploy.service_state import put_state
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import AmbariError, BigtopBuilderError, ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.cluster import ClusterView
    from bigtop_builder.adapter.ambari.service import HostComponent
    from bigtop_builder.cluster.layout import Layout

RUNNING = frozenset({"STARTED", "STARTING", "STOPPING", "UNKNOWN"})


def leaving(client: Ambari, world: World, view: ClusterView) -> Removal:
    """Return what the cluster has beyond the inventory's layout, which must be known."""
    assert world.layout is not None
    members = _members(world)
    services = services_of(world.stack, world.layout)
    found = removal(world.layout, view.hosts, view.services, services, members, world.removing.gone)
    followers = sorted({one.component for one in found.members} & DECOMMISSIONED.keys())
    states = {name: client.admin_states(world.cluster, name) for name in followers}
    out = {(host, name) for name, by_host in states.items() for host, state in by_host.items() if state != "INSERVICE"}
    return found.marked(out)


def _members(world: World) -> list[Member]:
    return [
        Member(
            one.host,
            one.component,
            one.service,
            one.state,
            one.maintenance,
            died=one.desired_state == "STARTED" != one.state,
        )
        for one in world.components()
    ]


def removal_refusals(client: Ambari, world: World, view: ClusterView) -> Iterator[BigtopBuilderError]:
    """Yield why what has left the inventory cannot be removed."""
    if world.layout is None:
        return
    found = leaving(client, world, view)
    yield from _gone_mistakes(client, world, found)
    replication = _replication(client, world, view) if any(one.component == "DATANODE" for one in found.members) else 0
    for one in obstacles(found, world.layout, world.stack, _members(world), replication):
        yield AmbariError(one.message, hint=one.hint, location=world.loaded.place("groups"))


def _gone_mistakes(client: Ambari, world: World, found: Removal) -> Iterator[BigtopBuilderError]:
    assert world.layout is not None
    states = {host.name: host.state for host in client.hosts() if host.cluster == world.cluster}
    for host in sorted(found.gone):
        if host in world.layout.hosts:
            yield ConfigurationError(
                f"--gone: the inventory still has the host {host}",
                hint="Remove it from its group, or leave --gone out.",
            )
        elif states.get(host) in HEARD:
            yield ConfigurationError(
                f"--gone: Ambari hears from {host}: it is not gone",
                hint="Leave --gone out: what is on it is stopped before it is removed.",
            )
    silent = [host for host in found.hosts if host not in found.gone and states.get(host) not in HEARD]
    if silent:
        flags = " ".join(f"--gone {host}" for host in silent)
        yield AmbariError(
            f"Ambari does not hear from {', '.join(silent)}, where something may still run",
            hint=f"Start the agents (ambari-agent start). For hosts that no longer exist: deploy --remove {flags}",
        )


def _replication(client: Ambari, world: World, view: ClusterView) -> int:
    assert world.layout is not None
    given = world.layout.property("hdfs-site", "dfs.replication")
    if given is None and (tag := view.desired_configs.get("hdfs-site")):
        given = client.configuration(world.cluster, "hdfs-site", tag).properties.get("dfs.replication")
    return int(str(given)) if str(given).isdigit() else 3


def with_moved_hosts(client: Ambari, world: World, reporter: Reporter, view: ClusterView, layout: Layout) -> Layout:
    """Return the layout with the properties that name a host whose component moves, and report what is left over."""
    if not world.removing.wanted:
        return layout
    found = leaving(client, world, view)
    servers = [one for one in found.members if not is_client(world.stack, one.component)]
    if not servers and not found.hosts:
        return layout
    present = {
        kind: client.configuration(world.cluster, kind, tag).properties for kind, tag in view.desired_configs.items()
    }
    moved = moved_properties(found, layout, present)
    given = {kind: {str(name): "" for name in own} for kind, own in layout.configurations.items()}
    after = {kind: {**moved.get(kind, {}), **given.get(kind, {})} for kind in present}
    for text in left_over(found.hosts, present, after):
        reporter.notice(
            f"{text} still names a host that leaves; give it in configurations if that matters", warning=True
        )
    return with_moved(layout, moved)


def make_way(client: Ambari, world: World, reporter: Reporter) -> None:
    """Stop and remove masters that leave, before those start that take their place. Raises AmbariError."""
    if not world.removing.wanted or client.cluster(world.cluster) is None:
        return
    settle(client, world, reporter)
    found = _allowed(client, world, reporter)
    masters = [one for one in found.members if _makes_way(world, one)]
    if not masters:
        return
    assert world.layout is not None
    present = {(one.host, one.component): one.state for one in world.components()}
    missing = sorted(
        f"{component} on {host}"
        for component in {one.component for one in masters}
        for host in world.layout.hosts_with(component)
        if present.get((host, component), "INIT") in UNINSTALLED
    )
    if missing and not reporter.dry_run:
        raise AmbariError(
            f"these are not installed yet: {', '.join(missing)}; nothing was stopped",
            hint="Run the phase cluster first.",
        )
    _stop(client, world, reporter, found, masters)
    _delete(client, world, reporter, masters)


def remove(client: Ambari, world: World, reporter: Reporter) -> str:
    """Decommission, stop and remove what is left to remove, then its hosts and services. Raises AmbariError."""
    view = client.cluster(world.cluster)
    if view is None:
        return "the cluster does not exist yet"
    desired_layout(client, world, reporter)
    found = _allowed(client, world, reporter)
    rest = [one for one in found.members if not _makes_way(world, one)]
    if len(rest) < len(found.members):
        raise AmbariError(
            f"these are still there: {_names(set(found.members) - set(rest))}", hint="Run the phase start first."
        )
    assert world.layout is not None
    for component in DECOMMISSIONED:
        if not world.layout.hosts_with(component):
            continue
        members = [one for one in rest if one.component == component and one.host not in found.gone]
        decommission(client, world, reporter, members)
        if component == "DATANODE":
            # One that is down now may have died before all its blocks were copied: what the NameNode says counts.
            await_decommission(client, world, reporter, [one.host for one in members if one.state not in UNINSTALLED])
    _stop(client, world, reporter, found, rest)
    _delete(client, world, reporter, rest)
    for host in found.hosts:
        reporter.change(
            f"host {host} removed from the cluster",
            act=partial(client.delete_host, world.cluster, host),
            disrupts=[f"host {host}"],
        )
    for service in found.services:
        reporter.change(
            f"service {service} removed",
            act=partial(client.delete_service, world.cluster, service),
            disrupts=[f"service {service}"],
        )
    for host in sorted(found.gone - {*found.hosts}):
        reporter.notice(f"--gone: {host} is not in the cluster, or not any more")
    there = [host for host in found.hosts if host not in found.gone]
    if there and not reporter.dry_run:
        reporter.notice(
            f"packages, data and the agent stay on {', '.join(there)}: stop the agent there (ambari-agent stop), "
            "or it registers again"
        )
    return "" if not found.nothing else "nothing has left the inventory"


def _makes_way(world: World, one: Member) -> bool:
    """Return whether it is a master that the cluster will have elsewhere."""
    assert world.layout is not None
    return (
        one.component not in DECOMMISSIONED
        and not is_client(world.stack, one.component)
        and bool(world.layout.hosts_with(one.component))
    )


def _allowed(client: Ambari, world: World, reporter: Reporter) -> Removal:
    """Return what leaves. Raises what speaks against it, however the phases before this one were chosen."""
    view = client.cluster(world.cluster)
    if view is None:
        return Removal((), (), ())
    desired_layout(client, world, reporter)
    await_reports(client, world, reporter)
    for refusal in removal_refusals(client, world, view):
        raise refusal
    return leaving(client, world, view)


def _stop(client: Ambari, world: World, reporter: Reporter, found: Removal, members: Iterable[Member]) -> None:
    """Stop what runs, except on hosts that are gone. Raises AmbariError if something does not stop."""
    wanted = {
        (one.host, one.component)
        for one in members
        if one.host not in found.gone and not is_client(world.stack, one.component)
    }

    def running() -> list[HostComponent]:
        return [one for one in world.components() if (one.host, one.component) in wanted and one.state in RUNNING]

    stopping = running()
    if not stopping:
        return
    carry_out(
        client,
        world,
        reporter,
        f"stop {listed(stopping)}, which the inventory no longer has",
        lambda: put_state(client, world, "INSTALLED", stopping, "Stop what leaves the cluster"),
        disrupts=_names_of(stopping),
    )
    world.expected.state(stopping, "INSTALLED")
    if left := running():
        raise AmbariError(
            f"these components did not stop: {listed(left)}; nothing was removed", hint="See their logs on the hosts."
        )


def _delete(client: Ambari, world: World, reporter: Reporter, members: Collection[Member]) -> None:
    servers = [one for one in members if not is_client(world.stack, one.component)]
    staying = [place for place in installed(world) if place not in {(one.host, one.component) for one in members}]
    by_host: dict[str, list[str]] = defaultdict(list)
    for one in members:
        by_host[one.host].append(one.component)
    for host, names in sorted(by_host.items()):
        reporter.change(
            f"{', '.join(sorted(names))} removed from {host}",
            act=partial(_delete_all, client, world.cluster, host, sorted(names)),
            disrupts=[f"{name} on {host}" for name in sorted(names)],
        )
    world.expected.removed((one.host, one.component) for one in members)
    for one in servers:
        world.expected.outdated(
            outdated_with(world.stack, staying, "added", [one.service]), f"one {one.component} fewer"
        )


def _delete_all(client: Ambari, cluster: str, host: str, components: Iterable[str]) -> None:
    for component in components:
        client.delete_host_component(cluster, host, component)


def _names_of(components: Iterable[HostComponent]) -> list[str]:
    return [f"{one.component} on {one.host}" for one in components]


def _names(members: Iterable[Member]) -> str:
    return ", ".join(sorted(str(one) for one in members))
