"""What a test bed's own file keeps: enough to make missing parts again as they were."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from bigtop_builder.model.base import StrictModel

NAME = r"^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$"
TestBedName = Annotated[str, StringConstraints(pattern=NAME)]
"""Becomes a part of host names, container names and a folder."""


class ServedRepository(StrictModel):
    """A repository that the inventory is told of."""

    id: str
    url: str
    gpg_key: str | None = None


class AmbariPackages(StrictModel):
    """Where the real Ambari comes from, when the test bed runs it."""

    repository: str
    gpg_key: str | None = None
    gpg_check: bool | None = None
    """None leaves it to the inventory."""


class TestBed(StrictModel):
    """A test bed (``<store>/testbeds/NAME/state.json``)."""

    # Its name begins as those of pytest's classes do.
    __test__ = False

    name: TestBedName
    subnet: str
    """``10.241.0.0/24``; the first address is this machine's own."""
    hosts: dict[str, str]
    """FQDN → address in the subnet."""
    published: bool
    """Whether SSH goes through ports of 127.0.0.1, since this machine does not reach the subnet."""
    folders: dict[str, str] = Field(default_factory=dict)
    """Folders of this machine that the repository's container serves: path of the address → folder."""
    repositories: list[ServedRepository] = Field(default_factory=list)
    packages: AmbariPackages | None = None
    """None: Ambari is simulated."""
    ambari: str = ""
    """The address of the Ambari server."""
