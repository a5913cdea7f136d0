"""A ZooKeeper ensemble of three made by REST on container hosts: the simulated server's agents really install it from a
signed repository, start it, check it, and see it die."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from bigtop_builder.ambari_simulator.agents.container import ContainerAgent, ContainerHands
from bigtop_builder.ambari_simulator.agents.crew import WorkingCrew
from bigtop_builder.ambari_simulator.assembly import Ticker, assemble
from bigtop_builder.ambari_simulator.engine.engine import Pace
from bigtop_builder.ambari_simulator.engine.state import Host, World
from bigtop_builder.ambari_simulator.resource_tree import registry
from bigtop_builder.ambari_simulator.rest.server import Simulation
from bigtop_builder.recipe.document import load
from tests.real.conftest import Tool

if TYPE_CHECKING:
    from docker import DockerClient

PLATFORM = "debian-bootstrap"
PATIENCE = 600.0
SIGNED = """[{{repo_id}}]
name={{repo_id}}
baseurl={{base_url}}
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=%s"""


@dataclass
class Bed:
    """Three container hosts, the signed repository they reach, and a simulated server whose agents work on them."""

    url: str
    hosts: list[str]
    repository: str
    key: str
    hands: ContainerHands

    def call(self, method: str, path: str, body: Any = None, *, status: int) -> Any:
        answer = requests.request(
            method,
            f"{self.url}/api/v1/{path}",
            json=body,
            auth=("admin", "admin"),
            headers={"X-Requested-By": "test", "Accept": "*/*"},
            timeout=60,
        )
        assert answer.status_code == status, answer.text
        return answer.json() if answer.text else None

    def followed(self, number: int, cluster: str = "c1") -> dict[str, Any]:
        """A request once nothing of it is left to do, with its tasks."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = self.call(
                "GET", f"clusters/{cluster}/requests/{number}?fields=Requests/*,tasks/Tasks/*", status=200
            )
            said = found["Requests"]
            if said["request_status"] in {"COMPLETED", "FAILED", "ABORTED"}:
                return dict(found)
            time.sleep(0.5)
        raise AssertionError(f"request {number} did not end")

    def wait_for(self, component: str, host: str, state: str) -> None:
        deadline = time.monotonic() + PATIENCE
        path = f"clusters/c1/hosts/{host}/host_components/{component}?fields=HostRoles/state"
        while self.call("GET", path, status=200)["HostRoles"]["state"] != state:
            assert time.monotonic() < deadline, f"{component} on {host} never became {state}"
            time.sleep(0.5)

    def on(self, host: str, script: str) -> str:
        ran = self.hands.run(host, script, 60)
        assert ran.code == 0, ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Tool:
    folder = tmp_path_factory.mktemp("project")
    text = f"stack: bigtop-3.2.0\nplatforms: [{PLATFORM}]\n"
    (folder / "bigtop-builder.yaml").write_text(text)
    tool = Tool(folder, shared_store)
    tool("build", "zookeeper", "bigtop-select", "bigtop-utils")
    tool("repo", "publish", "--make-key")
    return tool


@pytest.fixture(scope="module")
def bed(tool: Tool, client: DockerClient) -> Iterator[Bed]:
    name = f"simb-{secrets.token_hex(3)}"
    # With packages of the real Ambari to come, a test bed starts no simulated one of its own.
    tool("testbed", "up", "--hosts", "3", "--name", name, "--ambari-packages", "http://127.0.0.1/none")
    try:
        yield from _simulated(tool, client, name)
    finally:
        tool("testbed", "down", name)


def _simulated(tool: Tool, client: DockerClient, name: str) -> Iterator[Bed]:
    found = load(tool.store / "testbeds" / name / "testbed.yaml").data
    listed = client.api.containers(filters={"label": f"org.bigtop-builder.testbed={name}"})
    containers = {one["Labels"]["org.bigtop-builder.testbed-host"]: one["Id"] for one in listed}
    hosts = sorted(found["hosts"])
    served, key = (str(found["repositories"][0][part]) for part in ("url", "gpg_key"))
    world = World()
    for host in hosts:
        world.hosts[host] = Host(host, str(found["hosts"][host]["address"]))
    hands = ContainerHands(client, containers)
    work = assemble(world, WorkingCrew(ContainerAgent(hands)), Pace(0.2, 0.2, 0.5, 0.5, status=2.0))
    with Ticker(work), Simulation(world, registry()) as simulation:
        yield Bed(simulation.url, hosts, served, key, hands)


DEFINITION = """<repository-version>
  <release><type>STANDARD</type><stack-id>BIGTOP-3.2.0</stack-id><version>3.2.0</version>
    <release-notes>http://none</release-notes><display>BIGTOP-3.2.0</display></release>
  <manifest><service id="ZOOKEEPER-359" name="ZOOKEEPER" version="3.5.9"/></manifest>
  <available-services/>
  <repository-info><os family="redhat8"><repo><baseurl>%s</baseurl><repoid>BIGTOP-3.2.0</repoid>
    <reponame>bigtop</reponame></repo></os></repository-info>
</repository-version>"""


def test_an_ensemble_is_made_by_rest_and_really_runs(bed: Bed) -> None:
    import base64

    definition = base64.b64encode((DEFINITION % bed.repository).encode()).decode()
    bed.call("POST", "version_definitions", {"VersionDefinition": {"version_base64": definition}}, status=201)
    environment = {"command_retry_enabled": "false", "repo_suse_rhel_template": SIGNED % bed.key}
    blueprint = {
        "Blueprints": {"stack_name": "BIGTOP", "stack_version": "3.2.0"},
        "configurations": [
            {"cluster-env": {"properties": environment}},
            {"zoo.cfg": {"properties": {"4lw.commands.whitelist": "*"}}},
            {"zookeeper-env": {"properties": {"zk_server_heapsize": "256"}}},
        ],
        "host_groups": [{"name": "g1", "components": [{"name": "ZOOKEEPER_SERVER"}, {"name": "ZOOKEEPER_CLIENT"}]}],
    }
    bed.call("POST", "blueprints/zk", blueprint, status=201)
    template = {
        "blueprint": "zk",
        "repository_version_id": 1,
        "host_groups": [{"name": "g1", "hosts": [{"fqdn": host} for host in bed.hosts]}],
    }
    accepted = bed.call("POST", "clusters/c1", template, status=202)
    done = bed.followed(accepted["Requests"]["id"])
    said = {(task["Tasks"]["host_name"], task["Tasks"]["role"]): task["Tasks"]["stderr"] for task in done["tasks"]}
    assert done["Requests"]["request_status"] == "COMPLETED", said
    assert done["Requests"]["task_count"] == 9

    modes = []
    for host in bed.hosts:
        assert "RSA/SHA256" in bed.on(host, "rpm --query --queryformat '%{RSAHEADER:pgpsig}' zookeeper_3_2_0")
        assert "gpgcheck=1" in bed.on(host, "cat /etc/yum.repos.d/ambari-bigtop-1.repo")
        selected = bed.on(host, "/usr/lib/bigtop-select/distro-select status zookeeper-server")
        assert selected.strip() == "zookeeper-server - 3.2.0"
        server = "ZOOCFGDIR=/etc/zookeeper/conf /usr/bigtop/current/zookeeper-server/bin/zkServer.sh"
        status = f"for turn in $(seq 30); do if {server} status 2>&1; then exit; fi; sleep 1; done; exit 1"
        modes += [line for line in bed.on(host, status).splitlines() if line.startswith("Mode:")]
        assert bed.on(host, "stat -c %U /proc/$(cat /var/run/zookeeper/zookeeper_server.pid)").strip() == "zookeeper"
    assert sorted(modes) == ["Mode: follower", "Mode: follower", "Mode: leader"]


def check(bed: Bed) -> dict[str, Any]:
    body = {
        "RequestInfo": {"context": "check", "command": "ZOOKEEPER_QUORUM_SERVICE_CHECK"},
        "Requests/resource_filters": [{"service_name": "ZOOKEEPER"}],
    }
    return bed.followed(bed.call("POST", "clusters/c1/requests", body, status=202)["Requests"]["id"])


def test_its_service_check_goes_through_every_server(bed: Bed) -> None:
    done = check(bed)
    (task,) = (one["Tasks"] for one in done["tasks"])
    assert task["status"] == "COMPLETED", task["stderr"]
    assert "Zookeeper Smoke Test: Passed" in task["stdout"]


def test_a_process_that_dies_is_seen_and_started_again(bed: Bed) -> None:
    victim = bed.hosts[1]
    bed.on(victim, "kill -9 $(cat /var/run/zookeeper/zookeeper_server.pid)")
    bed.wait_for("ZOOKEEPER_SERVER", victim, "INSTALLED")
    done = check(bed)
    (task,) = (one["Tasks"] for one in done["tasks"])
    assert task["status"] == "FAILED"
    assert f"Data does not match in {victim}" in task["stderr"]
    body = {"RequestInfo": {"context": "start"}, "Body": {"ServiceInfo": {"state": "STARTED"}}}
    started = bed.call("PUT", "clusters/c1/services/ZOOKEEPER", body, status=202)
    assert bed.followed(started["Requests"]["id"])["Requests"]["request_status"] == "COMPLETED"
    assert check(bed)["Requests"]["request_status"] == "COMPLETED"


def test_it_stops_and_the_cluster_goes(bed: Bed) -> None:
    body = {"RequestInfo": {"context": "stop"}, "Body": {"ServiceInfo": {"state": "INSTALLED"}}}
    stopped = bed.call("PUT", "clusters/c1/services/ZOOKEEPER", body, status=202)
    assert bed.followed(stopped["Requests"]["id"])["Requests"]["request_status"] == "COMPLETED"
    for host in bed.hosts:
        assert bed.on(host, "pgrep -f '[Q]uorumPeerMain' || echo none").strip() == "none"
    bed.call("DELETE", "clusters/c1", status=200)
