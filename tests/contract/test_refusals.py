"""Every kind of refusal has its error, with the server's reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.ambari.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    ServerError,
)
from tests.contract.clusters import COMPONENT, NAME, SERVICE, Cluster, blueprint
from tests.contract.servers import Server


def test_an_unknown_stack_is_not_found(client: Ambari) -> None:
    with pytest.raises(NotFoundError):
        client.get("stacks/NONE/versions/1.0")


def test_an_unknown_cluster_is_not_found(client: Ambari) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.get("clusters/none/services")
    assert "none" in caught.value.message


def test_an_unknown_service_and_component_are_refused_by_name(running: Cluster) -> None:
    client = running.client
    with pytest.raises(NotFoundError):
        client.put(f"clusters/{NAME}/services/NONE", {"Body": {"ServiceInfo": {"state": "STARTED"}}})
    with pytest.raises(RefusedError) as caught:
        client.add_service(NAME, "NONE")
    assert "NONE" in caught.value.message
    with pytest.raises(ConflictError):
        client.add_service(NAME, SERVICE)


def test_an_unknown_host_is_refused_by_name(running: Cluster) -> None:
    with pytest.raises(RefusedError) as caught:
        running.client.map_hosts(NAME, ["nowhere.contract.test"])
    assert "nowhere.contract.test" in caught.value.message


def test_an_unknown_state_is_invalid(running: Cluster) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        running.client.put(f"clusters/{NAME}/services/{SERVICE}", {"Body": {"ServiceInfo": {"state": "FLYING"}}})
    assert "FLYING" in caught.value.message


def test_broken_json_is_invalid(server: Server) -> None:
    reply = server.raw("POST", "blueprints/contract-broken", "{not json")
    assert reply.status_code == 400


def test_an_unknown_property_is_invalid(running: Cluster) -> None:
    with pytest.raises(InvalidRequestError):
        running.client.put(f"clusters/{NAME}/services/{SERVICE}", {"Body": {"ServiceInfo": {"nonsense": "1"}}})


def test_aborting_wants_a_reason(running: Cluster) -> None:
    request = running.client.service_check(NAME, SERVICE, "ZOOKEEPER_QUORUM_SERVICE_CHECK")
    reply = running.server.raw(
        "PUT", f"clusters/{NAME}/requests/{request}", {"Requests": {"request_status": "ABORTED"}}
    )
    assert reply.status_code == 400
    running.end(request)


def test_an_aborted_request_ends_aborted(running: Cluster) -> None:
    request = running.client.restart(NAME, SERVICE, COMPONENT, running.server.hosts)
    assert request is not None
    running.client.abort(NAME, request, "contract: abort")
    view = running.end(request)
    assert view.status in ("ABORTED", "COMPLETED"), "a fast agent may have ended before"
    running.server.wait("no request under way", lambda: not running.client.requests(NAME, unfinished_only=True))


@pytest.fixture
def viewer(server: Server) -> Iterator[Ambari]:
    """A user without any role."""
    name, password = "contract-viewer", "Contract-1848"
    if server.raw("GET", f"users/{name}").status_code == 200:
        server.client.delete(f"users/{name}")
    about = {"user_name": name, "password": password, "active": True, "admin": False}
    server.client.post("users", {f"Users/{key}": value for key, value in about.items()})
    try:
        with server.client_as(name, password) as client:
            yield client
    finally:
        server.client.delete(f"users/{name}")


def test_a_user_without_roles_may_not_change_anything(running: Cluster, viewer: Ambari) -> None:
    with pytest.raises(PermissionDeniedError):
        viewer.put(f"clusters/{NAME}/services/{SERVICE}", {"Body": {"ServiceInfo": {"state": "INSTALLED"}}})
    with pytest.raises(PermissionDeniedError):
        viewer.create_blueprint("contract-forbidden", blueprint())
    assert running.are("STARTED")
    assert not viewer.is_administrator()


def test_an_exception_of_the_server_names_its_reference(running: Cluster) -> None:
    """Recording 644: tasks by several roles and a host."""
    request = running.client.service_check(NAME, SERVICE, "ZOOKEEPER_QUORUM_SERVICE_CHECK")
    running.end(request)
    query = f"Tasks/role.in({COMPONENT},X)&Tasks/host_name={running.server.hosts[0]}"
    with pytest.raises(ServerError) as caught:
        running.client.get(f"clusters/{NAME}/requests/{request}/tasks", query=query)
    assert caught.value.status == 500
    assert "ambari-server.log" in (caught.value.hint or "")


def test_an_address_that_ambari_does_not_have_is_not_found(client: Ambari) -> None:
    with pytest.raises(NotFoundError):
        client.get("nonsense")


def test_a_method_that_a_resource_does_not_have_is_invalid(client: Ambari) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.delete("stacks/BIGTOP")
    assert caught.value.status == 405


def test_removing_twice_is_the_same_as_once(client: Ambari) -> None:
    client.delete_cluster("contract-none")
    client.delete_host_component(NAME, "nowhere.contract.test", COMPONENT)
