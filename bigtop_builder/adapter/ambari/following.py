"""Follow one of Ambari's requests with few and small calls.

A poll costs one call while nothing changes, whatever the number of tasks. After a change it costs one more for each
thousand tasks that are running or have just ended, and one for each twenty failed tasks, to fetch their output.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bigtop_builder.adapter.ambari.progress import (
    ACTIVE,
    BAD,
    FINISHED,
    Outcome,
    RequestView,
    is_finished,
    is_stuck,
    may_be_stuck,
    outcome,
    running_times,
)
from bigtop_builder.adapter.ambari.request import RequestCalls, TaskView

RUNNING = ACTIVE - {"QUEUED"}
"""The tasks that a poll requests. Thousands may be queued, but the request's counters show those as well."""
SLACK = 10.0
"""Seconds by which the report of a task's end may be late."""
MOST_OUTPUTS = 200
"""Largest number of failed tasks whose output one poll fetches."""


@dataclass(frozen=True)
class Look:
    """The result of one poll.

    ``changed``: tasks whose status has changed since the previous poll, except waiting ones; failed ones have their
    output. ``over``: nothing more will happen; ``outcome`` is then final.
    """

    view: RequestView
    changed: tuple[TaskView, ...]
    over: bool
    outcome: Outcome


class Follower:
    """Polls one request; keeps the status of each task that it has seen, never its output."""

    def __init__(self, calls: RequestCalls, cluster: str | None, request: int) -> None:
        self._calls = calls
        self._cluster = cluster
        self._request = request
        self._last: Look | None = None
        self._statuses: dict[int, str] = {}
        self._newest_end: float | None = None
        self._ends: dict[str, float] = {}
        self.seconds: dict[int, float] = {}
        """How long each ended task ran, by its id."""

    def look(self) -> Look:
        """Poll once. Raises what the calls raise; the next poll makes up for a failed one."""
        view = self._calls.request(self._cluster, self._request)
        if self._last is not None and self._last.view == view:
            return Look(view, (), self._last.over, self._last.outcome)
        changed = self._changed(view)
        over, how = is_finished(view), outcome(view)
        if not over and view.logical and may_be_stuck(view) and is_stuck(self._tasks(ACTIVE | BAD | {"PENDING"})):
            over, how = True, "failed"
        self._last = Look(view, tuple(changed), over, how)
        return self._last

    def _changed(self, view: RequestView) -> list[TaskView]:
        if self._newest_end is None:
            fresh = self._fresh(self._tasks(RUNNING | FINISHED))
        else:
            fresh = self._fresh(self._tasks(RUNNING, ended_since=self._newest_end - SLACK))
        bad = sum(status in BAD for status in self._statuses.values())
        if bad + sum(task.status in BAD for task in fresh.values()) < view.failed + view.aborted + view.timed_out:
            # Tasks that were aborted before they started may have no end time.
            fresh.update(self._fresh(self._tasks(BAD)))
        failed = [task.id for task in fresh.values() if task.status in BAD][:MOST_OUTPUTS]
        if failed:
            whole = self._calls.tasks(self._cluster, self._request, ids=failed, with_output=True)
            fresh.update({task.id: task for task in whole if task.id in fresh})
        self._statuses.update({task.id: task.status for task in fresh.values()})
        self.seconds |= running_times(fresh.values(), self._ends)
        ends = [task.end for task in fresh.values() if task.end is not None]
        self._newest_end = max([*ends, self._newest_end or 0.0]) or None
        return [fresh[id] for id in sorted(fresh)]

    def _tasks(self, statuses: Iterable[str], *, ended_since: float | None = None) -> Iterable[TaskView]:
        return self._calls.tasks(self._cluster, self._request, statuses=frozenset(statuses), ended_since=ended_since)

    def _fresh(self, tasks: Iterable[TaskView]) -> dict[int, TaskView]:
        return {
            task.id: task
            for task in tasks
            # The server applies the predicate; what it misses is filtered here.
            if task.status not in ("PENDING", "QUEUED") and self._statuses.get(task.id) != task.status
        }
