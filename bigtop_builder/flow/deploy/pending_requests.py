"""What runs already when a deployment comes: an earlier one's requests are followed or cleared, others' waited for."""

from __future__ import annotations

from functools import partial

from bigtop_builder.adapter.ambari import progress
from bigtop_builder.adapter.ambari.progress import RequestView
from bigtop_builder.flow.deploy.context import Deployment
from bigtop_builder.flow.deploy.request_follower import follow
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError, LimitError

STILL_SECONDS = 15.0
"""How long provisioning must have stood still, with nothing running, to be known as left behind by a failed one."""


def is_provisioning(view: RequestView) -> bool:
    """Whether a request comes from a blueprint, and not from a person."""
    return view.logical or progress.physical_host(view) is not None


def settle(deployment: Deployment) -> bool:
    """Wait until nothing of the cluster runs; whether there was anything. With a dry run it is only told what runs.

    Another's request is followed to its end and never aborted; what a failed blueprint left behind is aborted, for it
    would wait for ever, and block the cluster.
    """
    limit = deployment.clock() + seconds(deployment.ambari.request_timeout)
    seen: tuple[object, ...] = ()
    told: set[tuple[int, str]] = set()
    since = deployment.clock()
    waited = False
    while views := deployment.client.requests(deployment.cluster, unfinished_only=True):
        if deployment.dry_run:
            for view in views:
                deployment.notice(f"request {view.id} runs: {view.context}", warning=True)
            return False
        waited = True
        for view in views:
            if not is_provisioning(view):
                _wait_for(deployment, view)
        ours = [view for view in views if is_provisioning(view)]
        state = tuple((view.id, view.status, view.completed, view.queued, view.running) for view in ours)
        if state != seen:
            for view in ours:
                if (view.id, view.status) not in told:
                    told.add((view.id, view.status))
                    deployment.notice(f"request {view.id} of an earlier deployment: {view.status}, {view.context}")
            seen, since = state, deployment.clock()
        active = any(view.queued or view.running for view in ours)
        if ours and not active and deployment.clock() - since > STILL_SECONDS:
            left = [view for view in ours if not progress.is_empty(view)]
            if not left:
                return True
            clear(deployment, left, "left behind by an earlier deployment")
            since = deployment.clock()
        if deployment.clock() > limit:
            raise LimitError(f"the cluster's requests are not over after {deployment.ambari.request_timeout}")
        deployment.sleep(seconds(deployment.ambari.poll))
    return waited


def _wait_for(deployment: Deployment, view: RequestView) -> None:
    deployment.notice(f"waiting for request {view.id}, which this deployment did not start: {view.context}")
    try:
        follow(deployment, view.id)
    except LimitError:
        raise
    except AmbariError as error:
        deployment.notice(f"request {view.id} ended badly: {error.message}", warning=True)


def clear(deployment: Deployment, views: list[RequestView], why: str) -> None:
    """Abort requests, and no longer wait for hosts that never came."""
    for view in views:
        if view.logical:
            deployment.change(
                f"request {view.id}: hosts that never came are no longer waited for",
                act=partial(deployment.client.remove_pending_hosts, deployment.cluster, view.id),
            )
        else:
            deployment.change(
                f"request {view.id} aborted: {view.context}",
                act=partial(deployment.client.abort, deployment.cluster, view.id, why),
            )
