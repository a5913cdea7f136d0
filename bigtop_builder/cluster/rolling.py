"""Rolling upgrades: the order in which the hosts of a service are upgraded, and which of them go one by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bigtop_builder.model.ambari_stack import StackDefinition

ROLLING: Mapping[str, str] = {
    "ZOOKEEPER_SERVER": "an ensemble works as long as a majority of its servers does",
    "JOURNALNODE": "edits are kept as long as a majority of the journals is up",
    "DATANODE": "blocks have replicas on other hosts",
    "NODEMANAGER": "what ran on it is run again on other hosts",
    "HBASE_REGIONSERVER": "its regions are taken over by other servers",
    "KAFKA_BROKER": "partitions have replicas on other brokers",
}
"""Components that are upgraded host by host, and why the service keeps working meanwhile.

All others are upgraded on all hosts at once: nothing is guaranteed for a service with masters of two versions."""

CHECKED = frozenset({"ZOOKEEPER_SERVER", "KAFKA_BROKER"})
"""Those that must have rejoined before the next host is upgraded; the service check shows that."""


@dataclass(frozen=True)
class Wave:
    """Hosts that are upgraded together; if ``checked``, the service must work before the next wave."""

    hosts: tuple[str, ...]
    checked: bool = False


def waves(
    stack: StackDefinition, placed: Mapping[str, Collection[str]], down: Collection[str] = ()
) -> tuple[Wave, ...]:
    """Return the waves. ``placed``: the components to upgrade by host; ``down``: hosts where one of them is stopped.

    Hosts with a component that cannot be upgraded host by host come first, together: masters before their followers.
    Then each of the others alone, the stopped ones first, because nothing is lost with them. Hosts that have only
    clients come last.
    """
    together: list[str] = []
    alone: list[str] = []
    rest: list[str] = []
    for host in sorted(placed, key=lambda name: (name not in down, name)):
        servers = {name for name in placed[host] if not _is_client(stack, name)}
        (rest if not servers else alone if servers <= ROLLING.keys() else together).append(host)
    found = [Wave(tuple(together))] if together else []
    found += [Wave((host,), bool(CHECKED & set(placed[host]))) for host in alone]
    return (*found, Wave(tuple(rest))) if rest else tuple(found)


def _is_client(stack: StackDefinition, name: str) -> bool:
    component = stack.component(name)
    return component is not None and component.is_client
