"""A basic placement of a stack's components on hosts, like Ambari's advisor for one to three hosts (508, 509)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bigtop_builder.model.ambari_stack import StackDefinition

SECOND = frozenset(
    {"SECONDARY_NAMENODE", "HISTORYSERVER", "HIVE_METASTORE", "HIVE_SERVER", "APP_TIMELINE_SERVER", "HBASE_MASTER"}
)
"""Masters placed on the second host if there is one; others go to the first."""

QUORUM = frozenset({"ZOOKEEPER_SERVER", "KAFKA_BROKER"})
"""Masters placed on up to three hosts."""

UNASKED = frozenset({"SPARK_THRIFTSERVER"})
"""Slaves that the advisor does not place by itself."""

Layout = dict[str, list[str]]
"""Host -> its components, in the order of placement."""


def place(stack: StackDefinition, services: Iterable[str], hosts: Sequence[str]) -> Layout:
    """Place masters on the first and second host, quorums on three, slaves everywhere, clients on the first host."""
    layout: Layout = {host: [] for host in hosts}
    for service in sorted(services):
        for name, component in stack.services[service].components.items():
            if name in UNASKED:
                continue
            if component.cardinality == "ALL" or component.category == "SLAVE":
                chosen: Sequence[str] = hosts
            elif name in QUORUM:
                chosen = hosts[: min(3, len(hosts) - 1 + len(hosts) % 2)] if len(hosts) > 2 else hosts[:1]
            else:
                chosen = [hosts[1 if name in SECOND and len(hosts) > 1 else 0]]
            for host in chosen:
                layout[host].append(name)
    return layout


def problems(
    stack: StackDefinition, services: Iterable[str], layout: Mapping[str, Sequence[str]]
) -> list[tuple[str, str]]:
    """Return component and message of each mistake in a layout: counts, and what must share a host (511)."""
    found = []
    for service in sorted(services):
        for name, component in stack.services[service].components.items():
            hosts = [host for host, components in layout.items() if name in components]
            message = _count_message(component.cardinality, component.title, len(hosts), len(layout))
            if message:
                found.append((name, message))
            for one in component.dependencies:
                other = stack.component(one.component)
                if one.scope == "host" and (other is None or not other.is_client) and hosts:
                    apart = [host for host in hosts if one.component not in layout[host]]
                    if apart:
                        where = f"on following host(s): {', '.join(sorted(apart))}."
                        found.append((name, f"{component.title} requires {one.component}  to be co-hosted {where}"))
    return found


def _count_message(cardinality: str, title: str, actual: int, everywhere: int) -> str | None:
    end = f"{title} components should be installed in cluster."
    if cardinality == "ALL":
        return None if actual == everywhere else f"{title} component should be installed on all {everywhere} hosts."
    if cardinality.endswith("+"):
        return None if actual >= int(cardinality[:-1]) else f"At least {cardinality[:-1]} {end}"
    low, _, high = cardinality.partition("-")
    if int(low) <= actual <= int(high or low):
        return None
    return f"Between {low} and {high} {end}" if high else f"Exactly {low} {end}"
