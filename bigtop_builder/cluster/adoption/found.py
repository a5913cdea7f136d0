"""What was found of a cluster, wherever it was read: the server's REST API or files for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bigtop_builder.cluster.configuration import Attributes, Configuration
from bigtop_builder.cluster.layout import Placed

KERBEROS_TYPES = ("kerberos-env", "krb5-conf")
DEFAULT_RACK = "/default-rack"
"""What a host without a rack has in Ambari."""

Configurations = Mapping[str, Configuration]


@dataclass(frozen=True)
class FoundServer:
    """The Ambari server, and how to log in to it; ``password`` is a reference."""

    url: str
    user: str = "admin"
    password: str = "env:AMBARI_PASSWORD"
    ca: str | None = None


@dataclass(frozen=True)
class FoundGroup:
    """Hosts with the same components, and the configurations that only they have.

    ``hosts`` may be patterns. ``notes`` are for the reader of the inventory.
    """

    name: str
    hosts: tuple[str, ...]
    components: tuple[Placed, ...]
    configurations: Configurations = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundRepositories:
    """Ids and base URLs of a cluster's repositories; ``notes`` say why there are none.

    ``gpg_key``: the URL of the key that signs all of them, if it is not where it usually is.
    """

    entries: tuple[tuple[str, str], ...] = ()
    gpg_check: bool = True
    gpg_key: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundCluster:
    """A cluster. ``source`` is where it was read, ``security`` is KERBEROS or NONE."""

    name: str
    source: str
    stack: str
    stack_version: str
    groups: tuple[FoundGroup, ...]
    configurations: Configurations
    server: FoundServer
    repository_version: str | None = None
    repositories: FoundRepositories = FoundRepositories()
    racks: Mapping[str, str] = field(default_factory=dict)
    security: str = "NONE"
    administrator: str | None = None
    """The principal of the KDC's administrator."""
    default_password: bool = False
    recommendation: str | None = None
    running: bool = True
    """Whether the cluster was read as it runs, so that its inventory must change nothing."""
    notes: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    """What the reader must know, by the key of the inventory that it is about."""


@dataclass(frozen=True)
class Usual:
    """What a cluster has without anybody's doing, so that an inventory need not say it.

    ``values`` has the values that a property gets by itself (the stack's default, the advisor's recommendation),
    ``attributes`` those of the stack, ``passwords`` the properties that are passwords, each by configuration type.
    """

    values: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    attributes: Mapping[str, Attributes] = field(default_factory=dict)
    passwords: Mapping[str, frozenset[str]] = field(default_factory=dict)
