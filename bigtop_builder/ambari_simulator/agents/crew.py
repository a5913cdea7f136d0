"""Agents at work in a bounded number of threads; they report to the engine."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from bigtop_builder.ambari_simulator.engine.cluster_state import HostComponent
from bigtop_builder.ambari_simulator.engine.task import Order, Outcome
from bigtop_builder.ambari_simulator.engine.work import Context, Work

PARALLEL = 16
"""The maximum number of concurrent commands over all hosts."""


class WorkingAgent(Protocol):
    """An agent whose commands take time and can be cancelled."""

    def execute(
        self, command: str, component: str, host: str, context: Context
    ) -> tuple[bool, str, str, dict[str, Any]]:
        """See ``work.Agent``."""
        ...

    def interrupt(self, host: str) -> None:
        """Kill what runs on a host."""
        ...


class WorkingCrew:
    """Passes orders to an agent in threads."""

    def __init__(self, agent: WorkingAgent, parallel: int = PARALLEL) -> None:
        self.agent = agent
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="agent")
        # Hanging commands may hold every thread, so cancelling has threads of its own.
        self._cutters = ThreadPoolExecutor(2, thread_name_prefix="agent-cut")
        self._looking: set[str] = set()
        self._guard = threading.Lock()

    def take(self, work: Work, order: Order, now: float) -> None:
        """See ``work.Crew``."""
        if order.cancel:
            self._cutters.submit(self.agent.interrupt, order.task.host)
            return
        context = work.context_of(order.task)
        if context is None:
            text = work.missing_text(order.task)
            work.engine.after(now, lambda then: work.report(order, Outcome(False, "", text, None), then))
            return
        self._threads.submit(self._carry_out, work, order, context)

    def _carry_out(self, work: Work, order: Order, context: Context) -> None:
        task = order.task
        try:
            result = self.agent.execute(task.custom or task.command, task.role, task.host, context)
        except Exception as error:  # whatever it is, the task must end
            result = (False, "", f"{type(error).__name__}: {error}", {})
        with work.world.lock:
            work.report(order, Outcome(*result))
            work.world.settle()

    def look(self, work: Work, now: float) -> None:
        """See ``work.Crew``: at most one status check at a time for each host."""
        for cluster in work.world.clusters.values():
            for host in cluster.hosts:
                started = [one for one in cluster.on(host) if one.state == "STARTED"]
                if started and host not in self._looking and host not in work.engine.silent:
                    contexts = [(one, work.context(cluster, host, one.service, one.component)) for one in started]
                    self._looking.add(host)
                    self._threads.submit(self._look, work, cluster.name, host, contexts)

    def _look(self, work: Work, cluster: str, host: str, contexts: list[tuple[HostComponent, Context]]) -> None:
        try:
            for one, context in contexts:
                alive, *_ = self.agent.execute("STATUS", one.component, host, context)
                if not alive:
                    with work.world.lock:
                        work.process_died(cluster, host, one.component)
        finally:
            with self._guard:
                self._looking.discard(host)

    def close(self) -> None:
        """See ``work.Crew``."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._cutters.shutdown(wait=True, cancel_futures=True)
