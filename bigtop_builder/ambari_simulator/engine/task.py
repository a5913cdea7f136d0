"""Requests, stages and tasks: plain data, and how the server sums up several statuses as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """A task's status; a request's is a fold over them."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMEDOUT = "TIMEDOUT"
    ABORTED = "ABORTED"


ACTIVE = frozenset({Status.PENDING, Status.QUEUED, Status.IN_PROGRESS})
BAD = frozenset({Status.FAILED, Status.TIMEDOUT})


@dataclass(frozen=True)
class Outcome:
    """An agent's report at the end of a command."""

    ok: bool
    stdout: str = ""
    stderr: str = ""
    structured: dict[str, Any] | None = None


@dataclass(slots=True)
class Task:
    """One command for one component on one host."""

    id: int
    host: str
    role: str
    service: str
    command: str
    detail: str
    custom: str | None = None
    retry_for: float = 0.0
    """Seconds during which the agent retries while the task stays IN_PROGRESS."""
    request: int = 0
    stage: int = 0
    status: Status = Status.PENDING
    attempts: int = 0
    tries: int = 0
    started: float | None = None
    ran: float | None = None
    ended: float | None = None
    exit_code: int = 999
    stdout: str = ""
    stderr: str = ""
    structured: dict[str, Any] | None = None

    @property
    def active(self) -> bool:
        """Whether it has not ended yet."""
        return self.status in ACTIVE


@dataclass(slots=True)
class Request:
    """A physical request: stages of tasks, run one after the other."""

    id: int
    cluster: str
    context: str
    created: float
    stages: list[list[Task]]
    user: str = "admin"
    type: str = "INTERNAL_REQUEST"
    inputs: str | None = None
    operation_level: str | None = None
    resource_filters: list[dict[str, Any]] | None = field(default_factory=list)
    follows: Request | None = None
    """Runs only if that one succeeded, else it is aborted as soon as it begins (641, 753)."""
    current: int = -1
    started: float | None = None

    @property
    def tasks(self) -> list[Task]:
        """Return all tasks, stage by stage."""
        return [task for stage in self.stages for task in stage]

    @property
    def status(self) -> str:
        """``Requests/request_status``."""
        return fold(stage_status(stage) for stage in self.stages)

    @property
    def active(self) -> bool:
        """Whether any task has not ended yet."""
        return any(task.active for stage in self.stages for task in stage)


@dataclass(frozen=True)
class Order:
    """Tells an agent to execute ``task``, or with ``cancel`` to stop. ``tries`` distinguishes one try from the next."""

    task: Task
    tries: int
    cancel: bool = False


def stage_status(tasks: Iterable[Task]) -> str:
    """Return a stage's status (contract 7)."""
    return fold(task.status.value for task in tasks)


def fold(statuses: Iterable[str]) -> str:
    """Combine several statuses: a failure wins at once, an abort only once nothing is active any more."""
    found = set(statuses)
    if not found:
        return "COMPLETED"
    for whole in ("PENDING", "COMPLETED"):
        if found == {whole}:
            return whole
    for bad in ("FAILED", "TIMEDOUT"):
        if bad in found:
            return bad
    if "ABORTED" in found and not found & {"PENDING", "QUEUED", "IN_PROGRESS"}:
        return "ABORTED"
    return "IN_PROGRESS"


def progress(tasks: Iterable[Task]) -> float:
    """Return percent done: a queued task counts 9 %, a running one 35 %, an ended one 100 %."""
    weights = {Status.PENDING: 0, Status.QUEUED: 0, Status.IN_PROGRESS: 0}
    ended = total = 0
    for task in tasks:
        total += 1
        if task.status in weights:
            weights[task.status] += 1
        else:
            ended += 1
    if not total:
        return 0.0
    return (weights[Status.QUEUED] * 0.09 + weights[Status.IN_PROGRESS] * 0.35 + ended) / total * 100.0
