"""The simulation's own URIs over HTTP, and agents that work in threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from bigtop_builder.ambari_simulator.agents.crew import WorkingCrew
from bigtop_builder.ambari_simulator.assembly import Ticker, make_world, serve
from bigtop_builder.ambari_simulator.engine.engine import INSTANT
from bigtop_builder.ambari_simulator.engine.state import Host
from bigtop_builder.ambari_simulator.engine.work import Context, work_of
from bigtop_builder.ambari_simulator.rest.authentication import agent_secret

HOSTS = [f"node{number}.example.com" for number in (1, 2)]


class Agent:
    """Waits until it is told to go on."""

    def __init__(self) -> None:
        self.go, self.cut = threading.Event(), threading.Event()
        self.interrupted: list[str] = []
        self.done: list[tuple[str, str]] = []

    def execute(
        self, command: str, component: str, host: str, context: Context
    ) -> tuple[bool, str, str, dict[str, Any]]:
        if command == "STATUS":
            return True, "", "", {}
        ended = self.go.wait(20)
        if component == "ZOOKEEPER_SERVER" and host == HOSTS[1] and command == "START":
            raise RuntimeError("the container is gone")
        self.done.append((command, host))
        return ended, "said", "None", {}

    def interrupt(self, host: str) -> None:
        self.interrupted.append(host)
        self.cut.set()


class Server:
    """A running server and its agent."""

    def __init__(self, url: str, agent: Agent) -> None:
        self.url, self.agent = url, agent

    def call(self, method: str, path: str, body: Any = None, password: str = "admin") -> requests.Response:
        headers = {"X-Requested-By": "test", "Accept": "*/*"}
        return requests.request(
            method, self.url + path, json=body, auth=("admin", password), headers=headers, timeout=30
        )

    def poll(self, number: int) -> dict[str, Any]:
        answer = self.call("GET", f"/api/v1/clusters/c1/requests/{number}?fields=Requests/*,tasks/Tasks/*")
        return dict(answer.json())

    def wait(self, number: int, *wanted: str) -> dict[str, Any]:
        for _ in range(600):
            found = self.poll(number)
            if found["Requests"]["request_status"] in wanted:
                return found
            threading.Event().wait(0.05)
        raise AssertionError(found)

    def deploy(self) -> int:
        components = [{"name": "ZOOKEEPER_SERVER"}, {"name": "ZOOKEEPER_CLIENT"}]
        blueprint = {
            "Blueprints": {"stack_name": "BIGTOP", "stack_version": "3.2.0"},
            "configurations": [{"cluster-env": {"properties": {"command_retry_enabled": "false"}}}],
            "host_groups": [{"name": "g1", "components": components}],
        }
        available = {"VersionDefinition": {"available": "BIGTOP-3.2.0"}}
        assert self.call("POST", "/api/v1/version_definitions", available).status_code == 201
        assert self.call("POST", "/api/v1/blueprints/zk", blueprint).status_code == 201
        template = {"blueprint": "zk", "host_groups": [{"name": "g1", "hosts": [{"fqdn": name} for name in HOSTS]}]}
        return int(self.call("POST", "/api/v1/clusters/c1", template).json()["Requests"]["id"])


@pytest.fixture
def server() -> Iterator[Server]:
    agent = Agent()
    world = make_world([Host(name, "192.0.2.1") for name in HOSTS], crew=WorkingCrew(agent), pace=INSTANT)
    with serve(world) as simulation, Ticker(work_of(world), 0.02):
        yield Server(simulation.url, agent)
        agent.go.set()


def test_a_broken_agent_fails_its_task_and_no_other_host_s(server: Server) -> None:
    number = server.deploy()
    server.agent.go.set()
    found = server.wait(number, "FAILED", "COMPLETED")
    failed = [task["Tasks"] for task in found["tasks"] if task["Tasks"]["status"] == "FAILED"]
    assert [(task["host_name"], task["role"]) for task in failed] == [(HOSTS[1], "ZOOKEEPER_SERVER")]
    assert failed[0]["stderr"] == "RuntimeError: the container is gone"


def test_an_abort_interrupts_what_runs(server: Server) -> None:
    number = server.deploy()
    listed = server.wait(number, "IN_PROGRESS")
    assert listed["Requests"]["request_status"] == "IN_PROGRESS"
    physical = server.call("GET", "/api/v1/clusters/c1/requests").json()["items"]
    for one in physical:
        body = {"Requests": {"request_status": "ABORTED", "abort_reason": "test"}}
        assert server.call("PUT", f"/api/v1/clusters/c1/requests/{one['Requests']['id']}", body).status_code == 200
    assert server.poll(number)["Requests"]["request_status"] == "ABORTED"
    assert server.agent.cut.wait(20)
    assert set(server.agent.interrupted) <= set(HOSTS)


def test_faults_come_and_go_by_uri(server: Server) -> None:
    wrong = server.call("PUT", "/simulation/faults", {"calls": [{"effekt": "error"}]})
    assert wrong.status_code == 400
    assert server.call("GET", "/simulation/faults", password="wrong").status_code == 403
    wanted = {"calls": [{"path": "/clusters", "status": 502}, {"path": "/stacks", "effect": "reset"}]}
    assert server.call("PUT", "/simulation/faults", wanted).status_code == 200
    assert server.call("GET", "/api/v1/clusters").status_code == 502
    assert server.call("GET", "/api/v1/clusters").status_code == 200
    with pytest.raises(requests.ConnectionError):
        server.call("GET", "/api/v1/stacks")
    assert server.call("DELETE", "/simulation/faults").json() == {"tasks": [], "calls": []}


def test_hosts_are_lost_and_come_back_by_uri(server: Server) -> None:
    assert server.call("POST", f"/simulation/hosts/{HOSTS[0]}/lose").status_code == 200
    path = f"/simulation/hosts/{HOSTS[0]}/register"
    assert server.call("POST", path, password="wrong").status_code == 403
    for host, status in ((HOSTS[1], 403), (HOSTS[0], 200)):
        own = (host, agent_secret("admin", host))
        assert requests.post(server.url + path, auth=own, timeout=30).status_code == status
    assert requests.post(f"{server.url}/simulation/restart", auth=own, timeout=30).status_code == 403
    assert server.call("POST", "/simulation/restart").status_code == 200
    assert server.call("POST", "/simulation/hosts/nosuch/lose").status_code == 404
