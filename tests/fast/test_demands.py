"""What agents ask for, and what a repository that lacks something is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bigtop_builder.cluster.demand_check import OfferedPackage, StackFinding, check_stack, choose_components
from bigtop_builder.cluster.demands import PackageWish, selector_names, wanted_packages, wanted_paths
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.model.ambari_stack import AmbariLine
from bigtop_builder.model.errors import ConfigurationError

ROOT = "/usr/bigtop/3.2.0"
SELECTOR = ("zookeeper-client", "zookeeper-server", "spark-client", "spark-historyserver", "spark-thriftserver")


def package(name: str, *files: str, requires: Sequence[str] = ()) -> OfferedPackage:
    return OfferedPackage(name, "1-1", (name,), tuple(requires), frozenset(files))


ZOOKEEPER = package(
    "zookeeper_3_2_0", f"{ROOT}/usr/lib/zookeeper/lib/zookeeper.jar", f"{ROOT}/etc/zookeeper/conf.dist/zoo.cfg"
)
SELECT = package("bigtop-select", "/usr/lib/bigtop-select/distro-select")
SPARK = [
    package("spark_3_2_0", f"{ROOT}/usr/lib/spark/bin/spark-submit", f"{ROOT}/etc/spark/conf.dist/spark-env.sh"),
    package("spark_3_2_0-core", requires=["spark_3_2_0"]),
    *(package(f"spark_3_2_0-{part}") for part in ("python", "history-server", "thriftserver", "datanucleus")),
]


def findings(
    packages: Sequence[OfferedPackage],
    *services: str,
    version: str = "3.2.0",
    selector: Sequence[str] | None = SELECTOR,
    ambari: AmbariLine = "3.0",
    family: str = "redhat8",
) -> list[StackFinding]:
    stack = load_stack(ambari=ambari)
    chosen = choose_components(stack, services)
    return check_stack(packages, stack, chosen, family=family, version=version, selector=selector)


def told(found: Sequence[StackFinding], level: str = "error") -> list[tuple[str, str, str]]:
    return [(one.kind, one.subject, one.wanted_by) for one in found if one.level == level]


def test_what_is_there_is_not_told_of() -> None:
    found = findings([SELECT, ZOOKEEPER, *SPARK], "ZOOKEEPER", "SPARK")
    assert told(found) == []
    assert told(found, "warning") == [("requires", "HDFS, YARN, HIVE", "SPARK")]


def test_a_missing_package_is_named_with_its_service() -> None:
    found = findings([SELECT, ZOOKEEPER], "ZOOKEEPER", "SPARK")
    assert ("package", "spark_3_2_0-history-server", "SPARK") in told(found)
    assert not [one for one in found if one.kind == "path"], "what follows from a missing package is not told again"


def test_packages_of_two_services_name_both() -> None:
    found = findings([SELECT], "SPARK", "LIVY")
    assert ("package", "spark_3_2_0-core", "LIVY, SPARK") in told(found)


def test_the_selector_is_asked_for_on_every_host() -> None:
    assert told(findings([ZOOKEEPER], "ZOOKEEPER")) == [("package", "bigtop-select", "every host")]


@pytest.mark.parametrize(
    ("names", "level"),
    [
        (["zookeeper_3_2_0", "zookeeper_3_3_0"], "warning"),
        (["zookeeper_3_1_0", "zookeeper_3_2_0"], "error"),
    ],
)
def test_two_versions_in_one_repository(names: list[str], level: str) -> None:
    packages = [package(name, *ZOOKEEPER.files) for name in names]
    found = [one for one in findings([SELECT, *packages], "ZOOKEEPER") if one.kind == "ambiguous"]
    assert [one.level for one in found] == [level]
    assert f"agents install the first, {names[0]}" in found[0].message


def test_another_version_would_be_taken() -> None:
    found = findings([SELECT, package("zookeeper_3_1_0", *ZOOKEEPER.files)], "ZOOKEEPER")
    assert told(found) == [("version", "zookeeper_3_2_0", "ZOOKEEPER")]
    assert "zookeeper_3_1_0" in found[0].message


def test_a_version_with_a_dash_is_taken_literally() -> None:
    found = findings([SELECT, ZOOKEEPER], "ZOOKEEPER", version="3.2.0-1")
    assert told(found) == [("package", "zookeeper_3_2_0_1", "ZOOKEEPER")]
    assert "without a build number" in (found[0].hint or "")
    long = package("zookeeper_3_2_0_1", *ZOOKEEPER.files)
    assert told(findings([SELECT, long], "ZOOKEEPER", version="3.2.0-1")) == []


def test_a_name_the_selector_lacks() -> None:
    found = findings([SELECT, ZOOKEEPER], "ZOOKEEPER", selector=["zookeeper-client"])
    assert told(found) == [("selector", "zookeeper-server", "ZOOKEEPER_SERVER")]


def test_a_selector_that_cannot_be_read_is_no_error() -> None:
    found = findings([SELECT, ZOOKEEPER], "ZOOKEEPER", selector=None)
    assert told(found, "info") == [("selector", "bigtop-select", "every host")]


def test_missing_paths_are_named() -> None:
    found = findings([SELECT, package("zookeeper_3_2_0", "/opt/zookeeper/zookeeper.jar")], "ZOOKEEPER")
    assert [subject for _, subject, _ in told(found)] == [
        f"{ROOT}/usr/lib/zookeeper",
        f"/etc/zookeeper/conf or {ROOT}/etc/zookeeper/conf.dist or {ROOT}/etc/zookeeper/conf.empty",
    ]


def test_paths_may_come_with_what_is_required() -> None:
    bare = [one if one.name != "spark_3_2_0-core" else package("spark_3_2_0-core") for one in SPARK]
    found = findings([SELECT, *bare], "SPARK")
    assert {kind for kind, _, _ in told(found)} == {"path"}


def test_packages_of_the_system_are_no_errors() -> None:
    found = findings([SELECT], "HDFS")
    assert {subject for _, subject, _ in told(found, "info")} == {"snappy", "snappy-devel", "libtirpc-devel"}


def test_ranger_plugins_are_asked_for_by_newer_ambari_only() -> None:
    for line, family, wanted in (("3.0", "redhat8", True), ("2.8", "redhat7", False)):
        stack = load_stack(ambari="3.0" if line == "3.0" else "2.8")
        names = {wish.expected for wish in wanted_packages(stack, ["NAMENODE"], family, "3.2.0")}
        assert ("ranger_3_2_0-hdfs-plugin" in names) is wanted


def test_a_family_that_the_stack_lacks() -> None:
    assert told(findings([SELECT, ZOOKEEPER], "ZOOKEEPER", ambari="2.8")) == [("family", "redhat8", "BIGTOP-3.2.0")]


@pytest.mark.parametrize(
    ("components", "family", "package_name", "asked"),
    [
        (["HIVE_SERVER"], "redhat8", "mariadb-server", False),
        (["HIVE_SERVER", "MYSQL_SERVER"], "redhat8", "mariadb-server", True),
        (["METRICS_MONITOR"], "redhat8", "python-kerberos", False),
        (["METRICS_MONITOR"], "redhat7", "python-kerberos", True),
        (["METRICS_MONITOR"], "redhat8", "ambari-metrics-grafana", False),
        (["METRICS_MONITOR", "METRICS_GRAFANA"], "redhat8", "ambari-metrics-grafana", True),
    ],
)
def test_packages_with_conditions(components: list[str], family: str, package_name: str, asked: bool) -> None:
    wishes = wanted_packages(load_stack(), components, family, "3.2.0")
    assert (package_name in {wish.expected for wish in wishes}) is asked


@pytest.mark.parametrize(
    ("names", "matched"),
    [
        (["zookeeper_3_2_0", "zookeeper_3_2_0-native", "zookeeper_3_2_0-server"], ["zookeeper_3_2_0"]),
        (["zookeeper", "zookeeperx_3_2_0", "zookeeper_a"], []),
        (["zookeeper_3_3_0_1", "zookeeper_3_2_0"], ["zookeeper_3_3_0_1", "zookeeper_3_2_0"]),
    ],
)
def test_names_are_matched_as_the_agent_does(names: list[str], matched: list[str]) -> None:
    (wish,) = [w for w in wanted_packages(load_stack(), ["ZOOKEEPER_SERVER"], "redhat8", "3.2.0") if w.services]
    assert isinstance(wish, PackageWish)
    assert wish.matches(names) == matched


def test_selector_names_and_paths_of_components() -> None:
    stack = load_stack()
    assert selector_names(stack, ["NAMENODE", "HDFS_CLIENT"]) == {
        "hadoop-hdfs-namenode": ["NAMENODE"],
        "hadoop-client": ["NAMENODE", "HDFS_CLIENT"],
        "hadoop-hdfs-client": ["HDFS_CLIENT"],
    }
    paths = {wish.paths[0] for wish in wanted_paths(stack, ["RESOURCEMANAGER"], "3.2.0")}
    assert f"{ROOT}/usr/lib/hadoop-yarn/lib/service-dep.tar.gz" in paths
    assert f"{ROOT}/usr/lib/hadoop-yarn" in paths


def test_components_given_are_not_widened() -> None:
    stack = load_stack()
    assert choose_components(stack, ["SPARK"], ["SPARK_CLIENT"]) == ["SPARK_CLIENT"]
    assert choose_components(stack, ["SPARK"]) == ["SPARK_CLIENT", "SPARK_JOBHISTORYSERVER"]


@pytest.mark.parametrize(
    ("services", "components", "hint"),
    [(["ZOKEEPER"], [], "ZOOKEEPER"), ([], ["NAMENOD"], "NAMENODE")],
)
def test_unknown_names_are_told_with_the_near_one(services: list[str], components: list[str], hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        choose_components(load_stack(), services, components)
    assert hint in (caught.value.hint or "")
