"""The simulated server against what was recorded of clusters: deployments, failures, service operations, deletions.

The clock goes on until a request has come as far as it had when it was recorded; what a poll in between saw depends on
the moment, so of polls of running requests only what is there is compared, and that counters fit the progress.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bigtop_builder.ambari_simulator.agents.paper import PaperCrew
from bigtop_builder.ambari_simulator.assembly import make_world, serve
from bigtop_builder.ambari_simulator.engine.engine import Pace
from bigtop_builder.ambari_simulator.engine.injection import TaskFault
from bigtop_builder.ambari_simulator.engine.state import Host, World
from bigtop_builder.ambari_simulator.engine.work import work_of
from bigtop_builder.ambari_simulator.rest.server import Simulation
from tests.fast.replay import RULES, Exchange, Rule, Stage, exchanges
from tests.fast.replay_left_out import LEFT_OUT
from tests.fast.test_simulation_replay import HIDDEN, PARTS, fetch

NODE = "node{}.cluster.local"
ENDS = {"COMPLETED", "FAILED", "ABORTED"}
PATIENCE = 200
"""Seconds of the world's clock that a request may take to come as far as recorded."""

MOMENTS = (
    "request_status",
    "progress_percent",
    "task_count",
    "queued_task_count",
    "completed_task_count",
    "failed_task_count",
    "aborted_task_count",
    "pending_host_request_count",
)
CLUSTER_RULES = (
    *RULES,
    Rule(r".*(start_time|end_time|create_time|createtime|last_heartbeat_time)$", "times of the recorded moment"),
    Rule(
        r".*Tasks/(stdout|stderr|structured_out.*|output_log|error_log)$", "an agent's prose; see the test of reasons"
    ),
    Rule(r".*Requests/(cluster_host_info|progress_percent)$", "a part of the agents' command; a rounding"),
    Rule(r".*/(content|properties/[^/]*log[^/]*)$", "templates of files are the stack's authors' text"),
    Rule(r".*(alert_definitions|service_config_versions).*", "prose and templates of the stack's authors"),
    Rule(r".*properties/.*", "defaults of the stack are compared where stacks are"),
)


def simulation(world: World) -> Simulation:
    """A server whose agents take two seconds for everything."""
    crew = PaperCrew(seconds=2.0)
    ready = make_world(world.hosts.values(), crew=crew, clock=world.clock, pace=Pace(status=1.0))
    ready.fetch = fetch
    return serve(ready)


def _call(method: str, path: str, body: object = None) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        status, _, text = stage.call(method, f"/api/v1/{path}", "" if body is None else json.dumps(body))
        assert status < 500, (path, status, text)
        go_on(stage, 40)

    return act


def _fault(**fault: object) -> Callable[[Stage], None]:
    return lambda stage: work_of(stage.world).injections.tasks.append(TaskFault.model_validate(fault))


def go_on(stage: Stage, seconds: float) -> None:
    """Lets the clock run in steps."""
    for _ in range(int(seconds * 2)):
        stage.now += 0.5
        with stage.world.lock:
            stage.world.settle()


def _register(*numbers: int) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        for number in numbers:
            name = NODE.format(number)
            stage.world.register(stage.world.hosts.get(name) or Host(name, f"172.28.0.1{number}"))

    return act


def _numbered(number: int, act: Callable[[Stage], None]) -> Callable[[Stage], None]:
    """A request that was not published, under the number that it had."""

    def numbered(stage: Stage) -> None:
        go_on(stage, 5)
        stage.world.skip("request", number - 1)
        act(stage)

    return numbered


def _lose(number: int, seconds: float) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        stage.world.hosts[NODE.format(number)].lost_at = stage.now
        go_on(stage, seconds)

    return act


def _die(number: int) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        work_of(stage.world).crew.agent.running.discard((NODE.format(number), "ZOOKEEPER_SERVER"))  # type: ignore[attr-defined]
        go_on(stage, 2)

    return act


def _configure(cluster: str) -> Callable[[Stage], None]:
    """Step by step, what the user interface does before hosts get components (not published)."""
    kinds = ("cluster-env", "zoo.cfg", "zookeeper-env", "zookeeper-log4j")
    # Agents carry nothing out without the features.
    properties = {"stack_features": "{}"}
    wanted = [{"type": kind, "tag": "version1", "properties": properties} for kind in kinds]
    return _call("PUT", f"clusters/{cluster}", [{"Clusters": {"desired_config": wanted}}])


def _state(wanted: str, context: str, kind: str = "ServiceInfo") -> dict[str, object]:
    """The body of a PUT that wants a state."""
    return {"RequestInfo": {"context": context}, "Body": {kind: {"state": wanted}}}


C0 = {
    "blueprint": "zk1",
    "repository_version_id": 3,
    "host_groups": [{"name": "g1", "hosts": [{"fqdn": NODE.format(4)}]}],
}
ABORT = {"Requests": {"request_status": "ABORTED", "abort_reason": "cleanup"}}
SERVER = "host_components/ZOOKEEPER_SERVER"
RESTART = {
    "RequestInfo": {
        "command": "RESTART",
        "context": "Restart ZK on node1",
        "operation_level": {"level": "HOST_COMPONENT", "cluster_name": "c1"},
    },
    "Requests/resource_filters": [
        {"service_name": "ZOOKEEPER", "component_name": "ZOOKEEPER_SERVER", "hosts": NODE.format(1)}
    ],
}


def _unlike_each_other(stage: Stage) -> None:
    """One start fails, one is done before, one in time, one too late."""
    _fault(host=NODE.format(1), command="START", effect="slow", seconds=30)(stage)
    _fault(host=NODE.format(2), command="START", seconds=2.2)(stage)
    _fault(host=NODE.format(3), command="START", effect="slow", seconds=0.9)(stage)


def _post_c0(stage: Stage) -> None:
    _fault(role="ZOOKEEPER_CLIENT", command="INSTALL", host=NODE.format(4))(stage)
    stage.call("POST", "/api/v1/clusters/c0", json.dumps(C0))


HIDDEN_IN_CLUSTERS: dict[int, Callable[[Stage], None]] = {
    **HIDDEN,
    107: _post_c0,
    122: _call("PUT", "clusters/c0/requests/6", ABORT),
    204: _call(
        "PUT",
        "clusters/c1",
        {"Clusters": {"desired_config": {"type": "zoo.cfg", "tag": "version2", "properties": {"tickTime": "2000"}}}},
    ),
    208: _numbered(31, _call("POST", "clusters/c1/requests", RESTART)),
    246: _numbered(
        37,
        _call(
            "PUT", f"clusters/c1/hosts/{NODE.format(4)}/{SERVER}", _state("INSTALLED", "Stop ZK on node4", "HostRoles")
        ),
    ),
    257: _register(4),
    272: _unlike_each_other,
    284: _numbered(44, _call("PUT", "clusters/c1/services/ZOOKEEPER", _state("STARTED", "Start ZooKeeper retry"))),
    293: _die(3),
    302: _lose(4, 125),
    305: _numbered(46, _call("PUT", "clusters/c1/services/ZOOKEEPER", _state("INSTALLED", "Stop with node4 lost"))),
    316: _register(4),
    343: _call("DELETE", "clusters/c3"),
    374: _register(1, 2, 3),
    398: _numbered(67, _call("PUT", "clusters/c5/services/ZOOKEEPER", _state("INSTALLED", "Stop"))),
    401: _fault(host=NODE.format(1), command="START", effect="hang"),
    402: lambda stage: go_on(stage, 12),
    408: _fault(host=NODE.format(1), command="START", effect="hang"),
    409: lambda stage: go_on(stage, 12),
    410: _lose(1, 160),
    413: _register(1),
    426: _configure("c6"),
    478: _register(1, 2, 3, 4),
    485: _register(1, 2, 3, 4),
}


class Player(Stage):
    """Plays with numbers as recorded, and with the clock as far as a recorded answer wants it."""

    def follow(self, exchange: Exchange) -> list[str]:
        """The differences of one exchange."""
        for number in range(self.done + 1, exchange.number + 1):
            if number in self.hidden:
                self.now = max(self.now, exchange.at)
                self.hidden[number](self)
        self.done = exchange.number
        document = exchange.document()
        self._number(exchange, document)
        said = document.get("Requests", {}) if isinstance(document, dict) else {}
        wanted = said.get("request_status")
        if wanted in ENDS and exchange.method == "GET":
            self._wait(exchange, str(wanted))
        differences = self.play(exchange)
        if exchange.method == "GET" and wanted is not None:
            moving = tuple(f"Requests/{name}" for name in MOMENTS)
            if wanted not in ENDS or said.get("progress_percent") != 100:
                differences = [one for one in differences if not one.startswith(moving)]
        return differences

    def _number(self, exchange: Exchange, document: object) -> None:
        """What was numbered between exchanges without being published is skipped."""
        if exchange.status != 202 or not isinstance(document, dict):
            return
        later: list[dict[str, Any]] = next(
            (
                one.document()["tasks"]
                for one in exchanges(range(exchange.number, exchange.number + 14))
                if one.uri.partition("?")[0].endswith(f"/requests/{document['Requests']['id']}")
                and "tasks/Tasks/*" in one.uri
            ),
            [],
        )
        numbers = [task["Tasks"]["id"] for task in later]
        if numbers and min(numbers) < 10000:
            self.world.skip("task", min(numbers) - 1)

    def _wait(self, exchange: Exchange, wanted: str) -> None:
        path = exchange.uri.partition("?")[0]
        for _ in range(PATIENCE):
            _, _, text = self.call("GET", f"{path}?fields=Requests/request_status")
            if f'"{wanted}"' in text:
                return
            go_on(self, 1)


SPARK_FAILS = (
    "Applying File['/etc/spark/conf/spark-defaults.conf'] failed, parent directory /etc/spark/conf doesn't exist"
)


def _unsigned(stage: Stage) -> None:
    _call("POST", f"clusters/s1/hosts/{NODE.format(2)}/host_components/SPARK_CLIENT")(stage)
    _fault(role="SPARK_CLIENT", command="INSTALL", stderr="Error: GPG check FAILED")(stage)


SPARK_HIDDEN: dict[int, Callable[[Stage], None]] = {
    526: _fault(role="SPARK_CLIENT", command="INSTALL", host=NODE.format(1), seconds=13, stderr=SPARK_FAILS),
    536: _call("PUT", "clusters/s1/requests/6", ABORT),
    550: _fault(command="SERVICE_CHECK"),
    555: _unsigned,
    562: _call("POST", f"clusters/s1/hosts/{NODE.format(3)}/host_components/SPARK_CLIENT"),
}
"""The second server: Spark beside ZooKeeper."""


def played(player: Player, numbers: list[int]) -> dict[str, list[str]]:
    """Exchange -> how its answer differs, of all that are replayed."""
    found = {}
    try:
        for exchange in exchanges():
            if exchange.number not in numbers:
                continue
            if exchange.number < 95:
                player.play(exchange)
            elif exchange.number not in LEFT_OUT:
                found[exchange.name] = player.follow(exchange)
            else:
                player.follow(exchange)
    finally:
        player.close()
    return found


@pytest.fixture(scope="module")
def differences() -> dict[str, list[str]]:
    """Of both recorded servers."""
    first = Player(simulation, hidden=HIDDEN_IN_CLUSTERS, rules=CLUSTER_RULES)
    found = played(first, [*range(1, 448), *range(478, 497)])
    second = Player(simulation, hidden=SPARK_HIDDEN, rules=CLUSTER_RULES, first=524)
    return found | played(second, [*range(524, 567)])


def test_answers_about_clusters_are_the_recorded_ones(differences: dict[str, list[str]]) -> None:
    wrong = {name: lines for name, lines in differences.items() if lines}
    assert not wrong, "\n".join(f"{name}\n  " + "\n  ".join(lines[:5]) for name, lines in wrong.items())


def test_nothing_is_left_out_without_a_reason(differences: dict[str, list[str]]) -> None:
    """With what ``test_simulation_replay`` compares; the share is printed by ``test_simulation_hadoop_replay``."""
    elsewhere = {number for part in PARTS.values() for number in part}
    numbers = {one.number for one in exchanges(range(1, 600)) if one.name not in differences}
    assert numbers - (elsewhere - LEFT_OUT.keys()) == LEFT_OUT.keys()
