"""The phase ``start``: start what should run, and restart what runs with an outdated configuration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari.query import all_of, any_of, one_of, path
from bigtop_builder.adapter.ambari.service import HostComponent
from bigtop_builder.flow.deploy.desired_layout import desired_layout, starting
from bigtop_builder.flow.deploy.host_states import await_reports, listed
from bigtop_builder.flow.deploy.pending_requests import settle
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.request_follower import TaskFailedError, carry_out
from bigtop_builder.flow.deploy.restart import restart_outdated, warn_of_outdated
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import AmbariError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari

ATTEMPTS = 3
"""A start may fail because a service that it needs is not up yet: services start in parallel."""


def start(client: Ambari, world: World, reporter: Reporter) -> str:
    """Start and restart. Raises AmbariError with the components that do not come up."""
    if client.cluster(world.cluster) is None:
        if reporter.dry_run:
            return "the cluster does not exist yet"
        raise AmbariError(f"there is no cluster {world.cluster}", hint="Run the phase cluster first.")
    settle(client, world, reporter)
    for attempt in range(1, ATTEMPTS + 1):
        down = stopped(client, world, reporter)
        if not down:
            break
        try:
            _start(client, world, reporter, down)
        except TaskFailedError as error:
            # What it needs may be running with a configuration that the inventory has corrected since.
            if attempt == ATTEMPTS or (not restart_outdated(client, world, reporter, repairing=True) and error.lasting):
                raise
            reporter.notice(f"{error.message}; trying again", warning=True)
        if reporter.dry_run:
            break
    else:
        raise AmbariError(
            "these components do not start: " + listed(stopped(client, world, reporter)),
            hint="See their logs on the hosts; then run the deployment again.",
        )
    restart_outdated(client, world, reporter)
    warn_of_outdated(world, reporter)
    return ""


def stopped(client: Ambari, world: World, reporter: Reporter) -> list[HostComponent]:
    """Return the components that should run and do not. Raises AmbariError if their hosts have no heartbeat."""
    wanted = starting(world.stack, desired_layout(client, world, reporter))
    silent = await_reports(client, world, reporter)
    down = [
        one
        for one in world.components()
        if one.state != "STARTED" and not one.maintenance and one.component in wanted.get(one.host, ())
    ]
    lost = [one for one in down if one.host in silent]
    if lost and not reporter.dry_run:
        hosts = sorted({one.host for one in lost})
        raise AmbariError(
            f"Ambari does not hear from {', '.join(hosts)}, where {listed(lost)} should run",
            hint="Start their agents (ambari-agent start), then run the deployment again.",
        )
    return down


def _start(client: Ambari, world: World, reporter: Reporter, down: list[HostComponent]) -> None:
    carry_out(
        client,
        world,
        reporter,
        f"start {listed(down)}",
        lambda: put_state(client, world, "STARTED", down, "Start components"),
    )
    world.expected.state(down, "STARTED", current=True)


def put_state(
    client: Ambari, world: World, state: str, components: Collection[HostComponent], context: str
) -> int | None:
    """Request a state for components on hosts and return the request's id, or None if there is nothing to do.

    It is one request for all of them, so that Ambari can order its stages.
    """
    hosts: dict[str, set[str]] = defaultdict(set)
    for one in components:
        hosts[one.component].add(one.host)
    predicate = any_of(
        all_of(f"HostRoles/component_name={component}", one_of("HostRoles/host_name", sorted(names)))
        for component, names in sorted(hosts.items())
    )
    info = {"context": context, "query": predicate}
    body = {"RequestInfo": info, "Body": {"HostRoles": {"state": state}}}
    where = path("clusters", world.cluster, "host_components")
    return client.put(where, body).request
