"""How to log in to hosts: the settings for all of them, and what a group or a host has of its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bigtop_builder.model.base import ADDRESS, Duration, HostPath, StrictModel
from bigtop_builder.model.properties import SecretReference
from bigtop_builder.model.standalone import UserName

Address = Annotated[str, StringConstraints(pattern=ADDRESS, max_length=253)]
"""The name or the IP address of one host."""


class Jump(StrictModel):
    """A jump host for every connection."""

    host: Address
    """The name or address of the jump host."""
    port: int = Field(default=22, ge=1, le=65535)
    """Its SSH port."""
    user: UserName | None = None
    """Default: the user of the hosts."""


class Ssh(StrictModel):
    """How to reach the hosts."""

    user: UserName = "root"
    """The user to log in as."""
    port: int = Field(default=22, ge=1, le=65535)
    """The SSH port of the hosts."""
    key: HostPath | None = None
    """Path of a private key."""
    key_passphrase: SecretReference | None = None
    """The passphrase of the private key."""
    agent: bool = True
    """Whether to offer the keys of a running SSH agent too."""
    password: SecretReference | None = None
    """The password of the user, for hosts that accept no key."""
    sudo: bool = False
    """Whether to run commands through ``sudo`` because the user is not root."""
    sudo_password: SecretReference | None = None
    """Without it, sudo must not ask for a password."""
    jump: Jump | None = None
    """The jump host in front of the hosts."""
    known_hosts: HostPath | None = None
    """Path of the file with host keys. Default: ``~/.ssh/known_hosts``."""
    host_keys: Literal["strict", "accept-new"] = "strict"
    """``strict`` refuses unknown hosts; ``accept-new`` records their keys the first time. A changed key is always
    refused."""
    connect_timeout: Duration = "15s"
    """Time limit for opening one connection."""
    command_timeout: Duration = "30m"
    """Time limit of one command on a host."""
    parallel: int = Field(default=20, ge=1, le=500)
    """The largest number of hosts to work on at once."""


class Login(StrictModel):
    """What a group or a host has of its own for logging in; everything else is that of ``ssh``."""

    port: int | None = Field(default=None, ge=1, le=65535)
    """The SSH port."""
    user: UserName | None = None
    """The user to log in as."""
    key: HostPath | None = None
    """Path of a private key."""
    key_passphrase: SecretReference | None = None
    """The passphrase of the private key."""
    password: SecretReference | None = None
    """The password of the user."""
    sudo: bool | None = None
    """Whether to run commands through ``sudo``."""
    sudo_password: SecretReference | None = None
    """The password that sudo asks for."""
    jump: Jump | None = None
    """The jump host in front of these hosts."""

    def over(self, ssh: Ssh) -> Ssh:
        """Return ``ssh`` with what is given here."""
        own = {name: getattr(self, name) for name in Login.model_fields}
        return ssh.model_copy(update={name: value for name, value in own.items() if value is not None})
