"""Signing in: every call carries user and password, and no session outlives them."""

from __future__ import annotations

import pytest
import requests

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.ambari.errors import AuthenticationError, NotFoundError
from tests.contract.servers import Server


def test_the_version_has_four_numbers(client: Ambari) -> None:
    assert len(client.version().split(".")) == 4
    assert set(client.agent_versions().values()) == {client.version()}


def test_a_wrong_password_is_refused_at_once_and_the_right_one_goes_on(server: Server) -> None:
    with server.client_as("admin", "not-" + server.password) as wrong, pytest.raises(AuthenticationError):
        wrong.clusters()
    assert server.client.check_password("admin", server.password)
    assert not server.client.check_password("admin", "not-" + server.password)


def test_an_unknown_user_is_refused(server: Server) -> None:
    with server.client_as("nobody", "nothing") as unknown, pytest.raises(AuthenticationError):
        unknown.clusters()


def test_the_administrator_is_one(client: Ambari) -> None:
    assert client.is_administrator()


def test_a_change_without_the_header_against_forgery_is_refused(server: Server) -> None:
    reply = server.raw("POST", "clusters/none", **{"X-Requested-By": ""})
    assert reply.status_code == 400
    assert "X-Requested-By" in reply.text


def test_an_unknown_resource_is_not_found(client: Ambari) -> None:
    assert client.cluster("none") is None
    with pytest.raises(NotFoundError):
        client.request("none", 1)


def test_every_host_has_registered_with_its_memory_and_family(server: Server) -> None:
    found = {host.name: host for host in server.client.hosts()}
    assert set(server.hosts) <= set(found)
    for name in server.hosts:
        assert found[name].state == "HEALTHY"
        assert found[name].os_family.startswith("redhat")
        assert found[name].memory_kb > 0


def test_an_ended_session_does_not_matter_to_calls_with_credentials(server: Server) -> None:
    bogus = {"Cookie": "AMBARISESSIONID=node0bogus1234567890.node0"}
    assert server.raw("GET", "clusters", **bogus).status_code == 200
    reply = requests.get(f"{server.url}/api/v1/clusters", headers=bogus, timeout=60, verify=server.verify)
    assert reply.status_code == 403
