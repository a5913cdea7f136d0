"""Versions of a service's configurations: listed with their content, and made current again as new versions."""

from __future__ import annotations

import pytest

from bigtop_builder.adapter.ambari.errors import NotFoundError
from tests.contract.clusters import NAME, SERVICE, Cluster

KIND = "zoo.cfg"


def test_a_rollback_is_a_new_version_with_the_old_tags(running: Cluster) -> None:
    client = running.client
    tag = client.desired_configurations(NAME)[KIND]
    before = client.configuration(NAME, KIND, tag)
    (old,) = [one for one in client.service_versions(NAME, SERVICE) if one.current and one.group == "Default"]
    assert client.service_version_content(NAME, SERVICE, old.version).tags[KIND] == tag
    client.put_configurations(
        NAME, {KIND: before.changed({"contract": "two"})}, "contract: a change", services={KIND: SERVICE}
    )
    versions = client.service_versions(NAME, SERVICE)
    (new,) = [one for one in versions if one.current and one.group == "Default"]
    assert (new.version > old.version, new.note, new.compatible) == (True, "contract: a change", True)
    assert (
        client.service_version_content(NAME, SERVICE, new.version).configurations[KIND].properties["contract"] == "two"
    )
    client.roll_back_service(NAME, SERVICE, old.version, "contract: back")
    (back,) = [one for one in client.service_versions(NAME, SERVICE) if one.current and one.group == "Default"]
    assert (back.version > new.version, back.note) == (True, "contract: back")
    assert client.service_version_content(NAME, SERVICE, back.version).tags == {
        **client.service_version_content(NAME, SERVICE, old.version).tags
    }
    assert client.desired_configurations(NAME)[KIND] == tag


def test_an_unknown_version_is_not_found(running: Cluster) -> None:
    client = running.client
    newest = max(one.version for one in client.service_versions(NAME, SERVICE))
    with pytest.raises(NotFoundError):
        client.service_version_content(NAME, SERVICE, newest + 100)
    before = client.desired_configurations(NAME)
    with pytest.raises(NotFoundError):
        client.roll_back_service(NAME, SERVICE, newest + 100, "contract")
    assert client.desired_configurations(NAME) == before
    assert client.service_versions(NAME, "NO_SUCH_SERVICE") == []
