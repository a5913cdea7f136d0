"""What must be gone before a cluster can be deleted, and that its hosts are free afterwards."""

from __future__ import annotations

import pytest

from bigtop_builder.adapter.ambari.errors import InUseError, ServerError
from bigtop_builder.cluster.configuration import Configuration
from tests.contract.clusters import COMPONENT, NAME, SERVICE, Cluster, create, remove
from tests.contract.servers import Server

OWN = {"zoo.cfg": Configuration({"tickTime": "3000"})}


def test_started_components_go_last(running: Cluster) -> None:
    client, host = running.client, running.server.hosts[0]
    with pytest.raises(InUseError):
        client.delete_cluster(NAME)
    with pytest.raises(InUseError):
        client.delete_host(NAME, host)
    assert set(running.states().values()) == {"STARTED"}


def test_a_stopped_component_can_be_removed_and_added_again(running: Cluster) -> None:
    client, host = running.client, running.server.hosts[2]
    request = client.set_host_components(NAME, "INSTALLED", host, [COMPONENT])
    assert running.end(request).status == "COMPLETED"
    client.delete_host_component(NAME, host, COMPONENT)
    assert host not in running.states()
    client.delete_host_component(NAME, host, COMPONENT)  # The second time there is nothing left to remove.
    client.add_host_component(NAME, host, COMPONENT)
    for state in ("INSTALLED", "STARTED"):
        request = client.set_host_components(NAME, state, host, [COMPONENT])
        assert running.end(request).status == "COMPLETED"
    running.server.wait("ZooKeeper started", lambda: running.are("STARTED"))


def test_a_cluster_with_groups_may_refuse_its_deletion_until_the_server_restarts(running: Cluster) -> None:
    """Recordings 610 and 611: it answered 500, and 500 from then on; so groups go first.

    A real server has also deleted such a cluster, which depends on what it had in its memory.
    """
    server, client = running.server, running.client
    server.needs("restart")
    client.put_config_group(NAME, "contract:last", SERVICE, [server.hosts[0]], OWN, "contract")
    running.stop()
    try:
        client.delete_cluster(NAME)
        assert server.real, "the simulated server shows the worse of the two"
    except ServerError:
        for group in client.config_groups(NAME):
            client.delete_config_group(NAME, group.id)
        with pytest.raises(ServerError):
            client.delete_cluster(NAME)
        server.restart()
        server.wait("known states", lambda: "UNKNOWN" not in running.states().values())
        client.delete_cluster(NAME)
    assert client.cluster(NAME) is None
    remove(server)
    server.free_hosts()


def test_a_cluster_without_groups_goes_at_once_and_its_hosts_serve_the_next(server: Server) -> None:
    server.needs("agents")
    cluster = Cluster(server)
    if server.client.cluster(NAME) is None:
        create(server)
    server.client.put_config_group(NAME, "contract:last", SERVICE, [server.hosts[0]], OWN, "contract")
    remove(server)
    assert server.client.cluster(NAME) is None
    create(server)
    assert cluster.are("STARTED")


def test_an_aborted_request_does_not_hinder_a_deletion(running: Cluster) -> None:
    """A deletion with a request under way would stop the scheduler of the whole server."""
    running.server.needs("agents")
    running.client.restart(NAME, SERVICE, COMPONENT, running.server.hosts)
    remove(running.server)
    assert running.client.cluster(NAME) is None
    create(running.server)
