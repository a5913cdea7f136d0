"""What is said of layouts that Ambari or the services would not take, and what Ambari adds to others."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from bigtop_builder.cluster.cardinality import Cardinality
from bigtop_builder.cluster.layout import layout_of
from bigtop_builder.cluster.layout_rules import CheckedLayout, check_layout
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors
from bigtop_builder.recipe.inventory import load_inventory


class Inventories:
    """Inventories of a test."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "inventory.yaml"

    def check(self, text: str) -> CheckedLayout:
        self.file.write_text("cluster: c1\n" + textwrap.dedent(text), encoding="utf-8")
        loaded = load_inventory(self.file)
        return check_layout(
            layout_of(loaded),
            load_stack(),
            loaded.place,
            services=tuple(loaded.inventory.services),
            kerberos=loaded.inventory.security.kerberos is not None,
            default_password=loaded.inventory.default_password is not None,
        )

    def refused(self, text: str) -> list[ConfigurationError]:
        with pytest.raises(ConfigurationError) as caught:
            self.check(text)
        return caught.value.errors if isinstance(caught.value, ConfigurationErrors) else [caught.value]


@pytest.fixture
def inventories(tmp_path: Path) -> Inventories:
    return Inventories(tmp_path)


def one_group(*components: str, hosts: int = 1, more: str = "") -> str:
    names = ", ".join(f"n{number}.x.org" for number in range(1, hosts + 1))
    return f"groups:\n  all:\n    hosts: [{names}]\n    components: [{', '.join(components)}]\n{more}"


ZOOKEEPER = ("ZOOKEEPER_SERVER", "ZOOKEEPER_CLIENT")
HDFS = ("NAMENODE", "SECONDARY_NAMENODE", "DATANODE", "HDFS_CLIENT")
YARN = ("RESOURCEMANAGER", "NODEMANAGER", "YARN_CLIENT", "APP_TIMELINE_SERVER", "MAPREDUCE2_CLIENT")
HIVE = ("TEZ_CLIENT", "HIVE_METASTORE", "HIVE_SERVER", "WEBHCAT_SERVER", "HIVE_CLIENT", "MYSQL_SERVER")
DRIVER = "configurations: {hive-site: {javax.jdo.option.ConnectionPassword: {secret: env:P}}}\n"


def test_copies_that_have_no_host_are_told(inventories: Inventories) -> None:
    kafka = (*ZOOKEEPER, "KAFKA_BROKER")
    (said,) = inventories.check(one_group(*kafka, hosts=2)).warnings
    assert (
        "offsets.topic.replication.factor is not given, and the stack's default is 3, but there are 2 of KAFKA_BROKER"
        in said
    )
    assert "consumers wait for ever; set it to 2" in said
    given = "configurations: {kafka-broker: {offsets.topic.replication.factor: 2}}\n"
    assert not inventories.check(one_group(*kafka, hosts=2, more=given)).warnings
    hdfs = "configurations: {hdfs-site: {dfs.replication: 2}}\n"
    (said,) = inventories.check(one_group(*HDFS, *ZOOKEEPER, more=hdfs)).warnings
    assert "dfs.replication is 2 but there are 1 of DATANODE" in said


def test_spark_without_hadoop_is_accepted(inventories: Inventories) -> None:
    checked = inventories.check(one_group(*ZOOKEEPER, "SPARK_CLIENT", "SPARK_JOBHISTORYSERVER"))
    assert checked.added == ()
    assert checked.warnings == (
        "according to the stack, SPARK requires HDFS, YARN, HIVE, which the cluster does not have",
    )


@pytest.mark.parametrize(
    ("components", "added"),
    [
        ([*ZOOKEEPER, *HDFS, *YARN], {"TIMELINE_READER", "HISTORYSERVER"}),
        (
            [*ZOOKEEPER, *HDFS, *YARN, "TEZ_CLIENT", "HIVE_SERVER", "WEBHCAT_SERVER", "HIVE_CLIENT", "MYSQL_SERVER"],
            {"HIVE_METASTORE", "TIMELINE_READER", "HISTORYSERVER"},
        ),
        ([*ZOOKEEPER, "METRICS_COLLECTOR"], {"METRICS_MONITOR"}),
    ],
)
def test_what_ambari_adds(inventories: Inventories, components: list[str], added: set[str]) -> None:
    more = DRIVER if "HIVE_SERVER" in components else "default_password: env:P\n"
    checked = inventories.check(one_group(*components, more=more))
    assert {line.partition(" ")[0] for line in checked.added} == added
    assert set(checked.layout.components) == {*components, *added}


def test_clients_are_added_only_for_services_that_are_there(inventories: Inventories) -> None:
    checked = inventories.check(
        """
        groups:
          master:
            hosts: [n1.x.org]
            components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT, NAMENODE, SECONDARY_NAMENODE, HDFS_CLIENT]
          worker:
            hosts: ["n[2-4].x.org"]
            components: [DATANODE, FLINK_HISTORYSERVER, FLINK_CLIENT]
        """
    )
    assert checked.added == ("HDFS_CLIENT on worker: FLINK_HISTORYSERVER needs it on its host",)


def test_what_is_added_brings_its_own_dependencies(inventories: Inventories) -> None:
    checked = inventories.check(
        """
        default_password: env:P
        groups:
          master:
            hosts: [n1.x.org]
            components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT, NAMENODE, SECONDARY_NAMENODE, DATANODE, HDFS_CLIENT,
              RESOURCEMANAGER, NODEMANAGER, YARN_CLIENT, APP_TIMELINE_SERVER, MAPREDUCE2_CLIENT, TEZ_CLIENT,
              HIVE_CLIENT, WEBHCAT_SERVER, MYSQL_SERVER]
          hive:
            hosts: [n2.x.org]
            components: [HIVE_SERVER]
        """
    )
    again = check_layout(checked.layout, load_stack(), lambda *path: None, default_password=True)
    assert again.added == ()
    hive = {line.partition(" ")[0] for line in checked.added if " on hive:" in line}
    assert hive >= {
        "TEZ_CLIENT",
        "YARN_CLIENT",
        "MAPREDUCE2_CLIENT",
        "ZOOKEEPER_CLIENT",
        "HDFS_CLIENT",
        "HIVE_METASTORE",
    }


def test_kerberos_stands_on_every_host(inventories: Inventories) -> None:
    checked = inventories.check(
        """
        security: {kerberos: {realm: X.ORG, kdc_hosts: [kdc.x.org], admin_principal: a/a, admin_password: env:P}}
        groups:
          one: {hosts: [n1.x.org], components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]}
          other: {hosts: [n2.x.org], components: [ZOOKEEPER_CLIENT]}
        """
    )
    assert [group.names[-1] for group in checked.layout.groups] == ["KERBEROS_CLIENT", "KERBEROS_CLIENT"]


def test_groups_without_components_are_none_of_ambaris(inventories: Inventories) -> None:
    checked = inventories.check(one_group(*ZOOKEEPER) + "  redis: {hosts: [r1.x.org]}\n")
    assert [group.name for group in checked.layout.groups] == ["all"]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (one_group("ZOOKEEPER_SERVR", *ZOOKEEPER), 5, "Did you mean ZOOKEEPER_SERVER"),
        ("services: [ZOKEEPER]\n" + one_group(*ZOOKEEPER), 2, "Did you mean ZOOKEEPER?"),
        ("services: [ZOOKEEPER, TEZ]\n" + one_group(*ZOOKEEPER), 2, "no group has a component of TEZ"),
        ("services: [ZOOKEEPER]\n" + one_group(*ZOOKEEPER, "TEZ_CLIENT"), 6, "which is not in services"),
        (one_group(*ZOOKEEPER, "ZOOKEEPER_SERVER"), 5, "is listed twice"),
        (one_group("ZOOKEEPER_CLIENT"), 2, "ZOOKEEPER_SERVER is nowhere; the stack requires at least 1"),
        (one_group("KAFKA_BROKER"), 5, "KAFKA_BROKER needs a ZOOKEEPER_SERVER in the cluster"),
        (one_group(*ZOOKEEPER, *HDFS, hosts=2), 5, "SECONDARY_NAMENODE is on 2 hosts of 1 groups"),
        (one_group(*ZOOKEEPER, more="configurations: {zoo.cgf: {a: b}}\n"), 6, "Did you mean zoo.cfg"),
        (one_group(*ZOOKEEPER, "SPARK_CLIENT", "SPARK_JOBHISTORYSERVER", "SPARK_THRIFTSERVER"), 5, "HIVE_METASTORE"),
        (one_group(*ZOOKEEPER, *HDFS, *YARN, *HIVE), 1, "javax.jdo.option.ConnectionPassword"),
        (
            one_group(*ZOOKEEPER, *HDFS, *YARN, *HIVE[:-1], more=DRIVER),
            6,
            "neither MYSQL_SERVER in a group nor an existing one",
        ),
        (
            one_group(
                *ZOOKEEPER,
                *HDFS,
                *YARN,
                *HIVE,
                more=DRIVER,
            ).replace("{hive-site", "{hive-env: {hive_database: Existing MySQL Database}, hive-site"),
            5,
            "MYSQL_SERVER is in the group all, but hive_database",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(inventories: Inventories, text: str, line: int, said: str) -> None:
    errors = inventories.refused(text)
    found = [error for error in errors if said in f"{error.message} {error.hint}"]
    assert found, [str(error) for error in errors]
    location = found[0].location
    assert location is not None
    assert (str(location.file), location.line) == (str(inventories.file), line)


def test_all_mistakes_in_one_pass(inventories: Inventories) -> None:
    errors = inventories.refused(
        one_group("ZOOKEEPER_SERVR", "NAMENOD", more="configurations: {zoo.cgf: {a: b}, hdfs-sit: {c: d}}\n")
    )
    assert len(errors) == 4


HA = """
groups:
  master:
    hosts: [n1.x.org, n2.x.org]
    components: [NAMENODE, ZKFC, HDFS_CLIENT]
  worker:
    hosts: [n3.x.org, n4.x.org, n5.x.org]
    components: [DATANODE, JOURNALNODE, ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]
configurations:
  core-site:
    fs.defaultFS: hdfs://ns
    ha.zookeeper.quorum: "%HOSTGROUP::worker%:2181"
  hdfs-site:
    dfs.nameservices: ns
    dfs.ha.namenodes.ns: nn1,nn2
    dfs.namenode.rpc-address.ns.nn1: n1.x.org:8020
    dfs.namenode.rpc-address.ns.nn2: n2.x.org:8020
    dfs.namenode.http-address.ns.nn1: n1.x.org:50070
    dfs.namenode.http-address.ns.nn2: n2.x.org:50070
    dfs.namenode.shared.edits.dir: qjournal://n3.x.org:8485;n4.x.org:8485;n5.x.org:8485/ns
"""


def test_high_availability_is_accepted(inventories: Inventories) -> None:
    assert inventories.check(HA).warnings == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("n1.x.org, n2.x.org", "n1.x.org", "needs two NAMENODEs"),
        ("NAMENODE, ZKFC,", "NAMENODE,", "NAMENODE needs a ZKFC in the cluster (hdfs-site/dfs.nameservices is given)"),
        ("JOURNALNODE, ", "", "NAMENODE needs a JOURNALNODE in the cluster"),
        ("NAMENODE, ZKFC", "SECONDARY_NAMENODE, NAMENODE, ZKFC", "the stack requires none here"),
        ("dfs.ha.namenodes.ns: nn1,nn2", "a: b", "has no dfs.ha.namenodes.ns"),
        ("dfs.namenode.rpc-address.ns.nn2: n2.x.org:8020", "a: b", "has no dfs.namenode.rpc-address.ns.nn2"),
        ("fs.defaultFS: hdfs://ns", "fs.defaultFS: hdfs://n1.x.org", "must name the name service"),
        ('ha.zookeeper.quorum: "%HOSTGROUP::worker%:2181"', "a: b", "core-site has no ha.zookeeper.quorum"),
        (
            "  hdfs-site:\n",
            "  hadoop-env: {dfs_ha_initial_namenode_active: n3.x.org}\n  hdfs-site:\n",
            "which has no NAMENODE",
        ),
        ("    dfs.nameservices: ns\n", "", "NAMENODEs need high availability"),
    ],
)
def test_high_availability_that_cannot_work(inventories: Inventories, old: str, new: str, said: str) -> None:
    assert old in HA
    text = HA.replace(old, new, 1)
    if "dfs.nameservices" in old:
        text = text.replace("  worker:", "  second: {hosts: [n9.x.org], components: [SECONDARY_NAMENODE]}\n  worker:")
    assert said in "\n".join(error.message for error in inventories.refused(text))


RM_HA = (
    one_group(*ZOOKEEPER, *HDFS, *YARN)
    + """  second: {hosts: [n2.x.org], components: [RESOURCEMANAGER]}
configurations:
  yarn-site:
    yarn.resourcemanager.ha.enabled: true
    yarn.resourcemanager.ha.rm-ids: rm1,rm2
    yarn.resourcemanager.cluster-id: c1
    yarn.resourcemanager.hostname.rm1: "%HOSTGROUP::all%"
    yarn.resourcemanager.hostname.rm2: "%HOSTGROUP::second%"
"""
)


def test_two_resource_managers_are_accepted(inventories: Inventories) -> None:
    assert len(inventories.check(RM_HA).layout.hosts_with("RESOURCEMANAGER")) == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ha.enabled: true", "ha.enabled: false", "2 RESOURCEMANAGERs need high availability"),
        ("components: [RESOURCEMANAGER]", "components: [YARN_CLIENT]", "high availability needs two RESOURCEMANAGERs"),
        ("ha.rm-ids: rm1,rm2", "a: b", "has no yarn.resourcemanager.ha.rm-ids"),
        ("hostname.rm2", "hostname.rm3", "has no yarn.resourcemanager.hostname.rm2"),
    ],
)
def test_resource_managers_that_cannot_work(inventories: Inventories, old: str, new: str, said: str) -> None:
    assert old in RM_HA
    assert said in "\n".join(error.message for error in inventories.refused(RM_HA.replace(old, new, 1)))


def test_even_quorums_are_warned_of(inventories: Inventories) -> None:
    checked = inventories.check(HA.replace("n3.x.org, n4.x.org, n5.x.org", "n3.x.org, n4.x.org", 1))
    assert [warning.split(" for ")[0] for warning in checked.warnings] == ["2 JOURNALNODE", "2 ZOOKEEPER_SERVER"]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("1", {1}),
        ("0", {0}),
        ("1+", {1, 2, 3}),
        ("0+", {0, 1, 2, 3}),
        ("0-1", {0, 1}),
        ("1-2", {1, 2}),
        ("ALL", set()),
    ],
)
def test_cardinalities(text: str, holds: set[int]) -> None:
    assert {count for count in range(4) if Cardinality.parse(text).holds(count)} == holds


def test_a_misspelt_property_is_a_warning_with_the_near_name(inventories: Inventories) -> None:
    checked = inventories.check(
        """
        groups: {one: {hosts: [n1.x.org], components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]}}
        configurations:
          zoo.cfg: {autopurge.purgeIntervall: "1", my.own.setting: "1", clientPort: "2181"}
          zookeeper-env: {zk_colour: blue}
        """
    )
    assert [one for one in checked.warnings if "has no property" in one] == [
        "zoo.cfg has no property autopurge.purgeIntervall: did you mean autopurge.purgeInterval?",
        "zookeeper-env has no property zk_colour: nothing reads it",
    ]
