"""Changes of a cluster that is there: services with their configurations, and properties that differ by group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.flow.deploy.world import Removing
from bigtop_builder.model.event import AnyEvent, Change
from tests.fast.deploying import INVENTORY, Bench

GROUPED = INVENTORY.replace(
    'hosts: ["node[2-3].x.test"]\n',
    'hosts: ["node[2-3].x.test"]\n    configurations: {zoo.cfg: {tickTime: 2500}, zookeeper-env: {zk_user: keeper}}\n',
)
MORE = INVENTORY.replace(
    "hosts: [node1.x.test]\n    components: [", "hosts: [node1.x.test]\n    components: [KAFKA_BROKER, "
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def groups(bench: Bench) -> dict[str, tuple[list[str], dict[str, str]]]:
    """By inventory group: hosts, and properties of zoo.cfg."""
    return {
        group.name.rpartition(":")[2]: (
            sorted(group.hosts),
            dict(group.configurations["zoo.cfg"].properties) if "zoo.cfg" in group.configurations else {},
        )
        for group in bench.world.clusters["c1"].groups.values()
    }


def details(bench: Bench) -> list[str]:
    return [line for event in bench.events if isinstance(event, Change) for line in event.detail.splitlines()]


def test_properties_of_a_group_are_made_with_the_cluster_and_compared_later(bench: Bench) -> None:
    assert bench.deploy(GROUPED) == 0, bench.failure
    assert groups(bench) == {"others": (["node2.x.test", "node3.x.test"], {"tickTime": "2500"})}
    assert bench.deploy(GROUPED) == 0, bench.failure
    assert bench.changes == []


def test_properties_that_a_group_gets_later_make_a_configuration_group_and_a_restart(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(GROUPED, dry_run=True) == 0, bench.failure
    assert "+zoo.cfg/tickTime: 2500" in details(bench)
    assert groups(bench) == {}
    assert bench.deploy(GROUPED) == 0, bench.failure
    assert groups(bench) == {"others": (["node2.x.test", "node3.x.test"], {"tickTime": "2500"})}
    restarts = [name for name in bench.changes if name.startswith("restart ZOOKEEPER_SERVER")]
    assert [name.partition(" (")[0].rpartition(" on ")[2] for name in restarts] == ["node2.x.test", "node3.x.test"]
    assert bench.deploy(GROUPED) == 0, bench.failure
    assert bench.changes == []


def test_sizes_of_heaps_of_a_group_have_the_unit_that_ambari_adds(bench: Bench) -> None:
    heaps = GROUPED.replace("zk_user: keeper", "zk_user: keeper, zk_server_heapsize: 512")
    assert bench.deploy(heaps) == 0, bench.failure
    assert bench.deploy(heaps) == 0, bench.failure
    assert bench.changes == []
    assert bench.deploy(heaps.replace("512", "256")) == 0, bench.failure
    (group,) = bench.world.clusters["c1"].groups.values()
    assert group.configurations["zookeeper-env"].properties["zk_server_heapsize"] == "256m"


def test_changed_properties_of_a_group_are_a_difference(bench: Bench) -> None:
    assert bench.deploy(GROUPED) == 0, bench.failure
    changed = GROUPED.replace("tickTime: 2500", "tickTime: 2600")
    assert bench.deploy(changed) == 0, bench.failure
    assert details(bench)[:2] == ["-zoo.cfg/tickTime: 2500", "+zoo.cfg/tickTime: 2600"]
    assert groups(bench)["others"][1] == {"tickTime": "2600"}
    (group,) = bench.world.clusters["c1"].groups.values()
    assert dict(group.configurations["zookeeper-env"].properties) == {"zk_user": "keeper"}, "as it was"
    assert bench.deploy(changed) == 0, bench.failure
    assert bench.changes == []


def test_a_host_that_joins_a_group_gets_its_properties(bench: Bench) -> None:
    assert bench.deploy(GROUPED) == 0, bench.failure
    bench.host("node4.x.test")
    wider = GROUPED.replace("node[2-3]", "node[2-4]")
    assert bench.deploy(wider) == 0, bench.failure
    assert "+node4.x.test" in details(bench)
    assert groups(bench)["others"][0] == ["node2.x.test", "node3.x.test", "node4.x.test"]
    assert bench.deploy(wider) == 0, bench.failure
    assert bench.changes == []


def test_hosts_that_change_places_between_groups_change_their_properties(bench: Bench) -> None:
    first = GROUPED.replace(
        "hosts: [node1.x.test]\n", "hosts: [node1.x.test]\n    configurations: {zoo.cfg: {tickTime: 2100}}\n"
    )
    assert bench.deploy(first) == 0, bench.failure
    other = first.replace("[node1.x.test]", "[node2.x.test]").replace(
        '"node[2-3].x.test"', "node1.x.test, node3.x.test"
    )
    assert bench.deploy(other) == 0, bench.failure
    assert groups(bench) == {
        "first": (["node2.x.test"], {"tickTime": "2100"}),
        "others": (["node1.x.test", "node3.x.test"], {"tickTime": "2500"}),
    }
    assert bench.deploy(other) == 0, bench.failure
    assert bench.changes == []


def test_a_group_without_properties_of_its_own_loses_its_configuration_group(bench: Bench) -> None:
    assert bench.deploy(GROUPED) == 0, bench.failure
    assert bench.deploy() == 0, bench.failure
    assert groups(bench) == {}
    assert bench.deploy() == 0, bench.failure
    assert bench.changes == []


def test_secrets_of_a_group_are_sent_and_not_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_GROUP_SECRET", "horse-of-a-group")
    secret = GROUPED.replace("zk_user: keeper", 'zk_user: keeper, zk_secret: {secret: "env:TEST_GROUP_SECRET"}')
    assert bench.deploy() == 0, bench.failure
    for _ in range(2):
        assert bench.deploy(secret) == 0, bench.failure
        assert "horse-of-a-group" not in "".join(event.model_dump_json() for event in bench.events)
    assert bench.changes == []
    (group,) = bench.world.clusters["c1"].groups.values()
    assert group.configurations["zookeeper-env"].properties["zk_secret"] == "horse-of-a-group"


def by_hand(bench: Bench, *hosts: str, **properties: str) -> None:
    """Somebody makes a configuration group of ZooKeeper."""
    import requests

    group = {"group_name": "by hand", "tag": "ZOOKEEPER", "service_name": "ZOOKEEPER"}
    group |= {"desired_configs": [{"type": "zoo.cfg", "tag": "hand", "properties": properties}] if properties else []}
    answer = requests.post(
        f"{bench.simulation.url}/api/v1/clusters/c1/config_groups",
        auth=("admin", bench.world.users["admin"].password),
        headers={"X-Requested-By": "somebody"},
        json=[{"ConfigGroup": {**group, "hosts": [{"host_name": host} for host in hosts]}}],
        timeout=30,
    )
    assert answer.status_code == 201


def test_anothers_configuration_group_is_left_alone(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    by_hand(bench, "node1.x.test", "node2.x.test")
    assert bench.deploy() == 0, bench.failure
    assert bench.changes == []
    # It has a host that another group of the inventory has: nobody knows which of them is right.
    for dry_run in (True, False):
        assert bench.deploy(GROUPED, dry_run=dry_run) == 9
        assert "node2.x.test: in Ambari's configuration group 'by hand' of ZOOKEEPER, which has node1" in bench.failure
        assert "one configuration group of a service only" in bench.failure
        assert bench.changes == []


def test_a_group_with_a_foreign_name_grows_and_shrinks(bench: Bench) -> None:
    """As ``inventory import`` leaves it: the cluster's group is the inventory's, whatever it is called."""
    assert bench.deploy() == 0, bench.failure
    by_hand(bench, "node2.x.test", "node3.x.test", tickTime="2500")
    adopted = GROUPED.replace(", zookeeper-env: {zk_user: keeper}", "")
    assert bench.deploy(adopted) == 0, bench.failure
    assert not [name for name in bench.changes if "group" in name]
    bench.host("node4.x.test")
    for last, line in ((4, "+node4.x.test"), (3, "-node4.x.test")):
        other = adopted.replace("node[2-3].x.test", f"node[2-{last}].x.test")
        assert bench.deploy(other, dry_run=True, removing=Removing(True)) == 0, bench.failure
        told = bench.changes
        assert bench.deploy(other, removing=Removing(True)) == 0, bench.failure
        assert bench.changes == told
        assert line in details(bench)
        hosts = [f"node{number}.x.test" for number in range(2, last + 1)]
        assert groups(bench) == {"by hand": (hosts, {"tickTime": "2500"})}
        assert bench.deploy(other) == 0, bench.failure
        assert bench.changes == []


def test_a_service_that_is_added_has_the_stacks_properties_and_the_inventorys(bench: Bench) -> None:
    spark = INVENTORY.replace("[ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]", "[SPARK_CLIENT]").partition("configurations:")[0]
    first = spark.replace(
        "[SPARK_CLIENT]", "[SPARK_CLIENT, {name: SPARK_JOBHISTORYSERVER, provision: INSTALL_ONLY}]", 1
    )
    assert bench.deploy(first) == 0, bench.failure
    more = first.replace("[SPARK_CLIENT", "[ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT, SPARK_CLIENT")
    more += "configurations:\n  zoo.cfg: {tickTime: 4000}\n"
    assert bench.deploy(more) == 0, bench.failure
    found = bench.world.clusters["c1"].desired["zoo.cfg"].properties
    assert (found["tickTime"], found["clientPort"]) == ("4000", "2181")
    assert "zookeeper-log4j" in bench.world.clusters["c1"].desired
    assert bench.deploy(more) == 0, bench.failure
    assert bench.changes == []


def test_adding_a_service_is_gone_on_with_wherever_it_was_broken_off(bench: Bench, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    assert bench.deploy() == 0, bench.failure
    broken = 0

    def kill(event: AnyEvent) -> None:
        nonlocal broken
        if isinstance(event, Change) and event.state == "done" and event.name not in seen:
            seen.append(event.name)
            broken += 1
            raise Killed

    seen: list[str] = []
    while True:
        try:
            code = bench.deploy(MORE, watch=kill)
        except Killed:
            continue
        assert code == 0, bench.failure
        break
    assert broken >= 4, seen
    cluster = bench.world.clusters["c1"]
    assert {*cluster.stack.services["KAFKA"].configurations} >= {*cluster.types_of("KAFKA")} != set()
    assert ("node1.x.test", "KAFKA_BROKER", "STARTED") in bench.state()["components"]
    assert bench.deploy(MORE) == 0, bench.failure
    assert bench.changes == []
