"""Sizes for the hosts at hand: small as it worked on a real cluster, from-facts within what hosts have."""

from __future__ import annotations

import pytest

from bigtop_builder.cluster.layout import Layout, LayoutGroup, Placed
from bigtop_builder.cluster.sizes import HEAPS, JVM, HostSize, available, sizes
from bigtop_builder.cluster.stack_data import load_stack

STACK = load_stack()
MASTER = (
    "NAMENODE RESOURCEMANAGER APP_TIMELINE_SERVER TIMELINE_READER HISTORYSERVER SPARK_JOBHISTORYSERVER "
    "ZOOKEEPER_SERVER DATANODE NODEMANAGER TEZ_CLIENT"
)
WORKER = "DATANODE NODEMANAGER"


def layout(**groups: str) -> Layout:
    return Layout(
        tuple(
            LayoutGroup(name, (f"{name}.x.org",), tuple(map(Placed, components.split())))
            for name, components in groups.items()
        )
    )


def test_small_is_what_worked_on_three_hosts_that_share_a_machine() -> None:
    """The values of the inventory that was deployed by hand on a real server; there each was a line of its own."""
    found = sizes("small", layout(master=MASTER, worker=WORKER), STACK, {})
    assert found["hadoop-env"] == {
        "namenode_heapsize": "256m",
        "namenode_opt_newsize": "64m",
        "namenode_opt_maxnewsize": "64m",
        "dtnode_heapsize": "256m",
        "hadoop_heapsize": "256",
    }
    assert found["hdfs-site"] == {"dfs.namenode.handler.count": "40"}
    assert found["yarn-env"] == {
        "resourcemanager_heapsize": "256",
        "nodemanager_heapsize": "256",
        "apptimelineserver_heapsize": "256",
        "yarn_heapsize": "256",
    }
    assert found["mapred-env"] == {"jobhistory_heapsize": "256"}
    assert found["mapred-site"] == {
        "mapreduce.map.memory.mb": "256",
        "mapreduce.reduce.memory.mb": "256",
        "mapreduce.map.java.opts": "-Xmx204m",
        "mapreduce.reduce.java.opts": "-Xmx204m",
        "yarn.app.mapreduce.am.resource.mb": "384",
        "yarn.app.mapreduce.am.command-opts": "-Xmx307m",
        "mapreduce.task.io.sort.mb": "50",
    }
    assert found["tez-site"] == {
        "tez.am.resource.memory.mb": "384",
        "tez.task.resource.memory.mb": "256",
        "tez.runtime.io.sort.mb": "50",
        "tez.runtime.unordered.output.buffer.size-mb": "20",
    }
    assert found["yarn-site"] == {
        "yarn.nodemanager.resource.memory-mb": "1536",
        "yarn.scheduler.minimum-allocation-mb": "128",
        "yarn.scheduler.maximum-allocation-mb": "1536",
    }


def test_only_what_the_layout_has_is_set() -> None:
    found = sizes("small", layout(one="ZOOKEEPER_SERVER"), STACK, {})
    assert found == {"zookeeper-env": {"zk_server_heapsize": "256m"}}


@pytest.mark.parametrize("gib", [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512])
@pytest.mark.parametrize("cpus", [1, 4, 64])
def test_from_facts_daemons_and_containers_fit_into_every_host(gib: int, cpus: int) -> None:
    wanted = layout(master=MASTER, worker=WORKER)
    hosts = dict.fromkeys(wanted.hosts, HostSize((gib << 10) - 200, cpus))
    found = sizes("from-facts", wanted, STACK, hosts)
    total = int(found["yarn-site"]["yarn.nodemanager.resource.memory-mb"])
    least = int(found["yarn-site"]["yarn.scheduler.minimum-allocation-mb"])
    task = int(found["mapred-site"]["mapreduce.map.memory.mb"])
    master = int(found["mapred-site"]["yarn.app.mapreduce.am.resource.mb"])
    assert least <= task <= master <= total
    assert total % least == 0
    assert int(found["mapred-site"]["mapreduce.task.io.sort.mb"]) < task * 0.8
    for group in wanted.groups:
        heaps = [_heap(found, name) for name in group.names if name in HEAPS]
        if gib >= 4:
            assert total + JVM * sum(heaps) <= available(hosts[group.hosts[0]]) + least


def _heap(found: dict[str, dict[str, str]], component: str) -> int:
    kind, _, name = HEAPS[component].property.partition("/")
    return int(found[kind][name].rstrip("m"))


def test_from_facts_grows_with_the_hosts() -> None:
    wanted = layout(master="NAMENODE RESOURCEMANAGER", worker=WORKER)

    def of(gib: int) -> dict[str, dict[str, str]]:
        return sizes("from-facts", wanted, STACK, dict.fromkeys(wanted.hosts, HostSize(gib << 10, 16)))

    small, large = of(16), of(128)
    assert _heap(large, "NAMENODE") > 4 * _heap(small, "NAMENODE")
    nodes = "yarn.nodemanager.resource.memory-mb"
    assert int(large["yarn-site"][nodes]) > 4 * int(small["yarn-site"][nodes])


def test_from_facts_the_worker_with_the_least_memory_decides_on_containers() -> None:
    wanted = layout(master="NAMENODE", one=WORKER, two=WORKER)
    hosts = {"master.x.org": HostSize(65536, 8), "one.x.org": HostSize(65536, 8), "two.x.org": HostSize(16384, 8)}
    alike = hosts | {"one.x.org": HostSize(16384, 8)}
    mixed, same = (sizes("from-facts", wanted, STACK, one) for one in (hosts, alike))
    assert mixed["yarn-site"] == same["yarn-site"]
    assert mixed["hadoop-env"]["namenode_heapsize"] == same["hadoop-env"]["namenode_heapsize"]


def test_every_property_is_of_a_service_of_its_component() -> None:
    types = STACK.configuration_types()
    for name, heap in HEAPS.items():
        service = STACK.service_of(name)
        assert types[heap.property.partition("/")[0]] == service, name
