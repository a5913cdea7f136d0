"""``verified.yaml``: what has been built and run of a component, as ``verify-component`` writes it down."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from bigtop_builder.model.base import Name, PlainText, Sha256, StrictModel, UpstreamVersion

Date = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]


Subject = tuple[str, str, tuple[tuple[str, str], ...], str, int]
"""Version, variant, what was chosen, platform, number of hosts."""


class BuildSeconds(StrictModel):
    """How long a build took where it was verified."""

    compile: float | None = Field(default=None, ge=0)
    """The compile task, or null where nothing is compiled."""
    package: float = Field(ge=0)
    """The package task, without the smoke test."""


class VerifiedRecord(StrictModel):
    """One build that has run."""

    version: UpstreamVersion
    variant: Name | None = None
    chosen: dict[str, PlainText] = Field(default_factory=dict)
    """Options and variables that had other values than the component file gives: ``options.native: separate``."""
    platform: Name
    """The platform of the packages."""
    date: Date
    """The day of the smoke test, in UTC."""
    source: PlainText
    """``git:COMMIT``, ``sha256:DIGEST`` of the archive, ``local tree sha256:DIGEST``, or ``own files``."""
    recipe: Sha256
    """The digest of the recipe: the component file, its ``files/`` and the patches of this version."""
    seconds: BuildSeconds
    hosts: int = Field(default=1, ge=1)
    """On how many hosts it ran."""
    runs: list[PlainText] = Field(min_length=1)
    """What ran: the names of the tests that passed."""
    skipped: list[PlainText] = Field(default_factory=list)
    """The tests that did not run, with their reasons."""

    @property
    def subject(self) -> Subject:
        """Of what it is a record. A newer one of the same replaces it."""
        return self.version, self.variant or "", tuple(sorted(self.chosen.items())), self.platform, self.hosts


class VerifiedFile(StrictModel):
    """``verified.yaml`` beside a component file. The program writes it."""

    records: list[VerifiedRecord] = Field(default_factory=list)
