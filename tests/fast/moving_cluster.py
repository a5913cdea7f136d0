"""A cluster of three on the bench whose hosts have packages and links, for tests that move it to other packages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.repository.metadata import package_chunks, write_repodata
from bigtop_builder.ambari_simulator.agents.paper import PaperAgent, PaperCrew
from bigtop_builder.ambari_simulator.agents.paper_hosts import PaperFleet, PaperHost
from bigtop_builder.ambari_simulator.engine.work import Context
from bigtop_builder.model.event import Notice
from tests.fast.deploying import Bench
from tests.fast.served import address
from tests.rpmfile import Spec, write_rpm

SERVERS = [f"node{number}.x.test" for number in (1, 2, 3)]
RUNNING = sorted(
    [(host, "ZOOKEEPER_SERVER", "STARTED") for host in SERVERS]
    + [(host, "ZOOKEEPER_CLIENT", "INSTALLED") for host in SERVERS]
)
OLD = {"bigtop-select": "3.2.0-1", "zookeeper_3_2_0": "3.5.9-2", "zookeeper_3_2_0-server": "3.5.9-2"}
NEW = OLD | {"zookeeper_3_2_0": "3.5.9-3", "zookeeper_3_2_0-server": "3.5.9-3"}
RELEASES = [f"{name}-{evr}" for release in (OLD, NEW) for name, evr in release.items()]
NEXT = {"bigtop-select": "3.2.1-1", "zookeeper_3_2_1": "3.5.10-1", "zookeeper_3_2_1-server": "3.5.10-1"}
VERSIONS = [f"{name}-{evr}" for name, evr in NEXT.items()]

INVENTORY = """
cluster: c1
ambari: {url: URL, password: "env:TEST_AMBARI_PASSWORD", poll: 2s, registration_timeout: 120s}
repositories: [{url: "REPOSITORY"}]
stack: {}
groups:
  all:
    hosts: ["node[1-3].x.test"]
    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]
"""


class Killed(BaseException):
    """Stands for kill -9: nothing of the deployment runs on."""


class Agent(PaperAgent):
    """Counts the servers that run; a service with a bad package does not pass its check."""

    def __init__(self, hosts: Mapping[str, PaperHost]) -> None:
        super().__init__(hosts=hosts)
        self.bad: set[str] = set()
        self.least = len(hosts)
        """The fewest servers that ran after the first time that all did."""

    def execute(
        self, command: str, component: str, host: str, context: Context
    ) -> tuple[bool, str, str, dict[str, Any]]:
        ok, stdout, stderr, told = super().execute(command, component, host, context)
        if command == "STOP":
            self.least = min(self.least, sum(one == "ZOOKEEPER_SERVER" for _, one in self.running))
        if command == "SERVICE_CHECK" and any(self.bad & set(one.packages.values()) for one in self.hosts.values()):
            return False, "", "Fail: no quorum", {}
        return ok, stdout, stderr, told


class Cluster:
    """A cluster of three on the bench, with packages and a repository."""

    inventory = INVENTORY
    old = OLD
    host = PaperHost

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = Bench(folder, monkeypatch)
        self.hosts = {name: self.host(name, self.old) for name in SERVERS}
        self.bench.fleet = PaperFleet(list(self.hosts.values()))
        self.agent = Agent(self.hosts)
        self.bench.work.crew = PaperCrew(self.agent, seconds=1.0)
        self.folder = folder
        self.repository = self.publish("old", [f"{name}-{evr}" for name, evr in self.old.items()])

    def publish(self, name: str, packages: list[str]) -> Path:
        """A repository of these packages, whose address the next deployments have."""
        folder = self.folder / "repositories" / name
        chunks = []
        for package in packages:
            stem, version, release = package.rsplit("-", 2)
            path = write_rpm(folder / "packages", Spec(name=stem, version=version, release=release))
            chunks.append(package_chunks(path, path.name))
        write_repodata(folder, chunks, 1)
        for host in self.hosts.values():
            host.offered = {*packages}
        self.repository = folder
        return folder

    def deploy(self, stack: str = "{}", **more: Any) -> int:
        text = self.inventory.replace("stack: {}", f"stack: {stack}").replace("REPOSITORY", address(self.repository))
        return self.bench.deploy(text, **more)

    def up(self) -> None:
        assert self.deploy() == 0, self.bench.failure
        assert self.bench.state()["components"] == RUNNING
        self.agent.least = len(SERVERS)

    def packages(self) -> list[dict[str, str]]:
        return [host.packages for host in self.hosts.values()]

    def whole(self) -> tuple[Any, ...]:
        """All that a deployment may change."""
        world = self.bench.world
        urls = sorted(
            str(repository["base_url"])
            for version in world.versions.values()
            for system in version.systems.values()
            for repository in system["repositories"]
        )
        selected = [host.selected for host in self.hosts.values()]
        kept = [host.kept for host in self.hosts.values()]
        return self.bench.state(), self.packages(), selected, kept, urls

    def told(self) -> str:
        return "\n".join(event.text for event in self.bench.events if isinstance(event, Notice))
