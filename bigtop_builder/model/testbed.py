"""The file that a test bed keeps, with enough in it to recreate missing parts as they were."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from bigtop_builder.model.base import StrictModel

NAME = r"^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$"
TestBedName = Annotated[str, StringConstraints(pattern=NAME)]
"""Part of host names, container names and a folder."""


class ServedRepository(StrictModel):
    """A repository that is added to the inventory."""

    id: str
    url: str
    gpg_key: str | None = None


class AmbariPackages(StrictModel):
    """Where the real Ambari comes from, if the test bed runs it."""

    repository: str
    gpg_key: str | None = None
    gpg_check: bool | None = None
    """None uses the setting of the inventory."""


class TestBed(StrictModel):
    """A test bed (``<store>/testbeds/NAME/state.json``)."""

    # The name starts with Test: pytest must not collect it.
    __test__ = False

    name: TestBedName
    subnet: str
    """``10.241.0.0/24``; this machine has the first address."""
    hosts: dict[str, str]
    """FQDN → address in the subnet."""
    published: bool
    """Whether SSH goes through ports of 127.0.0.1, because this machine cannot reach the subnet."""
    folders: dict[str, str] = Field(default_factory=dict)
    """Folders of this machine that the repository's container serves: path in the address → folder."""
    repositories: list[ServedRepository] = Field(default_factory=list)
    packages: AmbariPackages | None = None
    """None simulates Ambari."""
    ambari: str = ""
    """The address of the Ambari server."""
