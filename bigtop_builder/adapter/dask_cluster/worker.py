"""A worker of a cluster: it joins, runs functions, and notices when their results are no longer wanted.

A function is over in three cases besides its own end: whoever submitted it cancels it or is gone, this worker stops,
or it has not reached the scheduler for the time of its lease. Then another may have been given the same.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from bigtop_builder.adapter.dask_cluster.access import Access, load_dask, unreachable
from bigtop_builder.adapter.dask_cluster.client import FACTS, TOPIC
from bigtop_builder.model.errors import BigtopBuilderError

if TYPE_CHECKING:
    from distributed import Worker

T = TypeVar("T")

WATCH_SECONDS = 0.5
"""How often a link looks whether its function is still wanted."""

ANSWER_SECONDS = 10.0
HOST = "bigtop_builder_host"
"""The attribute of Dask's worker that has what functions work with."""


class AlreadyBegunError(Exception):
    """The engine gives a function to another worker after the first one is lost; we decide that, not the engine."""


class WorkerStopsError(Exception):
    """The worker ends, or has lost the scheduler, before its function was done."""


class Link:
    """The connection of one running function to whoever submitted it."""

    def __init__(self, worker: Worker, name: str, lease: float) -> None:
        self.cancelled = threading.Event()
        """Set when the result is no longer wanted."""
        self.lost = ""
        """Why nobody would get the result: this worker ends, or its lease is over."""
        self.on_tick: Callable[[], None] = lambda: None
        """Called twice a second while the function runs."""
        self.address: str = worker.address
        """The address of the worker that it runs on."""
        self._worker = worker
        self._name = name
        self._lease = lease
        self._contact = time.monotonic()
        self._over = threading.Event()

    def begin(self) -> None:
        """Note at the scheduler that this function begins. Raises AlreadyBegunError if it did before."""
        scheduler, patience = self._worker.scheduler, max(ANSWER_SECONDS, self._lease)
        if self._answer(scheduler.event_is_set(name=self._name), patience):
            raise AlreadyBegunError(self._name)
        self._answer(scheduler.event_set(name=self._name), patience)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message, in order. What cannot be sent any more is of no use to anybody."""
        with suppress(Exception):
            self._worker.log_event(TOPIC, dict(message))

    def _answer(self, question: Coroutine[Any, Any, T], patience: float = ANSWER_SECONDS) -> T:
        """Wait for an answer of the scheduler, which also renews the lease."""
        limited = asyncio.wait_for(question, patience)
        loop = self._worker.loop.asyncio_loop
        answer = asyncio.run_coroutine_threadsafe(limited, loop).result(patience + 1)
        self._contact = time.monotonic()
        return answer

    def watch(self) -> None:
        """Set ``cancelled`` as soon as the result is not wanted; runs in a thread until ``close``."""
        asking = self._lease / 4
        while not self._over.wait(WATCH_SECONDS):
            self.on_tick()
            if time.monotonic() - self._contact > asking:
                with suppress(Exception):
                    self._answer(self._worker.scheduler.event_is_set(name=self._name))
            reason = self._reason()
            if reason is not None:
                self.lost = reason
                self.cancelled.set()
                return

    def _reason(self) -> str | None:
        """Why the function shall end; empty if it was cancelled, None if it shall not."""
        if self._worker.status.name not in ("running", "paused"):
            return "the worker stops"
        if time.monotonic() - self._contact > self._lease:
            return "the scheduler is out of reach"
        state = self._worker.state.tasks.get(self._name)
        return None if state is not None and state.state in ("executing", "long-running") else ""

    def close(self) -> None:
        """End watching."""
        self._over.set()


@contextmanager
def linked(name: str, lease: float) -> Iterator[tuple[Any, Link]]:
    """For a function that runs on a worker: what it works with, and its link. Raises AlreadyBegunError."""
    from distributed import get_worker

    worker = get_worker()
    link = Link(worker, name, lease)
    link.begin()
    watching = threading.Thread(target=link.watch, name="watch", daemon=True)
    watching.start()
    try:
        yield getattr(worker, HOST), link
    finally:
        link.close()
        watching.join()


def make_worker(
    access: Access, host: object, facts: Mapping[str, Any], slots: int, resources: Mapping[str, float], **more: Any
) -> Worker:
    """Return a worker, which must be started; functions get ``host``."""
    load_dask()
    from distributed import Worker

    worker = Worker(
        access.address,
        nthreads=slots,
        resources=dict(resources),
        security=access.security(),
        startup_information={FACTS: lambda _: dict(facts)},
        memory_limit=0,
        **more,
    )
    setattr(worker, HOST, host)
    return worker


def run_worker(make: Callable[[], Worker], access: Access, joined: Callable[[Worker], None]) -> None:
    """Run a worker until a signal ends it, or the scheduler is gone. Raises EngineError, ConfigurationError."""
    access.knock()
    with suppress(KeyboardInterrupt):
        asyncio.run(_until_stopped(make, access, joined))


async def _until_stopped(make: Callable[[], Worker], access: Access, joined: Callable[[Worker], None]) -> None:
    load_dask()
    from distributed.comm import connect

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    try:
        # A worker that is started would try for ever, and hide why.
        probe = await connect(access.address, timeout=ANSWER_SECONDS, **access.security().get_connection_args("worker"))
        await probe.close()
        worker = await make()
    except BigtopBuilderError:
        raise
    except Exception as error:
        raise unreachable(access, error) from error
    joined(worker)
    ends = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(worker.finished())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        sys.stderr.write("the scheduler has ended this worker, or is gone\n")
    await worker.close(reason="stopped", executor_wait=True)
    for end in ends:
        end.cancel()
