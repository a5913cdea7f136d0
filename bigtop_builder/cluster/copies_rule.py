"""The rule for services that keep copies of data on several hosts: no more copies than hosts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bigtop_builder.cluster.layout import Layout, property_text
from bigtop_builder.cluster.problem import Problem
from bigtop_builder.model.properties import Secret


@dataclass(frozen=True)
class Copies:
    """A property with the number of copies, and what happens with too few hosts.

    ``default`` is the value in the stack, or None where Ambari's advisor chooses one.
    """

    component: str
    kind: str
    name: str
    default: str | None
    otherwise: str


KEPT = (
    Copies("DATANODE", "hdfs-site", "dfs.replication", None, "every block of HDFS counts as under-replicated"),
    Copies(
        *("KAFKA_BROKER", "kafka-broker", "offsets.topic.replication.factor", "3"),
        "Kafka cannot make the topic that keeps consumers' offsets, and consumers wait for ever",
    ),
)
"""With the defaults of Ambari's stack BIGTOP 3.2.0."""


def copies_problems(layout: Layout) -> Iterator[Problem]:
    """Yield a warning for each service that shall keep more copies than it has hosts."""
    for one in KEPT:
        hosts = layout.hosts_with(one.component)
        value = layout.property(one.kind, one.name)
        text = (one.default or "") if value is None or isinstance(value, Secret) else property_text(value)
        if hosts and text.isdigit() and int(text) > len(hosts):
            given = f"is {text}" if value is not None else f"is not given, and the stack's default is {text},"
            yield Problem(
                ("configurations", *((one.kind, one.name) if value is not None else ())),
                f"{one.kind} {one.name} {given} but there are {len(hosts)} of {one.component}: "
                f"{one.otherwise}; set it to {len(hosts)}, or add hosts",
                warning=True,
            )
