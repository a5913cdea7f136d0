"""Yum repositories in an inventory: their addresses, and how hosts get at them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from bigtop_builder.model.base import PROXY_URL, REPOSITORY_ID, REPOSITORY_URL, StrictModel
from bigtop_builder.model.properties import SecretReference

ProxyAddress = Annotated[str, StringConstraints(pattern=PROXY_URL)]
"""The address of a proxy, without user and password; ``none`` for no proxy although yum.conf has one."""

VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
"""A variable of yum in an address: ``$releasever``, ``$basearch``, or one of a file in ``/etc/yum/vars``."""


class RepositoryCredentials(StrictModel):
    """User and password, by reference only."""

    user: SecretReference
    """The user."""
    password: SecretReference
    """The password."""


class RepositoryAccess(StrictModel):
    """How hosts get at a repository."""

    credentials: RepositoryCredentials | None = None
    """What the repository asks for. Only root can read the files on hosts that contain them; they are never sent to
    Ambari, whose agents then leave the repository files of hosts to ``hosts prepare``."""
    proxy: ProxyAddress | None = None
    """The proxy of this repository. Agents leave its file to ``hosts prepare`` as with ``credentials``."""
    proxy_credentials: RepositoryCredentials | None = None
    """User and password for the proxy."""


class Repository(RepositoryAccess):
    """A yum repository with packages of the stack."""

    id: str = Field(default="BIGTOP-3.2.0", pattern=REPOSITORY_ID)
    """The id of the repository on the hosts, as in ``dnf repolist``."""
    url: str = Field(pattern=REPOSITORY_URL)
    """Base URL: the folder with ``repodata``. ``{family}`` is replaced by the OS family of the hosts; variables of yum
    such as ``$releasever`` and ``$basearch`` have the values of each host."""
    gpg_key: str | None = Field(default=None, pattern=REPOSITORY_URL)
    """URL of the public key. Default: ``repodata/repomd.xml.key`` of the repository. Replaced like ``url``."""
    gpg_check: bool = True
    """Whether to check the signatures of packages."""
    repo_gpg_check: bool = True
    """Whether to check the signature of the repository metadata."""

    @property
    def key(self) -> str:
        """The URL of the public key."""
        return self.gpg_key or f"{self.url.rstrip('/')}/repodata/repomd.xml.key"


def filled(address: str, family: str | None, variables: Mapping[str, str] | None = None) -> str:
    """Return an address for hosts of an OS family, with the values of yum's variables as far as they are known."""
    known = variables or {}
    text = address.replace("{family}", family or "")
    return VARIABLE.sub(lambda found: known.get(found[1], found[0]), text)


def variable_names(*addresses: str | None) -> tuple[str, ...]:
    """Return the variables of yum in addresses, the longest first: one name may begin with another."""
    found = {name for address in addresses for name in VARIABLE.findall(address or "")}
    return tuple(sorted(found, key=lambda name: (-len(name), name)))


def usual_variables(family: str | None) -> dict[str, str]:
    """Return the values that hosts of an OS family usually have, for when there is no host to ask."""
    usual = {"basearch": "x86_64", "arch": "x86_64"}
    major = re.fullmatch(r"redhat(\d+)", family or "")
    return {**usual, "releasever": major[1]} if major else usual
