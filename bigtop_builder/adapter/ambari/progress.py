"""When one of Ambari's requests is over, and how it ended: pure.

Rules seen on a live server of 3.0:

- ``request_status`` says FAILED while other tasks still run, so it does not tell the end;
- ``completed_task_count`` counts failed and aborted tasks too;
- a *logical* request (what creating a cluster from a blueprint answers with) says COMPLETED with 100 % while hosts that
  never registered are missing: ``pending_host_request_count`` tells;
- a logical request whose installation failed on a host never ends by itself: the start tasks of that host stay PENDING;
- right after it was made, a request has no tasks, and its progress may be 0 or -1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

ACTIVE = frozenset({"QUEUED", "IN_PROGRESS", "HOLDING", "HOLDING_FAILED", "HOLDING_TIMEDOUT"})
FINISHED = frozenset({"COMPLETED", "FAILED", "TIMEDOUT", "ABORTED", "SKIPPED_FAILED"})
BAD = frozenset({"FAILED", "TIMEDOUT", "ABORTED"})

Outcome = Literal["running", "waiting", "completed", "failed", "aborted"]

_PHYSICAL = re.compile(r"^(Install|Start) components on host (\S+)$")


@dataclass(frozen=True)
class RequestView:
    """A request without its tasks. ``completed`` counts tasks that ended in whatever way. ``logical``: made by a
    blueprint, carried out by physical requests of its own; only then ``pending_hosts`` may be more than 0. Times are
    seconds since the epoch by the server's clock; None when it is not yet so, and always for a logical one's ``end``.
    """

    id: int
    context: str
    status: str
    percent: float
    tasks: int = 0
    queued: int = 0
    completed: int = 0
    failed: int = 0
    aborted: int = 0
    timed_out: int = 0
    pending_hosts: int = 0
    logical: bool = False
    create: float | None = None
    start: float | None = None
    end: float | None = None

    @property
    def running(self) -> int:
        """Tasks that an agent works on, reckoned back from the percentage: a queued task counts as 9 %, a running one
        as 35 %, an ended one as 100 %."""
        done = max(self.percent, 0.0) / 100 * self.tasks
        return max(0, round((done - self.completed - 0.09 * self.queued) / 0.35))

    @property
    def counts(self) -> dict[str, int]:
        """Tasks by status; those that wait are PENDING."""
        bad = self.failed + self.aborted + self.timed_out
        running = min(self.running, self.tasks - self.completed - self.queued)
        counts = {
            "PENDING": self.tasks - self.completed - self.queued - running,
            "QUEUED": self.queued,
            "IN_PROGRESS": running,
            "COMPLETED": self.completed - bad,
            "FAILED": self.failed,
            "ABORTED": self.aborted,
            "TIMEDOUT": self.timed_out,
        }
        return {status: count for status, count in counts.items() if count > 0}


class TaskLike(Protocol):
    """What of a task matters here."""

    @property
    def host(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def status(self) -> str: ...


def is_finished(view: RequestView) -> bool:
    """Whether nothing more will happen, as far as the request alone tells. A failed logical request may be over
    without this being so: see ``is_stuck``."""
    if view.tasks == 0:
        # A physical request without tasks is COMPLETED at once; a logical one has not begun.
        return not view.logical and view.status in FINISHED
    return view.completed >= view.tasks and view.pending_hosts == 0


def is_empty(view: RequestView) -> bool:
    """Whether a logical request has nothing (any more) to do: no task, and no host that it waits for. So it is for a
    moment when it was made, and for ever once its hosts are no longer waited for: the server keeps it PENDING."""
    return view.logical and view.tasks == 0 and view.pending_hosts == 0


def unfinished(views: Iterable[RequestView]) -> list[RequestView]:
    """Those that are not over. An empty logical request that others came after is: it is listed only until its first
    host has come."""
    known = list(views)
    newest = max((view.id for view in known), default=0)
    return [view for view in known if not is_finished(view) and not (is_empty(view) and view.id < newest)]


def outcome(view: RequestView) -> Outcome:
    """How it ended; ``running`` when it has not, ``waiting`` when only hosts that have not registered are missing."""
    if not is_finished(view):
        idle = view.completed >= view.tasks and view.pending_hosts > 0
        return "waiting" if idle else "running"
    if view.failed or view.timed_out or view.status in ("FAILED", "TIMEDOUT"):
        return "failed"
    if view.aborted or view.status == "ABORTED":
        return "aborted"
    return "completed"


def may_be_stuck(view: RequestView) -> bool:
    """Whether something failed and nothing runs, so that it is worth a look at the tasks with ``is_stuck``."""
    bad = view.failed + view.aborted + view.timed_out > 0
    return bad and not is_finished(view) and view.queued == 0 and view.running == 0


def is_stuck(tasks: Iterable[TaskLike]) -> bool:
    """Whether what a logical request still has to do will never begin: every task that is not over waits on a host
    whose installation went wrong. ``tasks`` are all that are unfinished or bad."""
    unfinished: set[str] = set()
    broken: set[str] = set()
    for task in tasks:
        if task.status not in FINISHED:
            if task.status in ACTIVE:
                return False
            unfinished.add(task.host)
        elif task.status in BAD and task.command == "INSTALL":
            broken.add(task.host)
    return bool(unfinished) and unfinished <= broken


def physical_host(view: RequestView) -> str | None:
    """The host that a physical request of a blueprint works on: ``Install components on host X`` → X."""
    match = _PHYSICAL.match(view.context)
    return match[2] if match else None


def physical_requests(logical: RequestView, requests: Iterable[RequestView], hosts: Iterable[str]) -> list[RequestView]:
    """What ``logical`` became: the requests made after it that install or start components on one of ``hosts``, which
    are the hosts of its tasks. Nothing else ties the two together in the API."""
    wanted = frozenset(hosts)
    found = [view for view in requests if view.id > logical.id and physical_host(view) in wanted]
    return sorted(found, key=lambda view: view.id)
