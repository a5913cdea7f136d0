"""What the deployer relies on, stated once and checked on two servers.

    pytest tests/contract                    a simulated server on loopback, with agents on paper
    pytest tests/contract --testbed NAME     the real server of a test bed with three free hosts

On a test bed the suite needs its Ambari set up (`deploy --phase ambari`) and no cluster; it leaves the server as it
found it. Where both servers differ, the simulated one is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bigtop_builder.adapter.ambari.client import Ambari
from tests.contract.clusters import NAME, Cluster, create, remove
from tests.contract.servers import RealServer, Server, SimulatedServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--testbed", help="the test bed whose real server is asked; without it a simulated one is")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server under test, without a cluster before and after."""
    name = request.config.getoption("--testbed")
    made: Server = RealServer(str(name)) if name else SimulatedServer(tmp_path_factory.mktemp("simulated"))
    with made:
        present = made.client.clusters()
        assert not set(present) - {NAME}, f"the server has clusters already: {present}"
        remove(made)
        try:
            yield made
        finally:
            remove(made)


@pytest.fixture
def client(server: Server) -> Ambari:
    return server.client


@pytest.fixture(scope="session")
def cluster(server: Server) -> Cluster:
    """A cluster with ZooKeeper on three hosts, which runs. It is created once, and again if a test removed it."""
    return Cluster(server)


@pytest.fixture
def running(cluster: Cluster) -> Cluster:
    """The cluster, all of it started."""
    if cluster.client.cluster(NAME) is None:
        create(cluster.server)
    cluster.start()
    return cluster
