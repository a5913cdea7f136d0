"""Requests, stages and tasks as a state machine: reports in, orders and states out. No clock, threads or sockets.

Times are seconds since the epoch, given by the caller. What was recorded (live-notes, "Requests and tasks"): a stage's
tasks are QUEUED together and an agent works on one at a time; a failed task makes its request FAILED at once while
others still run, and about a second later the server aborts what is left of the stage and all later stages; requests
that share a host wait for each other, others run side by side; ``exit_code`` is 999 until a task runs and 0 afterwards,
failed or not. All tasks of a stage carry the time at which the stage began (655), aborted ones too; those of later
stages have neither a start nor an attempt (650). Components of a host whose installation failed are not started: their
request begins and its tasks are aborted by themselves (641, 753).
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bigtop_builder.ambari_simulator.engine.task import BAD, Order, Outcome, Request, Status, Task

AUTOMATIC_ABORT = "Server considered task failed and automatically aborted it"
RETRY_WAITS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Seconds between the tries of a command that agents retry; the last one repeats."""


@dataclass(frozen=True)
class Pace:
    """How long the server and its agents take between steps, in seconds."""

    schedule: float = 1.0
    """Until the scheduler sees a new request, or goes on to the next stage."""
    report: float = 1.0
    """Until an agent has reported that it works on a command."""
    abort: float = 1.0
    """Until the scheduler aborts what is left after a failure."""
    assign: float = 1.0
    """Until hosts are assigned to a blueprint deployment."""
    status: float = 20.0
    """Between two status checks of an agent's processes."""
    lost: float = 155.0
    """From the loss of an agent until its tasks are aborted."""
    timeout: float = 900.0
    install_timeout: float = 1800.0
    minute: float = 60.0
    """How long a minute of an alert's interval lasts."""


INSTANT = Pace(schedule=0, report=0, abort=0, assign=0, status=0, minute=0.1)
"""For tests and rehearsals: only the agents take time."""


class Engine:
    """Runs requests. ``ordered`` is called with each order and its time; ``changed`` with each changed task and the
    status before it.
    """

    def __init__(
        self, pace: Pace, ordered: Callable[[Order, float], None], changed: Callable[[Task, Status], None]
    ) -> None:
        self.pace = pace
        self.ordered = ordered
        self.changed = changed
        self.requests: dict[int, Request] = {}
        self.tasks: dict[int, Task] = {}
        self.silent: set[str] = set()
        self.poisoned: str | None = None
        """A cluster that was deleted under an unfinished request: nothing is scheduled from then on."""
        self._lines: dict[str, deque[int]] = {}
        self._queues: dict[str, deque[Task]] = {}
        self._running: dict[str, Task] = {}
        self._timers: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()

    def submit(self, request: Request, now: float) -> None:
        """Submit a request whose tasks are PENDING; the scheduler sees it on its next round."""
        for number, stage in enumerate(request.stages):
            for task in stage:
                task.request, task.stage = request.id, number
                self.tasks[task.id] = task
        self.requests[request.id] = request
        for host in dict.fromkeys(task.host for task in request.tasks):
            self._lines.setdefault(host, deque()).append(request.id)
        self.after(now + self.pace.schedule, lambda then: self._start(request, then))

    def after(self, when: float, action: Callable[[float], None]) -> None:
        """Run ``action`` once the clock has reached ``when``."""
        heapq.heappush(self._timers, (when, next(self._order), action))

    def advance(self, now: float) -> None:
        """Run all due actions, in order."""
        while self._timers and self._timers[0][0] <= now:
            when, _, action = heapq.heappop(self._timers)
            action(when)

    def report(self, task: Task, tries: int, outcome: Outcome, now: float) -> None:
        """Take an agent's report; a report on an earlier try is ignored."""
        if task.status is not Status.IN_PROGRESS or task.tries != tries or task.host in self.silent:
            return
        task.stdout += outcome.stdout
        task.stderr = outcome.stderr
        task.structured = outcome.structured
        if not outcome.ok and self._retried(task, now):
            return
        ending = "Command completed successfully!" if outcome.ok else f"Command failed after {tries} tries"
        task.stdout += f"\n\n{ending}\n"
        self._end(task, Status.COMPLETED if outcome.ok else Status.FAILED, now)
        self._after_task(task, now)

    def abort(self, request: Request, reason: str, now: float) -> None:
        """Abort the rest of a request, as a PUT of ABORTED does."""
        for task in request.tasks:
            if task.active:
                self._abort_task(task, reason, now)
        self._finish(request, now)

    def lose(self, host: str, now: float) -> None:
        """Abort the tasks of a host whose agent is gone, without a message; those of other hosts continue."""
        for task in [*self._queues.get(host, ()), *filter(None, [self._running.get(host)])]:
            self._end(task, Status.ABORTED, now)
            self._after_task(task, now)

    def restart(self, clusters: Iterable[str], now: float) -> None:
        """Restart as the server does: requests of deleted clusters are dropped, the others are scheduled."""
        kept = set(clusters)
        for request in [one for one in self.requests.values() if one.cluster not in kept]:
            for task in request.tasks:
                if task.active:
                    self._end(task, Status.ABORTED, now)
            self._leave(request)
        self.poisoned = None
        for request in list(self.requests.values()):
            if request.active and request.current < 0:
                self._start(request, now)
            elif request.active and not any(task.active for task in request.stages[request.current]):
                self._begin(request, request.current + 1, now)

    def resume(self, requests: Iterable[Request], now: float) -> None:
        """Continue the requests of an earlier process, in their order: orders that agents had not answered
        are sent again."""
        for request in requests:
            self.requests[request.id] = request
            self.tasks |= {task.id: task for task in request.tasks}
            if not request.active:
                continue
            for task in request.tasks:
                if task.active:
                    task.status, task.tries = Status.PENDING, 0
            for host in dict.fromkeys(task.host for task in request.tasks):
                self._lines.setdefault(host, deque()).append(request.id)
            self.after(now + self.pace.schedule, lambda then, one=request: self._go_on(one, then))  # type: ignore[misc]

    def _go_on(self, request: Request, now: float) -> None:
        if request.current < 0:
            self._start(request, now)
            return
        stage = request.stages[request.current]
        ended = not any(task.active for task in stage)
        if any(task.status in BAD or (ended and task.status is Status.ABORTED) for task in stage):
            self._abort_rest(request, now)
        else:
            self._begin(request, request.current + ended, now)

    def unfinished(self, cluster: str) -> list[Request]:
        """Return the requests of a cluster with tasks that have not ended."""
        return [one for one in self.requests.values() if one.cluster == cluster and one.active]

    def _start(self, request: Request, now: float) -> None:
        if self.poisoned or request.current >= 0 or not request.active:
            return
        if request.follows and request.follows.active:
            return
        hosts = dict.fromkeys(task.host for task in request.tasks)
        if any(self._lines[host][0] != request.id for host in hosts):
            return
        if request.follows and request.follows.status != "COMPLETED":
            request.current = 0
            self.after(now + self.pace.schedule, lambda then: self._refuse(request, then))
            return
        request.started = now
        self._begin(request, 0, now)

    def _refuse(self, request: Request, now: float) -> None:
        """Abort what cannot start because its installation failed: the first stage now, the others after it."""
        request.started = now
        for task in request.stages[0]:
            if task.active:
                self._end(task, Status.ABORTED, now)
        self.after(now + self.pace.abort, lambda then: self._drop_rest(request, then))

    def _drop_rest(self, request: Request, now: float) -> None:
        for task in request.tasks:
            if task.active:
                self._end(task, Status.ABORTED, now)
        self._finish(request, now)

    def _begin(self, request: Request, number: int, now: float) -> None:
        if self.poisoned:
            return
        request.current = number
        for task in request.stages[number]:
            if task.status is not Status.PENDING:
                continue
            task.attempts, task.started = 1, now
            self._change(task, Status.QUEUED)
            self._queues.setdefault(task.host, deque()).append(task)
            self.after(now + self.pace.report, lambda then, host=task.host: self._next(host, then))  # type: ignore[misc]

    def _next(self, host: str, now: float) -> None:
        queue = self._queues.get(host)
        if not queue or host in self._running or host in self.silent:
            return
        task = queue.popleft()
        task.ran, task.exit_code = now, 0
        self._running[host] = task
        self._change(task, Status.IN_PROGRESS)
        self._order_task(task, now)

    def _order_task(self, task: Task, now: float) -> None:
        if task.status is not Status.IN_PROGRESS:
            return
        task.tries += 1
        tries = task.tries
        limit = self.pace.install_timeout if task.command == "INSTALL" else self.pace.timeout
        self.after(now + limit, lambda then: self._time_out(task, tries, then))
        self.ordered(Order(task, tries), now)

    def _time_out(self, task: Task, tries: int, now: float) -> None:
        if task.status is Status.IN_PROGRESS and task.tries == tries and task.host not in self.silent:
            self.ordered(Order(task, tries, cancel=True), now)
            task.stdout += f"\n\nCommand failed after {tries} tries\n"
            self._end(task, Status.TIMEDOUT, now)
            self._after_task(task, now)

    def _retried(self, task: Task, now: float) -> bool:
        wait = RETRY_WAITS[min(task.tries - 1, len(RETRY_WAITS) - 1)]
        if task.ran is None or now + wait - task.ran > task.retry_for:
            return False
        self.after(now + wait, lambda then: self._order_task(task, then))
        return True

    def _end(self, task: Task, status: Status, now: float) -> None:
        task.ended = now
        self._change(task, status)
        if self._running.get(task.host) is task:
            del self._running[task.host]
        queue = self._queues.get(task.host)
        if queue and task in queue:
            queue.remove(task)

    def _change(self, task: Task, status: Status) -> None:
        before, task.status = task.status, status
        self.changed(task, before)

    def _after_task(self, task: Task, now: float) -> None:
        request = self.requests[task.request]
        if task.host not in self.silent:
            self._next(task.host, now)
        stage = request.stages[task.stage]
        if any(one.status in BAD for one in stage):
            if request.active:
                self.after(now + self.pace.abort, lambda then: self._abort_rest(request, then))
            else:
                self._finish(request, now)
        elif not any(one.active for one in stage):
            if any(one.status is Status.ABORTED for one in stage) or task.stage + 1 == len(request.stages):
                self._abort_rest(request, now)
            else:
                self.after(now + self.pace.schedule, lambda then: self._begin(request, task.stage + 1, then))

    def _abort_rest(self, request: Request, now: float) -> None:
        for task in request.tasks:
            if task.active:
                self._abort_task(task, AUTOMATIC_ABORT, now)
        self._finish(request, now)

    def _abort_task(self, task: Task, reason: str, now: float) -> None:
        if task.status is Status.IN_PROGRESS:
            self.ordered(Order(task, task.tries, cancel=True), now)
            said = f"\nCommand aborted. Reason: '{reason}'"
            task.stderr = said
            task.stdout += f"{said}\n\nCommand failed after {task.tries} tries\n"
            task.structured = task.structured or {}
        self._end(task, Status.ABORTED, now)

    def _finish(self, request: Request, now: float) -> None:
        waiting = self._leave(request)
        for host in dict.fromkeys(task.host for task in request.tasks):
            self._next(host, now)
        for number in waiting:
            follower = self.requests[number]
            self.after(now + self.pace.schedule, lambda then, one=follower: self._start(one, then))  # type: ignore[misc]

    def _leave(self, request: Request) -> list[int]:
        waiting: dict[int, None] = {}
        for host in dict.fromkeys(task.host for task in request.tasks):
            line = self._lines.get(host)
            if line and request.id in line:
                line.remove(request.id)
                if line:
                    waiting[line[0]] = None
        return list(waiting)
