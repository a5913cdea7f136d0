"""Blueprints and cluster templates: what the server checks, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.ambari.errors import ConflictError, InvalidRequestError
from bigtop_builder.cluster.comparison import compare_blueprints
from tests.contract.clusters import COMPONENTS, blueprint

PROBE = "contract-probe"


@pytest.fixture(autouse=True)
def no_probe(client: Ambari) -> Iterator[None]:
    yield
    if PROBE in client.blueprints():
        client.delete_blueprint(PROBE)


def test_a_blueprint_is_kept_as_it_was_sent(client: Ambari) -> None:
    client.create_blueprint(PROBE, blueprint())
    kept = client.blueprint(PROBE)
    assert kept is not None
    (group,) = kept["host_groups"]
    assert sorted(one["name"] for one in group["components"]) == sorted(COMPONENTS)
    properties = {kind: about for entry in kept["configurations"] for kind, about in entry.items()}
    assert properties["zoo.cfg"]["properties"]["tickTime"] == "2500"


def test_attributes_of_properties_are_kept(client: Ambari) -> None:
    body = blueprint()
    (entry,) = (one for one in body["configurations"] if "zoo.cfg" in one)
    entry["zoo.cfg"] = {
        "properties": {"tickTime": "2500"},
        "properties_attributes": {"final": {"tickTime": "true"}},
    }
    client.create_blueprint(PROBE, body)
    kept = client.blueprint(PROBE)
    assert kept is not None
    assert compare_blueprints(body, kept) == ()
    entry["zoo.cfg"].pop("properties_attributes")
    assert compare_blueprints(body, kept) == ("zoo.cfg tickTime (final): 'true' → (not set)",)


def test_the_server_shows_its_properties(client: Ambari) -> None:
    assert client.server_properties()["client.api.port"] == "8080"


def test_a_name_is_taken_once(client: Ambari) -> None:
    client.create_blueprint(PROBE, blueprint())
    with pytest.raises(ConflictError):
        client.create_blueprint(PROBE, blueprint())


@pytest.mark.parametrize(
    ("components", "why"),
    [
        (("NO_SUCH_COMPONENT",), "NO_SUCH_COMPONENT"),
        (("ZOOKEEPER_CLIENT",), "ZOOKEEPER_SERVER"),
        (("DATANODE", "HDFS_CLIENT"), "NAMENODE"),
    ],
)
def test_a_wrong_layout_is_refused_with_the_component(client: Ambari, components: tuple[str, ...], why: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.create_blueprint(PROBE, blueprint(components))
    assert why in caught.value.message
    assert client.blueprint(PROBE) is None


def test_a_cluster_of_an_unknown_blueprint_is_refused(client: Ambari) -> None:
    with pytest.raises(InvalidRequestError):
        client.create_cluster("contract-none", {"blueprint": "contract-none", "host_groups": []})
    assert client.cluster("contract-none") is None
