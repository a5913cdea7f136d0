"""Needs beyond the stack's package lists: what is missing where, the ways out, and what a deployment settles itself."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from bigtop_builder.cluster.demand_check import OfferedPackage, StackFinding
from bigtop_builder.cluster.high_availability import high_availability
from bigtop_builder.cluster.layout import layout_of
from bigtop_builder.cluster.layout_rules import check_layout
from bigtop_builder.cluster.needs import Place, UnmetNeed, need_findings, places, settled, unmet_needs
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.flow.publish.stack_check import Offer, check_offer
from bigtop_builder.recipe.inventory import load_inventory
from tests.fast.test_demands import ROOT, package

STACK = load_stack()
NATIVE = package("hadoop_3_2_0-native", f"{ROOT}/usr/lib/hadoop/lib/native/libhadoop.so")
HBASE = package("hbase_3_2_0", f"{ROOT}/usr/lib/hbase/bin/hbase-daemon.sh", f"{ROOT}/usr/lib/hbase/bin/hbase")
HADOOP = [
    package("bigtop-select"),
    package("hadoop_3_2_0", f"{ROOT}/usr/lib/hadoop/hadoop-common.jar"),
    package("hadoop_3_2_0-client"),
    package("hadoop_3_2_0-libhdfs", f"{ROOT}/usr/lib64/libhdfs.so"),
    package("hadoop_3_2_0-hdfs"),
    package("hadoop_3_2_0-mapreduce", f"{ROOT}/usr/lib/hadoop-mapreduce/hadoop-mapreduce-examples-3.3.4.jar"),
    package("hadoop_3_2_0-yarn", f"{ROOT}/usr/lib/hadoop-yarn/hadoop-yarn-applications-distributedshell-3.3.4.jar"),
]
SHORT = "hdfs-site/dfs.client.read.shortcircuit"
EXTERNAL = "yarn-hbase-env/use_external_hbase"
EXECUTOR = "yarn-site/yarn.nodemanager.container-executor.class"


def unmet(packages: Sequence[OfferedPackage], *where: Place) -> list[UnmetNeed]:
    return unmet_needs(packages, STACK, where, family="redhat8", version="3.2.0")


def told(found: Sequence[UnmetNeed]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.component, one.package, one.hosts) for one in found]


def test_data_nodes_need_native_code_which_an_empty_libhdfs_is_not() -> None:
    found = unmet(HADOOP, Place(("DATANODE",), ("n1", "n2")))
    assert told(found) == [("DATANODE", "hadoop_3_2_0-native", ("n1", "n2"))]
    assert settled(found) == {"hdfs-site": {"dfs.client.read.shortcircuit": "false"}}
    (finding,) = need_findings(found)
    assert finding.level == "info"
    assert "a deployment therefore sets hdfs-site/dfs.client.read.shortcircuit to false" in finding.message


def test_native_code_in_the_repository_does_not_help_unless_something_installs_it() -> None:
    offered = [*HADOOP, NATIVE]
    (found,) = unmet(offered, Place(("DATANODE",)))
    assert found.offered
    assert not unmet(offered, Place(("DATANODE",), packages=("hadoop_3_2_0-native",)))
    requiring = [package("hadoop_3_2_0", requires=["hadoop_3_2_0-native"]), *offered[2:]]
    assert not unmet(requiring, Place(("DATANODE",)))


def test_who_does_without_short_circuit_reads_needs_no_native_code() -> None:
    assert not unmet(HADOOP, Place(("DATANODE",), properties={SHORT: "false"}))
    assert unmet(HADOOP, Place(("DATANODE",), properties={SHORT: "true"}))


def test_a_package_built_without_a_part_is_to_be_built_with_it() -> None:
    (finding,) = need_findings(unmet([*HADOOP, package("flink_3_2_0")], Place(("FLINK_CLIENT",))))
    assert finding.hint == "Build and publish flink_3_2_0 with it: the one in the repository is without."


def test_a_timeline_reader_needs_hbase_on_its_own_host() -> None:
    with_hbase = Place(("TIMELINE_READER", "HBASE_MASTER"), ("m2",))
    found = unmet([*HADOOP, HBASE], with_hbase, Place(("TIMELINE_READER",), ("m3",)))
    assert told(found) == [("TIMELINE_READER", "hbase_3_2_0", ("m3",))]
    (finding,) = need_findings(found)
    assert (finding.level, finding.subject) == ("error", f"{ROOT}/usr/lib/hbase/bin/hbase-daemon.sh")
    assert "on m3" in finding.message
    assert finding.hint is not None
    assert "hbase_3_2_0 to prepare.packages" in finding.hint
    assert f'{EXTERNAL} to "true"' in finding.hint


@pytest.mark.parametrize("way", [{EXTERNAL: "true"}, {"yarn-hbase-env/is_hbase_system_service_launch": "true"}])
def test_a_timeline_reader_without_an_hbase_of_its_own(way: dict[str, str]) -> None:
    assert not unmet(HADOOP, Place(("TIMELINE_READER",), properties=way))


def test_the_cluster_s_hbase_as_storage_needs_its_command_on_the_host() -> None:
    place = Place(("TIMELINE_READER",), properties={EXTERNAL: "true", "yarn-hbase-env/hbase_within_cluster": "true"})
    assert [one.path for one in unmet(HADOOP, place)] == [f"{ROOT}/usr/lib/hbase/bin/hbase"]


@pytest.mark.parametrize(
    ("properties", "needed"),
    [
        ({}, False),
        ({EXECUTOR: "org.apache.hadoop.yarn.server.nodemanager.LinuxContainerExecutor"}, True),
        ({"cluster-env/security_enabled": "true"}, True),
        (
            {
                "cluster-env/security_enabled": "true",
                EXECUTOR: "org.apache.hadoop.yarn.server.nodemanager.DefaultContainerExecutor",
            },
            False,
        ),
    ],
)
def test_the_container_executor(properties: dict[str, str], needed: bool) -> None:
    found = unmet(HADOOP, Place(("NODEMANAGER",), properties=properties))
    assert [one.package for one in found] == (["hadoop_3_2_0-yarn-container-executor"] if needed else [])


def test_what_a_service_check_runs_is_a_warning_and_may_have_any_version() -> None:
    assert not unmet(HADOOP, Place(("YARN_CLIENT", "MAPREDUCE2_CLIENT")))
    without = [*HADOOP[:-2], package("hadoop_3_2_0-mapreduce"), package("hadoop_3_2_0-yarn")]
    found = need_findings(unmet(without, Place(("YARN_CLIENT", "MAPREDUCE2_CLIENT"))))
    assert {finding.level for finding in found} == {"warning"}
    assert len(found) == 2


def test_a_missing_package_of_the_stack_s_own_list_is_not_told_twice() -> None:
    assert not unmet(HADOOP, Place(("TEZ_CLIENT",)))
    assert not unmet([package("tez_3_2_0")], Place(("DATANODE",))), "nothing is known of packages without files"


def findings(tmp_path: Path, groups: str) -> list[StackFinding]:
    file = tmp_path / "inventory.yaml"
    file.write_text("cluster: c1\n" + textwrap.dedent(groups))
    loaded = load_inventory(file)
    layout = check_layout(layout_of(loaded), STACK, loaded.place).layout
    where = places(layout, loaded.inventory.prepare.packages)
    offer = Offer((*HADOOP, HBASE), None)
    found = check_offer(offer, STACK, layout.components, family="redhat8", version="3.2.0", places=where)
    return [one for one in found if one.kind == "need"]


GROUPS = """
groups:
  one:
    hosts: [n1.x.org]
    components: [NAMENODE, RESOURCEMANAGER, APP_TIMELINE_SERVER, ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT, YARN_CLIENT]
  two:
    hosts: [n2.x.org]
    components: [SECONDARY_NAMENODE, DATANODE, NODEMANAGER, HDFS_CLIENT]
"""


def test_a_timeline_reader_that_ambari_adds_is_looked_at_too(tmp_path: Path) -> None:
    first, second = findings(tmp_path, GROUPS)
    assert (first.level, first.wanted_by) == ("error", "TIMELINE_READER")
    assert "n1.x.org" in first.message
    assert (second.level, second.wanted_by) == ("info", "DATANODE")


def test_properties_of_a_group_count_for_its_hosts(tmp_path: Path) -> None:
    own = "    configurations: {yarn-hbase-env: {use_external_hbase: true}}\n"
    (only,) = findings(tmp_path, GROUPS.replace("  two:\n", f"{own}  two:\n"))
    assert only.wanted_by == "DATANODE"


def test_the_shipped_inventories_meet_the_needs_of_their_hosts(tmp_path: Path) -> None:
    inventories = Path(__file__).parents[2] / "inventories"
    seen = 0
    for file in inventories.glob("*.yaml"):
        loaded = load_inventory(file)
        if loaded.inventory.ambari is None:
            continue
        derived = high_availability(layout_of(loaded), loaded.inventory.cluster, {})
        layout = check_layout(derived.layout, STACK, loaded.place).layout
        where = places(layout, loaded.inventory.prepare.packages)
        for one in unmet([*HADOOP, HBASE, package("tez_3_2_0", f"{ROOT}/usr/lib/tez/lib/tez.tar.gz")], *where):
            seen += 1
            assert one.need.settle or one.need.level == "warning", (file.name, one.component, one.hosts)
    assert seen > 1


def test_the_stack_s_needs_are_of_its_own_packages_and_have_a_way_out() -> None:
    for service in STACK.services.values():
        for component in service.components.values():
            for need in component.needs:
                assert need.path.startswith("{root}/{version}/")
                assert "{version}" in need.package
                assert not need.settle or need.unless
                for place in (*need.when, *need.unless):
                    assert place.partition("/")[0] in STACK.configuration_types(), place
            assert set(component.after) <= {name for one in STACK.services.values() for name in one.components}
