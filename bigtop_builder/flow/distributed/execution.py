"""A run on a cluster: orders go to workers that can carry them out, and what arrives of them is followed.

One thread does all of it, so nothing here needs a lock: whatever comes from elsewhere goes through one queue. A worker
counts as lost when the engine has none of that address any more, or gave its work up. Its order is then given to
another worker once.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.dask_cluster.client import Cluster
from bigtop_builder.flow.build.images import NeededImage
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.result import Result, defect
from bigtop_builder.flow.distributed import placement, remote
from bigtop_builder.flow.distributed.attempt import Attempt
from bigtop_builder.flow.distributed.fleet import LOOK_SECONDS, Fleet
from bigtop_builder.flow.distributed.messages import (
    RemoteOrder,
    Verdict,
    order_to_json,
    verdict_from_json,
)
from bigtop_builder.flow.distributed.outcome import failed, keep_shell, taken_over
from bigtop_builder.flow.distributed.own_sources import has_own_sources, sent_or_failure
from bigtop_builder.flow.distributed.results import SharedResults
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.model.base import size_in_bytes
from bigtop_builder.model.errors import BigtopBuilderError, InterruptedRunError
from bigtop_builder.model.event import Failure, Notice

if TYPE_CHECKING:
    from bigtop_builder.adapter.store import Run
    from bigtop_builder.flow.build.work_order import WorkOrder

END_SECONDS = 30.0
"""How long a worker may take to say that it has ended what was cancelled."""


class DaskExecution:
    """``Execution`` on a cluster."""

    def __init__(
        self,
        cluster: Cluster,
        results: SharedResults,
        project: Project,
        run: Run,
        emit: Bus,
        *,
        offline: bool,
        lease: float,
        patience: float,
        token: str,
    ) -> None:
        self.shares = False
        self.resized: Callable[[], object] = lambda: None
        self._cluster = cluster
        self._results = results
        self._project = project
        self._run = run
        self._emit = emit
        self._offline = offline
        self._lease = lease
        self._patience = patience
        self._holder = f"{run.id}-{token}"
        self._names = (f"bigtop-builder-{self._holder}-{number}" for number in itertools.count(1))
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._attempts: dict[str, Attempt] = {}
        self._fleet = Fleet(emit, lambda: self.resized())
        self._images: dict[str, NeededImage] = {}
        self._cancelling = False
        self._contact = time.monotonic()
        self._transfers = ThreadPoolExecutor(4, thread_name_prefix="transfer")

    # what the builder calls

    @property
    def slots(self) -> Mapping[str, int]:
        """See ``Execution.slots``."""
        return self._fleet.slots

    def described(self) -> str:
        """``3 workers (6 slots)``."""
        return self._fleet.described()

    def prepare_images(self, images: Sequence[NeededImage]) -> bool:
        """See ``Execution.prepare_images``. Every worker makes them, at the same time."""
        known = {image_key(image.spec): recorded(self._project.store, image_key(image.spec)) for image in images}
        self._inbox.put(lambda: self._need_images(images))
        while not self._fleet.images_settled.wait(0.2):
            if self._cancelling:
                raise InterruptedRunError("making images was interrupted")
        before = {key: record.fingerprint if record else None for key, record in known.items()}
        agreed: Future[bool] = Future()
        self._inbox.put(lambda: self._agree(before, agreed))
        return agreed.result()

    def submit(self, order: WorkOrder, deliver: Callable[[Result], None]) -> None:
        """See ``Execution.submit``."""
        images = tuple(self._images[key] for key in order.images.values())
        message = RemoteOrder(
            name="",
            run=self._holder,
            lease=self._lease,
            log_size=order.log_size,
            images=images,
            fingerprints={key: self._fleet.agreed.get(key, "") for key in order.images.values()},
            order=order,
            offline=self._offline,
        )
        attempt = Attempt(message, deliver, self._run, self._emit)
        if has_own_sources(order):
            self._transfers.submit(self._send, attempt, order)
        else:
            self._inbox.put(lambda: self._place(attempt))

    def _send(self, attempt: Attempt, order: WorkOrder) -> None:
        """Send the sources that only this machine has ahead of their order; in a thread of its own."""
        sent = sent_or_failure(order, self._results, self._project, self._run)
        if isinstance(sent, Failure):
            self._inbox.put(lambda: self._fail(attempt, sent))
        else:
            attempt.message = replace(attempt.message, source=sent)
            self._inbox.put(lambda: self._place(attempt))

    def cancel(self) -> None:
        """See ``Execution.cancel``."""
        self._cancelling = True
        self._inbox.put(self._cancel_all)

    @contextmanager
    def at_work(self, cancelled: threading.Event) -> Iterator[None]:
        """Work until the block is left. Raises EngineError when no worker joins in time."""
        self._cluster.subscribe(lambda message: self._inbox.put(lambda: self._receive(message)))
        thread = threading.Thread(target=self._work, name="cluster", daemon=True)
        try:
            self._fleet.await_first(self._cluster.workers, self._patience, cancelled)
            thread.start()
            yield
        except BaseException:
            self.cancel()
            raise
        finally:
            if thread.ident is not None:
                self._inbox.put(None)
                thread.join()
            self._transfers.shutdown()

    # the one thread

    def _work(self) -> None:
        looked, leaving = 0.0, False
        while not (leaving and not self._attempts):
            try:
                job = self._inbox.get(timeout=LOOK_SECONDS / 2)
                leaving = leaving or job is None
                if job is not None:
                    job()
            except queue.Empty:
                pass
            except BigtopBuilderError as error:
                with suppress(BigtopBuilderError):
                    self._emit(Notice(text=error.message, level="error"))
            except Exception as error:
                # Somebody waits for each result.
                self._end_all(defect(error))
            if time.monotonic() - looked > LOOK_SECONDS:
                self._inbox.put(self._look)
                looked = time.monotonic()

    def _look(self) -> None:
        """Look which workers there are, and what became of attempts."""
        try:
            rows = self._cluster.workers()
        except BigtopBuilderError as error:
            if time.monotonic() - self._contact > self._lease:
                self._end_all(failed("the cluster was lost: " + error.message, error.hint))
            return
        self._contact = time.monotonic()
        for joined in self._fleet.see(rows):
            self._make_images(joined)
        for attempt in list(self._attempts.values()):
            self._look_at(attempt)

    def _look_at(self, attempt: Attempt) -> None:
        now = time.monotonic()
        if attempt.given_up is not None:
            if now - attempt.given_up > END_SECONDS:
                if attempt.worker:
                    text = f"the worker {attempt.worker} has not said that it ended this"
                    self._tell(attempt, text)
                self._end(attempt, "cancelled")
        elif attempt.job is None:
            self._place(attempt)
        elif attempt.address and attempt.address not in self._fleet.addresses():
            self._lost(attempt, "it is gone")
        elif not attempt.address and not self._fleet.addresses() & set(attempt.workers):
            # Nobody has begun it, so nobody was lost with it.
            self._withdraw(attempt)
            if attempt.message.order is None:
                self._fleet.images_made(attempt.workers[0], None)
            else:
                self._place(attempt)

    def _place(self, attempt: Attempt) -> None:
        """Give an attempt to the engine, if there is a worker that can carry it out."""
        order = attempt.message.order
        assert order is not None
        if self._cancelling:
            self._end(attempt, "cancelled")
            return
        fit, why = self._fleet.fit(order)
        if not fit:
            now = time.monotonic()
            self._attempts.setdefault(attempt.message.name or self._rename(attempt), attempt)
            if attempt.waiting_since is None:
                attempt.waiting_since = now
                self._tell(attempt, f"no worker of the cluster can build this now: {why}")
            elif now - attempt.waiting_since > self._patience:
                hint = "Start one that can, with: bigtop-builder worker"
                self._fail(attempt, failed(f"no worker of the cluster can build this: {why}", hint))
            return
        self._attempts.pop(attempt.message.name, None)
        name = self._rename(attempt)
        attempt.workers, attempt.worker, attempt.address, attempt.waiting_since = tuple(fit), "", "", None
        self._attempts[name] = attempt
        self._give(attempt, placement.demand(order))

    def _rename(self, attempt: Attempt) -> str:
        attempt.message = replace(attempt.message, name=next(self._names))
        return attempt.message.name

    def _give(self, attempt: Attempt, resources: Mapping[str, float]) -> None:
        name = attempt.message.name
        attempt.job = self._cluster.submit(
            remote.carry_out,
            order_to_json(attempt.message),
            name,
            attempt.workers,
            resources,
            lambda: self._inbox.put(lambda: self._job_ended(name)),
        )

    def _receive(self, message: Mapping[str, Any]) -> None:
        attempt = self._attempts.get(message["attempt"])
        if attempt is None:
            # Of another run, or of an attempt that was given up.
            return
        if "begun" in message:
            attempt.worker, attempt.address = message["begun"], message["address"]
        elif "verdict" in message:
            self._judged(attempt, verdict_from_json(message["verdict"]))
        else:
            attempt.take_in(message)

    def _judged(self, attempt: Attempt, verdict: Verdict) -> None:
        if attempt.message.order is None:
            self._attempts.pop(attempt.message.name, None)
            self._fleet.images_made(attempt.workers[0], verdict)
            return
        result = verdict.result
        assert result is not None
        if result.state == "cancelled" and not self._cancelling:
            self._lost(attempt, "it stops")
            return
        self._attempts.pop(attempt.message.name, None)
        with suppress(BigtopBuilderError):
            keep_shell(self._project.store, attempt.message.order, attempt.worker, result)
        self._transfers.submit(self._finish, attempt, attempt.with_own_log(result))

    def _finish(self, attempt: Attempt, result: Result) -> None:
        """Fetch what was made, if it is wanted here; in a thread of its own."""
        assert attempt.message.order is not None
        store = self._project.store
        self._deliver(attempt, taken_over(self._results, store, attempt.message.order, attempt.worker, result))

    def _job_ended(self, name: str) -> None:
        """Look at an attempt whose job has ended, after everything that it sent."""
        attempt = self._attempts.get(name)
        if attempt is None or attempt.job is None or attempt.given_up is not None:
            return
        error = attempt.job.error()
        self._lost(attempt, f"{type(error).__name__}: {error}" if error else "it gave no result")

    def _lost(self, attempt: Attempt, why: str) -> None:
        """Give the order of a lost worker to another, once."""
        self._withdraw(attempt)
        if attempt.message.order is None:
            self._images_lost(attempt.workers[0], why)
            return
        where = attempt.worker or "before it began"
        if self._cancelling:
            self._end(attempt, "cancelled")
        elif not attempt.lost_on:
            attempt.lost_on.append(where)
            self._tell(attempt, f"the worker {where} was lost ({why}): this is given to another, once", "warning")
            self._place(attempt)
        else:
            names = ", ".join([*attempt.lost_on, where])
            hint = "Two lost workers may be what this task does to them: look at their memory, disk and logs."
            self._fail(attempt, failed(f"the workers that built this were lost: {names} ({why})", hint))

    def _withdraw(self, attempt: Attempt) -> None:
        self._attempts.pop(attempt.message.name, None)
        if attempt.job is not None:
            attempt.job.cancel()
            attempt.job = None

    def _cancel_all(self) -> None:
        for attempt in list(self._attempts.values()):
            if attempt.message.order is None:
                self._withdraw(attempt)
            elif attempt.given_up is None:
                attempt.given_up = time.monotonic()
                if attempt.job is not None:
                    attempt.job.cancel()
                if not attempt.worker:
                    self._end(attempt, "cancelled")

    def _end(self, attempt: Attempt, state: Any) -> None:
        order = attempt.message.order
        self._attempts.pop(attempt.message.name, None)
        if order is not None:
            self._deliver(attempt, Result(order.task, order.kind, order.platform, state))

    def _fail(self, attempt: Attempt, failure: Failure) -> None:
        order = attempt.message.order
        assert order is not None
        self._attempts.pop(attempt.message.name, None)
        self._deliver(attempt, Result(order.task, order.kind, order.platform, "failed", failure=failure))

    def _end_all(self, failure: Failure) -> None:
        for attempt in list(self._attempts.values()):
            self._withdraw(attempt)
            if attempt.message.order is None:
                self._fleet.images_made(attempt.workers[0], None)
            else:
                self._fail(attempt, failure)

    def _deliver(self, attempt: Attempt, result: Result) -> None:
        # Whatever goes wrong there is the builder's own to tell.
        with suppress(BigtopBuilderError):
            attempt.deliver(result)

    def _tell(self, attempt: Attempt, text: str, level: Any = "info") -> None:
        order = attempt.message.order
        with suppress(BigtopBuilderError):
            self._emit(Notice(text=text, level=level, task=order.task if order else None))

    # images

    def _need_images(self, images: Sequence[NeededImage]) -> None:
        self._images |= {image_key(image.spec): image for image in images}
        self._fleet.begin_images()
        for address in sorted(self._fleet.addresses()):
            self._make_images(address)
        self._fleet.settle()

    def _agree(self, before: Mapping[str, str | None], agreed: Future[bool]) -> None:
        try:
            agreed.set_result(self._fleet.agree(before, self._project.store))
        except BaseException as error:
            agreed.set_exception(error)

    def _images_lost(self, address: str, why: str) -> None:
        """Have a worker that is still there make its images again, once: it may only have been slow to begin."""
        if not self._cancelling and self._fleet.tries_again(address, why):
            self._make_images(address)

    def _make_images(self, address: str) -> None:
        """Have a worker make the images of this run, which may make it a member."""
        if not self._images:
            return
        facts = self._fleet.members[address]
        self._fleet.making(address)
        images = tuple(image for image in self._images.values() if image.spec.machine == facts.machine)
        message = RemoteOrder(
            name=next(self._names),
            run=self._holder,
            lease=self._lease,
            log_size=size_in_bytes(self._project.file.limits.log_size),
            images=images,
            offline=self._offline,
        )
        attempt = Attempt(message, lambda _: None, self._run, self._emit, worker=str(facts), workers=(address,))
        self._attempts[message.name] = attempt
        self._give(attempt, {})
