"""High availability that follows from the layout: what is derived, what stays, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.cluster.high_availability import high_availability
from bigtop_builder.cluster.layout import layout_of, plain_properties
from bigtop_builder.cluster.layout_rules import check_layout
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors
from bigtop_builder.model.event import Phase
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory
from tests.fast.deploying import Bench

LAYOUT = """
cluster: prod
groups:
  one: {hosts: [n1.x.test], components: [NAMENODE, ZKFC, JOURNALNODE, ZOOKEEPER_SERVER, DATANODE, HDFS_CLIENT]}
  two: {hosts: [n2.x.test], components: [NAMENODE, ZKFC, JOURNALNODE, ZOOKEEPER_SERVER, DATANODE, HDFS_CLIENT]}
  three: {hosts: [n3.x.test], components: [JOURNALNODE, ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT, DATANODE]}
"""
YARN = """
  four: {hosts: ["n[4-5].x.test"], components: [RESOURCEMANAGER, HBASE_MASTER, HIVE_METASTORE, HIVE_SERVER]}
"""
SITE = {
    "dfs.nameservices": "prod",
    "dfs.internal.nameservices": "prod",
    "dfs.ha.namenodes.prod": "nn1,nn2",
    "dfs.namenode.rpc-address.prod.nn1": "n1.x.test:8020",
    "dfs.namenode.http-address.prod.nn1": "n1.x.test:50070",
    "dfs.namenode.https-address.prod.nn1": "n1.x.test:50470",
    "dfs.namenode.rpc-address.prod.nn2": "n2.x.test:8020",
    "dfs.namenode.http-address.prod.nn2": "n2.x.test:50070",
    "dfs.namenode.https-address.prod.nn2": "n2.x.test:50470",
    "dfs.namenode.shared.edits.dir": "qjournal://n1.x.test:8485;n2.x.test:8485;n3.x.test:8485/prod",
    "dfs.client.failover.proxy.provider.prod": (
        "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider"
    ),
    "dfs.ha.automatic-failover.enabled": "true",
    "dfs.ha.fencing.methods": "shell(/bin/true)",
}
QUORUM = "n1.x.test:2181,n2.x.test:2181,n3.x.test:2181"
CORE = {"fs.defaultFS": "hdfs://prod", "ha.zookeeper.quorum": QUORUM}


def inventory(folder: Path, text: str = LAYOUT) -> LoadedInventory:
    file = folder / "inventory.yaml"
    file.write_text(text)
    return load_inventory(file)


def test_the_properties_of_hdfs_follow_from_the_layout(tmp_path: Path) -> None:
    loaded = inventory(tmp_path)
    derived = high_availability(layout_of(loaded), "prod", {})
    assert derived.properties == {"hdfs-site": SITE, "core-site": CORE}
    assert plain_properties(derived.layout.configurations) == derived.properties
    assert check_layout(derived.layout, load_stack(), loaded.place).warnings == ()


def test_the_properties_of_other_services_follow_too(tmp_path: Path) -> None:
    zoo = "configurations: {zoo.cfg: {clientPort: 2182}}\n"
    found = high_availability(layout_of(inventory(tmp_path, LAYOUT + YARN + zoo)), "prod", {}).properties
    quorum = QUORUM.replace("2181", "2182")
    assert found["core-site"]["ha.zookeeper.quorum"] == quorum
    assert found["yarn-site"] == {
        "yarn.resourcemanager.ha.enabled": "true",
        "yarn.resourcemanager.cluster-id": "prod",
        "yarn.resourcemanager.ha.rm-ids": "rm1,rm2",
        "yarn.resourcemanager.hostname.rm1": "n4.x.test",
        "yarn.resourcemanager.webapp.address.rm1": "n4.x.test:8088",
        "yarn.resourcemanager.webapp.https.address.rm1": "n4.x.test:8090",
        "yarn.resourcemanager.hostname.rm2": "n5.x.test",
        "yarn.resourcemanager.webapp.address.rm2": "n5.x.test:8088",
        "yarn.resourcemanager.webapp.https.address.rm2": "n5.x.test:8090",
        "yarn.resourcemanager.recovery.enabled": "true",
        "yarn.resourcemanager.store.class": ("org.apache.hadoop.yarn.server.resourcemanager.recovery.ZKRMStateStore"),
        "yarn.resourcemanager.zk-address": quorum,
    }
    assert found["hbase-site"] == {
        "hbase.rootdir": "hdfs://prod/apps/hbase/data",
        "hbase.zookeeper.quorum": "n1.x.test,n2.x.test,n3.x.test",
    }
    assert found["hive-site"] == {
        "hive.metastore.uris": "thrift://n4.x.test:9083,thrift://n5.x.test:9083",
        "hive.server2.support.dynamic.service.discovery": "true",
        "hive.zookeeper.quorum": quorum,
        "hive.cluster.delegation.token.store.zookeeper.connectString": quorum,
    }


def test_what_the_inventory_gives_stays(tmp_path: Path) -> None:
    text = """
configurations:
  core-site: {fs.defaultFS: hdfs://lake}
  hdfs-site:
    dfs.ha.namenodes.lake: "a,b"
    dfs.namenode.rpc-address.lake.a: "%HOSTGROUP::two%:9000"
"""
    layout = high_availability(layout_of(inventory(tmp_path, LAYOUT + text)), "prod", {}).layout
    site = plain_properties(layout.configurations)["hdfs-site"]
    assert (site["dfs.nameservices"], site["dfs.ha.namenodes.lake"]) == ("lake", "a,b")
    assert site["dfs.namenode.rpc-address.lake.a"] == "%HOSTGROUP::two%:9000"
    assert site["dfs.namenode.http-address.lake.a"] == "n2.x.test:50070"
    assert site["dfs.namenode.rpc-address.lake.b"] == "n1.x.test:8020"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[NAMENODE, ZKFC, JOURNALNODE", "[JOURNALNODE"),
        ("cluster: prod\n", "cluster: prod\nconfigurations: {hdfs-site: {dfs.nameservices: 'a,b'}}\n"),
    ],
)
def test_several_name_services_are_the_inventorys_matter(tmp_path: Path, old: str, new: str) -> None:
    found = high_availability(layout_of(inventory(tmp_path, LAYOUT.replace(old, new))), "prod", {})
    assert found.properties == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("two: {hosts: [n2.x.test], components: [NAMENODE, ", "two: {hosts: [n2.x.test], components: [", "needs two"),
        ("NAMENODE, ZKFC, JOURNALNODE", "NAMENODE, JOURNALNODE", "needs a ZKFC in the cluster"),
        ("NAMENODE, ZKFC, ", "NAMENODE, SECONDARY_NAMENODE, ZKFC, ", "the stack requires none here"),
        ("JOURNALNODE, ", "", "needs a JOURNALNODE in the cluster"),
    ],
)
def test_what_only_the_layout_can_give_is_asked_for(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in LAYOUT
    loaded = inventory(tmp_path, LAYOUT.replace(old, new))
    layout = high_availability(layout_of(loaded), "prod", {}).layout
    with pytest.raises(ConfigurationError) as caught:
        check_layout(layout, load_stack(), loaded.place)
    errors = caught.value.errors if isinstance(caught.value, ConfigurationErrors) else [caught.value]
    assert said in "\n".join(error.message for error in errors)
    assert "SECONDARY_NAMENODE is nowhere" not in str(caught.value)


def test_an_existing_cluster_keeps_what_it_has(tmp_path: Path) -> None:
    present = {
        "hdfs-site": {**SITE, "dfs.nameservices": "old", "dfs.internal.nameservices": "old"}
        | {"dfs.namenode.shared.edits.dir": "qjournal://n1.x.test:8485;n9.x.test:8485;n3.x.test:8485/old"},
        "core-site": {"fs.defaultFS": "hdfs://old", "ha.zookeeper.quorum": QUORUM},
        "hive-site": {"hive.metastore.uris": "thrift://localhost:9083"},
    }
    derived = high_availability(layout_of(inventory(tmp_path, LAYOUT + YARN)), "prod", present)
    site = plain_properties(derived.layout.configurations)
    assert site["hdfs-site"]["dfs.nameservices"] == "old"
    assert "dfs.nameservices" not in derived.properties["hdfs-site"]
    assert "core-site" not in derived.properties
    assert derived.properties["hive-site"]["hive.metastore.uris"].startswith("thrift://n4.x.test")
    (text,) = derived.differing
    assert text.startswith("hdfs-site/dfs.namenode.shared.edits.dir is 'qjournal://n1.x.test:8485;n9")


def test_an_existing_cluster_is_not_made_highly_available(tmp_path: Path) -> None:
    present = {"hdfs-site": {"dfs.replication": "3"}, "core-site": {"fs.defaultFS": "hdfs://n1.x.test:8020"}}
    derived = high_availability(layout_of(inventory(tmp_path)), "prod", present)
    assert derived.properties == {}
    (problem,) = derived.problems
    assert "which the cluster prod does not have" in problem.message
    assert "Enable NameNode HA" in problem.hint


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


SMALL = (
    LAYOUT.replace("n1.", "node1.").replace("n2.", "node2.").replace("n3.", "node3.").replace("cluster: prod", "")
    + """
cluster: c1
ambari: {url: URL, password: "env:TEST_AMBARI_PASSWORD", poll: 2s, registration_timeout: 120s}
repositories: [{url: "http://repository.test/el8"}]
"""
)
STEPS: tuple[Phase, ...] = ("repository", "layout", "cluster")


def test_a_deployment_shows_and_sends_what_follows_and_then_has_nothing_to_do(bench: Bench) -> None:
    assert bench.deploy(SMALL, phases=STEPS) == 0, bench.failure
    told = "\n".join(str(getattr(event, "text", "")) for event in bench.events)
    assert "high availability, from the layout: hdfs-site: dfs.nameservices=c1" in told
    desired = bench.world.clusters["c1"].desired
    assert desired["hdfs-site"].properties["dfs.ha.namenodes.c1"] == "nn1,nn2"
    assert desired["core-site"].properties["fs.defaultFS"] == "hdfs://c1"
    assert bench.deploy(SMALL, phases=STEPS, dry_run=True) == 0, bench.failure
    assert bench.changes == []
    assert not any("high availability" in str(getattr(event, "text", "")) for event in bench.events)
