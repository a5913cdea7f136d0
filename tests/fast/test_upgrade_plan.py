"""What moves, and in which order: tables over the shipped stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from bigtop_builder.cluster.demand_check import OfferedPackage
from bigtop_builder.cluster.rolling import CHECKED, ROLLING, Wave, waves
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.cluster.upgrade import (
    Catalog,
    Former,
    HostNow,
    Move,
    Step,
    Upgrade,
    ordered,
    plan_upgrade,
    read_former,
)
from bigtop_builder.model.evr import compare_evr, parse_evr

STACK = load_stack()
HDFS = [f"hadoop_3_2_0{part}" for part in ("", "-hdfs", "-client", "-libhdfs", "-yarn", "-mapreduce")]


def compare(one: str, other: str) -> int:
    return compare_evr(parse_evr(one), parse_evr(other))


def offer(*packages: str, needs: Mapping[str, Sequence[str]] | None = None) -> Catalog:
    """``name=version-release``."""
    parts = [package.split("=") for package in packages]
    return Catalog(
        [OfferedPackage(name, evr, (name,), tuple((needs or {}).get(name, ()))) for name, evr in parts], compare
    )


def host(
    components: str,
    packages: Mapping[str, str],
    selected: Mapping[str, str] | None = None,
    former: Former | None = None,
) -> HostNow:
    return HostNow("redhat8", frozenset(components.split()), packages, selected or {}, former)


def plan(catalog: Catalog, hosts: Mapping[str, HostNow], version: str = "3.2.0", *, latest: bool = True) -> Upgrade:
    return plan_upgrade(STACK, hosts, {"redhat8": catalog}, version, latest=latest)


SERVER = {"zookeeper_3_2_0": "3.5.9-2", "zookeeper_3_2_0-server": "3.5.9-2"}
LINKS = {"zookeeper-server": "3.2.0", "zookeeper-client": "3.2.0"}


def test_nothing_moves_when_all_is_as_the_repository_has_it() -> None:
    found = plan(offer("zookeeper_3_2_0=3.5.9-2"), {"a": host("ZOOKEEPER_SERVER", SERVER, LINKS)})
    assert found == Upgrade({}, (), {}, ())


@pytest.mark.parametrize("evr", ["3.5.9-1", "3.5.8-9", "3.5.9-2~rc1"])
def test_an_older_release_moves_nothing(evr: str) -> None:
    found = plan(offer(f"zookeeper_3_2_0={evr}"), {"a": host("ZOOKEEPER_SERVER", SERVER, LINKS)})
    assert found.steps == ()


@pytest.mark.parametrize("evr", ["3.5.9-10", "3.5.10-1", "1:3.5.8-1"])
def test_a_newer_release_moves_all_that_is_built_with_it(evr: str) -> None:
    catalog = offer(
        f"zookeeper_3_2_0={evr}", f"zookeeper_3_2_0-server={evr}", "zookeeper_3_2_0-rest=1-1", "zookeeper_3_2_0=3.5.9-2"
    )
    found = plan(catalog, {"a": host("ZOOKEEPER_SERVER", SERVER, LINKS)})
    move = Move(dict.fromkeys(SERVER, evr), {}, Former(("ZOOKEEPER",), SERVER, {}))
    assert found.steps == (Step(("ZOOKEEPER",), {"a": move}),)
    assert found.lost == ("zookeeper_3_2_0-server-3.5.9-2",), "of the other one the repository has the former release"


def test_what_nobody_asked_for_is_only_told() -> None:
    catalog = offer("zookeeper_3_2_0=3.5.9-3", "bigtop-select=3.2.0-2")
    now = {"bigtop-select": "3.2.0-1", **SERVER}
    found = plan(catalog, {"a": host("ZOOKEEPER_SERVER", now, LINKS)}, latest=False)
    assert (found.tools, found.steps) == ({}, ())
    assert found.available == {"bigtop-select": ("3.2.0-1", "3.2.0-2"), "zookeeper_3_2_0": ("3.5.9-2", "3.5.9-3")}


def test_packages_of_no_service_of_ambari_are_not_looked_at() -> None:
    now = {"spark_3_2_0-master": "3.2.1-1", "bash": "1-1", **SERVER}
    catalog = offer("spark_3_2_0-master=3.2.1-2", "bash=2-1", "zookeeper_3_2_0=3.5.9-2")
    found = plan(catalog, {"a": host("ZOOKEEPER_SERVER", now, LINKS)})
    assert found == Upgrade({}, (), {}, ())


def test_another_version_goes_beside_and_takes_the_links() -> None:
    catalog = offer("zookeeper_3_2_1=3.5.10-1", "bigtop-select=3.2.1-1")
    now = {"bigtop-select": "3.2.0-1", **SERVER}
    found = plan(catalog, {"a": host("ZOOKEEPER_SERVER ZOOKEEPER_CLIENT", now, LINKS)}, "3.2.1", latest=False)
    assert found.tools == {"a": {"bigtop-select": "3.2.1-1"}}, "the selector first, whatever is asked for otherwise"
    (step,) = found.steps
    move = step.moves["a"]
    assert move.packages == {"zookeeper_3_2_1": "3.5.10-1"}
    assert move.selected == {"zookeeper-server": "3.2.1", "zookeeper-client": "3.2.1"}
    assert move.former == Former(("ZOOKEEPER",), {}, LINKS), "the former packages stay where they are"


def test_links_move_when_the_packages_were_installed_beforehand() -> None:
    now = {"zookeeper_3_2_1": "3.5.10-1", **SERVER}
    found = plan(offer("zookeeper_3_2_1=3.5.10-1"), {"a": host("ZOOKEEPER_SERVER", now, LINKS)}, "3.2.1")
    assert found.steps[0].moves["a"].packages == {}
    assert set(found.steps[0].moves["a"].selected.values()) == {"3.2.1"}


def test_a_version_that_the_repository_has_not_moves_nothing() -> None:
    found = plan(offer("zookeeper_3_2_0=3.5.9-2"), {"a": host("ZOOKEEPER_SERVER", SERVER, LINKS)}, "3.2.1")
    assert found.steps == ()


def test_of_several_packages_those_that_the_repository_has_go_along() -> None:
    now = {"hadoop_3_2_0": "1-1", "hadoop_3_2_0-client": "1-1"}
    some = offer("hadoop_3_2_1=1-2", "hadoop_3_2_1-client=1-2", "hadoop_3_2_1-libhdfs=1-2")
    found = plan(some, {"a": host("HDFS_CLIENT", now)}, "3.2.1")
    assert set(found.steps[0].moves["a"].packages) == {"hadoop_3_2_1", "hadoop_3_2_1-client", "hadoop_3_2_1-libhdfs"}
    found = plan(offer("hadoop_3_2_1=1-2"), {"a": host("HDFS_CLIENT", now)}, "3.2.1")
    assert found.steps == (), "one that is there in the former version must have a successor"


def test_a_package_that_is_missing_altogether_is_not_this_ones_affair() -> None:
    found = plan(offer("zookeeper_3_2_0=3.5.9-2"), {"a": host("ZOOKEEPER_SERVER", {})})
    assert found.steps == ()


def test_services_that_share_what_is_replaced_move_together_after_those_they_need() -> None:
    now = dict.fromkeys((*HDFS, "zookeeper_3_2_0"), "1-1")
    wanted = [f"{name}=1-2" for name in now]
    found = plan(
        offer(*wanted),
        {
            "a": host("NAMENODE ZOOKEEPER_SERVER", now),
            "b": host("DATANODE NODEMANAGER", dict.fromkeys(HDFS, "1-1")),
        },
    )
    assert [step.services for step in found.steps] == [("ZOOKEEPER",), ("HDFS", "YARN")]
    assert set(found.steps[1].moves) == {"a", "b"}
    assert set(found.steps[1].moves["b"].packages) == set(HDFS)


def test_what_several_need_goes_with_the_first_of_them_and_once() -> None:
    now = {"zookeeper_3_2_0": "1-1", "kafka_3_2_0": "1-1", "bigtop-utils": "1-1"}
    needs = {"zookeeper_3_2_0": ["bigtop-utils"], "kafka_3_2_0": ["bigtop-utils", "zookeeper_3_2_0"]}
    catalog = offer("zookeeper_3_2_0=1-1", "kafka_3_2_0=1-2", "bigtop-utils=1-2", needs=needs)
    found = plan(catalog, {"a": host("ZOOKEEPER_SERVER KAFKA_BROKER", now)})
    assert [(step.services, dict(step.moves["a"].packages)) for step in found.steps] == [
        (("ZOOKEEPER",), {"bigtop-utils": "1-2"}),
        (("KAFKA",), {"kafka_3_2_0": "1-2"}),
    ]


def test_a_move_that_has_not_ended_goes_on_with_what_was_there_before_it() -> None:
    kept = Former(("ZOOKEEPER",), {"zookeeper_3_2_0": "3.5.9-1"}, {})
    done = dict.fromkeys(SERVER, "3.5.9-3")
    catalog = offer("zookeeper_3_2_0=3.5.9-3", "zookeeper_3_2_0=3.5.9-1")
    found = plan(catalog, {"a": host("ZOOKEEPER_SERVER", done, LINKS, kept)})
    assert found.steps == (Step(("ZOOKEEPER",), {"a": Move({}, {}, kept)}),)


def test_what_is_kept_on_hosts_is_read_back() -> None:
    kept = Former(("HDFS", "YARN"), {"hadoop_3_2_0": "3.2.4-1"}, {"hadoop-client": "3.2.0"})
    assert read_former(kept.text()) == kept
    for text in ("", "{}", "[]", '{"services": 1}'):
        with pytest.raises(ValueError, match=r"."):
            read_former(text)


def test_every_service_comes_after_those_it_requires() -> None:
    order = ordered(STACK, STACK.services)
    assert set(order) == set(STACK.services)
    assert order[0] == "ZOOKEEPER"
    circle = {"YARN", "MAPREDUCE2"}
    for name, service in STACK.services.items():
        for required in set(service.requires) & set(order):
            assert order.index(required) < order.index(name) or {name, required} == circle


@pytest.mark.parametrize(
    ("placed", "down", "wanted"),
    [
        ({}, (), ()),
        ({"a": ["ZOOKEEPER_SERVER"], "b": ["ZOOKEEPER_SERVER"]}, (), (Wave(("a",), True), Wave(("b",), True))),
        ({"a": ["ZOOKEEPER_SERVER"], "b": ["ZOOKEEPER_SERVER"]}, ("b",), (Wave(("b",), True), Wave(("a",), True))),
        ({"a": ["ZOOKEEPER_CLIENT"], "b": ["ZOOKEEPER_CLIENT"]}, (), (Wave(("a", "b")),)),
        (
            {"a": ["DATANODE", "HDFS_CLIENT"], "b": ["NAMENODE", "DATANODE"], "c": ["NAMENODE"], "d": ["HDFS_CLIENT"]},
            (),
            (Wave(("b", "c")), Wave(("a",)), Wave(("d",))),
        ),
        ({"a": ["HIVE_SERVER"], "b": ["HIVE_METASTORE"]}, (), (Wave(("a", "b")),)),
    ],
)
def test_waves(placed: Mapping[str, Sequence[str]], down: Sequence[str], wanted: tuple[Wave, ...]) -> None:
    assert waves(STACK, placed, down) == wanted


def test_what_rolls_is_of_the_stack_and_there_more_than_once() -> None:
    for name in ROLLING:
        component = STACK.component(name)
        assert component is not None, name
        assert component.cardinality != "1", name
    assert ROLLING.keys() >= CHECKED
