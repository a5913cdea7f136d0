"""Groups of hosts with the same components, and ranges of their names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bigtop_builder.cluster.adoption.found import Configurations, FoundGroup
from bigtop_builder.cluster.layout import Placed
from bigtop_builder.model.ambari_stack import StackDefinition

_NUMBERED = re.compile(r"([^.]*?)([0-9]{1,9})([^0-9.]*(?:\..*)?)\Z")
"""The last number of a host's own name."""
NAMES = {"MASTER": "masters", "SLAVE": "workers", "CLIENT": "clients"}
"""What a group is called by the most important of its components."""


@dataclass(frozen=True)
class HostGroup:
    """A configuration group of Ambari's: hosts of a service with properties of their own."""

    name: str
    service: str
    hosts: frozenset[str]
    configurations: Configurations


def ranges(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return hosts with successive numbers as ranges: ``node1.x``, ``node2.x`` → ``node[1-2].x``."""
    numbered: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    found: dict[tuple[str, str, int, int], str] = {}
    for host in hosts:
        match = _NUMBERED.match(host)
        if match is None:
            found[host, "", 0, 0] = host
            continue
        prefix, digits, suffix = match.groups()
        # Zeros in front give all numbers of a range one width; without them each has its own.
        width = len(digits) if digits.startswith("0") else 0
        numbered[prefix, suffix, width].append(int(digits))
    for (prefix, suffix, width), numbers in numbered.items():
        for first, last in _runs(sorted(set(numbers))):
            shown = f"{first:0{width}d}" if first == last else f"[{first:0{width}d}-{last:0{width}d}]"
            found[prefix, suffix, width, first] = f"{prefix}{shown}{suffix}"
    return tuple(found[key] for key in sorted(found))


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


def groups_of(
    components: Mapping[str, Iterable[Placed]], own: Sequence[HostGroup], stack: StackDefinition
) -> tuple[tuple[FoundGroup, ...], tuple[str, ...]]:
    """Return groups of hosts with the same components and configurations; and what the groups cannot express.

    ``own`` are Ambari's configuration groups. One that has hosts of several groups, or only some of the hosts of
    another one, is not an inventory's: it is left alone.
    """
    sets = {host: frozenset(placed) for host, placed in components.items()}
    accepted: list[HostGroup] = []
    notes = []
    for group in sorted(own, key=lambda one: (len(one.hosts), one.service, one.name)):
        known = group.hosts & {*sets}
        fits = len({sets[host] for host in known}) == 1 and known == group.hosts
        if fits and all(other.hosts == group.hosts or not other.hosts & group.hosts for other in accepted):
            accepted.append(group)
        else:
            where = f"hosts {', '.join(ranges(group.hosts))}, which are no group here" if group.hosts else "no hosts"
            notes.append(
                f"Ambari's configuration group {group.name!r} of {group.service} has {where}: deploy leaves it alone."
            )
    classes: dict[tuple[frozenset[Placed], frozenset[str]], list[str]] = defaultdict(list)
    for host in sorted(sets):
        hosts = next((group.hosts for group in accepted if host in group.hosts), frozenset[str]())
        classes[sets[host], hosts].append(host)
    found = []
    counts = Counter[str]()
    ordered = sorted(classes.items(), key=lambda item: (_rank(stack, item[0][0]), item[1]))
    for (placed, _), hosts_of in ordered:
        name = NAMES[_category(stack, placed)]
        counts[name] += 1
        found.append(
            FoundGroup(
                name if counts[name] == 1 else f"{name}-{counts[name]}",
                ranges(hosts_of),
                _ordered(stack, placed),
                _merged(group for group in accepted if group.hosts == frozenset(hosts_of)),
                tuple(
                    f"Ambari's configuration group {group.name!r} of {group.service} has these hosts."
                    for group in accepted
                    if group.hosts == frozenset(hosts_of)
                ),
            )
        )
    return tuple(found), tuple(notes)


def _merged(groups: Iterable[HostGroup]) -> Configurations:
    return {kind: one for group in groups for kind, one in group.configurations.items()}


def _category(stack: StackDefinition, placed: Iterable[Placed]) -> str:
    known = {found.category for one in placed if (found := stack.component(one.name)) is not None}
    return next((name for name in NAMES if name in known), "CLIENT")


def _rank(stack: StackDefinition, placed: Iterable[Placed]) -> int:
    return list(NAMES).index(_category(stack, placed))


def _ordered(stack: StackDefinition, placed: Iterable[Placed]) -> tuple[Placed, ...]:
    """Return components in the order of the stack's services."""
    order = [name for service in stack.services.values() for name in service.components]
    rank = {name: number for number, name in enumerate(order)}
    return tuple(sorted(placed, key=lambda one: (rank.get(one.name, len(rank)), one.name)))
