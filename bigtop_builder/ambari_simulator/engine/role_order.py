"""The stages of a request: what has to start or stop before what (``role_command_order.json`` of the stack).

Recorded (655): DataNodes, NameNode and ZooKeeper start together, then what needs HDFS, then NodeManagers, last Spark's
history server, which waits for Hive's metastore and so for NodeManagers, though the cluster has no Hive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bigtop_builder.ambari_simulator.engine.task import Task
from bigtop_builder.model.ambari_stack import StackDefinition

STOPS: Mapping[str, tuple[str, ...]] = {
    "DATANODE": ("RESOURCEMANAGER", "NODEMANAGER", "HISTORYSERVER", "HBASE_MASTER", "METRICS_COLLECTOR"),
    "HBASE_MASTER": ("HBASE_REGIONSERVER",),
    "JOURNALNODE": ("NAMENODE",),
    "METRICS_COLLECTOR": ("METRICS_GRAFANA",),
    "NAMENODE": ("RESOURCEMANAGER", "NODEMANAGER", "HISTORYSERVER", "HBASE_MASTER", "METRICS_COLLECTOR"),
    "RESOURCEMANAGER": ("SPARK_THRIFTSERVER",),
    "SECONDARY_NAMENODE": ("METRICS_COLLECTOR",),
    "ZKFC": ("NAMENODE",),
    "ZOOKEEPER_SERVER": ("HBASE_MASTER", "HBASE_REGIONSERVER", "METRICS_COLLECTOR", "SOLR_SERVER"),
}
"""Component -> what stops before it, in stacks 3.2 and 3.3 of BIGTOP."""
ONLY_WITH_TWO: Mapping[str, frozenset[str]] = {
    "NAMENODE": frozenset({"JOURNALNODE", "ZKFC", "ZOOKEEPER_SERVER"}),
    "RESOURCEMANAGER": frozenset({"ZOOKEEPER_SERVER"}),
}
"""Masters, and what they wait for only when there are two of them."""


def staged(
    stack: StackDefinition, command: str, tasks: Sequence[Task], layout: Mapping[str, Sequence[str]]
) -> list[list[Task]]:
    """Return tasks of one command in stages. ``layout``: component -> its hosts in the cluster."""
    before = _before(stack, command, layout)
    roles = {task.role for task in tasks}
    blocked = {role: _reached(role, before) & roles - {role} for role in roles}
    stages: list[list[Task]] = []
    waiting = set(roles)
    while waiting:
        # A circle must not keep a request from ending.
        free = {role for role in waiting if not blocked[role] & waiting} or waiting
        stages.append([task for task in tasks if task.role in free])
        waiting = waiting - free
    return stages


def _before(stack: StackDefinition, command: str, layout: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    if command == "STOP":
        return dict(STOPS)
    if command != "START":
        return {}
    found = {}
    for service in stack.services.values():
        for name, component in service.components.items():
            optional = ONLY_WITH_TWO.get(name, frozenset()) if len(layout.get(name, ())) < 2 else frozenset()
            found[name] = tuple(one for one in component.after if one not in optional)
    return found


def _reached(role: str, before: Mapping[str, tuple[str, ...]]) -> set[str]:
    """What must come before a role, also through roles that the cluster does not have."""
    found: set[str] = set()
    todo = [role]
    while todo:
        for one in before.get(todo.pop(), ()):
            if one not in found:
                found.add(one)
                todo.append(one)
    return found
