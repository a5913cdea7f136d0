"""Deployments onto container hosts that are broken: killed in the middle, processes and hosts that go, settings that
somebody changes. The next run brings back what the inventory says, and the one after it does nothing."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from bigtop_builder.adapter.containers import engine
from bigtop_builder.recipe.document import load
from tests.real.conftest import Tool

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

PLATFORM = "debian-bootstrap"
SECRET = "a-secret-of-the-test"
NEVER = ("/tmp", "/var/tmp", "/var/log", "/root", "/run")
INVENTORY = """
cluster: broken
ambari: {url: "http://ambari.test:8080", password: "env:NONE", poll: 1s, registration_timeout: 30s}
repositories: [{url: "http://repository.test"}]
groups:
  all: {hosts: [HOSTS], components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]}
configurations:
  zoo.cfg: {tickTime: 2500}
  zookeeper-env: {zk_secret: {secret: "env:TEST_SECRET"}}
prepare: {jdk: null, java_home: /usr/lib/jvm/java, chrony: false, transparent_huge_pages: keep, swappiness: null,
  selinux: keep}
require: {memory: 1, disk: 1, open_files: 1024}
"""


@dataclass
class Bed:
    """Two hosts, the simulated Ambari and the inventory of a cluster on them."""

    tool: Tool
    name: str
    inventory: Path
    client: DockerClient

    @property
    def record(self) -> dict[str, Any]:
        return load(self.tool.store / "testbeds" / self.name / "testbed.yaml").data

    def arguments(self, command: str, *more: str) -> tuple[str, ...]:
        return (command, str(self.inventory), "--testbed", self.name, *more)

    def deploy(self, *more: str, code: int = 0) -> str:
        """What it told."""
        return self.tool(*self.arguments("deploy", "--yes", *more), code=code).stderr

    def settles(self) -> None:
        """One run mends, the next has nothing to do."""
        self.deploy()
        assert "nothing to change" in self.deploy()
        assert self.tool.json(*self.arguments("status"))["green"]

    def wait_until_noticed(self) -> None:
        """Wait until Ambari knows of a dead process: its agents look at their processes every 20 seconds."""
        deadline = time.monotonic() + 120
        servers = (
            f"clusters/{self.name}/host_components?HostRoles/component_name=ZOOKEEPER_SERVER&fields=HostRoles/state"
        )
        while all(one["HostRoles"]["state"] == "STARTED" for one in self.ambari("GET", servers)["items"]):
            assert time.monotonic() < deadline, "the dead process is never noticed"
            time.sleep(1)

    def container(self, number: int) -> Container:
        found = f"node{number}.{self.name}.test"
        containers = self.client.containers.list(all=True, filters={"label": f"org.bigtop-builder.testbed={self.name}"})
        (one,) = [container for container in containers if container.name.endswith(f"-{found}")]
        return one

    def on(self, number: int, script: str) -> str:
        code, output = self.container(number).exec_run(["bash", "-c", script])
        assert code == 0, output
        return str(output.decode())

    def ambari(self, method: str, path: str, body: Any = None) -> Any:
        found = self.record["ambari"]
        password = Path(found["password"].removeprefix("file:")).read_text().strip()
        answer = requests.request(
            method,
            f"{found['url']}/api/v1/{path}",
            json=body,
            auth=("admin", password),
            headers={"X-Requested-By": "somebody", "Accept": "*/*"},
            timeout=60,
        )
        assert answer.ok, answer.text
        return answer.json() if answer.text else None


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Tool:
    folder = tmp_path_factory.mktemp("project")
    (folder / "bigtop-builder.yaml").write_text(f"stack: bigtop-3.2.0\nplatforms: [{PLATFORM}]\n")
    tool = Tool(folder, shared_store)
    tool("build", "zookeeper", "bigtop-select", "bigtop-utils")
    tool("repo", "publish", "--make-key")
    return tool


@pytest.fixture(scope="module")
def bed(tool: Tool) -> Iterator[Bed]:
    name = f"broken-{secrets.token_hex(3)}"
    os.environ["TEST_SECRET"] = SECRET
    client = engine.connect()
    inventory = tool.folder / "inventory.yaml"
    hosts = ", ".join(f"node{number}.{name}.test" for number in (1, 2))
    inventory.write_text(INVENTORY.replace("broken", name).replace("HOSTS", hosts))
    tool("testbed", "up", "--hosts", "2", "--name", name)
    try:
        yield Bed(tool, name, inventory, client)
    finally:
        tool("testbed", "down", name)
        client.close()
        del os.environ["TEST_SECRET"]


def stop_at(bed: Bed, event: str, how: signal.Signals) -> int:
    """Deploy, and send a signal once an event holds ``event``; the exit code."""
    events = bed.tool.folder / f"{secrets.token_hex(4)}.jsonl"
    running = bed.tool.start(*bed.arguments("deploy", "--yes", "--events", str(events)))
    deadline = time.monotonic() + 300
    while event not in (events.read_text() if events.exists() else ""):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline, f"{event} never came"
        time.sleep(0.1)
    running.send_signal(how)
    try:
        running.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        running.kill()
        raise
    return running.returncode


def test_killed_while_packages_are_installed_and_interrupted_at_the_start_it_goes_on(bed: Bed) -> None:
    assert stop_at(bed, '"command":"INSTALL"', signal.SIGKILL) == -signal.SIGKILL
    assert stop_at(bed, '"phase_started","phase":"start"', signal.SIGINT) == 130
    bed.settles()


def test_a_dead_process_and_a_setting_changed_by_hand_are_seen_and_mended(bed: Bed) -> None:
    bed.deploy()
    bed.on(2, "kill -9 $(pgrep -f '[Q]uorumPeerMain')")
    desired = bed.ambari("GET", f"clusters/{bed.name}?fields=Clusters/desired_configs")["Clusters"]["desired_configs"]
    where = f"clusters/{bed.name}/configurations?type=zoo.cfg&tag={desired['zoo.cfg']['tag']}"
    present = bed.ambari("GET", where)["items"][0]["properties"]
    changed = {"type": "zoo.cfg", "tag": "by-hand", "properties": {**present, "tickTime": "9999"}}
    bed.ambari("PUT", f"clusters/{bed.name}", {"Clusters": {"desired_config": changed}})
    bed.wait_until_noticed()
    assert any(host["down"] for host in bed.tool.json(*bed.arguments("status"), code=4)["hosts"])
    told = bed.deploy("--dry-run")
    assert "-zoo.cfg/tickTime: 9999" in told
    assert "+zoo.cfg/tickTime: 2500" in told
    bed.settles()
    assert "tickTime=2500" in bed.on(1, "cat /etc/zookeeper/conf/zoo.cfg")


def test_a_host_that_is_gone_is_named_and_goes_on_when_it_is_back(bed: Bed) -> None:
    bed.deploy()
    bed.container(2).stop(timeout=1)
    assert f"node2.{bed.name}.test" in bed.deploy(code=8)
    bed.tool("testbed", "up", "--name", bed.name)
    bed.wait_until_noticed()
    bed.settles()


def test_no_secret_is_left_anywhere(bed: Bed) -> None:
    bed.deploy()
    for number in (1, 2):
        assert bed.on(number, f"grep -rlF {SECRET} {' '.join(NEVER)} 2>/dev/null || true") == ""
    told = [path.read_text() for path in bed.tool.store.glob("runs/*/events.jsonl")]
    ours = [text for text in told if f'"cluster":"{bed.name}"' in text]
    assert ours
    assert not any(SECRET in text for text in ours)
