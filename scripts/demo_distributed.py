#!/usr/bin/env python3
"""Builds on a cluster of this machine: a scheduler with TLS, three workers with stores of their own, one is killed.

    scripts/demo_distributed.py [COMPONENT...]

Builds the components in the user's store as a local build does, then once more on the cluster, while the worker that
runs the first long step is killed, and compares the packages byte by byte. Then a fresh machine takes everything from
the shared results, which an nginx keeps, and compiles nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bigtop_builder.adapter.store import Store, remove_tree  # noqa: E402
from bigtop_builder.flow.build.dead_runs import clear_after_crash  # noqa: E402
from bigtop_builder.model.digest import of_file  # noqa: E402
from bigtop_builder.model.project import default_store  # noqa: E402
from tests.fast.real_servers import Nginx, free_port, nginx  # noqa: E402
from tests.real.lending import lend  # noqa: E402

COMPONENTS = (
    "bigtop-utils",
    "bigtop-select",
    "bigtop-groovy",
    "bigtop-jsvc",
    "zookeeper",
    "zookeeper-native",
    "spark",
    "redis",
)
MAVEN = {"zookeeper", "zookeeper-native"}
WORKERS = ("worker-1", "worker-2", "worker-3")
PROJECT = """\
stack: bigtop-3.2.0
platforms: [debian-bootstrap]
components: {spark: {variant: binary, options: {hadoop: bundled}}}
"""
CLUSTER = """\
results: {url: "SERVER", push: true, credentials: {user: "env:RESULTS_USER", password: "env:RESULTS_PASSWORD"}}
signing: {attestation_key: "file:KEY"}
executor: {dask: "ADDRESS", certificates: tls, lease: 20s}
"""


class Machines:
    """The machines of the demo, which are folders and processes of this one."""

    def __init__(self, root: Path, shared: Path, results: Nginx, settings: str) -> None:
        self.root = root
        self.shared = shared
        self.results = results
        self.address = f"tls://127.0.0.1:{free_port()}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.workers: list[str] = []
        self.project = root / "project"
        (self.project).mkdir()
        text = (settings + CLUSTER).replace("SERVER", results.url).replace("ADDRESS", self.address)
        (self.project / "bigtop-builder.yaml").write_text(text.replace("KEY", str(root / "key.pem")))
        command = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(root / "key.pem")]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        self.run("worker", "certificates", "tls")

    def command(self, *arguments: str, machine: str = "here") -> list[str]:
        """The command line of a machine."""
        store = ["--store", str(self.root / machine)] if machine != "shared" else ["--store", str(self.shared)]
        return [sys.executable, "-m", "bigtop_builder", "-C", str(self.project), *store, *arguments]

    def run(self, *arguments: str, machine: str = "here") -> str:
        """Run a command to its end; return its output."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        done = subprocess.run(
            self.command(*arguments, machine=machine), env=environment, text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{arguments[0]} on {machine} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def start(self, name: str, command: list[str]) -> None:
        """Start a process that lasts; its output goes to a file."""
        with (self.root / f"{name}.log").open("wb") as log:
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.project)

    def start_scheduler(self) -> None:
        """Start the scheduler, and wait until it listens."""
        host, _, port = self.address.removeprefix("tls://").partition(":")
        files = [f"--tls-{kind}=tls/{name}.pem" for kind, name in TLS.items()]
        options = ["--protocol=tls", f"--host={host}", f"--port={port}", "--dashboard-address=127.0.0.1:0", *files]
        self.start("scheduler", [sys.executable, "-m", "distributed.cli.dask_scheduler", *options])
        self.wait(lambda: reachable(host, int(port)))

    def start_worker(self, name: str, *folders: str, options: tuple[str, ...] = ()) -> None:
        """Start a worker whose store has folders of the user's, and no results."""
        lend(self.shared, self.root / name, *folders)
        self.workers.append(name)
        self.start(name, self.command("worker", "--slots", "1", "--name", name, *options, machine=name))
        self.wait(lambda: "builds for" in (self.root / f"{name}.log").read_text())

    def lose(self, worker: str) -> None:
        """Kill a worker with its containers, as the end of its machine does."""
        self.processes[worker].kill()
        self.processes[worker].wait()
        clear_after_crash(Store(self.root / worker).open())

    def wait(self, ready: object) -> None:
        """Wait for something of a process, at most two minutes."""
        end = time.monotonic() + 120
        while not ready():  # type: ignore[operator]
            if time.monotonic() > end:
                raise SystemExit("a process of the demo does not come up: see the logs in " + str(self.root))
            time.sleep(0.2)

    def close(self) -> None:
        """End all processes."""
        for process in reversed(self.processes.values()):
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in self.workers:
            # What a worker left that had to be killed runs on.
            clear_after_crash(Store(self.root / name).open())


LOGIN = {"RESULTS_USER": "team", "RESULTS_PASSWORD": secrets.token_hex(16)}
TLS = {"ca-file": "ca", "cert": "scheduler", "key": "scheduler-key"}


def reachable(host: str, port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def machines(shared: Path, settings: str = PROJECT) -> Iterator[Machines]:
    """Make the machines, and end them."""
    root = Path(tempfile.mkdtemp(prefix="bigtop-builder-cluster-"))
    os.environ |= LOGIN
    try:
        with nginx(root / "nginx", login=":".join(LOGIN.values())) as results:
            made = Machines(root, shared, results, settings)
            try:
                yield made
            finally:
                made.close()
    finally:
        remove_tree(root)


def packages(folder: Path) -> dict[str, str]:
    """File name → SHA-256."""
    return {path.name: of_file(path) for path in sorted(folder.rglob("*.rpm"))}


def build_and_kill(cluster: Machines, names: tuple[str, ...], victim: str) -> str:
    """Build on the cluster; kill the worker that compiles ``victim``. Return that worker's name."""
    events = cluster.root / "events.jsonl"
    build = cluster.command("build", *names, "--output", str(cluster.root / "out"), "--events", str(events))
    cluster.start("build", build)
    killed, chosen = "", (victim, "compile")
    while cluster.processes["build"].poll() is None:
        time.sleep(0.2)
        for event in read(events) if not killed else ():
            if event["event"] == "step_started" and (event["task"].partition("@")[0], event["step"]) == chosen:
                killed = event["worker"]
                cluster.lose(killed)
                print(f"killed {killed}, which compiles {victim}", flush=True)
                break
    log = (cluster.root / "build.log").read_text()
    if cluster.processes["build"].returncode or not killed:
        raise SystemExit(f"the build on the cluster ended with {cluster.processes['build'].returncode}:\n{log}")
    return killed


def read(events: Path) -> list[dict[str, str]]:
    """The events so far."""
    if not events.exists():
        return []
    return [json.loads(line) for line in events.read_text().splitlines(keepends=True) if line.endswith("\n")]


def shared_store() -> Path:
    """The user's store."""
    environment = os.environ.get("BIGTOP_BUILDER_STORE")
    return Path(environment) if environment else default_store(dict(os.environ))


def main(names: tuple[str, ...], victim: str) -> None:
    """Run the demo; SystemExit says what is wrong."""
    shared = shared_store()
    with machines(shared) as cluster:
        began = time.monotonic()
        local = cluster.root / "local"
        cluster.run("build", *names, "--executor", "local", "--output", str(local), machine="shared")
        print(f"local build: {len(packages(local))} packages in {time.monotonic() - began:.0f} s", flush=True)
        # What the local build shared would leave nothing to do.
        remove_tree(cluster.results.served)
        cluster.results.served.mkdir()
        cluster.start_scheduler()
        # The caches of Maven have a hundred thousand files, which take a minute to link.
        downloads = ("sources", "cache") if MAVEN & set(names) else ("sources",)
        for worker in WORKERS:
            cluster.start_worker(worker, "images", *downloads)
        lend(shared, cluster.root / "here", "images")
        began = time.monotonic()
        killed = build_and_kill(cluster, names, victim)
        found, told = packages(cluster.root / "out"), (cluster.root / "build.log").read_text()
        if found != packages(local):
            raise SystemExit(f"the packages differ: {sorted(set(found.items()) ^ set(packages(local).items()))}")
        if f"the worker {killed} was lost" not in told:
            raise SystemExit("nobody was told that a worker was lost")
        built = time.monotonic() - began
        print(f"on the cluster: the same bytes in {built:.0f} s", flush=True)
        cluster.results.forget()
        began = time.monotonic()
        fresh = cluster.root / "elsewhere"
        answer = json.loads(
            cluster.run("build", *names, "--executor", "local", "--output", str(fresh), "--json", machine="fresh")
        )
        states = {one["state"] for one in answer["components"]}
        if states != {"reused"} or packages(fresh) != found:
            raise SystemExit(f"a fresh machine did not take everything: {states}")
        taken = time.monotonic() - began
        print(f"a fresh machine: everything from shared results in {taken:.0f} s, {taken / built:.1%} of that time")
        needed = sum(path.stat().st_size for path in fresh.rglob("*.rpm"))
        print(f"bytes moved: {cluster.results.sent()}, {cluster.results.sent() / needed:.3f} of those needed")


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or COMPONENTS, "zookeeper")
