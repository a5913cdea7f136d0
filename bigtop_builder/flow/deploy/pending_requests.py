"""Requests that are already running: follow or clear those of earlier deployments, wait for those of other people."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari import progress
from bigtop_builder.adapter.ambari.progress import RequestView
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.request_follower import follow
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError, LimitError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari

STILL_SECONDS = 15.0
"""Seconds without progress after which idle provisioning counts as left behind by a failed deployment."""


def is_provisioning(view: RequestView) -> bool:
    """Return whether a request comes from a blueprint, not from a person."""
    return view.logical or progress.physical_host(view) is not None


def holds(view: RequestView) -> bool:
    """Return whether a request waits for a person, as an upgrade does until its end: nothing waits for such a one."""
    return view.status.startswith("HOLDING")


def settle(client: Ambari, world: World, reporter: Reporter) -> bool:
    """Wait until no request of the cluster is running; return whether there was one. A dry run only reports them.

    Requests of other people are followed and never aborted. What a failed blueprint left behind is aborted: it would
    wait forever and block the cluster.
    """
    limit = reporter.clock() + seconds(world.loaded.ambari.request_timeout)
    seen: tuple[object, ...] = ()
    reported: set[tuple[int, str]] = set()
    since = reporter.clock()
    waited = False
    while views := [one for one in client.requests(world.cluster, unfinished_only=True) if not holds(one)]:
        if reporter.dry_run:
            for view in views:
                reporter.notice(f"request {view.id} is running: {view.context}", warning=True)
            return False
        waited = True
        for view in views:
            if not is_provisioning(view):
                _wait_for(client, world, reporter, view)
        ours = [view for view in views if is_provisioning(view)]
        state = tuple((view.id, view.status, view.completed, view.queued, view.running) for view in ours)
        if state != seen:
            for view in ours:
                if (view.id, view.status) not in reported:
                    reported.add((view.id, view.status))
                    reporter.notice(f"request {view.id} of an earlier deployment: {view.status}, {view.context}")
            seen, since = state, reporter.clock()
        active = any(view.queued or view.running for view in ours)
        if ours and not active and reporter.clock() - since > STILL_SECONDS:
            left = [view for view in ours if not progress.is_empty(view)]
            if not left:
                return True
            clear(client, world, reporter, left, "left behind by an earlier deployment")
            since = reporter.clock()
        if reporter.clock() > limit:
            raise LimitError(f"the cluster's requests are not over after {world.loaded.ambari.request_timeout}")
        reporter.sleep(seconds(world.loaded.ambari.poll))
    return waited


def _wait_for(client: Ambari, world: World, reporter: Reporter, view: RequestView) -> None:
    reporter.notice(f"waiting for request {view.id}, which this deployment did not start: {view.context}")
    try:
        follow(client, world, reporter, view.id)
    except LimitError:
        raise
    except AmbariError as error:
        reporter.notice(f"request {view.id} failed: {error.message}", warning=True)


def clear(client: Ambari, world: World, reporter: Reporter, views: list[RequestView], why: str) -> None:
    """Abort requests, and stop waiting for hosts that never registered."""
    for view in views:
        if view.logical:
            reporter.change(
                f"request {view.id}: no longer waiting for hosts that never registered",
                act=partial(client.remove_pending_hosts, world.cluster, view.id),
            )
        else:
            reporter.change(
                f"request {view.id} aborted: {view.context}",
                act=partial(client.abort, world.cluster, view.id, why),
            )
