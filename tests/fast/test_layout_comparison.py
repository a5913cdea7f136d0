"""What differs between a layout and a running cluster."""

from __future__ import annotations

from dataclasses import replace

from bigtop_builder.cluster.comparison import ActualCluster, compare_cluster, configuration_changes
from bigtop_builder.cluster.layout import Layout, LayoutGroup, Placed
from bigtop_builder.cluster.stack_data import load_stack

ZOOKEEPER = (Placed("ZOOKEEPER_SERVER"), Placed("ZOOKEEPER_CLIENT"))
NAMES = frozenset({"ZOOKEEPER_SERVER", "ZOOKEEPER_CLIENT"})
LAYOUT = Layout((LayoutGroup("g1", ("n1.x.org", "n2.x.org"), ZOOKEEPER),), {"zoo.cfg": {"tickTime": 2000}})
ACTUAL = ActualCluster(
    {"n1.x.org": NAMES, "n2.x.org": NAMES},
    frozenset({"ZOOKEEPER"}),
    {"zoo.cfg": {"tickTime": "2000", "clientPort": "2181"}, "cluster-env": {"command_retry_enabled": "false"}},
)


def lines(layout: Layout, actual: ActualCluster, **environment: str) -> tuple[str, ...]:
    return compare_cluster(layout, load_stack(), actual, environment).lines()


def test_a_cluster_as_wanted_has_no_difference() -> None:
    difference = compare_cluster(LAYOUT, load_stack(), ACTUAL, {"command_retry_enabled": "false"})
    assert difference.same
    assert difference.lines() == ()


def test_a_further_host_is_told_without_its_components() -> None:
    grown = replace(LAYOUT, groups=(replace(LAYOUT.groups[0], hosts=("n1.x.org", "n2.x.org", "n3.x.org")),))
    assert lines(grown, ACTUAL) == ("+ host n3.x.org",)


def test_a_further_service_is_told_with_its_components() -> None:
    grown = LAYOUT.adding("g1", ["TEZ_CLIENT"])
    assert lines(grown, ACTUAL) == ("+ service TEZ", "+ TEZ_CLIENT on n1.x.org", "+ TEZ_CLIENT on n2.x.org")


def test_what_is_beyond_the_inventory_is_told() -> None:
    actual = replace(
        ACTUAL,
        hosts={"n1.x.org": NAMES | {"TEZ_CLIENT"}, "n2.x.org": NAMES, "n9.x.org": NAMES},
        services=frozenset({"ZOOKEEPER", "TEZ"}),
    )
    assert lines(LAYOUT, actual) == ("- service TEZ", "- host n9.x.org", "- TEZ_CLIENT on n1.x.org")


def test_only_wanted_properties_are_compared() -> None:
    actual = replace(ACTUAL, configurations={"zoo.cfg": {"tickTime": "3000", "clientPort": "2181"}})
    assert configuration_changes(LAYOUT, actual.configurations) == {"zoo.cfg": {"tickTime": ("3000", "2000")}}
    assert lines(LAYOUT, actual, command_retry_enabled="false") == (
        "~ zoo.cfg tickTime: '3000' → '2000'",
        "~ cluster-env command_retry_enabled: (not set) → 'false'",
    )


def test_the_inventory_wins_over_our_environment() -> None:
    layout = replace(LAYOUT, configurations={"cluster-env": {"command_retry_enabled": True}})
    changes = configuration_changes(layout, {}, {"command_retry_enabled": "false", "recovery_type": "x"})
    assert changes == {"cluster-env": {"command_retry_enabled": (None, "true"), "recovery_type": (None, "x")}}


def test_tokens_are_compared_as_hosts_in_any_order() -> None:
    layout = replace(LAYOUT, configurations={"core-site": {"ha.zookeeper.quorum": "%HOSTGROUP::g1%:2181"}})
    present = {"core-site": {"ha.zookeeper.quorum": "n2.x.org:2181,n1.x.org:2181"}}
    assert configuration_changes(layout, present) == {}
    other = {"core-site": {"ha.zookeeper.quorum": "n2.x.org:2181"}}
    assert configuration_changes(layout, other) == {
        "core-site": {"ha.zookeeper.quorum": ("n2.x.org:2181", "n1.x.org:2181,n2.x.org:2181")}
    }


def test_hidden_passwords_are_not_compared() -> None:
    layout = replace(LAYOUT, configurations={"hive-site": {"password": "plain"}})
    assert configuration_changes(layout, {"hive-site": {"password": "SECRET:hive-site:2:password"}}) == {}


def test_sizes_of_heaps_have_the_unit_that_ambari_adds() -> None:
    layout = replace(LAYOUT, configurations={"hbase-env": {"hbase_master_heapsize": "384"}})
    assert configuration_changes(layout, {"hbase-env": {"hbase_master_heapsize": "384m"}}) == {}
    assert configuration_changes(layout, {"hbase-env": {"hbase_master_heapsize": "512m"}}) == {
        "hbase-env": {"hbase_master_heapsize": ("512m", "384m")}
    }
