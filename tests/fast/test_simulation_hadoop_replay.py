"""The simulated server against what was recorded of a cluster with HDFS, YARN, MapReduce, Tez and Spark.

Exchanges are played at their recorded times, which are not the order of their numbers. Tasks end as recorded where the
recording tells how; everything else takes the paper agents two seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from bigtop_builder.ambari_simulator.agents.paper import PaperCrew
from bigtop_builder.ambari_simulator.assembly import make_world, serve
from bigtop_builder.ambari_simulator.engine.engine import Pace
from bigtop_builder.ambari_simulator.engine.injection import TaskFault
from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.engine.work import work_of
from bigtop_builder.ambari_simulator.rest.server import Simulation
from bigtop_builder.cluster.stack_rest import default_properties
from tests.fast.replay import Exchange, Stage, exchanges
from tests.fast.replay_left_out import HADOOP_LEFT_OUT, LEFT_OUT
from tests.fast.test_simulation_cluster_replay import CLUSTER_RULES, MOMENTS, go_on
from tests.fast.test_simulation_like_the_real_server import configured

NODE = "node{}.h8amb.test"
NUMBERS = range(620, 900)
FIRST_CLUSTER = range(601, 612)
"""Of another server: a cluster with ZooKeeper and a configuration group, and its deletion."""


def simulation(world: World) -> Simulation:
    """A server that needs ten seconds to assign hosts, as the recorded one did under load."""
    pace = Pace(status=1.0, assign=10.0)
    return serve(make_world(world.hosts.values(), crew=PaperCrew(seconds=2.0), clock=world.clock, pace=pace))


def _fails(role: str, host: int, command: str, seconds: float, times: int = 1) -> TaskFault:
    return TaskFault(host=NODE.format(host), role=role, command=command, seconds=seconds, times=times)


def _faults(*faults: TaskFault) -> Callable[[Stage], None]:
    return lambda stage: work_of(stage.world).injections.tasks.extend(faults)


def _restart(service: str, component: str, *hosts: int) -> Callable[[Stage], None]:
    target = {
        "service_name": service,
        "component_name": component,
        "hosts": ",".join(NODE.format(host) for host in hosts),
    }
    info = {"command": "RESTART", "context": f"Restart {component}", "operation_level": "host_component"}
    return _call("POST", "requests", {"RequestInfo": info, "Requests/resource_filters": [target]})


def _check(service: str, command: str) -> Callable[[Stage], None]:
    info = {"command": command, "context": f"{service} service check"}
    return _call("POST", "requests", {"RequestInfo": info, "Requests/resource_filters": [{"service_name": service}]})


def _call(method: str, path: str, body: object) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        uri = f"/api/v1/clusters/h8/{path}".rstrip("/")
        status, _, text = stage.call(method, uri, "" if body is None else json.dumps(body))
        assert status < 400, (path, status, text)

    return act


def _numbered(number: int, act: Callable[[Stage], None]) -> Callable[[Stage], None]:
    def numbered(stage: Stage) -> None:
        stage.world.skip("request", number - 1)
        act(stage)

    return numbered


def _restart_server(stage: Stage) -> None:
    work_of(stage.world).restart_server()


def _start(*components: tuple[str, int]) -> Callable[[Stage], None]:
    found = [f"HostRoles/component_name={name}&HostRoles/host_name={NODE.format(host)}" for name, host in components]
    info = {"context": "Start components", "query": "|".join(found)}
    return _call("PUT", "host_components", {"RequestInfo": info, "Body": {"HostRoles": {"state": "STARTED"}}})


def _put_again(kind: str, tag: str, **properties: str) -> Callable[[Stage], None]:
    """A new version of a type, with the properties before it and these."""

    def act(stage: Stage) -> None:
        cluster = stage.world.clusters["h8"]
        note = {"service_config_version_note": "changed by bigtop-builder deploy"}
        entry = {"type": kind, "tag": tag, "properties": {**cluster.properties(kind), **properties}, **note}
        status, _, text = stage.call(
            "PUT", "/api/v1/clusters/h8", json.dumps({"Clusters": {"desired_config": [entry]}})
        )
        assert status == 200, text

    return act


def _tasks_from(number: int) -> Callable[[Stage], None]:
    return lambda stage: stage.world.skip("task", number - 1)


def _die(*components: tuple[str, int]) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        for name, host in components:
            work_of(stage.world).crew.agent.running.discard((NODE.format(host), name))  # type: ignore[attr-defined]

    return act


DATANODES = tuple(("DATANODE", host) for host in (1, 2, 3))
NODEMANAGERS = tuple(("NODEMANAGER", host) for host in (1, 2, 3))
CHECKS = (
    ("03:41:04", 25, "HDFS", "HDFS_SERVICE_CHECK"),
    ("03:41:06", 26, "MAPREDUCE2", "MAPREDUCE2_SERVICE_CHECK"),
    ("03:42:45", 27, "SPARK", "SPARK_SERVICE_CHECK"),
    ("03:42:47", 28, "TEZ", "TEZ_SERVICE_CHECK"),
    ("03:43:20", 29, "YARN", "YARN_SERVICE_CHECK"),
    ("03:43:22", 30, "ZOOKEEPER", "ZOOKEEPER_QUORUM_SERVICE_CHECK"),
)
RESTARTS = (
    ("03:38:46", 20, "HDFS", "NAMENODE", (1,)),
    ("03:40:27", 22, "MAPREDUCE2", "MAPREDUCE2_CLIENT", (1, 2, 3)),
    ("03:40:40", 23, "YARN", "APP_TIMELINE_SERVER", (1,)),
    ("03:40:48", 24, "YARN", "YARN_CLIENT", (1, 2, 3)),
    ("03:49:35", 32, "HDFS", "DATANODE", (1, 2, 3)),
    ("03:49:58", 33, "HDFS", "HDFS_CLIENT", (1, 2, 3)),
    ("03:50:09", 34, "HDFS", "NAMENODE", (1,)),
    ("03:52:50", 35, "HDFS", "SECONDARY_NAMENODE", (2,)),
    ("03:52:56", 36, "MAPREDUCE2", "HISTORYSERVER", (1,)),
    ("03:53:07", 37, "MAPREDUCE2", "MAPREDUCE2_CLIENT", (1, 2, 3)),
    ("03:53:18", 38, "YARN", "APP_TIMELINE_SERVER", (1,)),
    ("03:53:25", 39, "YARN", "NODEMANAGER", (1, 2, 3)),
    ("03:53:46", 40, "YARN", "RESOURCEMANAGER", (1,)),
    ("03:54:05", 41, "YARN", "TIMELINE_READER", (1,)),
    ("03:54:20", 42, "YARN", "YARN_CLIENT", (1, 2, 3)),
)
INSTALLS = ((1, 104), (2, 83.6), (3, 83.7))
HIDDEN: tuple[tuple[str, Callable[[Stage], None]], ...] = (
    ("03:24:20", _faults(*(_fails("DATANODE", host, "INSTALL", seconds) for host, seconds in INSTALLS))),
    ("03:26:47", _faults(*(_fails("DATANODE", host, "INSTALL", 12) for host in (1, 2, 3)))),
    ("03:32:35", _faults(_fails("HISTORYSERVER", 1, "START", 33))),
    ("03:35:50", _numbered(13, _restart("HDFS", "DATANODE", 1, 2, 3))),
    ("03:36:07", _tasks_from(146)),
    ("03:36:07", _faults(_fails("TIMELINE_READER", 1, "START", 20))),
    (
        "03:36:08",
        _numbered(
            16,
            _start(
                *(("HISTORYSERVER", 1), ("RESOURCEMANAGER", 1), ("TIMELINE_READER", 1), ("SPARK_JOBHISTORYSERVER", 1)),
                *NODEMANAGERS,
            ),
        ),
    ),
    ("03:37:50", _numbered(17, _start(*NODEMANAGERS))),
    ("03:38:09", _tasks_from(158)),
    ("03:38:09", _numbered(18, _start(("SPARK_JOBHISTORYSERVER", 1), ("TIMELINE_READER", 1)))),
    *((when, _numbered(number, _restart(*rest[:2], *rest[2]))) for when, number, *rest in RESTARTS),  # type: ignore[arg-type]
    *((when, _numbered(number, _check(*rest))) for when, number, *rest in CHECKS),
    # Two minutes early: here every type of a service makes all its components stale, there only TIMELINE_READER.
    ("03:36:05", _put_again("yarn-hbase-env", "version1795837088549877", use_external_hbase="true")),
    (
        "03:49:31",
        _put_again(
            "hdfs-site", "version1795837771952597", **{"dfs.client.read.shortcircuit.streams.cache.size": "8192"}
        ),
    ),
    ("03:47:46", _restart_server),
    ("03:50:08", _faults(TaskFault(role="NAMENODE", command="RESTART", effect="slow", seconds=155))),
    ("03:54:40", lambda stage: stage.world.skip("version", 50)),
    ("03:58:00", _tasks_from(229)),
    ("03:58:10", _die(("DATANODE", 2), ("NODEMANAGER", 2))),
    ("04:00:00", _call("PUT", "services", {"Body": {"ServiceInfo": {"state": "INSTALLED"}}})),
    ("04:00:42", _call("DELETE", "", None)),
)
"""What happened at a time without being recorded, or in another way than by the recorded calls."""


@dataclass
class HadoopStage(Stage):
    """Plays at the recorded times, with what happened between them (``hidden_at``)."""

    hidden_at: tuple[tuple[str, Callable[[Stage], None]], ...] = HIDDEN

    def __post_init__(self) -> None:
        super().__post_init__()
        day = datetime.fromtimestamp(self.now, UTC).date()
        moments = [(datetime.fromisoformat(f"{day}T{when}+00:00").timestamp(), act) for when, act in self.hidden_at]
        self.due = sorted(moments, key=lambda entry: entry[0])

    def go_to(self, moment: float) -> None:
        """Let the clock run up to a moment, with what happened until then."""
        while self.due and self.due[0][0] <= moment:
            when, act = self.due.pop(0)
            go_on(self, max(0.0, when - self.now))
            act(self)
        go_on(self, max(0.0, moment - self.now))

    def at_its_time(self, exchange: Exchange) -> list[str]:
        """The differences of one exchange."""
        self.go_to(exchange.at)
        self.done = exchange.number
        differences = self.play(exchange)
        document = exchange.document()
        said = document.get("Requests", {}) if isinstance(document, dict) else {}
        if exchange.method == "GET" and said.get("progress_percent", 100) < 100:
            moving = tuple(f"Requests/{name}" for name in MOMENTS)
            return [one for one in differences if not one.startswith(moving)]
        return differences


def played(stage: HadoopStage, numbers: range) -> dict[str, list[str]]:
    """Exchange -> how its answer differs, in the order of their times."""
    try:
        todo = sorted(exchanges(numbers), key=lambda one: one.at)
        return {one.name: stage.at_its_time(one) for one in todo}
    finally:
        stage.close()


FIRST_HOSTS = {f"node{number}.h1amb.test": f"10.241.2.1{number}" for number in range(1, 5)}
HOSTS = {NODE.format(number): f"10.241.0.1{number}" for number in (1, 2, 3)}


def _first_cluster(stage: HadoopStage) -> None:
    """Cluster h1 as it was before the first of its exchanges."""
    cluster = configured(stage)
    cluster.put("cluster-env", "TOPOLOGY_RESOLVED", default_properties(cluster.stack, "cluster-env"), {})
    for name in stage.hosts:
        cluster.hosts.append(name)
        one = cluster.add(name, "ZOOKEEPER_SERVER")
        one.state = one.desired = "STARTED"
        work_of(stage.world).crew.agent.running.add((name, one.component))  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def differences() -> dict[str, list[str]]:
    """Of both recorded servers."""
    first = HadoopStage(simulation, rules=CLUSTER_RULES, first=601, hosts=FIRST_HOSTS, hidden_at=())
    first.world.settle()
    _first_cluster(first)
    second = HadoopStage(simulation, rules=CLUSTER_RULES, first=620, hosts=HOSTS)
    return played(first, FIRST_CLUSTER) | played(second, NUMBERS)


def test_answers_about_hadoop_are_the_recorded_ones(differences: dict[str, list[str]]) -> None:
    wrong = {name: lines for name, lines in differences.items() if lines and int(name[:3]) not in HADOOP_LEFT_OUT}
    assert not wrong, "\n".join(f"{name}\n  " + "\n  ".join(lines[:5]) for name, lines in wrong.items())


def test_what_is_left_out_differs(differences: dict[str, list[str]]) -> None:
    """A reason that no longer holds must go."""
    assert {int(name[:3]) for name, lines in differences.items() if lines} == HADOOP_LEFT_OUT.keys()


def test_share_of_all_recordings(capsys: pytest.CaptureFixture[str]) -> None:
    """The other tests of replays see to it that only what is left out differs."""
    left_out = LEFT_OUT | HADOOP_LEFT_OUT
    reasons: dict[str, list[str]] = {}
    for number, reason in sorted(left_out.items()):
        reasons.setdefault(reason, []).append(str(number))
    told = "; ".join(f"{', '.join(numbers)}: {reason}" for reason, numbers in reasons.items())
    everything = len(exchanges())
    with capsys.disabled():
        print(
            f"\nthe simulated server answers {everything - len(left_out)} of {everything} recorded exchanges as "
            f"recorded, field by field; left out: {told}"
        )
    assert everything - len(left_out) > 0.9 * everything
