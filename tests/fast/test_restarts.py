"""Restarts after a change of configuration: the order of components, turns of hosts, and what stops them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.ambari_simulator.engine.injection import TaskFault
from bigtop_builder.cluster.rolling import ALONE, CHECKED, ROLLING, Restart, Restarts, restarts, start_order, turns
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.flow.deploy.consent import Consent
from bigtop_builder.model.event import AmbariTask, Change, Notice, PhaseStarted
from tests.fast.deploying import HEAD, Bench

STACK = load_stack()
HADOOP = (
    HEAD
    + """\
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
)


CHANGED = HADOOP.replace("dfs.replication: 3", "dfs.replication: 2").replace("tickTime: 2000", "tickTime: 2500")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def restarted(bench: Bench) -> list[tuple[str, str]]:
    found = []
    for event in bench.events:
        if isinstance(event, Change) and event.name.startswith("restart "):
            what, _, _ = event.name.removeprefix("restart ").replace(".x.test", "").partition(" (")
            names, hosts = zip(*(part.split(" on ") for part in what.split("; ")), strict=True)
            found.append((", ".join(names), ", ".join(dict.fromkeys(hosts))))
    return found


def down(bench: Bench) -> list[tuple[str, str]]:
    """The servers that do not run."""
    components = bench.world.clusters["c1"].components.values()
    return [(one.host, one.component) for one in components if not one.client and one.state != "STARTED"]


def told(bench: Bench) -> list[tuple[str, str, list[str]]]:
    return [(event.name, event.detail, event.disrupts) for event in bench.events if isinstance(event, Change)]


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
    assert bench.deploy(CHANGED) == 0, bench.failure
    seen = restarted(bench)
    assert seen[:3] == [("ZOOKEEPER_SERVER", f"node{number}") for number in (1, 2, 3)]
    assert seen[3][0] == "NAMENODE"
    nodes = [host for name, host in seen if name == "DATANODE"]
    assert nodes == ["node1", "node2", "node3"]
    assert "HDFS_CLIENT" in seen[-1][0]
    assert "ZOOKEEPER_CLIENT" in seen[-1][0]
    assert bench.deploy(CHANGED) == 0, bench.failure
    assert bench.changes == []


def test_a_service_that_fails_its_check_stops_the_restarts(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    # The check before the first restart succeeds.
    bench.work.injections.tasks.append(TaskFault(command="SERVICE_CHECK", skip=1, times=None))
    assert bench.deploy(CHANGED) == 9
    assert restarted(bench) == [("ZOOKEEPER_SERVER", "node1")]
    assert "wave 1 of 15 of the restarts: the service check of ZOOKEEPER failed after the restart of" in bench.failure
    assert (
        "with an outdated configuration: APP_TIMELINE_SERVER on node1.x.test; DATANODE on node1.x.test, "
        in bench.failure
    )
    assert "ZOOKEEPER_SERVER on node2.x.test, node3.x.test" in bench.failure
    assert down(bench) == []


def test_a_service_that_does_not_work_is_not_restarted_in_turns(bench: Bench) -> None:
    """A run that was killed after a restart has not seen whether the server came back."""
    assert bench.deploy(HADOOP) == 0, bench.failure
    bench.work.injections.tasks.append(TaskFault(command="SERVICE_CHECK", times=3))
    assert bench.deploy(CHANGED) == 9
    assert restarted(bench) == []
    assert "service check of ZOOKEEPER failed before any restart" in bench.failure
    assert "--restart all" in bench.failure
    assert bench.deploy(CHANGED, restart="all") == 0, bench.failure


def test_one_of_a_quorum_that_is_down_stops_the_restarts(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    one = bench.world.clusters["c1"].components["node3.x.test", "ZOOKEEPER_SERVER"]
    one.maintenance = "ON"
    bench.agent.running.discard(("node3.x.test", "ZOOKEEPER_SERVER"))
    bench.pass_time(60)
    assert bench.deploy(CHANGED) == 9
    assert restarted(bench) == []
    assert "ZOOKEEPER_SERVER on node3.x.test does not run, so that a restart of" in bench.failure


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


SCENARIOS = {
    "a property of each of two services": CHANGED,
    "a type that one component reads": HADOOP
    + "  capacity-scheduler: {yarn.scheduler.capacity.node-locality-delay: 39}\n",
    "a property of some hosts": HADOOP.replace(
        "    components: [ZOOKEEPER_SERVER, DATANODE, NODEMANAGER, HDFS_CLIENT]\n",
        "    components: [ZOOKEEPER_SERVER, DATANODE, NODEMANAGER, HDFS_CLIENT]\n"
        "    configurations: {hdfs-site: {dfs.datanode.handler.count: 12}}\n",
    ),
    "a rack": HADOOP.replace("    hosts: [node2.x.test]\n", "    hosts: [node2.x.test]\n    rack: /other\n"),
    "one more host with a server of a quorum": HADOOP.replace(
        "configurations:\n",
        "  fourth: {hosts: [node4.x.test], components: [DATANODE, ZOOKEEPER_SERVER, HDFS_CLIENT]}\nconfigurations:\n",
        1,
    ),
    "one more component": HADOOP.replace("APP_TIMELINE_SERVER,", "APP_TIMELINE_SERVER, HISTORYSERVER,", 1),
    "one more service": HADOOP.replace("APP_TIMELINE_SERVER,", "APP_TIMELINE_SERVER, KAFKA_BROKER,", 1),
    "all of it": CHANGED.replace(
        "configurations:\n",
        "  fourth: {hosts: [node4.x.test], rack: /r4, components: [DATANODE, ZOOKEEPER_SERVER]}\nconfigurations:\n",
        1,
    ),
}


@pytest.mark.parametrize("changed", SCENARIOS.values(), ids=SCENARIOS)
@pytest.mark.parametrize("restart", ["rolling", "all", "none"])
def test_the_dry_run_tells_what_the_run_does(bench: Bench, changed: str, restart: Restarts) -> None:
    """The same changes in the same words, with the same details and disruptions; and it changes nothing itself."""
    bench.host("node4.x.test")
    assert bench.deploy(HADOOP) == 0, bench.failure
    before = bench.state()
    assert bench.deploy(changed, dry_run=True, restart=restart) == 0, bench.failure
    planned = told(bench)
    assert bench.state() == before
    agreed = Consent(name for _, _, disrupts in planned for name in disrupts)
    assert bench.deploy(changed, restart=restart, consent=agreed) == 0
    assert told(bench) == planned
    if restart != "none":
        assert bench.deploy(changed) == 0
        assert told(bench) == []
        assert down(bench) == []


def test_waves_say_what_restarts_where_why_and_what_follows(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    assert bench.deploy(CHANGED, dry_run=True) == 0, bench.failure
    waves = [(name, detail) for name, detail, _ in told(bench) if name.startswith("restart ")]
    assert waves[0] == (
        "restart ZOOKEEPER_SERVER on node1.x.test (wave 1 of 15, because of zoo.cfg)",
        "then the service check of ZOOKEEPER",
    )
    assert (
        "restart DATANODE on node1.x.test (wave 6 of 15, because of hdfs-site)",
        "then a watch of 25 s, before the others follow",
    ) in waves
    assert waves[-1][0].endswith("(wave 15 of 15, because of hdfs-site, zoo.cfg)")


@pytest.mark.parametrize(
    ("scenario", "components", "why"),
    [
        ("a type that one component reads", {"RESOURCEMANAGER"}, "capacity-scheduler"),
        ("a property of some hosts", {"DATANODE", "NODEMANAGER", "HDFS_CLIENT"}, "hdfs-site"),
        (
            "a rack",
            {"NAMENODE", "SECONDARY_NAMENODE", "DATANODE", "HDFS_CLIENT", "HISTORYSERVER", "MAPREDUCE2_CLIENT"},
            "a new rack",
        ),
        (
            "one more host with a server of a quorum",
            {"ZOOKEEPER_SERVER", "ZOOKEEPER_CLIENT"},
            "one more ZOOKEEPER_SERVER",
        ),
    ],
)
def test_what_restarts_and_why(bench: Bench, scenario: str, components: set[str], why: str) -> None:
    """Right values: the other tests compare the run with the dry run, and both read the same data of the stack."""
    bench.host("node4.x.test")
    assert bench.deploy(HADOOP) == 0, bench.failure
    assert bench.deploy(SCENARIOS[scenario], dry_run=True) == 0, bench.failure
    names = [name for name, _, _ in told(bench) if name.startswith("restart ")]
    assert names
    assert all(name.endswith(f"because of {why})") for name in names), names
    found = {
        part.split(" on ")[0].removeprefix("restart ") for name in names for part in name.split(" (")[0].split("; ")
    }
    present = {one.component for one in bench.world.clusters["c1"].components.values()}
    assert found == components & present
    if scenario == "a property of some hosts":
        assert {part.split(" on ")[1] for name in names for part in name.split(" (")[0].split("; ")} == {"node3.x.test"}


def test_on_a_cluster_that_the_run_creates_nobody_is_asked(bench: Bench) -> None:
    """Ambari wants a restart of ZooKeeper when a host registers late."""

    def late(event: object) -> None:
        if isinstance(event, PhaseStarted) and event.phase == "start":
            bench.world.clusters["c1"].components["node1.x.test", "ZOOKEEPER_SERVER"].restart_required = True

    assert bench.deploy(HADOOP, consent=Consent([]), watch=late) == 0, bench.failure
    assert restarted(bench) == [("ZOOKEEPER_SERVER", "node1")]


def test_all_at_once_is_one_request_for_servers_and_one_for_clients(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    assert bench.deploy(CHANGED, restart="all") == 0, bench.failure
    waves = [name for name, _, _ in told(bench) if name.startswith("restart ")]
    assert len(waves) == 2
    assert "ZOOKEEPER_SERVER on node1.x.test, node2.x.test, node3.x.test (wave 1 of 2," in waves[0]


def test_none_restarts_nothing_and_tells_what_is_left(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    assert bench.deploy(CHANGED, restart="none") == 0, bench.failure
    assert restarted(bench) == []
    notices = [event.text for event in bench.events if isinstance(event, Notice)]
    assert any(text.startswith("not restarted, with an outdated configuration: APP_TIMELINE") for text in notices)
    stale = [one for one in bench.world.clusters["c1"].components.values() if bench.world.clusters["c1"].stale(one)]
    assert len(stale) == 18
    # Why is forgotten by then.
    assert bench.deploy(CHANGED, dry_run=True) == 0
    planned = told(bench)
    assert planned[0][0] == "restart ZOOKEEPER_SERVER on node1.x.test (wave 1 of 15, because of an earlier change)"
    assert bench.deploy(CHANGED) == 0
    assert told(bench) == planned


def test_what_nobody_has_agreed_to_stays_as_it_is(bench: Bench) -> None:
    assert bench.deploy(HADOOP) == 0, bench.failure
    assert bench.deploy(CHANGED, consent=Consent(["ZOOKEEPER_SERVER on node1.x.test"])) == 2
    assert restarted(bench) == [("ZOOKEEPER_SERVER", "node1")]
    assert "it disrupts ZOOKEEPER_SERVER on node2.x.test" in bench.failure
    assert down(bench) == []


class Killed(BaseException):
    """Stands for kill -9: nothing of the deployment runs on."""


class Killer:
    """Kills the deployment at an event, and watches how many ZooKeeper servers one request restarts."""

    def __init__(self) -> None:
        self.left = 0
        self.hosts: dict[int, set[str]] = {}

    def __call__(self, event: object) -> None:
        if isinstance(event, AmbariTask) and event.role == "ZOOKEEPER_SERVER":
            self.hosts.setdefault(event.request, set()).add(event.host)
        self.left -= 1
        if self.left == 0:
            raise Killed


def test_killed_at_events_all_along_and_run_again_the_rest_is_restarted(bench: Bench) -> None:
    """What had its turn stays as it is; a request that was under way is followed; never two of a quorum at once."""
    assert bench.deploy(HADOOP) == 0, bench.failure
    killer, code = Killer(), 130
    for number in range(3, 1000, 7):
        killer.left = number
        changed = HADOOP.replace("tickTime: 2000", f"tickTime: {2000 + number}")
        try:
            code = bench.deploy(changed, phases=["cluster", "start"], watch=killer)
        except Killed:
            before = restarted(bench)
            assert bench.deploy(changed, phases=["cluster", "start"], watch=killer) == 0, bench.failure
            servers = [host for name, host in (*before, *restarted(bench)) if name == "ZOOKEEPER_SERVER"]
            # A killed run may not have reported the restart that it began; the next one follows it.
            assert len(servers) == len({*servers}) >= 2
            assert bench.state()["tickTime"] == str(2000 + number)
            assert down(bench) == []
            continue
        break
    servers = [host for name, host in restarted(bench) if name == "ZOOKEEPER_SERVER"]
    assert (code, number > 30) == (0, True)
    assert {len(hosts) for hosts in killer.hosts.values()} == {1}
    assert {*servers} == {"node1", "node2", "node3"}
