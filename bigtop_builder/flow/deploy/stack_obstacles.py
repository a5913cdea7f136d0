"""What an upgrade of the stack needs before it can begin: the upgrade pack on the server, packages, a whole cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bigtop_builder.cluster.stack_upgrade import Standing, pack_name, pack_path, upgrade_pack
from bigtop_builder.flow.deploy.repository import refused, standing
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import AmbariError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.cluster import ClusterView


def wanted_pack(client: Ambari, world: World) -> tuple[str, str] | None:
    """Return path and text of the upgrade pack that the server needs for what the inventory says; None without one."""
    view = client.cluster(world.cluster)
    found = standing(client, world, view) if view is not None else Standing()
    if found.course == "none":
        return None
    stack, version = world.inventory.stack, world.inventory.stack.version
    target = found.last.target if found.last is not None else version
    return pack_path(stack.name, found.source, target), upgrade_pack(stack.name, found.source)


def obstacles(client: Ambari, world: World, view: ClusterView, found: Standing) -> Iterator[AmbariError]:
    """Yield what speaks against an upgrade that has not begun."""
    choice = world.inventory.stack
    place = world.loaded.place("stack", "version")
    if found.course == "none":
        return
    target = found.last.target if found.last is not None else choice.version
    path = pack_path(choice.name, found.source, target)
    if world.loaded.ambari.setup is None and pack_name(found.source, target) not in client.upgrade_packs(
        choice.name, target
    ):
        yield AmbariError(
            f"the Ambari server has no upgrade pack from {choice.name}-{found.source} to {choice.name}-{target}",
            hint=f"Write it with: bigtop-builder deploy INVENTORY --print upgrade-pack. Put it on the server: {path}; "
            "then: ambari-server restart. With ambari.setup the deployment does that itself.",
            location=place,
        )
    if found.course != "begin":
        return
    if not world.inventory.repositories:
        yield AmbariError(
            "the inventory has no repositories, so that there are no packages to upgrade to",
            hint="Add the repository that has the packages of the new version.",
            location=place,
        )
    gone = sorted(name for name in view.services if name not in world.stack.services)
    lost = sorted({one.component for one in world.components() if world.stack.component(one.component) is None})
    if gone or lost:
        yield AmbariError(
            f"{world.stack.id} does not have what the cluster has: {', '.join(gone or lost)}",
            hint="Remove it from the cluster first: deploy --remove with the present version of the stack.",
            location=place,
        )
    versions = {one.repository_version for one in client.services(world.cluster)}
    if len(versions) > 1:
        yield AmbariError(
            "the services of the cluster have several versions of packages",
            hint=f"Finish what was begun: deploy with stack.version: {found.source} first.",
            location=place,
        )


def require_way(client: Ambari, world: World) -> None:
    """Raise AmbariError if the cluster cannot have the inventory's stack. Nothing has been changed for it by then."""
    view = client.cluster(world.cluster)
    if view is None or not view.hosts:
        return
    _ = world.stack.id  # A version that the server does not have is told as such.
    at = standing(client, world, view)
    if at.refusal:
        raise refused(world, at)
    for obstacle in obstacles(client, world, view, at):
        raise obstacle


def pack_text(client: Ambari, world: World) -> str:
    """Return the upgrade pack that the server needs. Raises AmbariError if the cluster needs none."""
    found = wanted_pack(client, world)
    if found is None:
        raise AmbariError(
            f"the cluster {world.cluster} needs no upgrade pack: it has the stack {world.stack.id} of the inventory",
            hint="Set stack.version to the version to upgrade to.",
        )
    return found[1]
