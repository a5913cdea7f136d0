"""A preview: a silent dry run, which finds out what a run will disrupt before the run changes anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from bigtop_builder.flow.deploy.consent import Confirm, Consent, Question
from bigtop_builder.flow.deploy.deployment import Deployment
from bigtop_builder.flow.deploy.phase_runner import PhaseWork
from bigtop_builder.flow.deploy.preflight import check_own
from bigtop_builder.hosts.standalone import validate_standalone
from bigtop_builder.model.errors import BigtopBuilderError
from bigtop_builder.model.event import AnyEvent, Change, Phase

HARMLESS: frozenset[Phase] = frozenset({"check", "prepare", "ambari", "repository", "layout", "verify"})
"""Phases that disrupt nothing of a cluster."""


class Disruptions:
    """Collects the planned changes that disrupt something, as the events of a dry run come."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def __call__(self, event: AnyEvent) -> None:
        """Take in one event."""
        if isinstance(event, Change) and event.disrupts:
            self.changes.append(event)

    @property
    def lines(self) -> list[str]:
        """The changes as lines for people."""
        return [f"{change.host}: {change.name}" if change.host else change.name for change in self.changes]

    @property
    def consent(self) -> Consent:
        """Consent to these changes and no others."""
        return Consent({name for change in self.changes for name in change.disrupts})


def preview(deployment: Deployment, phases: Sequence[Phase], table: Mapping[Phase, PhaseWork]) -> None:
    """Run the dry run of the phases that may disrupt something.

    An error ends a phase, and a mistake in the inventory or a server that does not accept us ends all of it: the run
    meets the same one, and disrupts only what was seen until then.
    """
    try:
        check_own(deployment.connections, deployment.world)
        if deployment.world.inventory.ambari is not None:
            _ = deployment.world.server_answers
    except BigtopBuilderError:
        return
    if validate_standalone(deployment.world.loaded):
        return
    for phase in phases:
        if phase in table and phase not in HARMLESS:
            deployment.reporter.begin(phase)
            with suppress(BigtopBuilderError):
                table[phase](deployment)


def ask(found: Disruptions, cluster: str, confirm: Confirm) -> Consent:
    """Ask for the disruptions, if there are any, and return the consent to them. Raises ConfigurationError."""
    if found.changes:
        confirm(Question(f"this disrupts what runs on cluster {cluster}", found.lines))
    return found.consent
