"""Names of properties: what a configuration type has, and which of an inventory's are misspelt.

A name counts as known if it is in the stack's defaults, in ``ambari/properties.txt`` of the templates (Ambari's stacks,
and what Hadoop, HBase, Hive, Spark, Tez and ZooKeeper read), or in the stack of the server, which is asked about other
names alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from bigtop_builder.cluster.layout import Layout
from bigtop_builder.cluster.stack_rest import default_properties
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.recipe.catalog import shipped_templates

Served = Callable[[str | None], Mapping[str, Iterable[str]]]
"""Returns the names of the properties of a service (None: the stack's own), by configuration type."""

SEPARATORS = re.compile(r"[._-]")
ALIKE, PART_ALIKE = 0.8, 0.75
"""How similar a misspelt name is to the meant one, as a whole and in each of its parts."""


@cache
def _listed() -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in (shipped_templates() / "ambari" / "properties.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            kind, _, name = line.partition(" ")
            found.setdefault(kind, set()).add(name)
    return {kind: frozenset(names) for kind, names in found.items()}


def known_properties(stack: StackDefinition, kind: str) -> frozenset[str]:
    """Return the names that are known of a configuration type; empty if nothing is known of it."""
    return frozenset(default_properties(stack, kind)) | _listed().get(kind, frozenset())


def meant(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one stands for; None if it may be a name of its own.

    ``dfs.namenode.rpc-address.ns1.nn1`` and ``hadoop.proxyuser.me.hosts`` are names of their own, however similar to
    ``dfs.namenode.rpc-address`` and ``hadoop.proxyuser.hive.hosts``: parts are added, or other words.
    """
    for other in difflib.get_close_matches(name, known, n=5, cutoff=ALIKE):
        if _squeezed(name) == _squeezed(other):
            return other
        parts, others = SEPARATORS.split(name), SEPARATORS.split(other)
        if len(parts) == len(others) and all(map(_alike, parts, others)):
            return other
        added = parts[: len(others)] == others
        if not added and abs(len(parts) - len(others)) == 1 and _alike(_squeezed(name), _squeezed(other), cutoff=0.95):
            return other
    return None


def _squeezed(name: str) -> str:
    return SEPARATORS.sub("", name).lower()


def _alike(one: str, other: str, cutoff: float = PART_ALIKE) -> bool:
    return one == other or difflib.SequenceMatcher(None, one, other).ratio() >= cutoff


def unknown_properties(stack: StackDefinition, layout: Layout, served: Served | None) -> list[str]:
    """Find properties that a type does not have: misspelt ones, and any where Ambari's page would add none."""
    types = stack.configuration_types()
    scopes = [layout.configurations, *(group.configurations for group in layout.groups)]
    asked: dict[str | None, Mapping[str, Iterable[str]]] = {}
    found = []
    given = dict.fromkeys((kind, name) for scope in scopes for kind, values in scope.items() for name in values)
    for kind, name in given:
        known, service = known_properties(stack, kind), types.get(kind)
        if name not in known and served is not None:
            if service not in asked:
                asked[service] = served(service)
            known |= frozenset(asked[service].get(kind, ()))
        if not known or name in known:
            continue
        supports = stack.services[service].configurations[kind].supports if service else []
        other = meant(name, known)
        if other or "adding_forbidden" in supports:
            found.append(f"{kind} has no property {name}: {f'did you mean {other}?' if other else 'nothing reads it'}")
    return found
