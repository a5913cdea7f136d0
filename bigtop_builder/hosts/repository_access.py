"""How hosts get at the repositories of an inventory, with the values of its references."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bigtop_builder.hosts.packages import OPEN, Access
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.repository import RepositoryAccess, RepositoryCredentials
from bigtop_builder.recipe.inventory import LoadedInventory

ReadSecret = Callable[[str, str], str]
"""Returns the value of a reference, given with its place."""


@dataclass(frozen=True)
class Accesses:
    """The accesses of all repositories, in their order, and that of Ambari's own."""

    repositories: tuple[Access, ...] = ()
    ambari: Access = OPEN

    def of(self, index: int) -> Access:
        """Return the access of a repository of the inventory."""
        return self.repositories[index] if index < len(self.repositories) else OPEN


ALL_OPEN = Accesses()
"""Repositories that everybody can read, without a proxy."""


def resolve_accesses(loaded: LoadedInventory, read: ReadSecret) -> Accesses:
    """Read the secrets that repositories need. Raises ConfigurationError with its location."""
    inventory = loaded.inventory
    setup = inventory.ambari.setup if inventory.ambari else None
    places = [("repositories", index) for index in range(len(inventory.repositories))]
    return Accesses(
        tuple(
            _access(loaded, one, (*place, ""), read) for place, one in zip(places, inventory.repositories, strict=True)
        ),
        _access(loaded, setup.repository_access, ("ambari", "setup", "repository_"), read) if setup else OPEN,
    )


def _access(loaded: LoadedInventory, one: RepositoryAccess, place: tuple[str | int, ...], read: ReadSecret) -> Access:
    """``place``: the path of its keys; the last part is what they begin with."""

    def pair(name: str, given: RepositoryCredentials | None) -> Iterator[str | None]:
        for key in ("user", "password"):
            path = (*place[:-1], f"{place[-1]}{name}", key)
            value = read(getattr(given, key), ".".join(map(str, path))) if given else None
            if value is not None and not value.isprintable():
                raise ConfigurationError(
                    "a control character or a line break is in this secret",
                    hint="Put one line of text there: it becomes a line of a repository file.",
                    location=loaded.place(*path),
                )
            yield value

    user, password = pair("credentials", one.credentials)
    proxy_user, proxy_password = pair("proxy_credentials", one.proxy_credentials)
    return Access(user, password, one.proxy, proxy_user, proxy_password)
