"""Properties that name a host because a component is there: what they must be once the component is elsewhere.

Ambari fills them in when it creates a cluster (BlueprintConfigurationProcessor) and never again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from bigtop_builder.cluster.layout import Layout
from bigtop_builder.cluster.removal import Removal

NAMING: Mapping[str, Mapping[str, str]] = {
    "RESOURCEMANAGER": {
        "yarn-site": r"yarn\.resourcemanager\."
        r"(hostname|((resource-tracker|scheduler|admin|webapp|webapp\.https)\.)?address)(\..+)?",
        "core-site": r"hadoop\.proxyuser\.yarn\.hosts",
    },
    "HISTORYSERVER": {
        "yarn-site": r"yarn\.log\.server\.url",
        "mapred-site": r"mapreduce\.jobhistory\.(webapp\.(https\.)?|admin\.)?address",
    },
    "APP_TIMELINE_SERVER": {
        "yarn-site": r"yarn\.timeline-service\.((webapp\.(https\.)?)?address|hostname)|"
        r"yarn\.log\.server\.web-service\.url",
    },
    "TIMELINE_READER": {"yarn-site": r"yarn\.timeline-service\.reader\.webapp\.(https\.)?address"},
    "SECONDARY_NAMENODE": {"hdfs-site": r"dfs\.(namenode\.secondary\.https?-address|secondary\.http\.address)"},
    "HIVE_METASTORE": {"hive-site": r"hive\.metastore\.uris", "hive-interactive-site": r"hive\.metastore\.uris"},
    "HIVE_SERVER": {"core-site": r"hadoop\.proxyuser\.hive\.hosts"},
    "WEBHCAT_SERVER": {"core-site": r"hadoop\.proxyuser\.(HTTP|hcat)\.hosts"},
    "ZOOKEEPER_SERVER": {
        "core-site": r"ha\.zookeeper\.quorum",
        "hbase-site": r"hbase\.zookeeper\.quorum",
        "hive-site": r"hive\.(zookeeper\.quorum|cluster\.delegation\.token\.store\.zookeeper\.connectString)",
        "hive-interactive-site": r"hive\.llap\.zk\.sm\.connectionString",
        "webhcat-site": r"templeton\.zookeeper\.hosts",
        "yarn-site": r"hadoop\.registry\.zk\.quorum|yarn\.resourcemanager\.zk-address",
        "kafka-broker": r"zookeeper\.connect",
        "livy-conf": r"livy\.server\.recovery\.state-store\.url",
    },
}
"""Component → configuration type → the properties that name its hosts."""


def moved_properties(
    leaving: Removal, layout: Layout, configurations: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Return the properties whose hosts change, by configuration type.

    A host that leaves is replaced by one that no property names yet, and without one it goes from the list. What the
    inventory gives itself is left alone.
    """
    found: dict[str, dict[str, str]] = {}
    for component, kinds in NAMING.items():
        old = sorted(one.host for one in leaving.members if one.component == component)
        wanted = layout.hosts_with(component)
        if not old or not wanted:
            continue
        naming = {
            (kind, name): value
            for kind, pattern in kinds.items()
            for name, value in configurations.get(kind, {}).items()
            if re.fullmatch(pattern, name)
        }
        unnamed = [host for host in wanted if not any(names_host(value, host) for value in naming.values())]
        fresh = unnamed or (wanted if len(wanted) == 1 else [])
        pairs = dict(zip(old, fresh, strict=False))
        for (kind, name), value in naming.items():
            changed = value
            for host in old:
                changed = _without(changed, host, pairs.get(host))
            if changed != value and layout.property(kind, name) is None:
                found.setdefault(kind, {})[name] = changed
    return found


def _without(value: str, host: str, instead: str | None) -> str:
    """Replace a host in an address or a list of addresses; without another one, or if that is there, it goes."""
    if instead is not None and not names_host(value, instead):
        return _pattern(host).sub(instead, value)
    parts = value.split(",")
    kept = [part for part in parts if not names_host(part, host)]
    return ",".join(kept) if kept else value


def names_host(value: str, host: str) -> bool:
    """Return whether a value has the name of a host, not only as a part of another name."""
    return _pattern(host).search(value) is not None


def _pattern(host: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", re.IGNORECASE)


def with_moved(layout: Layout, moved: Mapping[str, Mapping[str, str]]) -> Layout:
    """Return the layout with the changed properties among its own."""
    configurations = {kind: dict(properties) for kind, properties in layout.configurations.items()}
    for kind, properties in moved.items():
        configurations[kind] = {**properties, **configurations.get(kind, {})}
    return replace(layout, configurations=configurations)


def left_over(
    hosts: Collection[str], configurations: Mapping[str, Mapping[str, str]], changed: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Return the properties that still name a host that leaves, as ``TYPE/NAME (HOST)``."""
    return [
        f"{kind}/{name} ({host})"
        for kind, properties in sorted(configurations.items())
        for name, value in sorted({**properties, **changed.get(kind, {})}.items())
        for host in sorted(hosts)
        if names_host(value, host)
    ]
