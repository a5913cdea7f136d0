"""HDFS moves to another repository version without a ZooKeeper before it: it must not start from its former folder.

Ambari's commands name the version that agents have reported last, and HDFS starts from the folder of that version.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.ambari_simulator.agents.paper import PaperCrew
from bigtop_builder.ambari_simulator.engine.injection import TaskFault
from bigtop_builder.ambari_simulator.engine.work import Context
from tests.fast.moving_cluster import Agent, Cluster
from tests.fast.test_stack_upgrade import BEFORE

OLD = {name: evr for name, evr in BEFORE.items() if not name.startswith("zookeeper")}
NEXT = {name.replace("3_2_0", "3_2_1"): evr for name, evr in OLD.items()} | {"bigtop-select": "3.2.1-1"}
SWITCH = "{repository_version: 3.2.1}"


class FolderAgent(Agent):
    """Notes the version in the command with which servers of HDFS start."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.hosts)
        self.started: list[tuple[str, str]] = []

    def execute(
        self, command: str, component: str, host: str, context: Context
    ) -> tuple[bool, str, str, dict[str, Any]]:
        if command == "START":
            self.started.append((component, context.repository_version))
        return super().execute(command, component, host, context)


class Hdfs(Cluster):
    """HDFS alone on three hosts."""

    old = OLD
    inventory = """
cluster: c1
ambari: {url: URL, password: "env:TEST_AMBARI_PASSWORD", poll: 2s, registration_timeout: 120s}
repositories: [{url: "REPOSITORY"}]
stack: {}
groups:
  first: {hosts: [node1.x.test], components: [NAMENODE, HDFS_CLIENT]}
  second: {hosts: [node2.x.test], components: [SECONDARY_NAMENODE, DATANODE, HDFS_CLIENT]}
  third: {hosts: [node3.x.test], components: [DATANODE]}
"""

    def up(self) -> None:
        self.steps = FolderAgent(self)
        self.agent = self.steps
        self.bench.work.crew = PaperCrew(self.agent, seconds=1.0)
        assert self.deploy() == 0, self.bench.failure
        self.publish("next", [f"{name}-{evr}" for name, evr in {**OLD, **NEXT}.items()])
        self.steps.started.clear()

    def deploy(self, stack: str = "{}", **more: Any) -> int:
        # Trials of the phase verify need a real HDFS.
        return super().deploy(stack, **{"phases": ("repository", "layout", "cluster", "start"), **more})


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hdfs]:
    one = Hdfs(tmp_path, monkeypatch)
    with one.bench:
        yield one


def test_nothing_of_hdfs_starts_from_the_former_folder(cluster: Hdfs) -> None:
    cluster.up()
    assert cluster.deploy(SWITCH, dry_run=True) == 0, cluster.bench.failure
    planned = cluster.bench.changes
    assert cluster.deploy(SWITCH) == 0, cluster.bench.failure
    assert sorted(cluster.bench.changes) == sorted(planned)
    assert "restart HDFS_CLIENT on node1.x.test (it reports the version)" in planned
    assert {name for name, _ in cluster.steps.started} == {"NAMENODE", "SECONDARY_NAMENODE", "DATANODE"}
    assert {version for _, version in cluster.steps.started} == {"3.2.1"}
    assert cluster.deploy(SWITCH) == 0
    assert cluster.bench.changes == []


def test_the_way_back_starts_from_the_former_folder(cluster: Hdfs) -> None:
    cluster.up()
    cluster.bench.work.injections.tasks.append(TaskFault(role="DATANODE", command="START", host="node3.x.test"))
    assert cluster.deploy(SWITCH) == 9
    assert "rolled back" in cluster.bench.failure
    versions = [version for _, version in cluster.steps.started]
    back = versions.index("3.2.0")
    assert (set(versions[:back]), set(versions[back:])) == ({"3.2.1"}, {"3.2.0"})
    assert cluster.bench.state()["versions"] == ["3.2.0"]


def test_without_a_client_in_time_it_is_refused_before_anything_changes(cluster: Hdfs) -> None:
    cluster.inventory = cluster.inventory.replace("[NAMENODE, HDFS_CLIENT]", "[NAMENODE]").replace(
        "[SECONDARY_NAMENODE, DATANODE, HDFS_CLIENT]", "[SECONDARY_NAMENODE, DATANODE]"
    )
    cluster.inventory = cluster.inventory.replace("[DATANODE]", "[DATANODE, HDFS_CLIENT]")
    cluster.up()
    before = cluster.whole()
    assert cluster.deploy(SWITCH) == 9
    assert "HDFS would start from the folder of its former packages" in cluster.bench.failure
    assert "Add HDFS_CLIENT to node1.x.test or node2.x.test first" in cluster.bench.failure
    assert cluster.whole() == before
