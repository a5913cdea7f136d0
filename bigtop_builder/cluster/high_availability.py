"""Properties of high availability that follow from the layout: whoever puts two NAMENODEs into it means high
availability, and names, addresses and quorums are then a matter of the hosts.

Hosts are named themselves, not by tokens of their groups, so that a group may have several masters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bigtop_builder.cluster.layout import Layout, expand_tokens, property_text
from bigtop_builder.cluster.problem import Problem
from bigtop_builder.model.properties import Configurations, Secret

Properties = dict[str, dict[str, str]]

NAME_SERVICES = ("dfs.internal.nameservices", "dfs.nameservices")
ZOOKEEPER_PORT = "2181"
NAME_SERVICE_PORTS = {"rpc-address": "8020", "http-address": "50070", "https-address": "50470"}
RESOURCE_MANAGER_PORTS = {"webapp.address": "8088", "webapp.https.address": "8090"}
FAILOVER = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider"
STATE_STORE = "org.apache.hadoop.yarn.server.resourcemanager.recovery.ZKRMStateStore"


@dataclass(frozen=True)
class Derived:
    """A layout with what follows from it; ``properties`` are those that neither inventory nor cluster has."""

    layout: Layout
    properties: Mapping[str, Mapping[str, str]]
    differing: tuple[str, ...] = ()
    """Properties that the cluster has, but with another value than the layout leads to."""
    problems: tuple[Problem, ...] = ()


def high_availability(layout: Layout, cluster: str, present: Mapping[str, Mapping[str, str]]) -> Derived:
    """Return the layout with the properties of high availability that follow from it.

    ``cluster`` is its name, ``present`` the properties of an existing cluster: what it has stays as it is, as does what
    the inventory gives.
    """
    facts = _Facts(layout, cluster, present)
    if present.get("hdfs-site") and wants_high_availability(layout) and not _name_services(facts):
        path = ("groups", layout.groups_with("NAMENODE")[-1].name, "components")
        message = f"the layout means high availability of HDFS, which the cluster {cluster} does not have"
        hint = "Only Ambari's own wizard turns it on in an existing cluster: Services > HDFS > Enable NameNode HA."
        return Derived(layout, {}, (), (Problem(path, message, hint),))
    values: Properties = {}
    new: Properties = {}
    differing = []
    for kind, name, value in (*_hdfs(facts), *_yarn(facts), *_hbase(facts), *_hive(facts)):
        old = present.get(kind, {}).get(name)
        kept = old is None and facts.is_on(kind) and not NEEDED.fullmatch(name)
        if kept or layout.property(kind, name) is not None:
            continue
        keep = old is not None and "localhost" not in old and name not in SWITCHES
        values.setdefault(kind, {})[name] = old if keep and old is not None else value
        if not keep and old != value:
            new.setdefault(kind, {})[name] = value
        elif old is not None and name in QUORUMS and not _same(old, value):
            differing.append(f"{kind}/{name} is {old!r}, the layout leads to {value!r}")
    merged: Configurations = {
        kind: {**values.get(kind, {}), **layout.configurations.get(kind, {})}
        for kind in dict.fromkeys([*layout.configurations, *values])
    }
    return Derived(replace(layout, configurations=merged) if values else layout, new, tuple(differing))


QUORUMS = ("dfs.namenode.shared.edits.dir", "ha.zookeeper.quorum", "hive.metastore.uris", "hbase.zookeeper.quorum")
"""Properties that list hosts, and are worth a word when the layout has others by now."""
NEEDED = re.compile(
    r"dfs\.nameservices|dfs\.ha\.namenodes\..+|dfs\.namenode\.(rpc|http)-address\..+|dfs\.namenode\.shared\.edits\.dir|"
    r"ha\.zookeeper\.quorum|fs\.defaultFS|yarn\.resourcemanager\.(ha\.enabled|ha\.rm-ids|cluster-id|hostname\..+)"
)
"""What high availability does not work without. A cluster that has it without the rest does so on purpose."""
SWITCHES = ("yarn.resourcemanager.ha.enabled", "yarn.resourcemanager.recovery.enabled")
"""Properties that a cluster with one ResourceManager has too, with the opposite value."""


def _same(old: str, new: str) -> bool:
    """Return whether two values name the same hosts; the order does not matter."""
    return sorted(re.split(r"[,;]", old)) == sorted(re.split(r"[,;]", new))


@dataclass(frozen=True)
class _Facts:
    layout: Layout
    cluster: str
    present: Mapping[str, Mapping[str, str]]

    def text(self, kind: str, name: str) -> str:
        """Return a property of the inventory, otherwise of the cluster, otherwise an empty text."""
        value = self.layout.property(kind, name)
        if value is None or isinstance(value, Secret):
            return self.present.get(kind, {}).get(name, "")
        return expand_tokens(property_text(value), self.layout)

    def is_on(self, kind: str) -> bool:
        """Return whether the existing cluster has high availability of the service with this configuration type."""
        if kind in ("hdfs-site", "core-site"):
            return any(self.present.get("hdfs-site", {}).get(name) for name in NAME_SERVICES)
        return kind == "yarn-site" and self.present.get(kind, {}).get(SWITCHES[0]) == "true"

    def hosts(self, component: str) -> list[str]:
        return self.layout.hosts_with(component)

    def quorum(self) -> str:
        port = self.text("zoo.cfg", "clientPort") or ZOOKEEPER_PORT
        return ",".join(f"{host}:{port}" for host in self.hosts("ZOOKEEPER_SERVER"))


Found = Iterator[tuple[str, str, str]]


def wants_high_availability(layout: Layout) -> bool:
    """Return whether a layout means high availability of HDFS: what only that needs, or two NameNodes and no helper."""
    count = len(layout.hosts_with("NAMENODE"))
    if layout.hosts_with("ZKFC") or layout.hosts_with("JOURNALNODE"):
        return count > 0
    return count > 1 and not layout.hosts_with("SECONDARY_NAMENODE")


def _name_services(facts: _Facts) -> list[str]:
    for name in NAME_SERVICES:
        given = [one.strip() for one in facts.text("hdfs-site", name).split(",") if one.strip()]
        if given:
            return given
    return []


def _name_service(facts: _Facts) -> str | None:
    """Return the name service; None if there are several, which only the inventory can tell apart."""
    given = _name_services(facts)
    if given:
        return given[0] if len(given) == 1 else None
    default = re.fullmatch(r"hdfs://([A-Za-z0-9_-]+)/?", facts.text("core-site", "fs.defaultFS"))
    return default[1] if default and default[1] != "localhost" else facts.cluster


def _hdfs(facts: _Facts) -> Found:
    hosts = facts.hosts("NAMENODE")
    service = _name_service(facts)
    if not wants_high_availability(facts.layout) or service is None:
        return
    site = "hdfs-site"
    yield site, "dfs.nameservices", service
    yield site, "dfs.internal.nameservices", service
    nodes = _ids(facts, site, f"dfs.ha.namenodes.{service}", "nn", f"dfs.namenode.rpc-address.{service}.", hosts)
    yield site, f"dfs.ha.namenodes.{service}", ",".join(nodes)
    for node, host in nodes.items():
        for kind, port in NAME_SERVICE_PORTS.items():
            yield site, f"dfs.namenode.{kind}.{service}.{node}", f"{host}:{port}"
    journals = ";".join(f"{host}:8485" for host in facts.hosts("JOURNALNODE"))
    if journals:
        yield site, "dfs.namenode.shared.edits.dir", f"qjournal://{journals}/{service}"
    yield site, f"dfs.client.failover.proxy.provider.{service}", FAILOVER
    yield site, "dfs.ha.automatic-failover.enabled", "true"
    yield site, "dfs.ha.fencing.methods", "shell(/bin/true)"
    yield "core-site", "fs.defaultFS", f"hdfs://{service}"
    if facts.quorum():
        yield "core-site", "ha.zookeeper.quorum", facts.quorum()
    if facts.hosts("HBASE_MASTER"):
        yield "hbase-site", "hbase.rootdir", f"hdfs://{service}/apps/hbase/data"


def _ids(facts: _Facts, kind: str, listing: str, prefix: str, address: str, hosts: Sequence[str]) -> dict[str, str]:
    """Return the ids of masters, each with its host: given ones first, then what is left in the order of hosts."""
    given = [one.strip() for one in facts.text(kind, listing).split(",") if one.strip()]
    ids = given or [f"{prefix}{number}" for number in range(1, len(hosts) + 1)]
    known = {one: facts.text(kind, f"{address}{one}").partition(":")[0] for one in ids}
    left = [host for host in hosts if host not in known.values()]
    found = {one: known[one] or (left.pop(0) if left else "") for one in ids}
    return {one: host for one, host in found.items() if host}


def _yarn(facts: _Facts) -> Found:
    hosts, site = facts.hosts("RESOURCEMANAGER"), "yarn-site"
    if len(hosts) < 2:
        return
    yield site, "yarn.resourcemanager.ha.enabled", "true"
    yield site, "yarn.resourcemanager.cluster-id", facts.cluster
    nodes = _ids(facts, site, "yarn.resourcemanager.ha.rm-ids", "rm", "yarn.resourcemanager.hostname.", hosts)
    yield site, "yarn.resourcemanager.ha.rm-ids", ",".join(nodes)
    for node, host in nodes.items():
        yield site, f"yarn.resourcemanager.hostname.{node}", host
        for kind, port in RESOURCE_MANAGER_PORTS.items():
            yield site, f"yarn.resourcemanager.{kind}.{node}", f"{host}:{port}"
    yield site, "yarn.resourcemanager.recovery.enabled", "true"
    yield site, "yarn.resourcemanager.store.class", STATE_STORE
    if facts.quorum():
        yield site, "yarn.resourcemanager.zk-address", facts.quorum()


def _hbase(facts: _Facts) -> Found:
    if len(facts.hosts("HBASE_MASTER")) > 1 and facts.quorum():
        yield "hbase-site", "hbase.zookeeper.quorum", ",".join(facts.hosts("ZOOKEEPER_SERVER"))


def _hive(facts: _Facts) -> Found:
    metastores, site = facts.hosts("HIVE_METASTORE"), "hive-site"
    if len(metastores) > 1:
        yield site, "hive.metastore.uris", ",".join(f"thrift://{host}:9083" for host in metastores)
    if len(facts.hosts("HIVE_SERVER")) > 1 and facts.quorum():
        yield site, "hive.server2.support.dynamic.service.discovery", "true"
        yield site, "hive.zookeeper.quorum", facts.quorum()
        yield site, "hive.cluster.delegation.token.store.zookeeper.connectString", facts.quorum()
