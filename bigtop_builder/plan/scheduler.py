"""The scheduler as a pure state machine: outcomes go in, instructions come out.

It knows no clock, thread or engine. Ready tasks start in the order of the longest chain of work that depends on them
(critical-path list scheduling), so that a long chain never starts last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Literal

from bigtop_builder.model.event import State
from bigtop_builder.plan.graph import dependants, topological_order


@dataclass(frozen=True)
class Work:
    """A task as the scheduler sees it; ``seconds`` is its expected duration."""

    depends: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    """Tasks that this one waits for, however they end."""
    seconds: float = 1.0
    reused: bool = False
    pool: str = ""
    """Whose slots it needs, where slots are not all alike: the architecture that it is built on."""


@dataclass(frozen=True)
class Start:
    """Start this task now."""

    task: str


@dataclass(frozen=True)
class Settle:
    """This task ends without having run."""

    task: str
    state: State
    blocked_by: str | None = None


Instruction = Start | Settle
Outcome = Literal["done", "reused", "failed", "out of reach", "cancelled"]
"""``out of reach``: failed because a source is unavailable, which is no reason to stop other tasks."""


@dataclass
class Scheduler:
    """Decides which tasks run when. Call ``begin`` once, then ``finished`` for each started task.

    ``jobs`` are the slots: a number for all tasks alike, or one for each pool; a pool that is not named has one.

    After a failure nothing new starts, unless ``keep_going``: then everything that does not depend on it still runs.
    A task that is out of reach never prevents others from starting. Dependants of a failed task become ``blocked``,
    those of a cancelled one ``cancelled``.
    """

    work: Mapping[str, Work]
    jobs: int | Mapping[str, int]
    keep_going: bool = False
    states: dict[str, State] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._check_jobs()
        hard = {name: [need for need in work.depends if need in self.work] for name, work in self.work.items()}
        soft = {name: [need for need in work.after if need in self.work] for name, work in self.work.items()}
        edges = {name: [*hard[name], *soft[name]] for name in self.work}
        order = topological_order(edges)
        self._dependants = dependants(edges)
        self._condemned = dependants(hard)
        self._missing = {name: len(set(needs)) for name, needs in edges.items()}
        self._stopping = False
        self._ready: dict[str, list[tuple[float, int, str]]] = {}
        self._busy: dict[str, int] = {}
        rank = {name: place for place, name in enumerate(order)}
        self._rank = rank
        self._weight: dict[str, float] = {}
        for name in reversed(order):
            behind = max((self._weight[after] for after in self._dependants[name]), default=0.0)
            self._weight[name] = behind + (0.0 if self.work[name].reused else self.work[name].seconds)

    def begin(self) -> list[Instruction]:
        """Return the first instructions."""
        instructions: list[Instruction] = []
        # Freeing a reused task frees its dependants at once, so the list must be made before the loop changes it.
        for name in [name for name, missing in self._missing.items() if missing == 0]:
            self._free(name, instructions)
        return instructions + self._fill()

    def finished(self, task: str, outcome: Outcome) -> list[Instruction]:
        """Note the end of a started task; return what to do next. Raises ValueError for one that is not running."""
        if task not in self.running:
            raise ValueError(f"{task} is not running")
        self.running.remove(task)
        self._busy[self._pool(task)] -= 1
        self.states[task] = "failed" if outcome == "out of reach" else outcome
        instructions: list[Instruction] = []
        if outcome in ("done", "reused"):
            self._release(task, instructions)
        else:
            self._condemn(task, instructions)
            if outcome == "cancelled" or (outcome == "failed" and not self.keep_going):
                instructions += self.cancel()
        return instructions + self._fill()

    def cancel(self) -> list[Instruction]:
        """Cancel every task that has not started; the end of running tasks must still be reported."""
        self._stopping = True
        instructions: list[Instruction] = []
        for name in sorted(self.work, key=lambda name: self._rank[name]):
            if name not in self.states and name not in self.running:
                self._settle(name, "cancelled", None, instructions)
        self._ready.clear()
        return instructions

    def resize(self, jobs: int | Mapping[str, int]) -> list[Instruction]:
        """Go on with other numbers of slots, as machines come and go; what runs is never stopped for it."""
        self.jobs = jobs
        self._check_jobs()
        return self._fill()

    @property
    def over(self) -> bool:
        """Whether every task has its state."""
        return len(self.states) == len(self.work)

    def _free(self, name: str, instructions: list[Instruction]) -> None:
        if name in self.states:
            return
        if self.work[name].reused:
            self._settle(name, "reused", None, instructions)
            self._release(name, instructions)
        else:
            ready = self._ready.setdefault(self._pool(name), [])
            heappush(ready, (-self._weight[name], self._rank[name], name))

    def _release(self, task: str, instructions: list[Instruction]) -> None:
        for name in sorted(self._dependants[task], key=lambda name: self._rank[name]):
            self._missing[name] -= 1
            if self._missing[name] == 0:
                self._free(name, instructions)

    def _condemn(self, task: str, instructions: list[Instruction]) -> None:
        """End everything that needs a failed or cancelled task; what only waited for it continues."""
        ended = [task]
        state: State = "blocked" if self.states[task] == "failed" else "cancelled"
        for one in ended:
            for name in sorted(self._condemned[one], key=lambda name: self._rank[name]):
                if name not in self.states:
                    self._settle(name, state, task, instructions)
                    ended.append(name)
        for one in ended:
            self._release(one, instructions)

    def _settle(self, name: str, state: State, by: str | None, instructions: list[Instruction]) -> None:
        self.states[name] = state
        instructions.append(Settle(name, state, by))

    def _fill(self) -> list[Instruction]:
        instructions: list[Instruction] = []
        for pool, ready in self._ready.items():
            while ready and not self._stopping and self._busy.get(pool, 0) < self._slots(pool):
                name = heappop(ready)[2]
                if name not in self.states:
                    self.running.add(name)
                    self._busy[pool] = self._busy.get(pool, 0) + 1
                    instructions.append(Start(name))
        return instructions

    def _pool(self, name: str) -> str:
        return "" if isinstance(self.jobs, int) else self.work[name].pool

    def _slots(self, pool: str) -> int:
        return self.jobs if isinstance(self.jobs, int) else self.jobs.get(pool, 1)

    def _check_jobs(self) -> None:
        if any(number < 1 for number in ([self.jobs] if isinstance(self.jobs, int) else self.jobs.values())):
            raise ValueError("jobs must be at least 1")


def critical_path(work: Mapping[str, Work]) -> float:
    """Return the longest chain of expected seconds, which no number of slots can shorten."""
    longest: dict[str, float] = {}
    edges = {name: [need for need in (*item.depends, *item.after) if need in work] for name, item in work.items()}
    for name in topological_order(edges):
        own = 0.0 if work[name].reused else work[name].seconds
        longest[name] = own + max((longest[need] for need in edges[name]), default=0.0)
    return max(longest.values(), default=0.0)
