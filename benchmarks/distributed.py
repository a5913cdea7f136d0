"""Measure builds on a Dask cluster whose workers sleep instead of compiling: speed-up, overhead, lost workers.

    python -m benchmarks.distributed [speed-up|overhead|kills]

- *speed-up*: the whole-stack graph of ``benchmarks.scheduler``, a hundred times faster than real, with 1, 2 and 4
  workers of one slot; the makespan against the bound that no order of the tasks can beat.
- *overhead*: a chain of tasks that take no time, with one worker and an nginx that keeps their results, and the same
  without a cluster.
- *kills*: a plan of 50 short tasks on three worker processes, of which a random one is killed at a random time, 20
  times; everything must be built, and nothing more than twice.

Scheduler, client, workers and builder are the real ones; only containers are missing.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.scheduler import WHOLE, Recorded
from bigtop_builder.adapter.dask_cluster.access import Access
from bigtop_builder.adapter.dask_cluster.worker import make_worker, run_worker
from bigtop_builder.adapter.provenance.dsse import load_attestation_key
from bigtop_builder.adapter.results.http import HttpPlace
from bigtop_builder.adapter.results.shared_results import SharedResults
from bigtop_builder.adapter.sources.web import Web
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.build.builder import build
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import Result
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.distributed.executor import DaskExecutor
from bigtop_builder.flow.distributed.messages import facts_to_data
from bigtop_builder.flow.distributed.placement import resources_of
from bigtop_builder.flow.packagings import PACKAGINGS
from bigtop_builder.model.event import AnyEvent, TaskFinished, TaskStarted
from bigtop_builder.model.project import Network
from bigtop_builder.plan.scheduler import Work, critical_path
from tests.fast.conftest import ProjectFolder
from tests.fast.paper_cluster import FolderResults, PaperCluster, PaperHost, paper_cluster, paper_facts, sleeping
from tests.fast.real_servers import nginx
from tests.fast.test_planning import COMPILED, SHA, SOURCE, workspace

SPEED = 100
GRAPH: Recorded = {
    f"x-{name}": (compiling, packaging, tuple(f"x-{need}" for need in needs))
    for name, (compiling, packaging, needs) in WHOLE.items()
}
"""The whole stack under names that no shipped component has."""
TARGET = 1.10
REQUEST = Request(everything=True, platforms=("el8",), keep_going=True)


def project(root: Path, graph: Recorded) -> Project:
    """A project with a component for each of a graph, none of which has been built."""
    folder = ProjectFolder(root)
    for name, (compiling, _, needs) in graph.items():
        depends = f"depends: {{build: [{', '.join(needs)}]}}\n" if needs else ""
        if compiling:
            folder.component(name, COMPILED + depends, versions=SOURCE % SHA)
        else:
            folder.component(name, depends)
    folder.stack(**dict.fromkeys(graph, "1"))
    return workspace(folder, **{"executor.lease": "20s", "executor.patience": "30s"})


def seconds_of(graph: Recorded, order_or_task: str) -> float:
    """How long a task sleeps."""
    name, _, kind = order_or_task.replace("@", "/").split("/")
    return graph[name][0 if kind == "compile" else 1] / SPEED


def run(
    space: Project, cluster: PaperCluster | str, results: FolderResults | SharedResults
) -> tuple[Mapping[str, Result], list[AnyEvent]]:
    """Build everything on a cluster."""
    events: list[AnyEvent] = []
    address = cluster if isinstance(cluster, str) else cluster.address
    done = build(space, REQUEST, events.append, PACKAGINGS, DaskExecutor(Access(address, "client"), results))
    return done.results, events


def speed_up(root: Path) -> None:
    """Compare makespans with their bounds."""
    print(f"{'workers':>7} {'makespan':>9} {'bound':>7} {'ratio':>6} {'speed-up':>9}")
    alone = 0.0
    for number in (1, 2, 4):
        own = root / str(number)
        own.mkdir()
        space = project(own, GRAPH)
        with paper_cluster(own / "machines") as cluster:
            for name in range(number):
                cluster.join(f"worker-{name}", sleeping_for(GRAPH))
            plan = space.plan(REQUEST)
            for task in plan.tasks:
                space.store.record_last(task.id, "none", {}, seconds_of(GRAPH, task.id))
            results, events = run(space, cluster, cluster.results)
        assert {one.state for one in results.values()} == {"done"}, results
        work = {one.id: Work(one.depends, one.after, seconds_of(GRAPH, one.id)) for one in plan.tasks}
        bound = max(critical_path(work), sum(one.seconds for one in work.values()) / number)
        took = span(events)
        alone = alone or took
        print(f"{number:>7} {took:>8.1f}s {bound:>6.1f}s {took / bound:>6.3f} {alone / took:>9.2f}")
    print(f"target: a ratio of at most {TARGET}")


def sleeping_for(graph: Recorded) -> object:
    """Work that sleeps as long as its task is said to take."""

    def work(host: PaperHost, order: WorkOrder, *rest: object) -> None:
        sleeping(seconds_of(graph, order.task))(host, order, *rest)  # type: ignore[arg-type]

    return work


def span(events: list[AnyEvent]) -> float:
    """The seconds from the first task's beginning to the last one's end."""
    began = [event.time for event in events if isinstance(event, TaskStarted)]
    ended = [event.time for event in events if isinstance(event, TaskFinished)]
    return max(ended) - min(began)


def overhead(root: Path) -> None:
    """Compare a chain of empty tasks on a cluster with the same on this machine."""
    graph: Recorded = {f"c{number:02}": (1e-9, 0, (f"c{number - 1:02}",) if number else ()) for number in range(10)}
    space = project(root, graph)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    key = load_attestation_key(pem, None, "signing.attestation_key")
    with nginx(root / "nginx") as server, paper_cluster(root / "machines") as cluster:
        cluster.results = SharedResults(HttpPlace(server.url, Web(Network())), [], key)  # type: ignore[assignment]
        host = cluster.join("worker")
        _, events = run(space, cluster, cluster.results)
    began = {event.task: event.time for event in events if isinstance(event, TaskStarted)}
    times = [event.time - began[event.task] for event in events if isinstance(event, TaskFinished)]
    with tempfile.TemporaryDirectory() as folder:
        here = PaperHost(space, {}, host.results, "here", store=Store(Path(folder)))
        local = fmean(alone(here, order) for order in host.orders)
    print(f"a task on a cluster: {fmean(times):.3f} s, at most {max(times):.3f} s; on this machine {local:.3f} s")
    print(f"overhead: {fmean(times) - local:.3f} s; target: below 0.5 s")


@dataclass
class NoLink:
    """A link to nobody."""

    address = ""
    lost = ""

    def __post_init__(self) -> None:
        import threading

        self.cancelled = threading.Event()
        self.on_tick = lambda: None

    def send(self, message: Mapping[str, object]) -> None:
        """Drop a message."""


def alone(host: PaperHost, order: WorkOrder) -> float:
    """The seconds of the same order without a cluster."""
    from bigtop_builder.flow.distributed.forwarder import Forwarder
    from bigtop_builder.flow.distributed.messages import RemoteOrder

    started = time.monotonic()
    link = NoLink()
    message = RemoteOrder("alone", "", 60, 1 << 20, (), order=order)
    with host.opened(message, link, Forwarder(link.send, "alone")) as worker:  # type: ignore[arg-type]
        host.work(worker, order)
    return time.monotonic() - started


SHORT: Recorded = {f"s{number:02}": (0, 20, ()) for number in range(50)}
"""Fifty tasks of 0.2 seconds."""


def kills(root: Path, count: int = 20, seed: int = 1) -> None:
    """Kill a random worker at a random time, again and again."""
    chance, worst, lost = random.Random(seed), 0, 0
    with paper_cluster(root / "machines") as cluster:
        workers: dict[str, subprocess.Popen[bytes]] = {}
        for number in range(count):
            own = root / f"run-{number}"
            own.mkdir()
            results = FolderResults(own / "results")
            space = project(own, SHORT)
            for place in range(3):
                name = f"worker-{number}-{place}"
                workers[name] = start_worker(cluster.address, name, own)
            wait_for(cluster, 3)
            victim = chance.choice(list(workers.values()))
            timer = subprocess.Popen(["sh", "-c", f"sleep {chance.uniform(0.5, 4):.2f}; kill -9 {victim.pid}"])
            outcome, events = run(space, cluster, results)
            timer.wait()
            begun = Counter((own / "begun").read_text().split())
            states = Counter(one.state for one in outcome.values())
            # Reused is what a worker finished that was killed before it could say so.
            assert states["done"] + states["reused"] == 50, (number, states)
            assert set(begun) == {one.task for one in outcome.values()}
            worst, lost = max(worst, *begun.values()), lost + sum(begun.values()) - 50
            print(f"kill {number + 1}: {dict(states)} in {span(events):.1f} s, built twice: {sum(begun.values()) - 50}")
            for worker in workers.values():
                worker.send_signal(signal.SIGKILL)
                worker.wait()
            workers.clear()
            wait_for(cluster, 0)
    print(f"{count} kills: right end state each time; no task built more than {worst} times, {lost} built twice")


def start_worker(address: str, name: str, root: Path) -> subprocess.Popen[bytes]:
    """Start a worker process."""
    return subprocess.Popen([sys.executable, "-m", "benchmarks.distributed", "worker", address, name, str(root)])


def wait_for(cluster: PaperCluster, number: int) -> None:
    """Wait until the cluster has so many workers."""
    end = time.monotonic() + 120
    while len(cluster.scheduler.workers) != number:
        assert time.monotonic() < end
        time.sleep(0.1)


def work_for(address: str, name: str, root: Path) -> None:
    """Be a worker process that writes down what it begins."""

    def work(host: PaperHost, order: WorkOrder, *rest: object) -> None:
        with (root / "begun").open("a") as stream:
            stream.write(order.task + "\n")
        sleeping(seconds_of(SHORT, order.task))(host, order, *rest)  # type: ignore[arg-type]

    host = PaperHost(None, {}, FolderResults(root / "results"), name, store=Store(root / name), does=work)  # type: ignore[arg-type]
    access, facts = Access(address, "worker"), paper_facts(name)
    run_worker(
        lambda: make_worker(access, host, facts_to_data(facts), facts.slots, resources_of(facts), name=name),
        access,
        lambda _: None,
    )


def main(arguments: list[str]) -> None:
    """Run one measurement, or all."""
    if arguments[:1] == ["worker"]:
        work_for(arguments[1], arguments[2], Path(arguments[3]))
        return
    for name, measure in {"speed-up": speed_up, "overhead": overhead, "kills": kills}.items():
        if not arguments or name in arguments:
            with tempfile.TemporaryDirectory() as folder:
                measure(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
