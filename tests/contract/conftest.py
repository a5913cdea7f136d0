"""What the deployer relies on, stated once and checked on two kinds of server: see the README beside this file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.ambari.client import Ambari
from tests.contract.clusters import NAME, OTHER, STACK, VERSION, Cluster, create, healthy, remove
from tests.contract.servers import NamedServer, Reach, RealServer, Server, SimulatedServer


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contract", "the Ambari server under test; by default a simulated one")
    group.addoption("--testbed", help="the name of a test bed with a real server")
    group.addoption("--ambari-url", help="the URL of a real server")
    group.addoption("--ambari-password-file", type=Path, help="a file with the password of its user admin")
    group.addoption("--ambari-ca", type=Path, help="a PEM file to trust")
    group.addoption("--hosts", help="three free hosts, as the server knows them, separated by commas")
    group.addoption("--repository", help="the URL of a repository with ZooKeeper and bigtop-select for these hosts")
    group.addoption("--restart-server", metavar="COMMAND", help="a command that restarts the server")
    group.addoption("--on-host", metavar="COMMAND", help="a command that runs a script from its input on {host}")
    group.addoption("--server-host", help="the host of the server, for --on-host")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run first what needs no cluster, and restarts last: a host is registered and free most of the time."""
    ranks = {"test_sessions": 0, "test_versions": 1, "test_blueprints": 2, "test_restarts": 8, "test_deletion": 9}
    items.sort(key=lambda item: ranks.get(item.path.stem, 5))


def chosen(config: pytest.Config, scratch: Path) -> Server:
    """The server that the options name."""
    if name := config.getoption("--testbed"):
        return RealServer(str(name))
    url = config.getoption("--ambari-url")
    if not url:
        return SimulatedServer(scratch)
    password = config.getoption("--ambari-password-file")
    hosts = tuple(filter(None, str(config.getoption("--hosts") or "").split(",")))
    repository = config.getoption("--repository")
    if not password or len(hosts) < 3 or not repository:
        raise pytest.UsageError("--ambari-url needs --ambari-password-file, three --hosts and --repository")
    reach = Reach(
        url=str(url),
        password=Path(password).read_text(encoding="utf-8").strip(),
        hosts=hosts[:3],
        repository=str(repository),
        ca=config.getoption("--ambari-ca"),
        restart=config.getoption("--restart-server"),
        on_host=config.getoption("--on-host"),
        server_host=config.getoption("--server-host"),
    )
    return NamedServer(reach)


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server under test, without a cluster before and after."""
    with chosen(request.config, tmp_path_factory.mktemp("simulated")) as made:
        present = made.client.clusters()
        assert not set(present) - {NAME}, f"the server has clusters already: {present}"
        versions = made.client.repository_versions(STACK, VERSION)
        made.former = frozenset(one.id for one in versions if one.version != OTHER)
        remove(made)
        # A cluster that somebody deleted before may have left its hosts unavailable.
        made.free_hosts()
        made.wait("every host registered", lambda: healthy(made))
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
