"""What a deployment expects of Ambari: why components are outdated and, in a dry run, how everything would be by now.

A dry run plays the run: each step that would change components notes here what they would be afterwards, and the steps
after it see them like that. So both tell the same, in the same words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bigtop_builder.cluster.outdated import Place

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.service import HostComponent

EARLIER = "an earlier change"


class Expected:
    """Expectations of one deployment. ``played``: this is a dry run, so components are shown as expected."""

    def __init__(self, *, played: bool = False) -> None:
        self.played = played
        self._added: dict[Place, HostComponent] = {}
        self._removed: set[Place] = set()
        self._states: dict[Place, str] = {}
        self._stale: dict[Place, bool] = {}
        self._reasons: dict[Place, dict[str, None]] = {}
        self.services: dict[str, set[str]] = {}
        """By host, services outside Ambari that a later phase restarts because of what this dry run would change."""
        self.packages: dict[str, dict[str, str]] = {}
        """Packages that are installed by now, by host; only in a dry run."""

    def shown(self, components: Iterable[HostComponent]) -> list[HostComponent]:
        """Return the components that Ambari has, as they are expected to be."""
        if not self.played:
            return list(components)
        present = {(one.host, one.component): one for one in components}
        found = sorted({**self._added, **present}.items())
        return [
            replace(one, state=self._states.get(place, one.state), stale=self._stale.get(place, one.stale))
            for place, one in found
            if place not in self._removed
        ]

    def added(self, components: Iterable[HostComponent]) -> None:
        """Take note of components that are new on their hosts."""
        self._added.update(((one.host, one.component), one) for one in components)

    def removed(self, places: Iterable[Place]) -> None:
        """Take note of components that are no longer on their hosts."""
        self._removed.update(places)

    def outdated(self, places: Iterable[Place], reason: str) -> None:
        """Take note of why components have to be restarted: a configuration type, or something else."""
        for place in places:
            self._reasons.setdefault(place, {})[reason] = None
            self._stale[place] = True

    def restarts(self, host: str, services: Iterable[str]) -> None:
        """Take note of services outside Ambari that a change leaves to be restarted; a run finds marks on the host."""
        if self.played and (found := set(services)):
            self.services.setdefault(host, set()).update(found)

    def state(self, components: Iterable[HostComponent], state: str, *, current: bool = False) -> None:
        """Take note of a state. ``current``: their agents have written the current configuration on the way there."""
        for one in components:
            place = (one.host, one.component)
            self._states[place] = state
            if current:
                self._stale[place] = False
                self._reasons.pop(place, None)

    def why(self, components: Iterable[HostComponent]) -> Sequence[str]:
        """Return the reasons for which components are outdated."""
        reasons: dict[str, None] = {}
        for one in components:
            reasons.update(self._reasons.get((one.host, one.component), {EARLIER: None}))
        return [*reasons]
