"""Fault injection: tasks that fail, hang or are slow, lost hosts, calls without an answer.

Nothing happens without being asked for, by ``Injections`` in a test or by ``/simulation/...`` (module ``control``).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bigtop_builder.ambari_simulator.engine.task import Order
from bigtop_builder.model.base import StrictModel


class TaskFault(StrictModel):
    """A task that fails, hangs or is slow. A field that is not given matches everything."""

    host: str | None = None
    role: str | None = None
    command: str | None = None
    """INSTALL, START, STOP, RESTART or SERVICE_CHECK."""
    skip: int = Field(default=0, ge=0)
    """Number of matching tries that succeed first."""
    times: int | None = Field(default=1, ge=1)
    """Number of matching tries that are affected; null: all."""
    effect: Literal["fail", "hang", "slow", "die"] = "fail"
    """``die``: the task succeeds, and its process ends soon afterwards, as DataNodes did whose start was COMPLETED
    (651); until the agent looks, Ambari shows STARTED."""
    seconds: float = Field(default=0.0, ge=0)
    """Seconds until a task fails, a slow one begins, or the agent sees the end of a process that died."""
    stderr: str = "resource_management.core.exceptions.Fail: made to fail"
    stdout: str = ""


class CallFault(StrictModel):
    """A call with a wrong answer or none."""

    method: str | None = None
    path: str = ""
    """Any part of the URI."""
    skip: int = Field(default=0, ge=0)
    times: int | None = Field(default=1, ge=1)
    effect: Literal["error", "reset", "expire", "slow"] = "error"
    """``error``: the answer is ``status``; ``reset``: the connection is cut; ``expire``: all sessions end first;
    ``slow``: the answer is late (743: a cluster with 44 tasks took ten seconds)."""
    seconds: float = Field(default=10.0, ge=0)
    """Seconds by which a slow answer is late."""
    status: int = Field(default=503, ge=400, le=599)


class HostFault(StrictModel):
    """A slow, late or lost host."""

    host: str
    effect: Literal["slow", "late", "lost"]
    """``slow``: each command begins ``seconds`` later; ``late``: its agent registers ``seconds`` after the server's
    start; ``lost``: its agent dies when it gets a command, after ``skip`` others."""
    seconds: float = Field(default=0.0, ge=0)
    skip: int = Field(default=0, ge=0)


class Injections:
    """The active faults. ``calls`` is used by the HTTP side, the others by the engine."""

    def __init__(self) -> None:
        self.tasks: list[TaskFault] = []
        self.calls: list[CallFault] = []
        self.hosts: list[HostFault] = []
        self._seen: dict[int, int] = {}

    def clear(self) -> None:
        """Remove all faults."""
        self.tasks.clear()
        self.calls.clear()
        self.hosts.clear()
        self._seen.clear()

    def for_order(self, order: Order) -> TaskFault | HostFault | None:
        """Return the fault that applies to an order and count it; ``Work`` carries it out."""
        task = order.task
        command = task.custom or task.command
        for fault in self.tasks:
            fits = fault.host in (None, task.host) and fault.role in (None, task.role)
            if fits and fault.command in (None, command) and self._counts(fault):
                return fault
        return next((fault for fault in self.hosts if fault.host == task.host and self._host_counts(fault)), None)

    def _host_counts(self, fault: HostFault) -> bool:
        if fault.effect == "slow":
            return True
        seen = self._seen[id(fault)] = self._seen.get(id(fault), 0) + 1
        return fault.effect == "lost" and seen == fault.skip + 1

    def for_call(self, method: str, target: str) -> CallFault | None:
        """Return the fault that applies to a call."""
        for fault in self.calls:
            if fault.method in (None, method) and fault.path in target and self._counts(fault):
                return fault
        return None

    def _counts(self, fault: TaskFault | CallFault) -> bool:
        seen = self._seen[id(fault)] = self._seen.get(id(fault), 0) + 1
        return seen > fault.skip and (fault.times is None or seen <= fault.skip + fault.times)
