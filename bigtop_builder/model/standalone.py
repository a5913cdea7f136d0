"""Stand-alone services of an inventory: packages, files, commands and services that Ambari does not manage."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from bigtop_builder.model.base import (
    GROUP_NAME,
    HOSTS,
    MODE,
    PACKAGE_NAME,
    SERVICE_UNIT,
    USER_NAME,
    AbsolutePath,
    Duration,
    Name,
    PlainText,
    StrictModel,
    VariableName,
)

HostPattern = Annotated[str, StringConstraints(pattern=HOSTS, max_length=253)]
"""The name of a host as ``hostname -f`` prints it there, which is the full one except where a host knows only a short
one; or a range of hosts: ``node[01-50].example.com``. The width of the first number is kept."""

GroupName = Annotated[str, StringConstraints(pattern=GROUP_NAME, max_length=80)]
PackageName = Annotated[str, StringConstraints(pattern=PACKAGE_NAME, max_length=120)]
Mode = Annotated[str, StringConstraints(pattern=MODE)]
"""Octal, quoted: ``"0644"``."""

UserName = Annotated[str, StringConstraints(pattern=USER_NAME, max_length=32)]


class File(StrictModel):
    """A file of a stand-alone service. ``content`` is a Jinja template with the variables ``host``, ``hosts`` (of the
    entry), ``groups`` and ``services`` (the hosts of each stand-alone entry)."""

    content: str
    """The content, as a template."""
    owner: UserName = "root"
    """The owner of the file."""
    group: UserName = "root"
    """The group of the file."""
    mode: Mode = "0644"
    """The mode, octal and in quotes: ``"0644"``."""


class Health(StrictModel):
    """How to check that a service works: exactly one of port, http and command, tried until ``within`` is over."""

    port: int | None = Field(default=None, ge=1, le=65535)
    """A TCP port that must accept connections on the host."""
    http: str | None = None
    """A URL that must respond with a status below 400; ``{host}`` is replaced by the host."""
    command: str | None = None
    """A command that must exit with 0 on the host."""
    within: Duration = "60s"
    """How long the service may take until it works."""

    @model_validator(mode="after")
    def _one(self) -> Health:
        if sum(value is not None for value in (self.port, self.http, self.command)) != 1:
            raise ValueError("exactly one of port, http and command is required")
        return self


class Service(StrictModel):
    """A system service: a systemd unit or an init script."""

    name: str = Field(pattern=SERVICE_UNIT)
    """The name of the unit or init script."""
    enabled: bool = True
    """Whether it starts at boot."""
    health: Health | None = None
    """How to check that it works."""


class Once(StrictModel):
    """A command that is run once, before the services of its entry start: it formats, creates, initialises. Both
    commands are Jinja templates, like the content of a file."""

    name: PlainText
    """What it does: ``format the NameNode``."""
    command: str
    """The command to run."""
    unless: str
    """A command that succeeds if that has been done already. It is run before and after."""
    user: UserName = "root"
    """Who runs both."""


class Standalone(StrictModel):
    """Packages, files and services that Ambari does not manage."""

    hosts: list[GroupName | HostPattern] = Field(min_length=1)
    """Groups or hosts."""
    after: list[Name] = Field(default_factory=list)
    """Entries whose services must be healthy before the services of this one start."""
    reads: list[Name] = Field(default_factory=list)
    """Entries whose files the services of this one read too: if one changes on a host, they are restarted there."""
    packages: list[PackageName] = Field(default_factory=list)
    """Packages to install."""
    files: dict[AbsolutePath, File] = Field(default_factory=dict)
    """Files to write, by path."""
    select: dict[str, str] = Field(default_factory=dict)
    """Runs ``distro-select set NAME VERSION`` for each: ``{spark-client: 3.2.0}``."""
    run: list[Once] = Field(default_factory=list)
    """Commands to run once on each host, in this order."""
    services: list[Service] = Field(default_factory=list)
    """Services to run."""
    smoke: list[Name] = Field(default_factory=list)
    """Components whose smoke tests ``verify`` runs on the first host of the entry."""
    smoke_variables: dict[VariableName, PlainText] = Field(default_factory=dict)
    """Values of the variables that their component files name under ``smoke``."""
