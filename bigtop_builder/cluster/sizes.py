"""Heaps and container memory for the hosts at hand, instead of the stack's values, which suit large hosts.

The rules of ``from-facts`` are those of Ambari's stack advisor (reserved memory and smallest container by the memory of
a host, 0.8 of a container for its heap, 0.4 for sorting) and of Hortonworks' guide to memory configuration of YARN (two
containers per processor). The shares of the daemons are our own: the advisor gives a NameNode half of the memory, even
on a host that also runs containers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bigtop_builder.cluster.layout import Layout
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.layout_choice import Size

Values = dict[str, dict[str, str]]


@dataclass(frozen=True)
class HostSize:
    """A host's memory in MiB, and its processors."""

    memory: int
    cpus: int


@dataclass(frozen=True)
class Heap:
    """The heap of a daemon: a share of the memory that its host has for services, within limits in MiB."""

    property: str
    """``hadoop-env/namenode_heapsize``; several components may have the same."""
    small: int
    share: float
    least: int
    most: int
    unit: str = ""


HEAPS: Mapping[str, Heap] = {
    "NAMENODE": Heap("hadoop-env/namenode_heapsize", 256, 1 / 4, 256, 65536, "m"),
    "SECONDARY_NAMENODE": Heap("hadoop-env/namenode_heapsize", 256, 1 / 4, 256, 65536, "m"),
    "DATANODE": Heap("hadoop-env/dtnode_heapsize", 256, 1 / 16, 256, 4096, "m"),
    "RESOURCEMANAGER": Heap("yarn-env/resourcemanager_heapsize", 256, 1 / 16, 256, 8192),
    "NODEMANAGER": Heap("yarn-env/nodemanager_heapsize", 256, 1 / 16, 256, 2048),
    "APP_TIMELINE_SERVER": Heap("yarn-env/apptimelineserver_heapsize", 256, 1 / 16, 256, 8192),
    "TIMELINE_READER": Heap("yarn-env/yarn_heapsize", 256, 1 / 32, 256, 1024),
    "HISTORYSERVER": Heap("mapred-env/jobhistory_heapsize", 256, 1 / 16, 256, 4096),
    "ZOOKEEPER_SERVER": Heap("zookeeper-env/zk_server_heapsize", 256, 1 / 32, 256, 4096, "m"),
    "HBASE_MASTER": Heap("hbase-env/hbase_master_heapsize", 512, 1 / 16, 512, 8192),
    # Above 31 GiB the JVM needs larger pointers, and collections take long.
    "HBASE_REGIONSERVER": Heap("hbase-env/hbase_regionserver_heapsize", 512, 1 / 4, 512, 31744),
    "HIVE_SERVER": Heap("hive-env/hive.heapsize", 512, 1 / 8, 512, 24576),
    "HIVE_METASTORE": Heap("hive-env/hive.metastore.heapsize", 512, 1 / 8, 512, 24576),
    "SPARK_JOBHISTORYSERVER": Heap("spark-env/spark_daemon_memory", 512, 1 / 16, 512, 4096),
    "SPARK_THRIFTSERVER": Heap("spark-env/spark_daemon_memory", 512, 1 / 16, 512, 4096),
}
"""By component. On a host of the cluster that has the least memory for it, the share decides; see ``_heaps``."""

RESERVED = ((4, 1), (16, 2), (24, 4), (48, 6), (72, 8), (96, 12), (128, 24), (256, 32))
"""GiB up to which so many GiB are left to the operating system (Ambari's stack advisor)."""
RESERVED_MOST = 64
SMALLEST_CONTAINER = ((3, 128), (4, 256), (8, 512))
"""GiB up to which this is the smallest container in MiB (Ambari's stack advisor)."""
SMALLEST_CONTAINER_MOST = 1024
JVM = 1.25
"""The memory of a daemon, as a multiple of its heap."""

SMALL_CONTAINERS = {"total": 1536, "least": 128, "task": 256, "master": 384, "sort": 50, "buffer": 20}


def sizes(choice: Size, layout: Layout, stack: StackDefinition, hosts: Mapping[str, HostSize]) -> Values:
    """Return the properties for ``choice``, by configuration type; only of services that the layout has.

    ``from-facts`` requires the size of every host; ``small`` of none.
    """
    properties = dict(_small(layout) if choice == "small" else _proportional(layout, hosts))
    services = {stack.service_of(name) for name in layout.components}
    types = stack.configuration_types()
    found: Values = {}
    for place, value in properties.items():
        kind, _, name = place.partition("/")
        if types.get(kind) in services:
            found.setdefault(kind, {})[name] = value
    return found


def _small(layout: Layout) -> Iterator[tuple[str, str]]:
    heaps = {HEAPS[name].property: HEAPS[name] for name in layout.components if name in HEAPS}
    yield from ((place, f"{heap.small}{heap.unit}") for place, heap in heaps.items())
    yield from _young("NAMENODE" in layout.components, 256)
    yield "hadoop-env/hadoop_heapsize", "256"
    yield "hdfs-site/dfs.namenode.handler.count", "40"
    yield from _containers(**SMALL_CONTAINERS)


def _proportional(layout: Layout, hosts: Mapping[str, HostSize]) -> Iterator[tuple[str, str]]:
    heaps = _heaps(layout, hosts)
    units = {HEAPS[name].property: HEAPS[name].unit for name in HEAPS}
    yield from ((place, f"{heap}{units[place]}") for place, heap in heaps.items())
    yield from _young("NAMENODE" in layout.components, heaps.get(HEAPS["NAMENODE"].property, 0))
    yield "hadoop-env/hadoop_heapsize", str(max(256, min(1024, min(map(available, hosts.values())) // 16)))
    nodes = layout.hosts_with("NODEMANAGER")
    if nodes:
        # Ambari has one value for all: that of the host with the least memory works on the others too.
        node = min(nodes, key=lambda name: _for_containers(layout, name, hosts[name], heaps))
        total = _for_containers(layout, node, hosts[node], heaps)
        least = _smallest_container(hosts[node])
        total = max(least * 2, total // least * least)
        count = max(1, min(2 * hosts[node].cpus, total // least))
        task = max(least, total // count // least * least)
        sort = min(1024, round(0.4 * task))
        yield from _containers(total, least, task, min(2 * task, total), sort, max(20, round(0.075 * task)))


def _heaps(layout: Layout, hosts: Mapping[str, HostSize]) -> dict[str, int]:
    """Return each heap in MiB by property: the least over the hosts with a component that has it.

    All heaps of a host take at most 3/4 of what its services have; half if containers run there.
    """
    found: dict[str, int] = {}
    for name, group in layout.hosts.items():
        present = [HEAPS[one] for one in group.names if one in HEAPS]
        memory = available(hosts[name])
        wanted = {one: max(one.least, min(one.most, int(memory * one.share))) for one in present}
        limit = memory * (0.5 if "NODEMANAGER" in group.names else 0.75)
        factor = min(1.0, limit / (JVM * sum(wanted.values()))) if wanted else 1.0
        for one, heap in wanted.items():
            # 128 MiB is the least with which every daemon has been seen to start.
            fitting = max(128, int(heap * factor))
            found[one.property] = min(found.get(one.property, fitting), fitting)
    return found


def available(host: HostSize) -> int:
    """Return the MiB that services have on a host; the rest is left to the operating system."""
    gib = host.memory >> 10
    reserved = next((least for most, least in RESERVED if gib <= most), RESERVED_MOST)
    return max(512, host.memory - (reserved << 10))


def _smallest_container(host: HostSize) -> int:
    gib = host.memory >> 10
    return next((size for most, size in SMALLEST_CONTAINER if gib <= most), SMALLEST_CONTAINER_MOST)


def _for_containers(layout: Layout, name: str, host: HostSize, heaps: Mapping[str, int]) -> int:
    daemons = [heaps[HEAPS[one].property] for one in layout.hosts[name].names if one in HEAPS]
    return available(host) - int(JVM * sum(daemons))


def _young(wanted: bool, heap: int) -> Iterator[tuple[str, str]]:
    if wanted:
        young = f"{max(64, heap // 8)}m"
        yield "hadoop-env/namenode_opt_newsize", young
        yield "hadoop-env/namenode_opt_maxnewsize", young


def _containers(total: int, least: int, task: int, master: int, sort: int, buffer: int) -> Iterator[tuple[str, str]]:
    """Yield what YARN, MapReduce, Tez and Hive need to run tasks of ``task`` MiB under a master of ``master`` MiB."""
    heap = f"-Xmx{int(task * 0.8)}m"
    yield "yarn-site/yarn.nodemanager.resource.memory-mb", str(total)
    yield "yarn-site/yarn.scheduler.minimum-allocation-mb", str(least)
    yield "yarn-site/yarn.scheduler.maximum-allocation-mb", str(total)
    yield "mapred-site/mapreduce.map.memory.mb", str(task)
    yield "mapred-site/mapreduce.reduce.memory.mb", str(task)
    yield "mapred-site/mapreduce.map.java.opts", heap
    yield "mapred-site/mapreduce.reduce.java.opts", heap
    yield "mapred-site/yarn.app.mapreduce.am.resource.mb", str(master)
    yield "mapred-site/yarn.app.mapreduce.am.command-opts", f"-Xmx{int(master * 0.8)}m"
    yield "mapred-site/mapreduce.task.io.sort.mb", str(sort)
    yield "tez-site/tez.am.resource.memory.mb", str(master)
    yield "tez-site/tez.task.resource.memory.mb", str(task)
    yield "tez-site/tez.runtime.io.sort.mb", str(sort)
    yield "tez-site/tez.runtime.unordered.output.buffer.size-mb", str(buffer)
    yield "hive-site/hive.tez.container.size", str(task)
