"""Configurations that a deployment changes: read as a real server answers, written whole, read back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.ambari.cluster import cluster_view
from bigtop_builder.adapter.ambari.errors import UnexpectedAnswerError
from bigtop_builder.adapter.ambari.service import host_component
from bigtop_builder.cluster.configuration import Configuration, differing
from bigtop_builder.flow.deploy.configuration_writer import write_configurations
from bigtop_builder.model.errors import AmbariError
from tests.fast.ambari_replay import Call, Server
from tests.fast.deploying import INVENTORY, PASSWORD, Bench
from tests.fast.recorded_server import recorded

FINAL = {"final": {"dataDir": "true", "tickTime": "true"}, "hidden": {"syncLimit": "true"}}
GROUPED = INVENTORY.replace(
    'hosts: ["node[2-3].x.test"]\n', 'hosts: ["node[2-3].x.test"]\n    configurations: {zoo.cfg: {tickTime: 2500}}\n'
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def current(bench: Bench, kind: str) -> Configuration:
    version = bench.world.clusters["c1"].desired[kind]
    return Configuration(dict(version.properties), {name: dict(one) for name, one in version.attributes.items()})


class Answering:
    """A server that answers to calls as told by the end of their address."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, call: Call) -> None:
        self.asked.append(call.query)
        for end, answer in self.answers.items():
            if end in f"{call.place}?{call.query}":
                call.reply(200, json.dumps(answer))
                return
        call.reply(404, '{"status": 404, "message": "nothing recorded"}')


def read(answers: Mapping[str, Any], type: str = "zoo.cfg", tag: str = "TOPOLOGY_RESOLVED") -> Configuration:
    with Server(Answering(answers)) as server, Ambari(server.url, "admin", "x", pauses=()) as client:
        return client.configuration("h1", type, tag)


def test_a_configuration_is_read_from_a_recorded_answer() -> None:
    answer = recorded(607).answer
    answer = {"items": [{**answer["items"][0], "version": 2}]}
    assert read({"fields=": answer}).properties == recorded(605).answer["items"][0]["properties"]
    (item,) = recorded(762).answer["items"]
    found = read({"fields=": {"items": [{**item, "version": 2, "properties": {"a": "1", "b": None}}]}}, "hdfs-site")
    assert found == Configuration({"a": "1"}, item["properties_attributes"])


def test_keys_alone_are_not_an_empty_configuration() -> None:
    """606: what a server answers to ``fields=*`` with ``minimal_response``."""
    with pytest.raises(UnexpectedAnswerError, match=r"has no version of tag TOPOLOGY_RESOLVED, type zoo\.cfg"):
        read({"fields=": recorded(606).answer})


def test_a_type_that_reads_empty_is_looked_at_in_another_way() -> None:
    keys = {**recorded(606).answer["items"][0], "version": 2}
    empty = {name: value for name, value in recorded(605).answer["items"][0].items() if name != "properties"}
    assert read({"fields=": {"items": [keys]}, "tag=": {"items": [empty]}}) == Configuration()
    with pytest.raises(UnexpectedAnswerError, match=r"no properties of zoo\.cfg, which has some"):
        read({"fields=": {"items": [keys]}, "tag=": recorded(605).answer})


def test_groups_are_read_with_their_hosts_or_not_at_all() -> None:
    for number, answer in ((601, True), (602, False)):
        answering = Answering({"config_groups": recorded(number).answer})
        with Server(answering) as server, Ambari(server.url, "admin", "x", pauses=()) as client:
            if answer:
                (group,) = client.config_groups("h1")
                assert (group.service, len(group.hosts), group.tags) == ("ZOOKEEPER", 3, {"zoo.cfg": "others"})
            else:
                with pytest.raises(UnexpectedAnswerError, match="has no group_name of id 102"):
                    client.config_groups("h1")
        assert "fields=ConfigGroup/*" in answering.asked[0]


def test_states_that_are_missing_are_not_taken_for_empty() -> None:
    with pytest.raises(UnexpectedAnswerError, match="has no state of host_name n1, component_name DATANODE"):
        host_component({"host_name": "n1", "component_name": "DATANODE", "desired_state": "STARTED"})
    with pytest.raises(UnexpectedAnswerError, match="desired_configs"):
        cluster_view({"Clusters": {"cluster_name": "c1", "version": "BIGTOP-3.2.0"}, "services": [], "hosts": []})


def test_a_change_keeps_everything_else_attributes_too(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    before = current(bench, "zoo.cfg")
    environment = current(bench, "cluster-env")
    bench.world.clusters["c1"].put("zoo.cfg", "by-hand", {**before.properties, "odd/name": "x"}, FINAL)
    assert bench.deploy(INVENTORY.replace("tickTime: 2000", "tickTime: 3000")) == 0, bench.failure
    assert current(bench, "zoo.cfg") == Configuration({**before.properties, "odd/name": "x", "tickTime": "3000"}, FINAL)
    assert current(bench, "cluster-env") == environment
    assert bench.deploy(INVENTORY.replace("tickTime: 2000", "tickTime: 3000")) == 0, bench.failure
    assert bench.changes == []


def test_agents_do_nothing_without_the_stacks_features(bench: Bench) -> None:
    """What an emptied cluster-env comes to on every host of a real cluster."""
    assert bench.deploy() == 0, bench.failure
    assert "stack_features" in current(bench, "cluster-env").properties
    bench.world.clusters["c1"].put("cluster-env", "emptied", {"command_retry_enabled": "false"}, {})
    with Ambari(bench.simulation.url, "admin", PASSWORD) as client:
        request = client.set_services("c1", "INSTALLED", None, "stop")
        assert request is not None
        bench.pass_time(30)
        tasks = list(client.tasks("c1", request, with_output=True))
    assert {task.status for task in tasks} == {"FAILED"}
    assert all(task.stderr.endswith("Stack features not defined by stack") for task in tasks)


def test_a_group_keeps_the_attributes_of_its_properties(bench: Bench) -> None:
    assert bench.deploy(GROUPED) == 0, bench.failure
    (group,) = bench.world.clusters["c1"].groups.values()
    version = group.configurations["zoo.cfg"]
    object.__setattr__(version, "attributes", {"final": {"tickTime": "true"}})
    assert bench.deploy(GROUPED.replace("2500", "2600")) == 0, bench.failure
    version = group.configurations["zoo.cfg"]
    assert (dict(version.properties), version.attributes) == ({"tickTime": "2600"}, {"final": {"tickTime": "true"}})


def test_final_defaults_of_a_new_service_stay_final(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.deploy() == 0, bench.failure
    defaults = Ambari.stack_properties

    def final(*args: Any) -> Any:
        found = defaults(*args)
        for one in found:
            object.__setattr__(one, "final", one.name == "zk_user" or one.type == "kafka-env")
        return found

    monkeypatch.setattr(Ambari, "stack_properties", final)
    more = INVENTORY.replace(
        "hosts: [node1.x.test]\n    components: [", "hosts: [node1.x.test]\n    components: [KAFKA_BROKER, "
    )
    assert bench.deploy(more) == 0, bench.failure
    found = current(bench, "kafka-env")
    assert set(found.attributes.get("final", ())) == set(found.properties)


SET = INVENTORY.replace(
    "tickTime: 2000", "tickTime: {value: 2000, final: true, attributes: {hidden: x}}, initLimit: 10"
)
UNSET = INVENTORY.replace("tickTime: 2000", "tickTime: {value: 2000, final: false}, initLimit: 10")


def test_attributes_of_the_inventory_reach_a_new_cluster(bench: Bench) -> None:
    assert bench.deploy(SET) == 0, bench.failure
    assert current(bench, "zoo.cfg").attributes == {"final": {"tickTime": "true"}, "hidden": {"tickTime": "x"}}
    assert bench.deploy(SET, dry_run=True) == 0, bench.failure
    assert bench.changes == []


def test_attributes_of_the_inventory_are_compared_and_changed(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    before = current(bench, "zoo.cfg")
    bench.world.clusters["c1"].put("zoo.cfg", "by-hand", before.properties, {"final": {"initLimit": "true"}})
    assert bench.deploy(SET, dry_run=True) == 0, bench.failure
    assert "+zoo.cfg/tickTime (final): true" in "\n".join(getattr(event, "detail", "") for event in bench.events)
    assert bench.deploy(SET) == 0, bench.failure
    both = {"final": {"initLimit": "true", "tickTime": "true"}, "hidden": {"tickTime": "x"}}
    assert current(bench, "zoo.cfg") == Configuration(before.properties, both)
    assert bench.deploy(SET) == 0, bench.failure
    assert bench.changes == []
    assert bench.deploy(UNSET) == 0, bench.failure
    kept = {"final": {"initLimit": "true"}, "hidden": {"tickTime": "x"}}
    assert current(bench, "zoo.cfg") == Configuration(before.properties, kept)
    assert bench.deploy(UNSET) == 0, bench.failure
    assert bench.changes == []


@pytest.mark.parametrize("first", [INVENTORY, GROUPED])
def test_attributes_of_a_group_reach_its_configuration_group(bench: Bench, first: str) -> None:
    final = GROUPED.replace("tickTime: 2500", "tickTime: {value: 2500, final: yes}")
    assert final != GROUPED
    assert bench.deploy(first) == 0, bench.failure
    assert bench.deploy(final) == 0, bench.failure
    (group,) = bench.world.clusters["c1"].groups.values()
    version = group.configurations["zoo.cfg"]
    assert (dict(version.properties), version.attributes) == ({"tickTime": "2500"}, {"final": {"tickTime": "true"}})
    assert bench.deploy(final) == 0, bench.failure
    assert bench.changes == []


def test_what_a_server_does_not_take_is_an_error_with_names_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.deploy() == 0, bench.failure
    put = Ambari.put_configurations

    def losing(
        self: Ambari, cluster: str, configurations: Mapping[str, Configuration], *args: Any, **more: Any
    ) -> None:
        cut = {
            kind: Configuration({name: one.properties[name] for name in one.properties if name != "tickTime"})
            for kind, one in configurations.items()
        }
        put(self, cluster, cut, *args, **more)

    monkeypatch.setattr(Ambari, "put_configurations", losing)
    assert bench.deploy(INVENTORY.replace("tickTime: 2000", "tickTime: 987654")) == 9
    assert "zoo.cfg/tickTime" in bench.failure
    assert "987654" not in bench.failure


def test_a_group_that_a_server_keeps_otherwise_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.deploy() == 0, bench.failure
    put = Ambari.put_config_group

    def losing(self: Ambari, cluster: str, name: str, service: str, hosts: Any, *args: Any, **more: Any) -> None:
        put(self, cluster, name, service, sorted(hosts)[:1], *args, **more)

    monkeypatch.setattr(Ambari, "put_config_group", losing)
    assert bench.deploy(GROUPED) == 9
    assert "has other hosts or types than were written: node2.x.test; zoo.cfg" in bench.failure


def test_a_version_that_changed_meanwhile_is_not_overwritten(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    with Ambari(bench.simulation.url, "admin", PASSWORD) as client:
        tags = client.desired_configurations("c1")
        mine = client.configuration("c1", "zoo.cfg", tags["zoo.cfg"]).changed({"tickTime": "1"})
        bench.world.clusters["c1"].put("zoo.cfg", "theirs", {"tickTime": "2"}, {})
        with pytest.raises(AmbariError, match=r"zoo.cfg was changed in Ambari meanwhile"):
            write_configurations(client, "c1", {"zoo.cfg": mine}, tags, "note", {"zoo.cfg": "ZOOKEEPER"})
        assert current(bench, "zoo.cfg").properties == {"tickTime": "2"}


@pytest.mark.parametrize(
    ("sent", "found", "names"),
    [
        (Configuration({"a": "1"}), Configuration({"a": "1"}), []),
        (Configuration({"a": "1", "b": "2"}), Configuration({"a": "1"}), ["b"]),
        (Configuration({"a": "1"}), Configuration({"a": "1", "b": "2"}), ["b"]),
        (Configuration({"p": "secret"}), Configuration({"p": "SECRET:t:1:p"}), []),
        (Configuration({"p": "SECRET:t:1:p"}), Configuration({"p": "SECRET:t:2:p"}), []),
        (Configuration({}), Configuration({"p": "SECRET:t:2:p"}), ["p"]),
        (Configuration({"a": "1"}, {"final": {"a": "true"}}), Configuration({"a": "1"}), ["final of a"]),
        (Configuration({"a": "1"}), Configuration({"a": "1"}, {"final": {"a": "true"}}), ["final of a"]),
    ],
)
def test_differences(sent: Configuration, found: Configuration, names: list[str]) -> None:
    assert differing(sent, found) == names


def test_attributes_of_properties_that_go_are_dropped() -> None:
    old = Configuration({"a": "1", "b": "2"}, {"final": {"a": "true", "b": "true"}, "hidden": {"b": "true"}})
    assert old.replaced({"a": "3"}) == Configuration({"a": "3"}, {"final": {"a": "true"}})
    assert old.changed({"a": "3"}) == Configuration({"a": "3", "b": "2"}, old.attributes)
