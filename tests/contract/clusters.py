"""The suite's cluster: ZooKeeper on three hosts, created from a blueprint like the deployer's clusters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.ambari.progress import RequestView
from bigtop_builder.adapter.ambari.request import TaskView
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.cluster.version_definition import version_definition
from bigtop_builder.model.ambari_stack import StackDefinition
from tests.contract.servers import Server

NAME, GROUP, SERVICE, COMPONENT = "contract", "all", "ZOOKEEPER", "ZOOKEEPER_SERVER"
COMPONENTS = (COMPONENT, "ZOOKEEPER_CLIENT")
STACK, VERSION = "BIGTOP", "3.2.0"
OTHER = f"{VERSION}.77"
"""A version that is registered and never installed."""
ENDED = ("COMPLETED", "FAILED", "ABORTED", "TIMEDOUT")


@cache
def stack() -> StackDefinition:
    return load_stack(STACK, VERSION)


class Cluster:
    """The cluster, and how to wait for it."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    def client(self) -> Ambari:
        return self.server.client

    def states(self, component: str = COMPONENT) -> dict[str, str]:
        """The state of a component by host."""
        return {one.host: one.state for one in self.client.host_components(NAME, component=component)}

    def are(self, state: str) -> bool:
        return set(self.states().values()) == {state}

    def end(self, request: int | None) -> RequestView:
        """Wait for the end of a request; return how it ended."""
        assert request is not None, "there was nothing to do"

        def over() -> RequestView | None:
            view = self.client.request(NAME, request)
            return view if view.status in ENDED and view.percent >= 100 else None

        found: RequestView = self.server.wait(f"the end of request {request}", over)
        return found

    def tasks(self, request: int) -> list[TaskView]:
        return list(self.client.tasks(NAME, request, with_output=True))

    def start(self) -> None:
        """Start what does not run."""
        self.server.wait("every host healthy", lambda: healthy(self.server))
        self.server.wait("known states", lambda: "UNKNOWN" not in self.states().values())
        if not self.are("STARTED"):
            request = self.client.set_services(NAME, "STARTED", [SERVICE], "contract: start")
            assert request is None or self.end(request).status == "COMPLETED"
            self.server.wait("ZooKeeper started", lambda: self.are("STARTED"))

    def stop(self) -> None:
        request = self.client.set_services(NAME, "INSTALLED", [SERVICE], "contract: stop")
        assert request is None or self.end(request).status == "COMPLETED"
        self.server.wait("ZooKeeper stopped", lambda: self.are("INSTALLED"))


def healthy(server: Server) -> bool:
    states = {host.name: host.state for host in server.client.hosts()}
    return all(states.get(host) == "HEALTHY" for host in server.hosts)


def families(server: Server) -> list[str]:
    return sorted({host.os_family for host in server.client.hosts() if host.name in server.hosts})


def definition(server: Server, version: str = VERSION, name: str | None = None) -> str:
    """A version definition with the suite's repository; ``name`` is the repository's, by default the stack's own."""
    found = {
        family: [(f"{STACK}-{VERSION}", name or stack().families[family].name, server.repository)]
        for family in families(server)
    }
    return version_definition(stack(), version, found)


def blueprint(components: Sequence[str] = COMPONENTS, **properties: str) -> dict[str, object]:
    environment = {"command_retry_enabled": "false", "recovery_enabled": "false", **properties}
    return {
        "Blueprints": {"stack_name": STACK, "stack_version": VERSION},
        "configurations": [
            {"cluster-env": {"properties": environment}},
            {"zoo.cfg": {"properties": {"tickTime": "2500"}}},
        ],
        "host_groups": [{"name": GROUP, "components": [{"name": name} for name in components]}],
    }


def template(server: Server, version: int) -> dict[str, object]:
    return {
        "blueprint": NAME,
        "repository_version_id": version,
        "host_groups": [{"name": GROUP, "hosts": [{"fqdn": host} for host in server.hosts]}],
    }


def own_version(server: Server) -> int:
    """The version of the suite's packages, registered if the server does not have it."""
    for present in server.client.repository_versions(STACK, VERSION):
        if present.version == VERSION:
            return present.id
    return server.client.register_version(definition(server))


def create(server: Server) -> int:
    """Create the cluster and wait until it runs; return the id of the logical request."""
    client = server.client
    server.wait("every host registered", lambda: healthy(server))
    version = own_version(server)
    client.create_blueprint(NAME, blueprint())
    request = client.create_cluster(NAME, template(server, version))
    made = Cluster(server)
    view = made.end(request)
    assert view.status == "COMPLETED", [(task.role, task.host, task.stderr[-500:]) for task in made.tasks(request)]
    assert view.pending_hosts == 0
    server.wait("ZooKeeper started", lambda: made.are("STARTED"))
    return request


def remove(server: Server) -> None:
    """Remove the cluster, its blueprint and its version, as far as they exist; the hosts are free afterwards."""
    client = server.client
    existed = client.cluster(NAME) is not None
    if existed:
        for group in client.config_groups(NAME):
            client.delete_config_group(NAME, group.id)
        for view in client.requests(NAME, unfinished_only=True):
            if not view.logical:
                client.abort(NAME, view.id, "contract: the end")
        made = Cluster(server)
        server.wait("known states", lambda: "UNKNOWN" not in made.states().values())
        if "STARTED" in made.states().values():
            made.stop()
        client.delete_cluster(NAME)
    if NAME in client.blueprints():
        client.delete_blueprint(NAME)
    for version in client.repository_versions(STACK, VERSION):
        if version.id not in server.former:
            client.delete_repository_version(STACK, VERSION, version.id)
    if existed:
        server.free_hosts()
        server.wait("every host registered again", lambda: healthy(server))
