"""Follow a simulated deployment of 1,000 hosts and 20,000 tasks: ours, and a follower that always rereads everything.

    python -m benchmarks.following [--hosts 1000]

Both follow the same deployment, at a tenth of the hosts and at all of them, from a process of their own; the server is
another process, whose clock advances only while the follower waits, so that both see the same moments. Every hundredth
host has a task that fails half way. The benchmark counts polls, calls, bytes received, the peak of Python's allocations
(tracemalloc), and how many polls after its end a failed task was shown.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import multiprocessing
import os
import tempfile
import time
import tracemalloc
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.ambari_simulator.rest.http import Answer, Asked
from bigtop_builder.flow.deploy.deployment import open_deployment
from bigtop_builder.flow.deploy.request_follower import TaskFailedError, follow
from bigtop_builder.model.event import AmbariTask, AnyEvent
from bigtop_builder.recipe.inventory import load_inventory

START = 1_795_377_358.0
POLL = 2.0
"""Seconds of the simulated clock between two polls: the inventory's default."""
CLIENTS = ("ZOOKEEPER_CLIENT", "HDFS_CLIENT", "YARN_CLIENT", "MAPREDUCE2_CLIENT", "HIVE_CLIENT", "SPARK_CLIENT")
SERVERS = ("ZOOKEEPER_SERVER", "DATANODE", "NODEMANAGER", "JOURNALNODE", "ZKFC", "KAFKA_BROKER", "SOLR_SERVER")
"""20 tasks a host: clients are installed, servers installed and started."""
TASKS = len(CLIENTS) + 2 * len(SERVERS)
FAILING = 100
"""One in this many hosts has a task that fails."""


def name_of(number: int) -> str:
    return f"node{number}.x.test"


def serve(pipe: Connection, hosts: int) -> None:
    """The server's process: sends its address and the deployment's request, then advances its clock on demand, and
    answers with the number and the end of each failed task.
    """
    from bigtop_builder.ambari_simulator.agents.paper import PaperCrew
    from bigtop_builder.ambari_simulator.assembly import make_world
    from bigtop_builder.ambari_simulator.assembly import serve as server_of
    from bigtop_builder.ambari_simulator.engine.injection import TaskFault
    from bigtop_builder.ambari_simulator.engine.state import Host
    from bigtop_builder.ambari_simulator.engine.task import Status
    from bigtop_builder.ambari_simulator.engine.work import work_of

    now = START
    names = [name_of(number) for number in range(1, hosts + 1)]
    seconds = {"INSTALL": 2.0, "START": 1.0}
    world = make_world([Host(name, "192.0.2.1") for name in names], crew=PaperCrew(seconds=seconds), clock=lambda: now)
    faults = work_of(world).injections.tasks
    for number in range(FAILING, hosts + 1, FAILING):
        wait = 1.0 + number % 7
        faults.append(TaskFault(host=name_of(number), role="KAFKA_BROKER", command="INSTALL", seconds=wait))
    with server_of(world) as simulation:
        request = _deploy(simulation.url, names)
        answered, calls, came = simulation.site.answer, 0, 0

        def counting(asked: Asked) -> Answer:
            nonlocal calls, came
            answer = answered(asked)
            calls, came = calls + 1, came + len(answer.content)
            return answer

        simulation.site.answer = counting  # type: ignore[method-assign]
        pipe.send((simulation.url, request))
        while (step := pipe.recv()) is not None:
            with world.lock:
                now += step
                world.settle()
            tasks = work_of(world).engine.tasks.values()
            pipe.send({(task.host, task.role): task.ended for task in tasks if task.status is Status.FAILED})
        pipe.send((calls, came / 1e6))


def _deploy(url: str, names: list[str]) -> int:
    quiet = {"cluster-env": {"properties": {"command_retry_enabled": "false"}}}
    blueprint = {
        "Blueprints": {"stack_name": "BIGTOP", "stack_version": "3.2.0"},
        "configurations": [quiet],
        "host_groups": [{"name": "all", "components": [{"name": one} for one in CLIENTS + SERVERS]}],
    }
    template = {
        "blueprint": "many",
        "default_password": "bench",
        "host_groups": [{"name": "all", "hosts": [{"fqdn": name} for name in names]}],
    }
    call(f"{url}/api/v1/version_definitions", {"VersionDefinition": {"available": "BIGTOP-3.2.0"}})
    call(f"{url}/api/v1/blueprints/many?validate_topology=false", blueprint)
    return int(json.loads(call(f"{url}/api/v1/clusters/bench", template))["Requests"]["id"])


def call(url: str, body: object = None) -> bytes:
    """GET the address, or POST to it if there is a body."""
    signed = "Basic " + base64.b64encode(b"admin:admin").decode()
    headers = {"Authorization": signed, "X-Requested-By": "bench"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=600) as answer:
        return bytes(answer.read())


@dataclass
class Figures:
    """The cost of following a deployment."""

    polls: int = 0
    calls: int = 0
    megabytes: float = 0.0
    peak: float = 0.0
    """MiB."""
    seconds: float = 0.0
    """Processor time of this process."""
    shown: int = 0
    late: int = 0
    """The largest number of polls between the end of a failed task and its display."""


class Watch:
    """The clock of a follower: advances the server's clock, and records how late failures are shown."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.now = START
        self.figures = Figures()
        self._failed: dict[tuple[str, str], float] = {}

    def wait(self, seconds: float) -> None:
        self.pipe.send(seconds)
        self._failed = self.pipe.recv()
        self.now += seconds
        self.figures.polls += 1

    def failed(self, host: str, role: str) -> None:
        """Record that a failed task is shown now."""
        self.figures.shown += 1
        late = 1 + int((self.now - self._failed[host, role]) // POLL)
        self.figures.late = max(self.figures.late, late)


def ours(watch: Watch, url: str, request: int) -> None:
    """Follow as ``deploy`` does."""
    os.environ["BENCH_PASSWORD"] = "admin"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inventory.yaml"
        file.write_text(
            f'cluster: bench\nambari: {{url: "{url}", password: "env:BENCH_PASSWORD", poll: {int(POLL)}s}}\n'
            f"groups: {{all: {{hosts: [{name_of(1)}], components: [ZOOKEEPER_CLIENT]}}}}\n"
        )

        def bus(event: AnyEvent) -> None:
            if isinstance(event, AmbariTask) and event.status == "FAILED":
                watch.failed(event.host, event.role)

        with (
            open_deployment(
                load_inventory(file), Secrets(), bus, Path(folder), clock=lambda: watch.now, pause=watch.wait
            ) as deployment,
            contextlib.suppress(TaskFailedError),
        ):
            follow(deployment.connections.client, deployment.world, deployment.reporter, request)


def naive(watch: Watch, url: str, request: int) -> None:
    """Read the request with all its tasks each time, and look for changes."""
    statuses: dict[int, str] = {}
    while True:
        document = json.loads(call(f"{url}/api/v1/clusters/bench/requests/{request}?fields=Requests/*,tasks/Tasks/*"))
        for item in document["tasks"]:
            task = item["Tasks"]
            if statuses.get(task["id"]) != task["status"] == "FAILED":
                watch.failed(task["host_name"], task["role"])
            statuses[task["id"]] = task["status"]
        # Starts on a host whose installation failed stay PENDING forever.
        if document["Requests"]["task_count"] and not {"QUEUED", "IN_PROGRESS"} & set(statuses.values()):
            return
        watch.wait(POLL)


def measure(follower: Callable[[Watch, str, int], None], hosts: int) -> Figures:
    context = multiprocessing.get_context("spawn")
    mine, other = context.Pipe()
    server = context.Process(target=serve, args=(other, hosts))
    server.start()
    try:
        url, request = mine.recv()
        answer, told = context.Pipe()
        process = context.Process(target=_follow, args=(follower, mine, told, url, request))
        process.start()
        told.close()
        figures = answer.recv()
        process.join()
        mine.send(None)
        calls, megabytes = mine.recv()
    finally:
        server.kill()
        server.join()
    assert isinstance(figures, Figures)
    return replace(figures, calls=calls, megabytes=megabytes)


def _follow(
    follower: Callable[[Watch, str, int], None], pipe: Connection, told: Connection, url: str, request: int
) -> None:
    watch = Watch(pipe)
    began = time.process_time()
    tracemalloc.start()
    follower(watch, url, request)
    watch.figures.peak = tracemalloc.get_traced_memory()[1] / (1 << 20)
    watch.figures.seconds = time.process_time() - began
    told.send(watch.figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hosts", type=int, default=1000)
    largest = parser.parse_args().hosts
    print(
        f"{'':8}{'hosts':>7}{'tasks':>8}{'polls':>7}{'calls':>7}{'a poll':>8}{'came':>11}{'peak':>11}{'CPU':>9}"
        f"{'failed':>8}{'late by':>9}"
    )
    found: dict[tuple[str, int], Figures] = {}
    for hosts in (largest // 10, largest):
        for name, follower in (("ours", ours), ("naive", naive)):
            one = found[name, hosts] = measure(follower, hosts)
            print(
                f"{name:8}{hosts:7}{hosts * TASKS:8}{one.polls:7}{one.calls:7}{one.calls / max(one.polls, 1):8.2f}"
                f"{one.megabytes:8.1f} MB{one.peak:7.1f} MiB{one.seconds:7.1f} s{one.shown:8}{one.late:7} p.",
                flush=True,
            )
    mine, theirs = found["ours", largest], found["naive", largest]
    growth = mine.peak / found["ours", largest // 10].peak
    print(
        f"\nours in parts of the naive one: bytes {mine.megabytes / theirs.megabytes:.3f}, memory "
        f"{mine.peak / theirs.peak:.3f}, CPU {mine.seconds / theirs.seconds:.3f}; ten times the hosts take "
        f"{growth:.1f} times the memory (naive {theirs.peak / found['naive', largest // 10].peak:.1f})"
    )
    late = max(one.late for (name, _), one in found.items() if name == "ours")
    print(f"target: a failed task is shown within one poll: {'reached' if late <= 1 else 'missed'}")


if __name__ == "__main__":
    main()
