"""How an existing cluster differs from its inventory: what a dry run of ``deploy`` would change in Ambari.

It is found by the same code, run dry. Hosts are not looked at: their packages and files are what ``deploy --dry-run``
compares over SSH.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bigtop_builder.flow.deploy.cluster_setup import uninstalled
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.existing_cluster import refusals
from bigtop_builder.flow.deploy.expected import Expected
from bigtop_builder.flow.deploy.host_states import listed
from bigtop_builder.flow.deploy.reconcile import reconcile
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import register, registered, standing, version_of
from bigtop_builder.flow.deploy.upgrade import moves_packages
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import AmbariError, BigtopBuilderError, InterruptedRunError, SeveralErrors
from bigtop_builder.model.event import AnyEvent, Change

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.cluster import ClusterView


@dataclass(frozen=True)
class Difference:
    """What a deployment would change; ``detail`` has lines of a diff, without secrets."""

    name: str
    detail: str = ""


def differences(connections: Connections, world: World, reporter: Reporter, view: ClusterView) -> list[Difference]:
    """Return how the cluster differs from the inventory. Raises InterruptedRunError."""
    expected, world.expected = world.expected, Expected(played=True)
    try:
        return _played(connections, world, reporter, view)
    finally:
        world.expected = expected


def _played(connections: Connections, world: World, reporter: Reporter, view: ClusterView) -> list[Difference]:
    found: list[Difference] = []

    def keep(event: AnyEvent) -> None:
        if isinstance(event, Change):
            found.append(Difference(event.name, event.detail))

    dry = replace(reporter, bus=keep, dry_run=True, mark=None)
    works: tuple[Callable[[], object], ...] = (
        lambda: register(connections.client, world, dry),
        lambda: _reconcile(connections, world, dry, view),
    )
    for work in works:
        try:
            work()
        except InterruptedRunError:
            raise
        except BigtopBuilderError as error:
            found += [Difference(reporter.secrets.redact(one.message)) for one in getattr(error, "errors", [error])]
    found += _upgrade(connections, world, view)
    version = _registered(connections, world) if moves_packages(world) else None
    if version is not None and version != version_of(world):
        found.append(Difference(f"packages {version} -> {version_of(world)}"))
    missing = uninstalled(world)
    if missing:
        found.append(Difference(f"install {listed(missing)}"))
    return list(dict.fromkeys(found))


def _upgrade(connections: Connections, world: World, view: ClusterView) -> list[Difference]:
    """Return what an upgrade to another version of the stack has left to do."""
    at, stack = standing(connections.client, world, view), world.stack.id
    if at.course == "begin":
        return [Difference(f"stack {view.version} -> {stack}")]
    if at.course == "forward":
        return [Difference(f"the upgrade to {stack} is not final: deploy --finalize-upgrade")]
    return [Difference(f"the way back to {stack} has not ended")] if at.course in ("back", "backward") else []


def _reconcile(connections: Connections, world: World, dry: Reporter, view: ClusterView) -> None:
    """Raises SeveralErrors for all that a deployment would refuse, otherwise reports what it would change."""
    problems = list(refusals(connections.client, world))
    if problems:
        raise SeveralErrors(problems)
    reconcile(connections, world, dry, view)


def _registered(connections: Connections, world: World) -> str | None:
    """Return the version of the cluster's services; None if its stack is another one, which is a refusal of its own."""
    try:
        version = registered(connections.client, world)
    except AmbariError:
        return None
    return version.version if version is not None else None
