"""The world of a deployment: what its inventory says, and what was read from the server and the hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.expected import Expected
from bigtop_builder.model.errors import AmbariError, ConfigurationError
from bigtop_builder.model.inventory import Inventory
from bigtop_builder.model.repository import filled, usual_variables
from bigtop_builder.recipe.document import near

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.service import HostComponent
    from bigtop_builder.adapter.repository.seen import Seen
    from bigtop_builder.cluster.layout import Layout
    from bigtop_builder.flow.publish.stack_check import Offer
    from bigtop_builder.hosts.facts import HostFacts
    from bigtop_builder.hosts.repository_access import Accesses
    from bigtop_builder.model.ambari_stack import StackDefinition
    from bigtop_builder.recipe.inventory import LoadedInventory
    from bigtop_builder.recipe.smoke import SmokeTest

NEWEST_LINE = "3.0.0.0"
"""The line of Ambari whose shipped stack is assumed before there is a server."""


@dataclass(frozen=True)
class Removing:
    """Whether what has left the inventory is removed from the cluster; ``gone``: hosts that no longer exist."""

    wanted: bool = False
    gone: frozenset[str] = frozenset()


class World:
    """What is known. The inventory does not change; everything else is read on first use and can be forgotten."""

    def __init__(
        self,
        loaded: LoadedInventory,
        connections: Connections,
        overlays: tuple[Path, ...] = (),
        seen: Seen | None = None,
        smoke: Mapping[str, SmokeTest] | None = None,
        *,
        dry_run: bool = False,
        removing: Removing | None = None,
    ) -> None:
        self.loaded = loaded
        self.smoke = smoke or {}
        """The smoke tests of the components that stand-alone entries name."""
        self.removing = removing or Removing()
        self.seen = seen
        """What was seen of repositories before; None where nothing is remembered."""
        self.layout: Layout | None = None
        """The layout, once it is given by the groups or recommended."""
        self.facts: Mapping[str, HostFacts] | None = None
        """Facts of the hosts, from the check for the phase after it."""
        self.server_error: AmbariError | None = None
        """Why the server does not accept us, once that is known."""
        self.unheard: frozenset[str] = frozenset()
        """Hosts that have not reported to Ambari although they were waited for."""
        self.expected = Expected(played=dry_run)
        """What this deployment expects of components."""
        self._connections = connections
        self._overlays = overlays
        self._components: list[HostComponent] | None = None
        self._offers: dict[str, Offer] = {}

    @property
    def inventory(self) -> Inventory:
        """The inventory."""
        return self.loaded.inventory

    @property
    def cluster(self) -> str:
        """The name of the cluster."""
        return self.inventory.cluster

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of the inventory's groups."""
        return self.loaded.cluster_hosts

    @cached_property
    def server_version(self) -> str:
        """The version of the Ambari server. Raises AmbariError, located at the inventory's key that leads to it."""
        from bigtop_builder.adapter.ambari.errors import AuthenticationError, UnreachableError

        try:
            return self._connections.client.version()
        except UnreachableError as error:
            error.location = self.loaded.place("ambari", "url")
            raise
        except AuthenticationError as error:
            error.location = self.loaded.place("ambari", "password")
            raise

    @cached_property
    def server_answers(self) -> bool:
        """Whether the server accepts us; ``server_error`` says why not.

        Raises AmbariError if one that we do not set up ourselves does not, or if its name cannot be resolved.
        """
        from bigtop_builder.adapter.ambari.errors import AuthenticationError, UnknownNameError, UnreachableError

        try:
            _ = self.server_version
        except (UnreachableError, AuthenticationError) as error:
            if self.loaded.ambari.setup is None or isinstance(error, UnknownNameError):
                raise
            self.server_error = error
            return False
        self.server_error = None
        return True

    @cached_property
    def stack(self) -> StackDefinition:
        """The server's stack; the shipped one if there is no server yet, or none is wanted.

        Raises ConfigurationError if the server lacks the stack, AmbariError.
        """
        if self.inventory.ambari is None or not self.server_answers:
            return _known_stack(self.loaded, self._overlays)
        return _live_stack(self.loaded, self._connections.client, self.server_version, self._overlays)

    @cached_property
    def stack_repositories(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Ids and names of the stack's own repositories by OS family, from the server once there is one."""
        if self.inventory.ambari is None or not self.server_answers:
            return {family: ((one.id, one.name),) for family, one in self.stack.families.items()}
        choice = self.inventory.stack
        found = self._connections.client.stack_repositories(choice.name, choice.version)
        return {family: tuple((one.id, one.name) for one in entries) for family, entries in found.items()}

    def offer(self, family: str) -> Offer:
        """What the inventory's repositories offer to an OS family, read once. Raises PublishError."""
        if family not in self._offers:
            from bigtop_builder.flow.publish.stack_check import read_offer

            logins = self.logins(family)
            self._offers[family] = read_offer([*logins], self.stack, {at: one for at, one in logins.items() if one})
        return self._offers[family]

    def logins(self, family: str) -> dict[str, tuple[str, str] | None]:
        """Return the addresses of the inventory's repositories for hosts of a family, with user and password."""
        found: dict[str, tuple[str, str] | None] = {}
        for index, entry in enumerate(self.inventory.repositories):
            access = self.accesses.of(index) if entry.credentials else None
            login = (access.user or "", access.password or "") if access else None
            found |= {filled(entry.url, family, known): login for known in self.variables(family)}
        return found

    def variables(self, family: str) -> list[Mapping[str, str]]:
        """Return the values of yum's variables on hosts of a family; the usual ones before hosts were asked."""
        hosts = [facts for facts in (self.facts or {}).values() if facts.family == family]
        found = {tuple(facts.variables.items()): facts.variables for facts in hosts}
        return list(found.values()) or [usual_variables(family)]

    @cached_property
    def accesses(self) -> Accesses:
        """How hosts get at the repositories. Raises ConfigurationError."""
        from bigtop_builder.hosts.repository_access import resolve_accesses

        return resolve_accesses(self.loaded, self._connections.secrets.value)

    def components(self) -> list[HostComponent]:
        """The components on the cluster's hosts, read again once anything has changed or time has passed.

        In a dry run they are as they would be by now.
        """
        if self._components is None:
            self._components = list(self._connections.client.host_components(self.cluster))
        return self.expected.shown(self._components)

    def is_leaving(self, one: HostComponent) -> bool:
        """Return whether a component is to be removed in this run, so that nothing else is done with it."""
        if not self.removing.wanted or self.layout is None:
            return False
        group = self.layout.hosts.get(one.host)
        return group is None or one.component not in group.names

    def with_inventory(self, loaded: LoadedInventory) -> World:
        """Return a world with another inventory of the same cluster and layout."""
        other = World(
            loaded,
            self._connections,
            self._overlays,
            self.seen,
            self.smoke,
            dry_run=self.expected.played,
            removing=self.removing,
        )
        other.layout, other.facts = self.layout, self.facts
        return other

    def forget_components(self) -> None:
        """Forget the components: they may have changed."""
        self._components = None

    def forget_server(self) -> None:
        """Forget what is known of the server, after it was set up."""
        self.layout = None
        for name in ("server_version", "server_answers", "stack", "stack_repositories"):
            self.__dict__.pop(name, None)


def _known_stack(
    loaded: LoadedInventory, overlays: tuple[Path, ...], ambari_version: str = NEWEST_LINE
) -> StackDefinition:
    """The stack as the shipped data and overlays have it. Raises ConfigurationError with its location."""
    from bigtop_builder.cluster.stack_data import ambari_line, load_stack
    from bigtop_builder.recipe.catalog import shipped_templates

    choice = loaded.inventory.stack
    try:
        return load_stack(choice.name, choice.version, ambari_line(ambari_version), (shipped_templates(), *overlays))
    except ConfigurationError as error:
        error.location = error.location or loaded.place("stack")
        raise


def _live_stack(
    loaded: LoadedInventory, client: Ambari, ambari_version: str, overlays: tuple[Path, ...]
) -> StackDefinition:
    """The stack as the server has it. Raises ConfigurationError if it has not, AmbariError without an answer."""
    from bigtop_builder.cluster.stack_rest import stack_from_rest

    choice = loaded.inventory.stack
    stacks = client.stacks()
    if (choice.name, choice.version) not in stacks:
        offered = [f"{name}-{version}" for name, version in stacks]
        raise ConfigurationError(
            f"the Ambari server {client.url} has no stack {choice.name}-{choice.version}",
            hint=near(f"{choice.name}-{choice.version}", offered) or None,
            location=loaded.place("stack"),
        )
    known = _known_stack(loaded, overlays, ambari_version or NEWEST_LINE)
    return stack_from_rest(client.stack_services(choice.name, choice.version), known)
