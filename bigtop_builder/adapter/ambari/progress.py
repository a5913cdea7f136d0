"""When one of Ambari's requests is over, and how it ended (pure functions).

Rules seen on a live server of 3.0:

- ``request_status`` is FAILED while other tasks are still running, so it does not mark the end;
- ``completed_task_count`` counts failed and aborted tasks too;
- a *logical* request (the response to creating a cluster from a blueprint) is COMPLETED with 100 % while hosts that
  never registered are missing: see ``pending_host_request_count``;
- a logical request whose installation failed on a host never ends by itself: the start tasks of that host stay PENDING;
- right after its creation a request has no tasks, and its progress may be 0 or -1.
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
    """A request without its tasks.

    ``completed`` counts ended tasks, successful or not. ``logical``: created by a blueprint and carried out by physical
    requests of its own; only then can ``pending_hosts`` be more than 0. Times are seconds since the epoch by the
    server's clock, or None before that point, and always for the ``end`` of a logical one.
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
        """The number of running tasks, derived from the percentage.

        A queued task counts as 9 %, a running one as 35 %, an ended one as 100 %.
        """
        done = max(self.percent, 0.0) / 100 * self.tasks
        return max(0, round((done - self.completed - 0.09 * self.queued) / 0.35))

    @property
    def counts(self) -> dict[str, int]:
        """The number of tasks by status; waiting ones are PENDING."""
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
    """The properties of a task that matter here."""

    @property
    def host(self) -> str:
        """The host that it runs on."""
        ...

    @property
    def command(self) -> str:
        """INSTALL, START, …"""
        ...

    @property
    def status(self) -> str:
        """QUEUED, IN_PROGRESS, COMPLETED, …"""
        ...


class TimedTask(Protocol):
    """The properties of a task that tell how long it ran."""

    @property
    def id(self) -> int:
        """Its number."""
        ...

    @property
    def host(self) -> str:
        """The host that it runs on."""
        ...

    @property
    def start(self) -> float | None:
        """When its stage began."""
        ...

    @property
    def end(self) -> float | None:
        """When it ended."""
        ...


def running_times(tasks: Iterable[TimedTask], latest: dict[str, float]) -> dict[int, float]:
    """Return the seconds that each ended task ran, by its id.

    All tasks of a stage start at one time (645, 655), but an agent works on one after the other: a task runs from the
    end of the one before it on its host. ``latest`` has the last known end by host, and is updated.
    """
    found = {}
    ended = [(task.end, task) for task in tasks if task.end is not None]
    for end, task in sorted(ended, key=lambda pair: (pair[0], pair[1].id)):
        if task.start is not None:
            found[task.id] = max(0.0, end - max(task.start, latest.get(task.host, 0.0)))
        latest[task.host] = max(end, latest.get(task.host, 0.0))
    return found


def is_finished(view: RequestView) -> bool:
    """Return whether nothing more will happen, judging by the request alone.

    A failed logical request may be over although this is False: see ``is_stuck``.
    """
    if view.tasks == 0:
        # A physical request without tasks is COMPLETED at once; a logical one has not started.
        return not view.logical and view.status in FINISHED
    return view.completed >= view.tasks and view.pending_hosts == 0


def is_empty(view: RequestView) -> bool:
    """Return whether a logical request has nothing to do: no task, and no host to wait for.

    That is the case for a moment after its creation, and forever once it no longer waits for its hosts: the server
    keeps it PENDING.
    """
    return view.logical and view.tasks == 0 and view.pending_hosts == 0


def unfinished(views: Iterable[RequestView]) -> list[RequestView]:
    """Return the requests that are not over.

    An empty logical request followed by others is over: it is only listed until its first host has been assigned.
    """
    known = list(views)
    newest = max((view.id for view in known), default=0)
    return [view for view in known if not is_finished(view) and not (is_empty(view) and view.id < newest)]


def outcome(view: RequestView) -> Outcome:
    """Return how it ended, ``running`` if it has not, or ``waiting`` if it only waits for hosts to register."""
    if not is_finished(view):
        idle = view.completed >= view.tasks and view.pending_hosts > 0
        return "waiting" if idle else "running"
    if view.failed or view.timed_out or view.status in ("FAILED", "TIMEDOUT"):
        return "failed"
    if view.aborted or view.status == "ABORTED":
        return "aborted"
    return "completed"


def may_be_stuck(view: RequestView) -> bool:
    """Return whether something failed and nothing is running, so that ``is_stuck`` is worth checking."""
    bad = view.failed + view.aborted + view.timed_out > 0
    return bad and not is_finished(view) and view.queued == 0 and view.running == 0


def is_stuck(tasks: Iterable[TaskLike]) -> bool:
    """Return whether the rest of a logical request will never start.

    That is so if every unfinished task waits on a host whose installation failed. ``tasks`` are all unfinished and
    failed ones.
    """
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
    """Return the host of a physical request of a blueprint: ``Install components on host X`` → X; None for others."""
    match = _PHYSICAL.match(view.context)
    return match[2] if match else None


def physical_requests(logical: RequestView, requests: Iterable[RequestView], hosts: Iterable[str]) -> list[RequestView]:
    """Return the physical requests of ``logical``.

    They are the later ones that install or start components on one of ``hosts``, the hosts of its tasks: nothing else
    in the API connects the two.
    """
    wanted = frozenset(hosts)
    found = [view for view in requests if view.id > logical.id and physical_host(view) in wanted]
    return sorted(found, key=lambda view: view.id)
