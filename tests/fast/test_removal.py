"""Hosts and components that have left the inventory: told, decommissioned, stopped and removed, and what forbids it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.ambari_simulator.engine.injection import TaskFault
from bigtop_builder.cli.app import run as command
from bigtop_builder.cluster.layout import Layout, LayoutGroup, Placed
from bigtop_builder.cluster.moved_hosts import left_over, moved_properties, names_host
from bigtop_builder.cluster.removal import BY_HAND, DECOMMISSIONED, MOVABLE, Member, Removal, obstacles, removal
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.flow.deploy.world import Removing
from bigtop_builder.model.event import AmbariTask, Change, Notice
from tests.fast.deploying import HEAD, Bench

STACK = load_stack()
HADOOP = (
    HEAD
    + """\
groups:
  masters:
    hosts: [node1.x.test]
    components: [NAMENODE, RESOURCEMANAGER, APP_TIMELINE_SERVER, SECONDARY_NAMENODE, ZOOKEEPER_SERVER, HDFS_CLIENT,
      YARN_CLIENT, ZOOKEEPER_CLIENT]
  workers:
    hosts: ["node[2-5].x.test"]
    components: [DATANODE, NODEMANAGER, HDFS_CLIENT]
configurations:
  hdfs-site: {dfs.client.read.shortcircuit: "false", dfs.replication: 3}
"""
)
SMALLER = HADOOP.replace("node[2-5]", "node[2-4]")
REMOVE = Removing(True)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch, hosts=6) as one:
        yield one


def notices(bench: Bench) -> str:
    return "\n".join(event.text for event in bench.events if isinstance(event, Notice))


def on(bench: Bench, host: str) -> set[str]:
    return {one.component for one in bench.world.clusters["c1"].components.values() if one.host == f"{host}.x.test"}


def disrupted(bench: Bench) -> set[str]:
    return {name for event in bench.events if isinstance(event, Change) for name in event.disrupts}


def test_a_service_that_comes_later_has_units_of_heaps(bench: Bench) -> None:
    """Ambari adds them only when it creates a cluster."""
    assert bench.deploy(HADOOP) == 0, bench.failure
    hbase = HADOOP.replace("[NAMENODE,", "[HBASE_MASTER, HBASE_REGIONSERVER, HBASE_CLIENT, NAMENODE,")
    assert bench.deploy(f"{hbase}  hbase-env: {{hbase_master_heapsize: 384}}\n") == 0, bench.failure
    assert bench.world.clusters["c1"].properties("hbase-env")["hbase_master_heapsize"] == "384m"


def test_a_host_leaves_only_if_asked_for(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    assert bench.deploy(SMALLER) == 9
    assert "has more than the inventory says:\n- host node5.x.test" in bench.failure
    assert "deploy --remove" in bench.failure
    assert bench.changes == []
    assert bench.deploy(SMALLER, dry_run=True, removing=REMOVE) == 0, bench.failure
    steps = [
        "decommission NODEMANAGER on node5.x.test",
        "decommission DATANODE on node5.x.test",
        "stop DATANODE on node5.x.test; NODEMANAGER on node5.x.test, which the inventory no longer has",
        "DATANODE, HDFS_CLIENT, NODEMANAGER removed from node5.x.test",
        "host node5.x.test removed from the cluster",
    ]
    assert bench.changes == steps
    told = disrupted(bench)
    assert told == {"NODEMANAGER on node5.x.test", "DATANODE on node5.x.test", "HDFS_CLIENT on node5.x.test"} | {
        "host node5.x.test"
    }
    assert "node5.x.test" in bench.world.clusters["c1"].hosts
    assert bench.deploy(SMALLER, removing=REMOVE) == 0, bench.failure
    assert bench.changes == steps
    # Nothing is disrupted that the dry run did not tell: the question before the run asks for exactly this.
    assert disrupted(bench) == told
    assert "waiting for HDFS to copy blocks: node5.x.test: Decommission In Progress, 12 blocks left" in notices(bench)
    assert "stop the agent there" in notices(bench)
    assert "node5.x.test" not in bench.world.clusters["c1"].hosts
    assert on(bench, "node5") == set()
    # A repetition has nothing to do, with the flag and without it.
    assert bench.deploy(SMALLER, removing=REMOVE) == 0, bench.failure
    assert bench.changes == []
    assert bench.deploy(SMALLER) == 0, bench.failure
    assert bench.changes == []
    # One more would leave fewer than dfs.replication.
    assert bench.deploy(HADOOP.replace("node[2-5]", "node[2-3]"), removing=REMOVE) == 9
    assert "2 DataNodes would be left, fewer than dfs.replication (3)" in bench.failure
    assert "-setrep" in bench.failure
    assert bench.changes == []


@pytest.mark.parametrize(
    "method", ["decommission", "data_nodes", "delete_host_component", "delete_host"], ids=lambda name: f"in-{name}"
)
def test_a_removal_continues_after_a_kill(bench: Bench, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """The run dies right after a call was made: the next one does what is left, and nothing twice."""
    assert bench.deploy(HADOOP) == 0, bench.failure
    real = getattr(Ambari, method)

    def killed(self: Ambari, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ambari, method, killed)
        with pytest.raises(KeyboardInterrupt):
            bench.deploy(SMALLER, removing=REMOVE)
    assert bench.deploy(SMALLER, removing=REMOVE) == 0, bench.failure
    cluster = bench.world.clusters["c1"]
    assert "node5.x.test" not in cluster.hosts
    # One for each kind of follower, DataNode and NodeManager: what was ordered before the kill is not ordered again.
    assert sum(task.custom == "DECOMMISSION" for task in bench.work.engine.tasks.values()) == 2


def test_a_decommission_that_gets_no_further_ends_the_run(bench: Bench) -> None:
    """Files with more replicas than there will be nodes hold it up: it goes on, and the next run waits on."""
    hasty = SMALLER.replace("poll: 2s", "poll: 2s, request_timeout: 60s")
    assert bench.deploy(HADOOP) == 0, bench.failure
    cluster = bench.world.clusters["c1"]

    def lies(event: Any) -> None:
        if isinstance(event, Change) and event.name.startswith("decommission DATANODE"):
            properties = {**cluster.properties("hdfs-site"), "dfs.replication": "9"}
            cluster.put("hdfs-site", "9", properties, {})

    assert bench.deploy(hasty, removing=REMOVE, phases=["remove"], watch=lies) == 11
    assert "the decommission of node5.x.test got no further for 60s; it continues" in bench.failure
    assert on(bench, "node5") == {"DATANODE", "NODEMANAGER", "HDFS_CLIENT"}
    # It dies before all its blocks are copied: its state in Ambari says nothing of them.
    node = cluster.components[("node5.x.test", "DATANODE")]
    node.state = "INSTALLED"
    assert bench.deploy(hasty, removing=REMOVE, phases=["remove"]) == 9
    assert "the DataNode of node5.x.test died before its blocks were copied; it was not removed" in bench.failure
    assert on(bench, "node5") >= {"DATANODE"}
    node.state = "STARTED"
    cluster.put("hdfs-site", "3", {**cluster.properties("hdfs-site"), "dfs.replication": "3"}, {})
    assert bench.deploy(hasty, removing=REMOVE) == 0, bench.failure
    assert "decommission DATANODE on node5.x.test" not in bench.changes
    assert on(bench, "node5") == set()


def test_failures_on_the_way_remove_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    whole = {"DATANODE", "NODEMANAGER", "HDFS_CLIENT"}
    # The command to the master fails.
    bench.work.injections.tasks.append(TaskFault(role="RESOURCEMANAGER", command="DECOMMISSION", times=1))
    assert bench.deploy(SMALLER, removing=REMOVE) == 9
    assert on(bench, "node5") == whole
    # No NameNode says anything.
    with monkeypatch.context() as patch:
        patch.setattr(Ambari, "data_nodes", lambda self, cluster: {})
        assert bench.deploy(SMALLER, removing=REMOVE) == 9
    assert "the NameNode does not say how far the decommission of node5.x.test is; nothing was stopped" in bench.failure
    assert on(bench, "node5") == whole
    # It does not stop.
    bench.work.injections.tasks.append(TaskFault(role="DATANODE", command="STOP", times=1))
    assert bench.deploy(SMALLER, removing=REMOVE) == 9
    assert on(bench, "node5") == whole
    # Another person's request makes Ambari leave it out: in maintenance it is not stopped.
    component = bench.world.clusters["c1"].components[("node5.x.test", "NODEMANAGER")]
    component.maintenance = "ON"
    assert bench.deploy(SMALLER, removing=REMOVE) == 9
    assert "NODEMANAGER on node5.x.test is in maintenance" in bench.failure
    component.maintenance = "OFF"
    assert bench.deploy(SMALLER, removing=REMOVE) == 0, bench.failure
    assert on(bench, "node5") == set()


def test_a_dead_host_is_replaced(bench: Bench) -> None:
    replaced = HADOOP.replace('["node[2-5].x.test"]', '["node[2-4].x.test", node6.x.test]')
    assert bench.deploy(HADOOP) == 0, bench.failure
    bench.world.hosts["node5.x.test"].lost_at = bench.now
    bench.pass_time(200)
    assert bench.deploy(replaced, removing=REMOVE) == 9
    assert "Ambari does not hear from node5.x.test, where something may still run" in bench.failure
    assert "deploy --remove --gone node5.x.test" in bench.failure
    assert bench.changes == []
    gone = Removing(True, frozenset({"node5.x.test"}))
    assert bench.deploy(replaced, removing=gone) == 0, bench.failure
    assert not [name for name in bench.changes if name.startswith(("stop", "decommission"))]
    assert bench.changes[-2:] == [
        "DATANODE, HDFS_CLIENT, NODEMANAGER removed from node5.x.test",
        "host node5.x.test removed from the cluster",
    ]
    assert on(bench, "node6") == {"DATANODE", "NODEMANAGER", "HDFS_CLIENT"}
    states = [one[2] for one in bench.state()["components"] if one[1] in ("DATANODE", "NODEMANAGER")]
    assert states == ["STARTED"] * 8
    # The same command line again: the host is not there any more.
    assert bench.deploy(replaced, removing=gone) == 0, bench.failure
    assert bench.changes == []
    assert "--gone: node5.x.test is not in the cluster, or not any more" in notices(bench)


class Killed(BaseException):
    """Stands for kill -9: nothing of the deployment runs on."""


def _replaced(folder: Path, monkeypatch: pytest.MonkeyPatch, stop: int | None) -> tuple[Any, int]:
    """A ZooKeeper server on a dead host is replaced, killed at an event and run again; gives the end and the events."""
    folder.mkdir()
    moved = ZOOKEEPER.replace('["node[1-3].x.test"]', '["node[1-2].x.test", node4.x.test]')
    gone = Removing(True, frozenset({"node3.x.test"}))
    count, asked = 0, dict[int, set[str]]()

    def kill(event: object) -> None:
        nonlocal count
        count += 1
        if isinstance(event, AmbariTask) and (event.role, event.host) != ("ZOOKEEPER_SERVER", "node4.x.test"):
            asked.setdefault(event.request, set()).update({event.host} if event.role == "ZOOKEEPER_SERVER" else ())
        if count == stop:
            raise Killed

    with Bench(folder, monkeypatch, hosts=4) as bench:
        assert bench.deploy(ZOOKEEPER) == 0, bench.failure
        bench.world.hosts["node3.x.test"].lost_at = bench.now
        bench.pass_time(200)
        if stop is None:
            assert bench.deploy(moved, removing=gone, watch=kill) == 0, bench.failure
        else:
            with pytest.raises(Killed):
                bench.deploy(moved, removing=gone, watch=kill)
            assert bench.deploy(moved, removing=gone, watch=kill) == 0, (stop, bench.failure)
        assert {len(hosts) for hosts in asked.values() if hosts} == {1}, "never two servers of the ensemble at once"
        cluster = bench.world.clusters["c1"]
        stale = [one.host for one in cluster.components.values() if cluster.stale(one)]
        end = (bench.state(), sorted(cluster.hosts), stale)
        assert bench.deploy(moved, removing=gone) == 0, (stop, bench.failure)
        assert bench.changes == [], stop
        return end, count


def test_a_replacement_that_is_killed_anywhere_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean, length = _replaced(tmp_path / "clean", monkeypatch, None)
    assert clean[1:] == ([f"node{number}.x.test" for number in (1, 2, 4)], [])
    for stop in range(2, length, max(1, length // 10)):
        found, _ = _replaced(tmp_path / str(stop), monkeypatch, stop)
        assert found == clean, stop


def test_mistakes_about_hosts_that_are_gone(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    for host, message in (
        ("node5.x.test", "--gone: Ambari hears from node5.x.test: it is not gone"),
        ("node4.x.test", "--gone: the inventory still has the host node4.x.test"),
    ):
        assert bench.deploy(SMALLER, removing=Removing(True, frozenset({host}))) == 2
        assert message in bench.failure
        assert bench.changes == []


MOVED = HADOOP.replace(
    "  workers:", "  second:\n    hosts: [node6.x.test]\n    components: [RESOURCEMANAGER]\n  workers:"
)
MOVED = MOVED.replace("[NAMENODE, RESOURCEMANAGER,", "[NAMENODE,")


def test_a_master_moves_to_another_host(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    cluster = bench.world.clusters["c1"]
    addresses = {"yarn.resourcemanager.hostname": "node1.x.test", "yarn.resourcemanager.address": "node1.x.test:8050"}
    cluster.put("yarn-site", "own", {**cluster.properties("yarn-site"), **addresses, "other": "node1.x.test"}, {})
    assert bench.deploy(MOVED) == 9
    assert "- RESOURCEMANAGER on node1.x.test" in bench.failure
    assert bench.deploy(MOVED, dry_run=True, removing=REMOVE) == 0, bench.failure
    # The timeline reader is placed beside the ResourceManager by the stack.
    stop = "stop RESOURCEMANAGER on node1.x.test; TIMELINE_READER on node1.x.test, which the inventory no longer has"
    assert stop in bench.changes
    assert bench.deploy(MOVED, removing=REMOVE) == 0, bench.failure
    order = [name for name in bench.changes if "RESOURCEMANAGER" in name or "yarn-site" in name]
    assert order[:2] == ["configurations yarn-site", "HDFS_CLIENT, RESOURCEMANAGER, TIMELINE_READER on node6.x.test"]
    assert [name.partition(" ")[0] for name in order[2:5]] == ["install", "stop", "RESOURCEMANAGER,"]
    assert order[5].startswith("start RESOURCEMANAGER on node6.x.test")
    assert "RESOURCEMANAGER" not in on(bench, "node1")
    site = cluster.properties("yarn-site")
    assert site["yarn.resourcemanager.hostname"] == "node6.x.test"
    assert site["yarn.resourcemanager.address"] == "node6.x.test:8050"
    assert site["other"] == "node1.x.test"
    assert bench.deploy(MOVED) == 0, bench.failure
    assert bench.changes == []


def test_a_master_is_not_stopped_before_its_successor_is_installed(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    assert bench.deploy(MOVED, removing=REMOVE, phases=["start"]) == 9
    assert "these are not installed yet: RESOURCEMANAGER on node6.x.test, TIMELINE_READER" in bench.failure
    assert bench.changes == []
    bench.work.injections.tasks.append(TaskFault(role="RESOURCEMANAGER", command="INSTALL", times=1))
    assert bench.deploy(MOVED, removing=REMOVE) == 9
    assert bench.world.clusters["c1"].components[("node1.x.test", "RESOURCEMANAGER")].state == "STARTED"
    assert bench.deploy(MOVED, removing=REMOVE) == 0, bench.failure
    assert "RESOURCEMANAGER" not in on(bench, "node1")


ZOOKEEPER = """
cluster: c1
ambari: {url: URL, password: "env:TEST_AMBARI_PASSWORD", poll: 2s, registration_timeout: 120s}
repositories: [{url: "http://repository.test/el8"}]
groups:
  zoo: {hosts: ["node[1-3].x.test"], components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]}
"""


def test_a_zookeeper_server_moves_and_the_others_restart_one_at_a_time(bench: Bench) -> None:
    moved = ZOOKEEPER.replace('["node[1-3].x.test"]', '["node[1-2].x.test", node4.x.test]')
    assert bench.deploy(ZOOKEEPER) == 0, bench.failure
    assert bench.deploy(moved, dry_run=True, removing=REMOVE) == 0, bench.failure
    told = bench.changes
    assert bench.deploy(moved, removing=REMOVE) == 0, bench.failure
    restarts = [name for name in bench.changes if name.startswith("restart ZOOKEEPER_SERVER")]
    assert [name.partition(" (")[0].rpartition(" on ")[2] for name in restarts] == ["node1.x.test", "node2.x.test"]
    assert "because of one more ZOOKEEPER_SERVER, one ZOOKEEPER_SERVER fewer" in restarts[0]
    assert bench.changes == told
    assert bench.state()["components"] == sorted(
        (f"node{number}.x.test", name, "STARTED" if name.endswith("SERVER") else "INSTALLED")
        for number in (1, 2, 4)
        for name in ("ZOOKEEPER_SERVER", "ZOOKEEPER_CLIENT")
    )
    for hosts, message in (
        ('["node[4-6].x.test"]', "2 ZooKeeper servers would leave at once: node1.x.test, node2.x.test"),
        ('["node2.x.test", "node[4-5].x.test"]', "node2.x.test, node4.x.test"),
    ):
        assert bench.deploy(ZOOKEEPER.replace('["node[1-3].x.test"]', hosts), removing=REMOVE) == 9
        assert message in bench.failure
        assert bench.changes == []


def test_a_service_leaves(bench: Bench) -> None:
    tez = HADOOP.replace("components: [DATANODE,", "components: [TEZ_CLIENT, DATANODE,")
    assert bench.deploy(tez) == 0, bench.failure
    assert "TEZ" in bench.world.clusters["c1"].services
    assert bench.deploy(HADOOP) == 9
    assert "- service TEZ" in bench.failure
    assert bench.deploy(HADOOP, removing=REMOVE) == 0, bench.failure
    assert bench.changes[-1] == "service TEZ removed"
    assert "service TEZ" in disrupted(bench)
    assert "TEZ" not in bench.world.clusters["c1"].services
    assert bench.deploy(HADOOP) == 0, bench.failure
    assert bench.changes == []


HDFS = (
    HEAD
    + """\
groups:
  masters:
    hosts: [node1.x.test]
    components: [MASTERS, NAMENODE, SECONDARY_NAMENODE, ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT, HDFS_CLIENT]
  workers:
    hosts: ["node[2-4].x.test"]
    components: [WORKERS, DATANODE]
  last: {hosts: [node5.x.test], components: [LAST, HDFS_CLIENT, ZOOKEEPER_CLIENT]}
configurations:
  hdfs-site: {dfs.client.read.shortcircuit: "false"}
"""
)


def placed(masters: str = "", workers: str = "", last: str = "") -> str:
    """HDFS and ZooKeeper, and other components on these hosts."""
    return HDFS.replace("MASTERS, ", masters).replace("WORKERS, ", workers).replace("LAST, ", last)


@pytest.mark.parametrize(
    ("service", "masters", "workers"),
    [
        ("HBASE", "HBASE_MASTER, HBASE_CLIENT, ", "HBASE_REGIONSERVER, "),
        ("KAFKA", "", "KAFKA_BROKER, "),
        ("YARN", "RESOURCEMANAGER, APP_TIMELINE_SERVER, YARN_CLIENT, ", "NODEMANAGER, "),
    ],
)
def test_a_whole_service_leaves_in_one_run(bench: Bench, service: str, masters: str, workers: str) -> None:
    """Nobody takes over, so nothing is taken out of service: masters and followers stop together."""
    assert bench.deploy(placed(masters, workers)) == 0, bench.failure
    assert bench.deploy(placed(), dry_run=True, removing=REMOVE) == 0, bench.failure
    told = bench.changes
    assert bench.deploy(placed(), removing=REMOVE) == 0, bench.failure
    assert bench.changes == told
    assert f"service {service} removed" in told
    assert len([name for name in told if name.startswith("stop ")]) == 1
    assert not [name for name in told if name.startswith("decommission")]
    assert service not in bench.world.clusters["c1"].services
    assert bench.deploy(placed()) == 0, bench.failure
    assert bench.changes == []


def test_a_host_with_a_master_and_a_follower_leaves(bench: Bench) -> None:
    """Another follower stays, so the one that leaves is decommissioned, by the master that has moved meanwhile."""
    region = "HBASE_REGIONSERVER, "
    before = placed("HBASE_CLIENT, ", region, f"HBASE_MASTER, {region}")
    after = placed("HBASE_MASTER, HBASE_CLIENT, ", region).replace(
        "  last: {hosts: [node5.x.test], components: [HDFS_CLIENT, ZOOKEEPER_CLIENT]}\n", ""
    )
    assert bench.deploy(before) == 0, bench.failure
    assert bench.deploy(after, dry_run=True, removing=REMOVE) == 0, bench.failure
    told = bench.changes
    assert bench.deploy(after, removing=REMOVE) == 0, bench.failure
    assert bench.changes == told
    steps = [
        "stop HBASE_MASTER on node5.x.test, which the inventory no longer has",
        "decommission HBASE_REGIONSERVER on node5.x.test",
        "stop HBASE_REGIONSERVER on node5.x.test, which the inventory no longer has",
        "host node5.x.test removed from the cluster",
    ]
    assert [name for name in told if name in steps] == steps
    assert bench.deploy(after) == 0, bench.failure
    assert bench.changes == []


def test_mistakes_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inventory.yaml").write_text(HADOOP.replace("URL", "http://127.0.0.1:9"))
    for arguments, message in (
        (["--gone", "node5.x.test"], "--gone needs --remove"),
        (["--remove", "--rehearse"], "--remove and --rehearse cannot be combined"),
        (["--phase", "remove"], "the phase remove needs --remove"),
        (["--from", "remove"], "the phase remove needs --remove"),
        (["--print", "blueprint", "--remove"], "--print cannot be combined with --remove"),
    ):
        assert command(["deploy", "-C", str(tmp_path), "inventory.yaml", *arguments]) == 2
        assert message in capsys.readouterr().err, arguments


def _layout(**groups: tuple[list[str], list[str]]) -> Layout:
    return Layout(
        tuple(
            LayoutGroup(name, tuple(hosts), tuple(Placed(component) for component in components))
            for name, (hosts, components) in groups.items()
        )
    )


def _member(component: str, host: str = "n9", state: str = "STARTED", **more: Any) -> Member:
    return Member(host, component, STACK.service_of(component) or "", state, **more)


@pytest.mark.parametrize(
    ("component", "state", "message"),
    [
        ("NAMENODE", "STARTED", "NAMENODE on n9 cannot be removed by a deployment"),
        ("NAMENODE", "UNKNOWN", "NAMENODE on n9 cannot be removed by a deployment"),
        ("JOURNALNODE", "INSTALLED", "JOURNALNODE on n9 cannot be removed by a deployment"),
        ("ZKFC", "STARTED", "ZKFC on n9 cannot be removed by a deployment"),
        ("KAFKA_BROKER", "STARTED", "KAFKA_BROKER on n9 cannot be removed by a deployment"),
        ("SOLR_SERVER", "STARTED", "SOLR_SERVER on n9 cannot be removed by a deployment"),
        ("RANGER_ADMIN", "STARTED", "RANGER_ADMIN on n9 cannot be removed by a deployment"),
        ("MYSQL_SERVER", "STARTED", "MYSQL_SERVER on n9 cannot be removed by a deployment"),
        ("OUR_OWN", "STARTED", "OUR_OWN on n9 cannot be removed by a deployment"),
        ("NAMENODE", "INIT", None),
        ("HIVE_SERVER", "STARTED", None),
        ("HDFS_CLIENT", "INSTALLED", None),
        ("DATANODE", "INSTALLED", "DATANODE on n9 is stopped, so that its blocks cannot be copied"),
        ("DATANODE", "INSTALL_FAILED", None),
        ("NODEMANAGER", "INSTALLED", None),
    ],
)
def test_what_may_leave(component: str, state: str, message: str | None) -> None:
    layout = _layout(rest=(["n1", "n2", "n3"], ["DATANODE"]))
    member = _member(component, state=state)
    found = obstacles(Removal(("n9",), (), (member,)), layout, STACK, [member], 3)
    assert [one.message for one in found] == ([message] if message else [])
    assert all(one.hint for one in found)


@pytest.mark.parametrize(
    ("states", "wanted", "message"),
    [
        ({"n1": "STARTED", "n2": "STARTED", "n3": "STARTED"}, ["n1", "n2", "n4"], None),
        ({"n1": "STARTED", "n2": "STARTED", "n3": "STARTED"}, ["n1", "n2"], None),
        ({"n1": "STARTED", "n2": "STARTED", "n3": "UNKNOWN"}, ["n1", "n2", "n4"], None),
        ({"n1": "STARTED", "n2": "STARTED", "n3": "STARTED", "n4": "INSTALLED"}, ["n1", "n2", "n4"], None),
        ({"n1": "STARTED", "n2": "STARTED", "n21": "INIT", "n3": "STARTED"}, ["n1", "n21", "n3"], None),
        ({"n1": "STARTED", "n2": "STARTED", "n3": "STARTED"}, ["n1", "n3"], "others get new numbers (myid): n3"),
        ({"n1": "STARTED", "n2": "STARTED", "n3": "STARTED"}, ["n2", "n3", "n4"], "new numbers (myid): n2, n3"),
        ({"n1": "STARTED", "n2": "INSTALLED", "n3": "STARTED"}, ["n1", "n2", "n4"], "too few would run: n1"),
        ({"n1": "STARTED", "n2": "INSTALLED", "n3": "STARTED"}, ["n1", "n2"], "too few would run: n1"),
        ({"n1": "STARTED"}, ["n4"], "too few would run: none"),
        ({"n1": "STARTED", "n2": "STARTED", "n3": "STARTED"}, ["n1", "n4", "n5"], "2 ZooKeeper servers would leave"),
    ],
)
def test_the_ensemble_of_zookeeper(states: Mapping[str, str], wanted: list[str], message: str | None) -> None:
    members = [_member("ZOOKEEPER_SERVER", host, state) for host, state in states.items()]
    layout = _layout(a=(wanted, ["ZOOKEEPER_SERVER"]))
    leaving = Removal((), (), tuple(one for one in members if one.host not in wanted))
    found = obstacles(leaving, layout, STACK, members, 3)
    assert len(found) == (message is not None), found
    assert message is None or message in found[0].message
    dead = [_member("ZOOKEEPER_SERVER", "n1", "INSTALLED", died=True), *members[1:]]
    if message is None:
        assert "Start n1 first" in obstacles(leaving, layout, STACK, dead, 3)[0].hint


@pytest.mark.parametrize(
    ("component", "free"), [("KAFKA_BROKER", True), ("SOLR_SERVER", True), ("MYSQL_SERVER", True), ("NAMENODE", False)]
)
def test_what_may_leave_with_its_service(component: str, free: bool) -> None:
    member = _member(component)
    leaving = Removal((), (member.service,), (member,))
    assert (not obstacles(leaving, _layout(rest=(["n1"], ["ZOOKEEPER_SERVER"])), STACK, [member], 3)) == free


def test_every_component_that_may_leave_is_one_of_the_stack() -> None:
    known = {name for service in STACK.services.values() for name in service.components}
    assert {*MOVABLE, *DECOMMISSIONED, *DECOMMISSIONED.values(), *BY_HAND} <= known
    assert not MOVABLE & {*BY_HAND, *DECOMMISSIONED}


def test_what_leaves_is_the_difference() -> None:
    layout = _layout(a=(["n1"], ["ZOOKEEPER_SERVER"]))
    members = [_member("ZOOKEEPER_SERVER", "n1"), _member("HDFS_CLIENT", "n1"), _member("DATANODE", "n2")]
    found = removal(layout, ["n1", "n2"], ["ZOOKEEPER", "HDFS"], ["ZOOKEEPER"], members, ["n2"])
    assert found.lines() == ["- service HDFS", "- host n2 (gone)", "- HDFS_CLIENT on n1"]
    assert removal(layout, ["n1"], ["ZOOKEEPER"], ["ZOOKEEPER"], members[:1]).nothing


QUORUM = "n1:2181,n2:2181,n3:2181"
PRESENT: Mapping[str, Mapping[str, str]] = {
    "yarn-site": {
        "yarn.resourcemanager.hostname.rm1": "n1",
        "yarn.resourcemanager.hostname.rm2": "n2",
        "yarn.resourcemanager.webapp.address.rm2": "n2:8088",
        "yarn.resourcemanager.zk-address": QUORUM,
        "yarn.log.server.url": "http://n2:19888/jobhistory/logs",
    },
    "hive-site": {"hive.metastore.uris": "thrift://n1:9083,thrift://n2:9083", "hive.zookeeper.quorum": QUORUM},
    "other-site": {"list": "n22,xn2,n2.example.com", "host": "n2"},
}


@pytest.mark.parametrize(
    ("component", "old", "wanted", "changed"),
    [
        (
            "RESOURCEMANAGER",
            "n2",
            ["n1", "n4"],
            {
                "yarn-site": {
                    "yarn.resourcemanager.hostname.rm2": "n4",
                    "yarn.resourcemanager.webapp.address.rm2": "n4:8088",
                }
            },
        ),
        ("HISTORYSERVER", "n2", ["n5"], {"yarn-site": {"yarn.log.server.url": "http://n5:19888/jobhistory/logs"}}),
        ("HIVE_METASTORE", "n2", ["n1"], {"hive-site": {"hive.metastore.uris": "thrift://n1:9083"}}),
        (
            "HIVE_METASTORE",
            "n2",
            ["n1", "n7"],
            {"hive-site": {"hive.metastore.uris": "thrift://n1:9083,thrift://n7:9083"}},
        ),
        (
            "ZOOKEEPER_SERVER",
            "n3",
            ["n1", "n2", "n4"],
            {
                "yarn-site": {"yarn.resourcemanager.zk-address": "n1:2181,n2:2181,n4:2181"},
                "hive-site": {"hive.zookeeper.quorum": "n1:2181,n2:2181,n4:2181"},
            },
        ),
        ("DATANODE", "n2", ["n1"], {}),
        ("HISTORYSERVER", "n2", [], {}),
    ],
)
def test_properties_follow_the_component(
    component: str, old: str, wanted: list[str], changed: Mapping[str, Any]
) -> None:
    layout = _layout(a=(wanted, [component])) if wanted else _layout()
    leaving = Removal((), (), (_member(component, old),))
    found = moved_properties(leaving, layout, PRESENT)
    assert found == changed
    # Once it is so, nothing is left to change.
    after = {kind: {**own, **found.get(kind, {})} for kind, own in PRESENT.items()}
    assert moved_properties(leaving, layout, after) == {}


def test_what_the_inventory_gives_itself_stays() -> None:
    layout = Layout(_layout(a=(["n5"], ["HISTORYSERVER"])).groups, {"yarn-site": {"yarn.log.server.url": "http://own"}})
    assert moved_properties(Removal((), (), (_member("HISTORYSERVER", "n2"),)), layout, PRESENT) == {}


def test_what_still_names_a_host() -> None:
    texts = left_over(["n2"], PRESENT, {"yarn-site": {"yarn.log.server.url": "http://n5"}})
    assert "other-site/host (n2)" in texts
    assert "other-site/list (n2)" not in texts
    assert "yarn-site/yarn.log.server.url (n2)" not in texts
    for value, named in (("n2", True), ("hdfs://n2/", True), ("n2.", True), ("n2.other", False), ("an2", False)):
        assert names_host(value, "n2") is named, value
