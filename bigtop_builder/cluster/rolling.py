"""Rolling upgrades and restarts: in which order components and hosts take turns, and how many hosts at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bigtop_builder.model.ambari_stack import StackDefinition

Restarts = Literal["rolling", "all", "none"]
"""How outdated components are restarted: in turns, all at once, or not at all."""

ROLLING: Mapping[str, str] = {
    "ZOOKEEPER_SERVER": "an ensemble works as long as a majority of its servers does",
    "JOURNALNODE": "edits are kept as long as a majority of the journals is up",
    "DATANODE": "blocks have replicas on other hosts",
    "NODEMANAGER": "what ran on it is run again on other hosts",
    "HBASE_REGIONSERVER": "its regions are taken over by other servers",
    "KAFKA_BROKER": "partitions have replicas on other brokers",
}
"""Components that are upgraded on some hosts at a time, and why the service keeps working meanwhile.

All others are upgraded on all hosts at once: nothing is guaranteed for a service with masters of two versions. Masters
of one version may restart one after the other."""

ALONE = frozenset({"ZOOKEEPER_SERVER", "JOURNALNODE", "KAFKA_BROKER"})
"""Those of which only one may be down. Of the others a tenth may, as in the rolling restarts of Ambari's web page."""
TURN = 10

CHECKED = frozenset({"ZOOKEEPER_SERVER", "KAFKA_BROKER"})
"""Those that must have rejoined before the next host has its turn; the service check shows that."""


@dataclass(frozen=True)
class Wave:
    """Hosts that have their turn together; if ``checked``, the service must work before the next wave."""

    hosts: tuple[str, ...]
    checked: bool = False


def waves(
    stack: StackDefinition, placed: Mapping[str, Collection[str]], down: Collection[str] = ()
) -> tuple[Wave, ...]:
    """Return the waves. ``placed``: the components to upgrade by host; ``down``: hosts where one of them is stopped.

    Hosts with a component that cannot be upgraded host by host come first, together: masters before their followers.
    Then the others, the stopped ones first, because nothing is lost with them: alone, or a tenth of them at a time.
    Hosts that have only clients come last.
    """
    together: list[str] = []
    alone: list[str] = []
    rolling: list[str] = []
    rest: list[str] = []
    for host in sorted(placed, key=lambda name: (name not in down, name)):
        servers = {name for name in placed[host] if not _is_client(stack, name)}
        if servers and servers <= ROLLING.keys():
            (alone if ALONE & servers else rolling).append(host)
        else:
            (together if servers else rest).append(host)
    found = [Wave(tuple(together))] if together else []
    found += [Wave((host,), bool(CHECKED & set(placed[host]))) for host in alone]
    found += [Wave(hosts) for hosts in turns(rolling)]
    return (*found, Wave(tuple(rest))) if rest else tuple(found)


def turns(hosts: Sequence[str], *, alone: bool = False) -> list[tuple[str, ...]]:
    """Return hosts in groups that may be down together: a tenth of them, rounded up, or one if ``alone``."""
    size = 1 if alone else max(1, -(-len(hosts) // TURN))
    return [tuple(hosts[start : start + size]) for start in range(0, len(hosts), size)]


@dataclass(frozen=True)
class Restart:
    """Components that restart together on some hosts; ``checked`` as in a wave.

    ``watched``: more hosts with the same component follow, which stay as they are if the component does not stay up.
    """

    components: tuple[str, ...]
    hosts: tuple[str, ...]
    checked: bool = False
    watched: bool = False


def restarts(
    stack: StackDefinition,
    placed: Mapping[str, Collection[str]],
    first: Mapping[str, Collection[str]] | None = None,
    *,
    together: bool = False,
) -> tuple[Restart, ...]:
    """Return the restarts of components, by component their hosts, in an order that keeps services up.

    A component comes after those that must run before it starts. Masters restart one after the other, the hosts in
    ``first`` (by component: those of a standby) before the others; followers in turns. Clients come last. With
    ``together`` everything but clients restarts at once.
    """
    clients = sorted(name for name in placed if _is_client(stack, name))
    servers = start_order(stack, [name for name in placed if name not in clients])
    found = []
    if together and servers:
        hosts = sorted({host for name in servers for host in placed[name]})
        found.append(Restart(tuple(servers), tuple(hosts), bool(CHECKED & {*servers})))
        servers = []
    for name in servers:
        early = set((first or {}).get(name, ()))
        hosts = [*sorted(early & set(placed[name])), *sorted(set(placed[name]) - early)]
        component = stack.component(name)
        alone = name in ALONE or (component is not None and component.category == "MASTER")
        groups = turns(hosts, alone=alone)
        for number, group in enumerate(groups, start=1):
            checked = name in CHECKED
            found.append(Restart((name,), group, checked, number == 1 < len(groups) and not checked))
    if clients:
        found.append(Restart(tuple(clients), tuple(sorted({host for name in clients for host in placed[name]}))))
    return tuple(found)


def start_order(stack: StackDefinition, components: Iterable[str]) -> list[str]:
    """Return components so that each comes after those it starts after, also through components not among them.

    What is free to start goes by category, masters first, then by the order of the stack.
    """
    wanted = set(components)
    known = [name for service in stack.services.values() for name in service.components]
    place = {name: (_is_follower(stack, name), number) for number, name in enumerate(known)}
    done: dict[str, None] = {}
    waiting = sorted([*known, *sorted(wanted - set(known))], key=lambda name: place.get(name, (True, len(known))))
    while waiting:
        free = (name for name in waiting if not set(_after(stack, name)) & set(waiting))
        # A circle in an overlay's data must not stop a deployment.
        name = next(free, waiting[0])
        waiting.remove(name)
        done[name] = None
    return [name for name in done if name in wanted]


def _after(stack: StackDefinition, name: str) -> Sequence[str]:
    component = stack.component(name)
    return [*component.after, *component.restart_after] if component else ()


def _is_follower(stack: StackDefinition, name: str) -> bool:
    component = stack.component(name)
    return component is None or component.category != "MASTER"


def _is_client(stack: StackDefinition, name: str) -> bool:
    component = stack.component(name)
    return component is not None and component.is_client
