"""A simulated server with hosts and a clock in the test's hands, for tests of clusters and requests."""

from __future__ import annotations

import json
from typing import Any

from bigtop_builder.ambari_simulator.agents.paper import PaperCrew
from bigtop_builder.ambari_simulator.engine.engine import Pace
from bigtop_builder.ambari_simulator.engine.state import Host, RepositoryVersion, World
from bigtop_builder.ambari_simulator.engine.work import Work
from bigtop_builder.ambari_simulator.resource_tree import registry
from bigtop_builder.ambari_simulator.resources.clusters import connect
from bigtop_builder.ambari_simulator.resources.stacks import load_stacks
from bigtop_builder.ambari_simulator.rest.dispatch import respond

START = 1_795_377_358.0
DEMO_GROUP = ["ZOOKEEPER_SERVER", "ZOOKEEPER_CLIENT"]


class Site:
    """Calls without a socket; ``wait`` moves the clock."""

    def __init__(self, hosts: int = 3, *, seconds: float = 2.0, pace: Pace | None = None, late: int = 0) -> None:
        self.now = START
        self.world = World(clock=lambda: self.now)
        load_stacks(self.world)
        self.crew = PaperCrew(seconds=seconds)
        self.work = Work(self.world, self.crew, pace)
        connect(self.world)
        self.registry = registry()
        self.world.versions[1] = RepositoryVersion(
            1, "BIGTOP", "3.2.0", "3.2.0", "BIGTOP-3.2.0", extra={"services": {"ZOOKEEPER": "3.5.9"}}
        )
        for number in range(1, hosts + 1):
            name = self.host(number)
            self.world.hosts[name] = Host(name, f"172.28.0.{number}", registers_at=START - 1)
        for number in range(hosts + 1, hosts + late + 1):
            name = self.host(number)
            self.world.hosts[name] = Host(name, f"172.28.0.{number}", registers_at=float("inf"))

    @staticmethod
    def host(number: int) -> str:
        return f"node{number}.cluster.local"

    def wait(self, seconds: float) -> None:
        self.now += seconds
        with self.world.lock:
            self.world.settle()

    def call(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        with self.world.lock:
            self.world.settle()
            reply = respond(
                self.registry,
                self.world,
                self.world.users["admin"],
                method,
                f"/api/v1/{path}",
                host="127.0.0.1:8080",
                content="" if body is None else json.dumps(body),
            )
        assert status is None or reply.status == status, (reply.status, reply.document)
        return reply.document

    def blueprint(self, groups: dict[str, list[Any]], **environment: str) -> None:
        cluster_env = {"command_retry_enabled": "false", "recovery_enabled": "false"} | environment
        self.call(
            "POST",
            "blueprints/zk",
            {
                "Blueprints": {"stack_name": "BIGTOP", "stack_version": "3.2.0"},
                "configurations": [{"cluster-env": {"properties": cluster_env}}],
                "host_groups": [
                    {"name": name, "components": [{"name": one} if isinstance(one, str) else one for one in components]}
                    for name, components in groups.items()
                ],
            },
            status=201,
        )

    def create(self, name: str = "c1", hosts: int = 3, **more: Any) -> int:
        fqdns = [{"fqdn": self.host(number)} for number in range(1, hosts + 1)]
        template = {"blueprint": "zk", "repository_version_id": 1, "host_groups": [{"name": "g1", "hosts": fqdns}]}
        answer = self.call("POST", f"clusters/{name}", template | more, status=202)
        return int(answer["Requests"]["id"])

    def request(self, number: int, cluster: str = "c1") -> dict[str, Any]:
        answer = self.call("GET", f"clusters/{cluster}/requests/{number}?fields=Requests/*", status=200)
        return dict(answer["Requests"])

    def tasks(self, number: int, cluster: str = "c1") -> list[dict[str, Any]]:
        answer = self.call("GET", f"clusters/{cluster}/requests/{number}?fields=tasks/Tasks/*", status=200)
        return [task["Tasks"] for task in answer["tasks"]]

    def states(self, component: str = "ZOOKEEPER_SERVER", cluster: str = "c1") -> list[str]:
        path = f"clusters/{cluster}/host_components?HostRoles/component_name={component}&fields=HostRoles/state"
        return [one["HostRoles"]["state"] for one in self.call("GET", path, status=200)["items"]]

    def service(self, state: str, cluster: str = "c1", name: str = "ZOOKEEPER") -> int | None:
        body = {"RequestInfo": {"context": f"{state} {name}"}, "Body": {"ServiceInfo": {"state": state}}}
        answer = self.call("PUT", f"clusters/{cluster}/services/{name}", body)
        return int(answer["Requests"]["id"]) if answer else None

    def deployed(self) -> None:
        self.blueprint({"g1": DEMO_GROUP})
        self.create()
        self.wait(60)
