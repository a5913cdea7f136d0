"""Version definitions, and what the server makes of their repositories."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.ambari.errors import ConflictError
from bigtop_builder.adapter.ambari.repository import RepositoryEntry, RepositoryVersion
from tests.contract.clusters import OTHER, STACK, VERSION, definition, families, stack
from tests.contract.servers import Server


@pytest.fixture
def no_other(client: Ambari) -> Iterator[None]:
    yield
    for version in client.repository_versions(STACK, VERSION):
        if version.version == OTHER:
            client.delete_repository_version(STACK, VERSION, version.id)


def registered(client: Ambari, id: int) -> RepositoryVersion:
    return next(version for version in client.repository_versions(STACK, VERSION) if version.id == id)


def test_a_repository_with_the_stacks_name_stays_alone(server: Server, no_other: None) -> None:
    id = server.client.register_version(definition(server, OTHER))
    made = registered(server.client, id)
    assert made.version == OTHER
    for family in families(server):
        assert [(one.name, one.url.rstrip("/")) for one in made.os[family]] == [
            (stack().families[family].name, server.repository)
        ]


def test_a_repository_with_another_name_gets_the_stacks_beside_it(server: Server, no_other: None) -> None:
    """Recordings 733, 734. Agents would write both into one file, with one id."""
    id = server.client.register_version(definition(server, OTHER, name="of-our-own"))
    made = registered(server.client, id)
    family = families(server)[0]
    assert sorted(one.name for one in made.os[family]) == sorted([stack().families[family].name, "of-our-own"])


def test_a_version_cannot_be_registered_twice(server: Server, no_other: None) -> None:
    server.client.register_version(definition(server, OTHER))
    with pytest.raises(ConflictError):
        server.client.register_version(definition(server, OTHER))


def test_an_update_replaces_the_repositories_of_all_families(server: Server, no_other: None) -> None:
    client, family = server.client, families(server)[0]
    id = client.register_version(definition(server, OTHER))
    entry = RepositoryEntry(f"{STACK}-{VERSION}", stack().families[family].name, "http://elsewhere.contract.test/el8")
    client.update_repositories(STACK, VERSION, id, {family: [entry]})
    made = registered(client, id)
    assert [one.url for one in made.os[family]] == [entry.url]
    assert set(made.os) == {family}


def test_a_removed_version_is_gone(server: Server) -> None:
    client = server.client
    id = client.register_version(definition(server, OTHER))
    client.delete_repository_version(STACK, VERSION, id)
    assert id not in [version.id for version in client.repository_versions(STACK, VERSION)]
