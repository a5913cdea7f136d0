"""A basic placement of a stack's components on hosts, like Ambari's advisor for one to three hosts (508, 509)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bigtop_builder.model.ambari_stack import StackComponent, StackDefinition

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
    """Return component and message of each mistake in a layout: what must share a host (511, 741), and counts."""
    wanted = sorted(services)
    chosen = {name: one for service in wanted for name, one in stack.services[service].components.items()}
    found = [pair for name, one in chosen.items() for pair in _apart(name, one, chosen, layout)]
    for name, component in chosen.items():
        count = sum(name in components for components in layout.values())
        message = _count_message(component.cardinality, component.title, count, len(layout))
        if message:
            found.append((name, message))
    return found


def _apart(
    name: str, component: StackComponent, chosen: Mapping[str, StackComponent], layout: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Yield what a component misses. Of clients the advisor minds only those of services that were not chosen (741)."""
    hosts = sorted(host for host, components in layout.items() if name in components)
    if component.is_client or not hosts:
        return
    for one in component.dependencies:
        other = chosen.get(one.component)
        if one.when or (other is not None and other.is_client):
            continue
        title = other.title if other is not None else one.component
        if one.scope == "host":
            apart = [host for host in hosts if one.component not in layout[host]]
            if apart:
                where = f"to be co-hosted on following host(s): {', '.join(apart)}."
                yield name, f"{component.title} requires {title}  {where}"
        elif not any(one.component in components for components in layout.values()):
            yield name, f"{component.title} requires {title} to be present in the cluster."


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
