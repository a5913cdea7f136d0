"""Configurations and their groups: read in full, written as a whole, read back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bigtop_builder.adapter.ambari.errors import ConflictError, InvalidRequestError, NotFoundError
from bigtop_builder.cluster.configuration import Configuration
from tests.contract.clusters import COMPONENT, NAME, SERVICE, Cluster

KIND = "zoo.cfg"


def properties(cluster: Cluster, kind: str = KIND) -> dict[str, str]:
    tag = cluster.client.desired_configurations(NAME)[kind]
    return dict(cluster.client.configuration(NAME, kind, tag).properties)


def test_every_type_is_read_with_its_properties(running: Cluster) -> None:
    """What a blueprint gave, and the defaults of the stack beside it."""
    assert properties(running)["tickTime"] == "2500"
    assert "clientPort" in properties(running)
    assert properties(running, "cluster-env")["command_retry_enabled"] == "false"
    assert "stack_features" in properties(running, "cluster-env")


def test_a_star_with_minimal_response_gives_keys_alone(running: Cluster) -> None:
    """Recordings 605 to 607: who asks so and writes the answer back, empties the type."""
    tag = running.client.desired_configurations(NAME)[KIND]
    where = f"clusters/{NAME}/configurations?type={KIND}&tag={tag}"
    (bare,) = running.server.raw("GET", f"{where}&fields=*&minimal_response=true").json()["items"]
    assert "properties" not in bare
    (full,) = running.server.raw("GET", f"{where}&fields=properties/*&minimal_response=true").json()["items"]
    assert full["properties"] == properties(running)


def test_final_and_other_attributes_are_kept(running: Cluster) -> None:
    client, tags = running.client, running.client.desired_configurations(NAME)
    before = client.configuration(NAME, KIND, tags[KIND])
    final = replace(before, attributes={"final": {"tickTime": "true"}})
    client.put_configurations(NAME, {KIND: final}, "contract", services={KIND: SERVICE})
    try:
        assert client.configuration(NAME, KIND, client.desired_configurations(NAME)[KIND]) == final
    finally:
        client.put_configurations(NAME, {KIND: before}, "contract: back", services={KIND: SERVICE})


def test_an_unknown_tag_is_not_found(running: Cluster) -> None:
    with pytest.raises(NotFoundError):
        running.client.configuration(NAME, KIND, "no-such-tag")


def test_a_new_version_is_current_and_makes_its_components_stale(running: Cluster, kept: None) -> None:
    before = properties(running)
    changed = {**before, "contract": "one"}
    running.client.put_configurations(NAME, {KIND: Configuration(changed)}, "contract", services={KIND: SERVICE})
    assert properties(running) == changed
    stale = {one.host for one in running.client.host_components(NAME, component=COMPONENT, stale=True)}
    assert stale == set(running.server.hosts)
    request = running.client.restart(NAME, SERVICE, COMPONENT, running.server.hosts)
    assert running.end(request).status == "COMPLETED"
    running.server.wait(
        "nothing stale",
        lambda: not list(running.client.host_components(NAME, component=COMPONENT, stale=True)),
    )


def test_the_answer_to_a_change_has_a_body_only_for_types_of_a_service(running: Cluster, kept: None) -> None:
    """Recordings 758 and 759."""

    def put(kind: str) -> str:
        # What changes nothing is answered with nothing, whatever its type.
        tag = f"contract-{kind}-{len(properties(running, kind))}"
        entry = {"type": kind, "tag": tag, "properties": {**properties(running, kind), "contract": tag}}
        return running.server.raw("PUT", f"clusters/{NAME}", {"Clusters": {"desired_config": [entry]}}).text.strip()

    assert put("cluster-env") in ("", "null")
    assert KIND in put(KIND)


@pytest.fixture
def kept(running: Cluster) -> Iterator[None]:
    """The type is as before at the end."""
    before = properties(running)
    yield
    running.client.put_configurations(NAME, {KIND: Configuration(before)}, "contract: back", services={KIND: SERVICE})


def test_an_empty_type_reads_empty_and_not_as_an_error(running: Cluster, kept: None) -> None:
    """What can tell it from an answer that lacks its properties is that other fields came."""
    running.client.put_configurations(NAME, {KIND: Configuration({})}, "contract", services={KIND: SERVICE})
    assert properties(running) == {}


def test_an_old_version_can_still_be_read(running: Cluster, kept: None) -> None:
    before, tag = properties(running), running.client.desired_configurations(NAME)[KIND]
    running.client.put_configurations(
        NAME, {KIND: Configuration({**before, "contract": "two"})}, "contract", services={KIND: SERVICE}
    )
    assert dict(running.client.configuration(NAME, KIND, tag).properties) == before


@pytest.fixture
def no_groups(running: Cluster) -> Iterator[None]:
    yield
    for group in running.client.config_groups(NAME):
        running.client.delete_config_group(NAME, group.id)


def test_a_group_overrides_properties_of_its_hosts(running: Cluster, no_groups: None) -> None:
    client, host = running.client, running.server.hosts[0]
    client.put_config_group(
        NAME, "contract:one", SERVICE, [host], {KIND: Configuration({"tickTime": "3000"})}, "contract"
    )
    (group,) = client.config_groups(NAME)
    assert (group.name, group.service, group.hosts) == ("contract:one", SERVICE, frozenset({host}))
    assert client.configuration(NAME, KIND, group.tags[KIND]) == Configuration({"tickTime": "3000"})
    assert properties(running)["tickTime"] == "2500"
    client.put_config_group(
        NAME,
        "contract:one",
        SERVICE,
        running.server.hosts[:2],
        {KIND: Configuration({"tickTime": "3000"})},
        "more",
        present=group,
    )
    (wider,) = client.config_groups(NAME)
    assert wider.hosts == frozenset(running.server.hosts[:2])


def test_a_host_is_in_one_group_of_a_service(running: Cluster, no_groups: None) -> None:
    client, host = running.client, running.server.hosts[0]
    client.put_config_group(
        NAME, "contract:one", SERVICE, [host], {KIND: Configuration({"tickTime": "3000"})}, "contract"
    )
    with pytest.raises(ConflictError):
        client.put_config_group(
            NAME, "contract:two", SERVICE, [host], {KIND: Configuration({"tickTime": "3001"})}, "contract"
        )


def test_a_desired_configuration_without_a_type_is_refused(running: Cluster) -> None:
    reply = running.server.raw("PUT", f"clusters/{NAME}", {"Clusters": {"desired_config": [{"tag": "contract"}]}})
    assert reply.status_code >= 400


def test_a_group_without_a_name_is_invalid_and_an_unknown_one_not_found(running: Cluster) -> None:
    where = f"clusters/{NAME}/config_groups/999999"
    with pytest.raises(InvalidRequestError):
        running.client.put(where, {"ConfigGroup": {"group_name": "x"}})
    with pytest.raises(NotFoundError):
        running.client.put(where, {"ConfigGroup": {"group_name": "x", "tag": SERVICE}})
    running.client.delete_config_group(NAME, 999999)
