"""Which components Ambari will want restarted after a change: a dry run has to know that before anything is changed.

Ambari's own rule, read in the sources of 3.0 (ConfigHelper.calculateIsStaleConfigs): a component is outdated once the
active version of a configuration type that it reads is not the one it was started with. A type that is new counts, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from bigtop_builder.model.ambari_stack import StackDefinition

Place = tuple[str, str]
"""A host and a component on it."""


def outdated_by_type(stack: StackDefinition, places: Iterable[Place], kind: str) -> list[Place]:
    """Return those of the components on hosts that a change of a configuration type makes outdated."""
    found = []
    for host, component in places:
        service = stack.service_of(component)
        if service is not None and kind in stack.services[service].types_read_by(component):
            found.append((host, component))
    return found


def outdated_with(
    stack: StackDefinition, places: Iterable[Place], reason: Literal["added", "rack"], services: Collection[str]
) -> list[Place]:
    """Return the components of these services that Ambari wants restarted after an addition, or a changed rack."""
    asking = {name for name in services if name in stack.services and reason in stack.services[name].restarts_after}
    return [place for place in places if stack.service_of(place[1]) in asking]
