"""A worker on a network of its own: people reach it over SSH, and the network to it can be cut."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.fast.real_servers import SBIN, free_port, require
from tests.real.conftest import SmallProject
from tests.real.lending import lend

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip", path=SBIN) is None, reason="networks are made by root, with iproute2"
)
NAMESPACE, LINK = "bigtop-builder-worker", "bigtop-builder"
HERE, THERE = "10.213.77.1", "10.213.77.2"


def call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60, env={**os.environ, "PATH": SBIN})


def remove_network() -> None:
    # A namespace, with its end of the cable, goes some time after its name.
    for command in (f"link del {LINK}", f"netns del {NAMESPACE}"):
        subprocess.run(["ip", *command.split()], check=False, capture_output=True, env={"PATH": SBIN})


@pytest.fixture
def network() -> Iterator[None]:
    """A network namespace, joined to this machine by a cable."""
    remove_network()
    call("ip", "netns", "add", NAMESPACE)
    try:
        call("ip", "link", "add", LINK, "type", "veth", "peer", "name", "cable", "netns", NAMESPACE)
        call("ip", "addr", "add", f"{HERE}/30", "dev", LINK)
        call("ip", "link", "set", LINK, "up")
        for command in (f"addr add {THERE}/30 dev cable", "link set cable up", "link set lo up"):
            call("ip", "-n", NAMESPACE, *command.split())
        yield
    finally:
        remove_network()


class Cluster:
    """A scheduler here, and a worker behind the cable, whose sshd is the only way for people to reach it."""

    def __init__(self, project: SmallProject, shared: Path, opened: ExitStack) -> None:
        self.project = project
        self.root = project.root
        self.store = self.root / "worker-store"
        self.opened = opened
        self.address = f"tls://{HERE}:{free_port()}"
        self.environment = {**project.tool.environment(), "PATH": f"{self.root / 'bin'}:{SBIN}"}
        lend(shared, self.store, "images")
        lend(shared, project.tool.store, "images")
        (self.root / "results").mkdir()
        call("openssl", "genpkey", "-algorithm", "ed25519", "-out", str(self.root / "key.pem"))
        settings: dict[str, Any] = {
            "stack": "small",
            "platforms": ["debian-bootstrap"],
            "overlays": ["overlay"],
            "results": {"url": str(self.root / "results"), "push": True},
            "signing": {"attestation_key": f"file:{self.root / 'key.pem'}"},
            "executor": {"dask": self.address, "certificates": "tls", "lease": "10s", "patience": "20s"},
        }
        project.write("bigtop-builder.yaml", yaml.safe_dump(settings))
        project.tool("worker", "certificates", "tls")
        self._scheduler()
        self._sshd()
        command = project.tool.argv("worker", "--slots", "1", "--name", "far", "--ssh", f"root@{THERE}")
        self.worker = self.start("worker", ["ip", "netns", "exec", NAMESPACE, *command, "--store", str(self.store)])
        self.until(lambda: "builds for" in self.log("worker"))

    def _scheduler(self) -> None:
        port = self.address.rpartition(":")[2]
        files = [f"--tls-{kind}=tls/{name}.pem" for kind, name in (("ca-file", "ca"), ("cert", "scheduler"))]
        options = [f"--host={HERE}", f"--port={port}", "--protocol=tls", "--no-dashboard", *files]
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *options, "--tls-key=tls/scheduler-key.pem"]
        self.start("scheduler", command)
        self.until(lambda: "Scheduler at" in self.log("scheduler"))

    def _sshd(self) -> None:
        place = self.root / "ssh"
        place.mkdir()
        for name in ("host", "user"):
            call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name))
        (place / "known").write_text(f"{THERE} " + (place / "host.pub").read_text())
        (place / "client").write_text(
            f"IdentityFile {place}/user\nUserKnownHostsFile {place}/known\nStrictHostKeyChecking yes\n"
        )
        (place / "server").write_text(
            f"ListenAddress {THERE}\nHostKey {place}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {place}/user.pub\nPermitRootLogin prohibit-password\n"
        )
        # What people have in ~/.ssh/config.
        ssh = self.project.write("bin/ssh", f'#!/bin/sh\nexec {require("ssh")} -F {place}/client "$@"\n')
        ssh.chmod(0o755)
        Path("/run/sshd").mkdir(exist_ok=True)
        server = [require("sshd"), "-D", "-e", "-f", str(place / "server")]
        self.start("sshd", ["ip", "netns", "exec", NAMESPACE, *server])
        self.until(lambda: "Server listening" in self.log("sshd"))

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.root / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment, cwd=self.root)
        self.opened.callback(stop, process)
        return process

    def build(self, client: DockerClient) -> subprocess.Popen[bytes]:
        """Start to build ``slow``; return once its container runs on the worker."""
        build = self.start("build", self.project.tool.argv("build", "slow"))
        self.until(lambda: "compile on far" in self.log("build") and self.containers(client))
        return build

    def containers(self, client: DockerClient) -> list[Any]:
        """The containers that work in the worker's store."""
        running = client.containers.list(ignore_removed=True)
        return [one for one in running if any(str(self.store) in str(mount) for mount in one.attrs["Mounts"])]

    def log(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text(errors="replace")

    def until(self, condition: Callable[[], object], seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "\n".join(f"{path}:\n{path.read_text()}" for path in self.root.glob("*.log"))
            time.sleep(0.2)


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_shell_in_a_failure_opens_over_ssh(
    network: None, fresh: SmallProject, shared_store: Path, opened: ExitStack
) -> None:
    fresh.component("broken", "echo half > half-done; false")
    cluster = Cluster(fresh, shared_store, opened)
    done = fresh.tool("build", "broken", code=10)
    assert f"ssh -t root@{THERE}" in done.stdout + done.stderr
    # The terminal is script's, since ssh asks for one only where it has one itself.
    shell = ["script", "--quiet", "--return", "--command", shlex.join(fresh.tool.argv("shell", "broken")), "/dev/null"]
    typed = "cat half-done; echo box=$PWD; exit 7\n"
    ended = subprocess.run(
        shell, input=typed, text=True, capture_output=True, cwd=fresh.root, env=cluster.environment, timeout=120
    )
    assert "half" in ended.stdout.splitlines() and "box=/work/src" in ended.stdout, ended.stdout
    assert ended.returncode == 7 and "Accepted publickey for root" in cluster.log("sshd")


def test_a_worker_that_is_cut_off_ends_its_work(
    network: None, fresh: SmallProject, shared_store: Path, opened: ExitStack, client: DockerClient
) -> None:
    fresh.component("slow", 'sleep 250; cp hello.txt "$STAGE"')
    cluster = Cluster(fresh, shared_store, opened)
    build = cluster.build(client)
    call("ip", "link", "set", LINK, "down")
    # Nobody can tell the worker anything: it ends its container by its own clock.
    cluster.until(lambda: not cluster.containers(client), 90)
    cluster.until(lambda: build.poll() is not None, 180)
    told = cluster.log("build")
    assert build.returncode == 5, told
    assert "the worker far was lost" in told and "no worker of the cluster can build this" in told


def test_the_user_s_own_tree_is_built_on_a_worker(
    network: None, fresh: SmallProject, shared_store: Path, opened: ExitStack
) -> None:
    fresh.component("own", 'cat hello.txt; test ! -e .git; test -x tool; cp hello.txt "$STAGE"')
    tree = fresh.write("tree/hello.txt", "from my own tree\n").parent
    fresh.write("tree/tool", "#!/bin/sh\n").chmod(0o755)
    fresh.write("tree/.git/config", "[core]\n")
    Cluster(fresh, shared_store, opened)
    fresh.tool("build", "own", "--source", f"own={tree}")
    logs = [path.read_text() for path in fresh.tool.store.glob("runs/*/logs/own@*/compile/compile.log")]
    assert len(logs) == 1 and "from my own tree" in logs[0]
    fresh.write("tree/hello.txt", "changed\n")
    fresh.tool("build", "own", "--source", f"own={tree}")
    logs = [path.read_text() for path in fresh.tool.store.glob("runs/*/logs/own@*/compile/compile.log")]
    assert len(logs) == 2 and any("changed" in log for log in logs)


def test_ctrl_c_ends_the_container_on_the_worker(
    network: None, fresh: SmallProject, shared_store: Path, opened: ExitStack, client: DockerClient
) -> None:
    fresh.component("slow", 'sleep 250; cp hello.txt "$STAGE"')
    cluster = Cluster(fresh, shared_store, opened)
    build = cluster.build(client)
    build.send_signal(signal.SIGINT)
    cluster.until(lambda: build.poll() is not None)
    assert build.returncode == 130 and not cluster.containers(client), cluster.log("build")
    # The worker itself goes on.
    fresh.component("slow", 'cp hello.txt "$STAGE"')
    fresh.tool("build", "slow")
