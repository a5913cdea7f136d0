"""A Dask cluster in this process, whose workers build on paper: real scheduler, client and workers, no engine."""

from __future__ import annotations

import fcntl
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bigtop_builder import __version__
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import ImageRecord
from bigtop_builder.adapter.dask_cluster.access import Access, load_dask
from bigtop_builder.adapter.dask_cluster.worker import make_worker
from bigtop_builder.adapter.sources.download_store import keep_source, stored
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.build.result import Result
from bigtop_builder.flow.build.step import run_step
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.distributed.forwarder import Forwarder
from bigtop_builder.flow.distributed.messages import RemoteOrder, WorkerFacts, facts_to_data
from bigtop_builder.flow.distributed.placement import resources_of
from bigtop_builder.flow.distributed.worker_host import Link, WorkerHost
from bigtop_builder.model.errors import InterruptedRunError
from bigtop_builder.plan.task import Kind

Work = Callable[["PaperHost", WorkOrder, LogWriter, threading.Event], Result | None]


class FolderResults:
    """Shared results in a folder, without any care."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def has(self, kind: Kind, key: str) -> bool:
        return (self.root / kind / key).is_dir()

    def fetch(self, kind: Kind, key: str, store: Store) -> bool:
        with store.locked(f"{kind}-{key}"):
            if not store.has(kind, key) and self.has(kind, key):
                shutil.copytree(self.root / kind / key, store.folder(kind, key))
        return store.has(kind, key)

    def push(self, kind: Kind, key: str, store: Store) -> None:
        shutil.copytree(store.folder(kind, key), self.root / kind / key, dirs_exist_ok=True)

    def push_data(self, kind: str, name: str, data: Mapping[str, Any]) -> None:
        """Nobody asks for it here."""

    def push_source(self, digest: str, store: Store) -> bool:
        path = stored(store.root, digest)
        if path is not None:
            (self.root / "sources").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, self.root / "sources" / digest)
        return path is not None

    def fetch_source(self, digest: str, store: Store) -> bool:
        path = self.root / "sources" / digest
        return path.is_file() and keep_source(store.root, path) == digest

    @contextmanager
    def lease(self, kind: Kind, key: str, holder: str | None = None) -> Iterator[bool]:
        (self.root / "leases").mkdir(parents=True, exist_ok=True)
        with (self.root / "leases" / f"{kind}-{key}").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def empty_result(host: PaperHost, order: WorkOrder, log: LogWriter, cancelled: threading.Event) -> None:
    """Build nothing."""


def sleeping(seconds: float, component: str = "") -> Work:
    """Take some time for one component or for all, unless cancelled."""

    def work(host: PaperHost, order: WorkOrder, log: LogWriter, cancelled: threading.Event) -> None:
        if component in ("", order.component) and cancelled.wait(seconds):
            raise InterruptedRunError("cancelled")

    return work


@dataclass
class PaperHost(WorkerHost):
    """A worker that builds on paper, with a log of one line."""

    store: Store = field(default_factory=lambda: Store(Path()))
    does: Work = empty_result
    fingerprints: Callable[[str], str] = lambda name: f"fingerprint-{name}"
    built: list[str] = field(default_factory=list)
    """The tasks that it began."""
    orders: list[WorkOrder] = field(default_factory=list)
    """The same as they were sent."""

    @contextmanager
    def opened(self, message: RemoteOrder, link: Link, forwarder: Forwarder) -> Iterator[Any]:
        run = self.store.open().start_run()
        try:
            yield SimpleNamespace(
                store=self.store,
                run=run,
                cancelled=link.cancelled,
                emit=forwarder.event,
                tee=forwarder.log,
                sites=SimpleNamespace(secrets=[]),
            )
        finally:
            run.close()

    def images(self, worker: Any, message: RemoteOrder) -> list[ImageRecord]:
        return [
            ImageRecord(image_key(one.spec), one.spec.name, "x", "x", self.fingerprints(one.spec.kind), "", "", 0.0)
            for one in message.images
        ]

    def work(self, worker: Any, order: WorkOrder) -> Result:
        if worker.store.has(order.kind, order.key):
            return Result(order.task, order.kind, order.platform, "reused")
        self.built.append(order.task)
        self.orders.append(order)
        step = "compile" if order.kind == "compile" else "package"
        with run_step(worker, order.task, step, worker.run.log(order.task, step), order.log_size) as log:
            log.note(f"{order.task} is built on {self.name}")
            result = self.does(self, order, log, worker.cancelled)
        if result is not None:
            return result
        folder = worker.run.work / f"result-{order.key}"
        (folder / ("stage" if order.kind == "compile" else "rpms")).mkdir(parents=True)
        worker.store.commit(order.kind, order.key, folder, {"key": order.key, "rpms": {}, "notes": []})
        return Result(order.task, order.kind, order.platform, "done")


def paper_facts(name: str) -> WorkerFacts:
    """What a worker says of itself: one slot, and memory for everything."""
    return WorkerFacts(__version__, "x86_64", "paper", 1, 64 << 30, (), f"builder@{name}")


class PaperCluster:
    """A scheduler on loopback, and workers that come and go."""

    def __init__(self, root: Path, cluster: Any, certificates: Path | None) -> None:
        self.root = root
        self.certificates = certificates
        self.results = FolderResults(root / "results")
        self.address: str = cluster.scheduler_address
        self.scheduler = cluster.scheduler
        self.hosts: dict[str, PaperHost] = {}
        self._cluster = cluster
        self._begun: list[list[str]] = []
        self._workers: dict[str, Any] = {}

    def join(
        self, name: str, does: Work = empty_result, *, facts: Mapping[str, Any] | None = None, **more: Any
    ) -> PaperHost:
        """Add a worker."""
        host = PaperHost(
            None,  # type: ignore[arg-type]
            {},
            self.results,
            name,
            ("ssh", "-t", name),
            store=Store(self.root / name),
            does=does,
            **more,
        )
        data = {**facts_to_data(paper_facts(name)), **(facts or {})}
        access = Access(self.address, "worker", self.certificates)

        async def start() -> Any:
            shown = WorkerFacts(**data)
            return await make_worker(access, host, data, shown.slots, resources_of(shown), name=name)

        self.hosts[name] = host
        self._begun.append(host.built)
        self._workers[name] = self._cluster.sync(start)
        return host

    def lose(self, name: str) -> None:
        """Cut a worker off, as if its machine were gone: nothing that it still does reaches anybody."""
        worker = self._workers.pop(name)
        del self.hosts[name]

        async def cut() -> None:
            worker.batched_stream.comm.abort()
            worker.periodic_callbacks["heartbeat"].stop()
            worker.batched_stream.comm = None

        self._cluster.sync(cut)

    def stop(self, name: str) -> None:
        """End a worker in good order."""
        worker = self._workers.pop(name)
        self._cluster.sync(worker.close)

    @property
    def built(self) -> list[str]:
        """The tasks that were begun, on whatever worker."""
        return [task for begun in self._begun for task in begun]

    def close(self) -> None:
        """End the workers."""
        for name in list(self._workers):
            self.stop(name)


def _security(certificates: Path | None) -> Any:
    """The scheduler's and, for the cluster's own client, the client's part."""
    from distributed.security import Security

    if certificates is None:
        return Security()
    parts = {
        f"tls_{part}_{kind}": str(certificates / f"{part}{suffix}.pem")
        for part in ("scheduler", "client")
        for kind, suffix in (("cert", ""), ("key", "-key"))
    }
    return Security(tls_ca_file=str(certificates / "ca.pem"), require_encryption=True, **parts)


@contextmanager
def paper_cluster(root: Path, certificates: Path | None = None) -> Iterator[PaperCluster]:
    """Start a scheduler without workers; with certificates it demands them."""
    load_dask()
    from distributed import LocalCluster

    protocol = "tcp" if certificates is None else "tls"
    with LocalCluster(
        n_workers=0,
        processes=False,
        dashboard_address="127.0.0.1:0",
        silence_logs=False,
        protocol=protocol,
        host="127.0.0.1",
        security=_security(certificates),
    ) as cluster:
        made = PaperCluster(root, cluster, certificates)
        try:
            yield made
        finally:
            made.close()


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    """Wait for something; the limit only ends a test that would hang."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
