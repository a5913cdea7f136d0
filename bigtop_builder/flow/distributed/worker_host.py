"""A worker's own machine: its store, engine and network settings, and how it carries out an order.

Everything about this machine comes from its own project file: mirrors, proxies and credentials never travel.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from bigtop_builder.adapter.containers.engine_images import present
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import ImageRecord, recorded
from bigtop_builder.flow.build.images import NeededImage, prepare_images
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import Result, defect
from bigtop_builder.flow.build.result_sharing import image_data
from bigtop_builder.flow.build.task_runner import carry_out, failure_of
from bigtop_builder.flow.build.worker import Worker, open_worker, own_worker
from bigtop_builder.flow.distributed.forwarder import Forwarder
from bigtop_builder.flow.distributed.messages import RemoteOrder, Verdict
from bigtop_builder.flow.distributed.own_sources import receive_sources
from bigtop_builder.flow.distributed.results import SharedResults
from bigtop_builder.flow.run.run import record_run
from bigtop_builder.model.errors import BigtopBuilderError, EngineError, InterruptedRunError
from bigtop_builder.model.event import Failure, Notice, PlannedTask
from bigtop_builder.plan.task import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bigtop_builder.flow.build.steps import Packagings
    from bigtop_builder.flow.build.work_order import WorkOrder

LEASE_POLL_SECONDS = 1.0


class Link(Protocol):
    """What is known of whoever submitted an attempt."""

    address: str
    cancelled: threading.Event
    on_tick: Callable[[], None]

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message."""
        ...


@dataclass
class WorkerHost:
    """What orders are carried out with on this machine; its engine and network settings are opened once."""

    project: Project
    packagings: Packagings
    results: SharedResults
    name: str
    shell: Sequence[str] = ()
    """The command that runs this program here from elsewhere: ``ssh -t HOST bigtop-builder …``."""
    _opening: threading.Lock = field(default_factory=threading.Lock)
    _machines: dict[bool, Worker] = field(default_factory=dict)
    """What all orders share, for those with a network and for those without."""
    _open: ExitStack = field(default_factory=ExitStack)

    def open(self) -> None:
        """Clear away what a worker left that was killed here. Raises EngineError, ConfigurationError."""
        self._machine(False)

    def close(self) -> None:
        """Close what was opened."""
        self._open.close()

    def run(self, message: RemoteOrder, link: Link) -> None:
        """Carry out what was sent, and send how it ended. Nothing is raised for a failure."""
        forwarder = Forwarder(link.send, message.name)
        link.on_tick = forwarder.flush
        forwarder.begun(self.name, link.address)
        forwarder.verdict(self._verdict(message, link, forwarder))

    def _verdict(self, message: RemoteOrder, link: Link, forwarder: Forwarder) -> Verdict:
        try:
            with self.opened(message, link, forwarder) as worker:
                records = self.images(worker, message)
                if message.order is None:
                    return Verdict(images=tuple(records))
                _check_images(message, {one.key: one.fingerprint for one in records})
                started = time.monotonic()
                result = self._shown(self._carry_out(worker, message, message.order))
                return Verdict(replace(result, seconds=round(time.monotonic() - started, 3)))
        except InterruptedRunError:
            return _ended(message, "cancelled")
        except BigtopBuilderError as error:
            return _ended(message, "failed", failure_of(error))
        except Exception as error:
            return _ended(message, "failed", defect(error, f", seen on the worker {self.name}"))

    @contextmanager
    def opened(self, message: RemoteOrder, link: Link, forwarder: Forwarder) -> Iterator[Worker]:
        """Open this machine for one attempt, which is a run of its own here: with its logs, scratch and lock."""
        store = self.project.store.open()
        tasks = [_planned(message.order)] if message.order else []
        with record_run(store, store.start_run(), forwarder.event, "build", tasks=tasks) as active:
            active.cancelled = link.cancelled
            run, machine = active.run, self._machine(message.offline)
            assert run is not None
            yield own_worker(machine, self.project, run, active.emit, link.cancelled, forwarder.log)

    def _machine(self, offline: bool) -> Worker:
        """Open this machine, once. Raises EngineError, ConfigurationError."""
        with self._opening:
            if offline not in self._machines:
                run = self.project.store.start_run()
                self._open.callback(run.close)
                opened = open_worker(self.project, Request(offline=offline), run, lambda _: None, threading.Event())
                self._machines[offline] = self._open.enter_context(opened)
            return self._machines[offline]

    def _carry_out(self, worker: Worker, message: RemoteOrder, order: WorkOrder) -> Result:
        """Carry out an order, unless somebody else has the result or is making it: then wait and take it over."""
        if order.repeated or order.smoke_only:
            self._fetch(worker, [(order.kind, order.key), *_inputs(order)])
            return self.work(worker, self._with_sources(worker, message, order))
        told = False
        while order.forced or not self._is_made(worker, order):
            # An order that comes again, because its first worker was lost, has the lease of that one.
            with self.results.lease(order.kind, order.key, message.run) as mine:
                if mine and (order.forced or not self._is_made(worker, order)):
                    self._fetch(worker, _inputs(order))
                    here = self._with_sources(worker, message, order)
                    return self._shared(worker, order, self.work(worker, here))
            if not told and not mine:
                worker.emit(Notice(text="waiting for another worker that builds the same", task=order.task))
                told = True
            if not mine and worker.cancelled.wait(LEASE_POLL_SECONDS):
                raise InterruptedRunError(f"{order.task} was interrupted")
        return self._shared(worker, order, self.work(worker, order))

    def _with_sources(self, worker: Worker, message: RemoteOrder, order: WorkOrder) -> WorkOrder:
        """Return the order with the sources that only the machine has which submitted it."""
        return receive_sources(order, message.source, self.results, worker.store, worker.run.work)

    def _is_made(self, worker: Worker, order: WorkOrder) -> bool:
        """Whether the result is in this machine's store, or was fetched into it now."""
        self._fetch(worker, [(order.kind, order.key)])
        return worker.store.has(order.kind, order.key)

    def _shared(self, worker: Worker, order: WorkOrder, result: Result) -> Result:
        """Put what was made where others get it, and return how it ended."""
        if result.state in ("done", "reused"):
            image = recorded(worker.store, order.images.get(order.kind, ""))
            if image is not None:
                self.results.push_data("image", image.key, image_data(image))
            for digest in (one.digest for source in order.sources for one in source.alternatives):
                self.results.push_source(digest, worker.store)
            self.results.push(order.kind, order.key, worker.store)
        return result

    def images(self, worker: Worker, message: RemoteOrder) -> list[ImageRecord]:
        """Return the images of a message, after those were made that the engine does not have."""
        missing = [image for image in message.images if message.order is None or not _has(worker, image)]
        if missing:
            prepare_images(worker, missing, message.log_size)
        records = [recorded(worker.store, image_key(image.spec)) for image in message.images]
        return [record for record in records if record is not None]

    def work(self, worker: Worker, order: WorkOrder) -> Result:
        """Carry out an order whose input is in this machine's store."""
        return carry_out(worker, order, self.packagings[order.packaging]())

    def _fetch(self, worker: Worker, results: Sequence[tuple[Kind, str]]) -> None:
        """Bring results of others into this machine's store, as far as there are any."""
        for kind, key in results:
            if not worker.store.has(kind, key):
                self.results.fetch(kind, key, worker.store)

    def _shown(self, result: Result) -> Result:
        """Return the result as others may see it: a shell in its failure is opened on this machine."""
        failure = result.failure
        if failure is None or failure.shell is None:
            return result
        command = shlex.join([*self.shell, *shlex.split(failure.shell)[1:]])
        return replace(result, failure=failure.model_copy(update={"shell": command}))


def _has(worker: Worker, image: NeededImage) -> bool:
    record = recorded(worker.store, image_key(image.spec))
    return record is not None and present(worker.client, record.id) is not None


def _inputs(order: WorkOrder) -> list[tuple[Kind, str]]:
    """Return the results that an order builds on."""
    found: list[tuple[Kind, str]] = [("compile", order.compile_key)] if order.compile_key else []
    found += [(order.kind, key) for key in order.dependency_keys.values() if key]
    found += [("package", key) for key in order.smoke.keys.values()] if order.smoke else []
    return list(dict.fromkeys(found))


def _planned(order: WorkOrder) -> PlannedTask:
    platform = order.builder if order.kind == "compile" else order.platform
    return PlannedTask(
        task=order.task, component=order.component, platform=platform, kind=order.kind, action="build", key=order.key
    )


def _check_images(message: RemoteOrder, made: Mapping[str, str]) -> None:
    """Raise EngineError for an image that is not the one that the plan was made for: its keys would be wrong."""
    for key, wanted in message.fingerprints.items():
        if made.get(key) != wanted:
            raise EngineError(
                f"the image {key[:12]} has other packages on this worker than where the plan was made",
                hint="Its distribution has moved on since. Build again: the plan is then made with what workers have.",
            )


def _ended(message: RemoteOrder, state: Any, failure: Failure | None = None) -> Verdict:
    order = message.order
    if order is None:
        return Verdict(Result("images", "package", "", state, failure=failure))
    return Verdict(Result(order.task, order.kind, order.platform, state, failure=failure))
