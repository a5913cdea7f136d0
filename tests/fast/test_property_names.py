"""Misspelt properties of an inventory: which names are known of a configuration type, and which one was meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.cluster.layout import Layout
from bigtop_builder.cluster.property_names import known_properties, meant, unknown_properties
from bigtop_builder.cluster.stack_data import load_stack

RECORDED = Path(__file__).parent / "data" / "ambari" / "transcripts"
STACK = load_stack()

MISSPELT = """
core-site fs.defaultfs fs.defaultFS
core-site fs.trash.intervall fs.trash.interval
core-site ha.zookeeper.quorom ha.zookeeper.quorum
hdfs-site dfs.replicaton dfs.replication
hdfs-site dfs.namenode.handler.counts dfs.namenode.handler.count
hdfs-site dfs.namenode.http.address dfs.namenode.http-address
hdfs-site dfs.permission.enabled dfs.permissions.enabled
yarn-site yarn.nodemanager.resource.memory.mb yarn.nodemanager.resource.memory-mb
yarn-site yarn.resourcemanager.webapp.adress yarn.resourcemanager.webapp.address
mapred-site mapreduce.map.java.opt mapreduce.map.java.opts
hive-site hive.metastore.uri hive.metastore.uris
hive-site hive.vectorised.execution.enabled hive.vectorized.execution.enabled
hive-site javax.jdo.option.ConnectionUrl javax.jdo.option.ConnectionURL
hbase-site hbase.regionserver.handlers.count hbase.regionserver.handler.count
hbase-site hbase.root.dir hbase.rootdir
zoo.cfg maxClientCnxn maxClientCnxns
tez-site tez.lib.uri tez.lib.uris
spark-defaults spark.executor.memroy spark.executor.memory
hadoop-env namenode_heapsizes namenode_heapsize
hbase-env hbase_master_heap_size hbase_master_heapsize
kafka-broker log.retention.hour log.retention.hours
"""

OWN = """
core-site hadoop.proxyuser.me.hosts
core-site hadoop.proxyuser.livy.groups
hdfs-site dfs.namenode.rpc-address.ns1.nn1
hdfs-site dfs.ha.namenodes.mycluster
hdfs-site dfs.client.failover.proxy.provider.mycluster
hdfs-site dfs.client.failover.proxy.provider.ha
yarn-site yarn.resourcemanager.hostname.rm1
yarn-site yarn.resourcemanager.webapp.address.rm1
yarn-site yarn.resourcemanager.webapp.https.address.rm2
yarn-site yarn.nodemanager.aux-services.spark2_shuffle.class
zoo.cfg server.1
"""


def rows(text: str) -> list[Any]:
    return [pytest.param(*line.split(), id=line.partition(" ")[2]) for line in text.split("\n") if line]


def names_in(data: Any) -> Iterator[tuple[str, str]]:
    """The properties that Ambari's answers name: of stacks (626 to 631) and of clusters."""
    if isinstance(data, dict):
        for key in ("StackConfigurations", "StackLevelConfigurations"):
            one = data.get(key)
            if isinstance(one, dict) and {"type", "property_name"} <= one.keys():
                yield one["type"].removesuffix(".xml"), one["property_name"]
        kind, properties = data.get("type"), data.get("properties")
        if isinstance(kind, str) and isinstance(properties, dict):
            yield from ((kind, name) for name in properties)
        for value in data.values():
            yield from names_in(value)
    elif isinstance(data, list):
        for value in data:
            yield from names_in(value)


@pytest.mark.parametrize(("kind", "name", "right"), rows(MISSPELT))
def test_the_meant_property_is_found(kind: str, name: str, right: str) -> None:
    known = known_properties(STACK, kind)
    assert right in known and name not in known
    assert meant(name, known) == right


@pytest.mark.parametrize(("kind", "name"), rows(OWN))
def test_names_of_ones_own_are_no_mistakes(kind: str, name: str) -> None:
    known = known_properties(STACK, kind)
    assert name not in known and meant(name, known) is None


def test_nothing_that_ambari_itself_uses_is_called_unknown() -> None:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(RECORDED.glob("*.json")):
        body = json.loads(path.read_text(encoding="utf-8"))["response"]["body"]
        for kind, name in names_in(body):
            found.setdefault(kind, {})[name] = "1"
    assert {"core-site", "hdfs-site", "hadoop-env", "yarn-site", "zoo.cfg", "tez-site"} <= found.keys()
    assert unknown_properties(STACK, Layout((), found), None) == []


def test_a_server_is_asked_once_for_what_is_not_known_here() -> None:
    asked: list[str | None] = []

    def served(service: str | None) -> dict[str, set[str]]:
        asked.append(service)
        return {"hadoop-env": {"added_by_a_vendor"}}

    given = {"hadoop-env": {"added_by_a_vendor": "1", "namenode_heapsize": "1g", "nobody_reads_this": "1"}}
    layout = Layout((), {**given, "hdfs-site": {"dfs.replication": "1"}})
    assert unknown_properties(STACK, layout, served) == [
        "hadoop-env has no property nobody_reads_this: nothing reads it"
    ]
    assert asked == ["HDFS"]
