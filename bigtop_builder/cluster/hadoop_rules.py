"""Rules for high availability of HDFS and YARN, and for Hive's database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bigtop_builder.cluster.layout import Layout, property_text
from bigtop_builder.cluster.problem import Problem
from bigtop_builder.model.properties import Secret

NAME_SERVICES = ("dfs.nameservices", "dfs.internal.nameservices")
NEW_DATABASE = "New MySQL Database"
"""Ambari's default of ``hive-env/hive_database``."""
QUORUM = 3


def _text(layout: Layout, kind: str, name: str) -> str:
    value = layout.property(kind, name)
    return "" if value is None or isinstance(value, Secret) else property_text(value)


def name_node_problems(layout: Layout) -> list[Problem]:
    """Return the problems with HDFS's NameNodes."""
    hosts = layout.hosts_with("NAMENODE")
    services = _text(layout, "hdfs-site", NAME_SERVICES[1]) or _text(layout, "hdfs-site", NAME_SERVICES[0])
    if not hosts:
        return []
    if services:
        return list(_high_availability(layout, hosts, services))
    if len(hosts) > 1:
        path = ("groups", layout.groups_with("NAMENODE")[-1].name, "components")
        hint = (
            "Replace SECONDARY_NAMENODE by a ZKFC beside each NAMENODE and three JOURNALNODEs: the properties then "
            "follow from the layout. Or keep one NAMENODE."
        )
        return [Problem(path, f"{len(hosts)} NAMENODEs need high availability, which is not configured", hint)]
    return []


def _high_availability(layout: Layout, hosts: Sequence[str], services: str) -> Iterator[Problem]:
    site = ("configurations", "hdfs-site")
    if len(hosts) < 2:
        yield Problem(
            ("groups", layout.groups_with("NAMENODE")[0].name, "components"),
            f"high availability needs two NAMENODEs; there is one, on {hosts[0]}",
            "Put NAMENODE on two hosts, or remove dfs.nameservices.",
        )
    for group in layout.groups_with("NAMENODE"):
        if "ZKFC" not in group.names:
            path = ("groups", group.name, "components")
            yield Problem(path, f"the group {group.name} has a NAMENODE but no ZKFC", "Add ZKFC to it.")
    for component, needed in (("JOURNALNODE", QUORUM), ("ZOOKEEPER_SERVER", QUORUM)):
        count = len(layout.hosts_with(component))
        if 0 < count < needed or count % 2 == 0 < count:
            text = f"{count} {component} for high availability: an odd number from {needed} on survives a failure"
            yield Problem(("groups",), text, warning=True)
    for service in (one.strip() for one in services.split(",")):
        nodes = _text(layout, "hdfs-site", f"dfs.ha.namenodes.{service}")
        if not nodes:
            yield Problem(site, f"hdfs-site has no dfs.ha.namenodes.{service}", "For example: nn1,nn2")
        for node in (one.strip() for one in nodes.split(",") if one.strip()):
            for kind in ("rpc-address", "http-address"):
                name = f"dfs.namenode.{kind}.{service}.{node}"
                if not _text(layout, "hdfs-site", name):
                    hint = f"For example: '%HOSTGROUP::{layout.groups_with('NAMENODE')[0].name}%:8020'"
                    yield Problem(site, f"hdfs-site has no {name}", hint)
    yield from _needed(layout, "hdfs-site", "dfs.namenode.shared.edits.dir", "qjournal://HOST:8485;HOST:8485/NAME")
    yield from _needed(layout, "core-site", "ha.zookeeper.quorum", "HOST:2181,HOST:2181,HOST:2181")
    default = _text(layout, "core-site", "fs.defaultFS")
    names = [one.strip() for one in services.split(",")]
    if default.removeprefix("hdfs://").rstrip("/") not in names:
        yield Problem(
            ("configurations", "core-site"),
            f"core-site fs.defaultFS must name the name service with high availability (found {default!r})",
            f"Set it to hdfs://{names[0]}.",
        )
    yield from _initial_nodes(layout, hosts)


def _needed(layout: Layout, kind: str, name: str, example: str) -> Iterator[Problem]:
    if not _text(layout, kind, name):
        yield Problem(("configurations", kind), f"{kind} has no {name}", f"For example: {example}")


def _initial_nodes(layout: Layout, hosts: Sequence[str]) -> Iterator[Problem]:
    groups = {f"%HOSTGROUP::{group.name}%" for group in layout.groups_with("NAMENODE")}
    for role in ("active", "standby"):
        name = f"dfs_ha_initial_namenode_{role}"
        value = _text(layout, "hadoop-env", name)
        if value and value not in {*hosts, *groups}:
            message = f"hadoop-env {name} is {value!r}, which has no NAMENODE"
            yield Problem(("configurations", "hadoop-env", name), message, f"NAMENODE is on {', '.join(hosts)}.")


def resource_manager_problems(layout: Layout) -> Iterator[Problem]:
    """Yield the problems with YARN's ResourceManagers."""
    hosts = layout.hosts_with("RESOURCEMANAGER")
    enabled = _text(layout, "yarn-site", "yarn.resourcemanager.ha.enabled") == "true"
    if not hosts:
        return
    path = ("groups", layout.groups_with("RESOURCEMANAGER")[-1].name, "components")
    if len(hosts) > 1 and not enabled:
        hint = "Set yarn-site yarn.resourcemanager.ha.enabled and what goes with it, or keep one RESOURCEMANAGER."
        text = f"{len(hosts)} RESOURCEMANAGERs need high availability, which is not configured"
        yield Problem(path, text, hint)
    if len(hosts) == 1 and enabled:
        hint = "Put RESOURCEMANAGER on two hosts, or remove yarn.resourcemanager.ha.enabled."
        yield Problem(path, f"high availability needs two RESOURCEMANAGERs; there is one, on {hosts[0]}", hint)
    if len(hosts) > 1 and enabled:
        yield from _needed(layout, "yarn-site", "yarn.resourcemanager.ha.rm-ids", "rm1,rm2")
        yield from _needed(layout, "yarn-site", "yarn.resourcemanager.cluster-id", "the cluster's name")
        for node in _text(layout, "yarn-site", "yarn.resourcemanager.ha.rm-ids").split(","):
            if node.strip():
                name = f"yarn.resourcemanager.hostname.{node.strip()}"
                yield from _needed(layout, "yarn-site", name, hosts[0])


def hive_problems(layout: Layout, services: Sequence[str]) -> Iterator[Problem]:
    """Yield the problems with Hive's database: Ambari sets one up with MYSQL_SERVER, or there is an existing one."""
    if "HIVE" not in services:
        return
    database = _text(layout, "hive-env", "hive_database") or NEW_DATABASE
    servers = layout.groups_with("MYSQL_SERVER")
    if database == NEW_DATABASE and not servers:
        yield Problem(
            ("configurations", "hive-env"),
            "HIVE requires a database: there is neither MYSQL_SERVER in a group nor an existing one",
            "Add MYSQL_SERVER to a group, or set hive-env hive_database to 'Existing MySQL / MariaDB Database' and "
            "hive-site javax.jdo.option.ConnectionURL.",
        )
    if database.startswith("Existing"):
        for group in servers:
            index = group.names.index("MYSQL_SERVER")
            message = f"MYSQL_SERVER is in the group {group.name}, but hive_database is {database!r}"
            yield Problem(("groups", group.name, "components", index), message, "Remove one of them.")
        if not _text(layout, "hive-site", "javax.jdo.option.ConnectionURL"):
            message = f"hive-site javax.jdo.option.ConnectionURL is not given, but hive_database is {database!r}"
            yield Problem(("configurations", "hive-site"), message, warning=True)
