"""What an inventory cannot change in an existing cluster: found before anything is changed, and again before it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bigtop_builder.cluster.service_databases import SETUP_NAMES, service_databases
from bigtop_builder.flow.deploy.config_groups import group_conflicts
from bigtop_builder.flow.deploy.desired_layout import services_of
from bigtop_builder.flow.deploy.removal import removal_refusals
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import refused, standing
from bigtop_builder.flow.deploy.stack_obstacles import obstacles
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import AmbariError, BigtopBuilderError
from bigtop_builder.model.event import CheckFinished

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.cluster import ClusterView


def refusals(client: Ambari, world: World) -> Iterator[BigtopBuilderError]:
    """Yield everything about the cluster that the deployment would end with, each with its place and its hint."""
    if not world.server_answers:
        return
    layout = world.layout
    view = client.cluster(world.cluster)
    # Without hosts it is what an interrupted creation left, which goes.
    if view is None or not view.hosts:
        yield from taken_hosts(client, world, tuple(layout.hosts) if layout is not None else ())
        return
    at = standing(client, world, view)
    yield from (refused(world, at),) if at.refusal else obstacles(client, world, view, at)
    yield from other_security(world, view)
    if layout is None:
        return
    yield from beyond(client, world, view)
    yield from group_conflicts(client, world, layout)
    yield from taken_hosts(client, world, tuple(host for host in layout.hosts if host not in view.hosts))


def taken_hosts(client: Ambari, world: World, hosts: tuple[str, ...]) -> Iterator[AmbariError]:
    """Yield an error for hosts of another cluster: Ambari would accept the request and wait forever."""
    taken = {host.name: host.cluster for host in client.hosts() if host.cluster and host.name in hosts}
    if taken:
        names = ", ".join(f"{host} ({cluster})" for host, cluster in taken.items())
        yield AmbariError(
            f"these hosts belong to another cluster: {names}",
            hint="Remove them from the inventory, or from that cluster.",
            location=world.loaded.place("groups", world.loaded.host(next(iter(taken))).group or "", "hosts"),
        )


def other_security(world: World, view: ClusterView) -> Iterator[AmbariError]:
    """Yield an error if the cluster has Kerberos and the inventory has not, or the other way round."""
    wanted = "KERBEROS" if world.inventory.security.kerberos else "NONE"
    if view.security != wanted:
        yield AmbariError(
            f"the cluster {world.cluster} has the security {view.security}, but the inventory says {wanted}",
            hint="Only Ambari's own wizard turns Kerberos on or off in an existing cluster; nothing was changed.",
            location=world.loaded.place("security", "kerberos"),
        )


def beyond(client: Ambari, world: World, view: ClusterView) -> Iterator[BigtopBuilderError]:
    """Yield an error for hosts, services and components that the inventory does not name.

    They are only removed if that was asked for; then the errors are what speaks against it.
    """
    layout = world.layout
    if layout is None:
        return
    if world.removing.wanted:
        yield from removal_refusals(client, world, view)
        return
    known = set(services_of(world.stack, layout))
    lines = [f"- service {name}" for name in sorted(view.services) if name not in known]
    lines += [f"- host {host}" for host in sorted(view.hosts) if host not in layout.hosts]
    present = sorted((one.host, one.component) for one in world.components())
    lines += [
        f"- {component} on {host}"
        for host, component in present
        if host in layout.hosts and component not in layout.hosts[host].names
    ]
    if lines:
        yield AmbariError(
            f"the cluster {world.cluster} has more than the inventory says:\n" + "\n".join(lines),
            hint="Add to the inventory what should stay; deploy --remove removes the rest (see it first "
            "with --dry-run). Nothing was changed.",
            location=world.loaded.place("groups"),
        )


def check_drivers(client: Ambari, world: World, reporter: Reporter) -> None:
    """Warn of existing databases of services whose JDBC driver the server cannot hand to the hosts."""
    if world.layout is None:
        return
    databases = list(service_databases(world.layout, services_of(world.stack, world.layout)))
    properties = client.server_properties() if databases and world.server_answers else {}
    setup = world.loaded.ambari.setup
    registered = setup.registered_drivers if setup is not None else ()
    for one in databases:
        if properties.get(one.property) or SETUP_NAMES.get(one.kind) in registered:
            continue
        command = f"ambari-server setup --jdbc-db={one.kind} --jdbc-driver=PATH"
        hint = f"On the server's host: {command}."
        if one.kind in SETUP_NAMES:
            hint += f" With ambari.setup: drivers: {{{SETUP_NAMES[one.kind]}: {{package: NAME}}}}, or {{path: PATH}}."
        reporter.emit(
            CheckFinished(
                phase=reporter.phase,
                check="JDBC drivers",
                level="warning",
                message=f"{world.loaded.place(*one.path)}: {one.service} uses an existing {one.kind} database, but the "
                f"Ambari server has no JDBC driver registered for it ({one.property})",
                hint=hint,
            )
        )
