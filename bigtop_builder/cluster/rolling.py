"""In which order the hosts of a service move to other packages, and which of them may move alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bigtop_builder.model.ambari_stack import StackDefinition

ROLLING: Mapping[str, str] = {
    "ZOOKEEPER_SERVER": "an ensemble works as long as most of its servers do",
    "JOURNALNODE": "edits are kept as long as most journals are there",
    "DATANODE": "blocks have replicas on other hosts",
    "NODEMANAGER": "what ran on it is run again on other hosts",
    "HBASE_REGIONSERVER": "its regions are taken over by other servers",
    "KAFKA_BROKER": "partitions have replicas on other brokers",
}
"""Components that move one host after the other, and why the service goes on meanwhile. All others move on all of
their hosts at once, for a service whose masters are of two versions promises nothing."""

CHECKED = frozenset({"ZOOKEEPER_SERVER", "KAFKA_BROKER"})
"""Of those, the ones of which a second may only go when the first has joined again, which the service check tells."""


@dataclass(frozen=True)
class Wave:
    """Hosts that move together; ``checked``: the service must work before the next wave."""

    hosts: tuple[str, ...]
    checked: bool = False


def waves(
    stack: StackDefinition, placed: Mapping[str, Collection[str]], down: Collection[str] = ()
) -> tuple[Wave, ...]:
    """``placed``: by host the components that move; ``down``: hosts where one of them does not run.

    Hosts with a component that cannot roll come first, together: masters before those that follow them. Then each of
    the others alone, those that are down first, for nothing is lost with them. Hosts with clients alone are the last.
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
