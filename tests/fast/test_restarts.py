"""Restarts after a change of configuration: the order of components, turns of hosts, and what stops them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.ambari_simulator.engine.injection import TaskFault
from bigtop_builder.cluster.rolling import ALONE, CHECKED, ROLLING, Restart, restarts, start_order, turns
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.model.event import AmbariTask, Change
from tests.fast.deploying import Bench

STACK = load_stack()
HADOOP = """
cluster: c1
ambari: {url: URL, password: "env:TEST_AMBARI_PASSWORD", poll: 2s, registration_timeout: 120s}
repositories: [{url: "http://repository.test/el8"}]
groups:
  first:
    hosts: [node1.x.test]
    components: [NAMENODE, RESOURCEMANAGER, APP_TIMELINE_SERVER, ZOOKEEPER_SERVER, DATANODE, NODEMANAGER, HDFS_CLIENT]
  second:
    hosts: [node2.x.test]
    components: [SECONDARY_NAMENODE, ZOOKEEPER_SERVER, DATANODE, NODEMANAGER, ZOOKEEPER_CLIENT, YARN_CLIENT]
  third:
    hosts: [node3.x.test]
    components: [ZOOKEEPER_SERVER, DATANODE, NODEMANAGER, HDFS_CLIENT]
configurations:
  hdfs-site: {dfs.client.read.shortcircuit: "false", dfs.replication: 3}
  zoo.cfg: {tickTime: 2000}
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def restarted(bench: Bench) -> list[tuple[str, str]]:
    found = []
    for event in bench.events:
        if isinstance(event, Change) and event.name.startswith("restart "):
            name, _, hosts = event.name.removeprefix("restart ").partition(", whose configuration is outdated, on ")
            found.append((name, hosts.replace(".x.test", "")))
    return found


def test_one_of_a_quorum_a_tenth_of_the_others() -> None:
    hosts = [f"n{number:02}" for number in range(25)]
    assert [len(group) for group in turns(hosts)] == [3] * 8 + [1]
    assert turns(hosts[:3]) == [("n00",), ("n01",), ("n02",)]
    assert {len(group) for group in turns(hosts, alone=True)} == {1}
    assert sum(turns(hosts), ()) == tuple(hosts)
    assert ROLLING.keys() >= ALONE >= CHECKED


def test_a_service_comes_after_those_that_it_needs_and_clients_come_last() -> None:
    names = [name for service in STACK.services.values() for name in service.components]
    order = start_order(STACK, names)
    assert sorted(order) == sorted(names)
    for name in names:
        component = STACK.component(name)
        assert component is not None
        for needed in component.after:
            assert order.index(needed) < order.index(name), (needed, name)
    hadoop = ["HBASE_MASTER", "NODEMANAGER", "DATANODE", "NAMENODE", "JOURNALNODE", "ZOOKEEPER_SERVER", "HIVE_SERVER"]
    assert start_order(STACK, hadoop) == [
        "ZOOKEEPER_SERVER",
        "JOURNALNODE",
        "NAMENODE",
        "DATANODE",
        "HBASE_MASTER",
        "NODEMANAGER",
        "HIVE_SERVER",
    ]


def test_a_circle_or_an_unknown_component_stops_nothing() -> None:
    hdfs = STACK.services["HDFS"]
    circle = hdfs.components["ZKFC"].model_copy(update={"after": ["NAMENODE"]})
    changed = hdfs.model_copy(update={"components": {**hdfs.components, "ZKFC": circle}})
    stack = STACK.model_copy(update={"services": {**STACK.services, "HDFS": changed}})
    assert sorted(start_order(stack, ["NAMENODE", "ZKFC", "OTHER"])) == ["NAMENODE", "OTHER", "ZKFC"]


def test_the_standby_name_node_restarts_first_and_masters_one_after_the_other() -> None:
    placed = {"NAMENODE": {"a", "b"}, "RESOURCEMANAGER": {"a", "b"}, "HDFS_CLIENT": {"a"}, "YARN_CLIENT": {"b"}}
    assert restarts(STACK, placed, {"NAMENODE": {"b"}}) == (
        Restart(("NAMENODE",), ("b",), watched=True),
        Restart(("NAMENODE",), ("a",)),
        Restart(("RESOURCEMANAGER",), ("a",), watched=True),
        Restart(("RESOURCEMANAGER",), ("b",)),
        Restart(("HDFS_CLIENT", "YARN_CLIENT"), ("a", "b")),
    )
    assert [one.hosts for one in restarts(STACK, {"NAMENODE": {"a", "b"}})] == [("a",), ("b",)]


def test_a_changed_property_restarts_in_turns(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    changed = HADOOP.replace("dfs.replication: 3", "dfs.replication: 2").replace("tickTime: 2000", "tickTime: 2500")
    assert bench.deploy(changed) == 0, bench.failure
    seen = restarted(bench)
    assert seen[:3] == [("ZOOKEEPER_SERVER", f"node{number}") for number in (1, 2, 3)]
    assert seen[3][0] == "NAMENODE"
    nodes = [host for name, host in seen if name == "DATANODE"]
    assert nodes == ["node1", "node2", "node3"]
    assert "HDFS_CLIENT" in seen[-1][0]
    assert "ZOOKEEPER_CLIENT" in seen[-1][0]
    assert bench.deploy(changed) == 0, bench.failure
    assert bench.changes == []


def test_a_service_that_fails_its_check_stops_the_restarts(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    bench.work.injections.tasks.append(TaskFault(command="SERVICE_CHECK", times=None))
    assert bench.deploy(HADOOP.replace("tickTime: 2000", "tickTime: 2500")) == 9
    assert restarted(bench) == [("ZOOKEEPER_SERVER", "node1")]
    assert "service check of ZOOKEEPER failed" in bench.failure


def test_a_data_node_that_ends_after_its_start_is_seen_before_the_others_follow(bench: Bench) -> None:
    """As recorded (651): START COMPLETED, STARTED, and dead eight seconds later."""
    assert bench.deploy(HADOOP) == 0, bench.failure

    def die(event: Any) -> None:
        task = event if isinstance(event, AmbariTask) and event.status == "COMPLETED" else None
        if task is not None and task.role == "DATANODE" and task.host == "node1.x.test":
            bench.agent.running.discard(("node1.x.test", "DATANODE"))

    assert bench.deploy(HADOOP.replace("dfs.replication: 3", "dfs.replication: 2"), watch=die) == 9
    assert "DATANODE on node1.x.test does not stay up" in bench.failure
    assert [host for name, host in restarted(bench) if name == "DATANODE"] == ["node1"]


def test_a_start_that_fails_for_good_is_tried_again_after_outdated_components_were_restarted(bench: Bench) -> None:
    """On a real server: a history server, while the DataNodes ran with the configuration that was just corrected."""
    assert bench.deploy(HADOOP) == 0, bench.failure
    bench.agent.running.discard(("node1.x.test", "ZOOKEEPER_SERVER"))
    bench.pass_time(60)
    cause = "RemoteException: Failed to find datanode, suggest to check cluster health. excludeDatanodes=null"
    bench.work.injections.tasks.append(TaskFault(role="ZOOKEEPER_SERVER", command="START", stderr=cause))
    assert bench.deploy(HADOOP.replace("dfs.replication: 3", "dfs.replication: 2")) == 0, bench.failure
    assert ("DATANODE", "node1") in restarted(bench)
