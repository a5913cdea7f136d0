"""A cluster that somebody has made by hand, call by call, through the REST API of a simulated server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.cluster.configuration import Configuration
from bigtop_builder.cluster.stack_data import ambari_line, load_stack
from bigtop_builder.cluster.version_definition import version_definition
from tests.fast.deploying import PASSWORD, Bench

NAME = "hand"
STACK, VERSION = "BIGTOP", "3.2.0"
REPOSITORY = "http://repository.test/el8"


def client_of(bench: Bench) -> Ambari:
    return Ambari(bench.simulation.url, "admin", PASSWORD)


def make_by_hand(
    bench: Bench,
    layout: Mapping[str, Sequence[str]],
    changes: Mapping[str, Configuration] | None = None,
    *,
    repositories: Sequence[tuple[str, str, str]] = (("BIGTOP-3.2.0", "bigtop", REPOSITORY),),
) -> Ambari:
    """Make a cluster with these components on its hosts: the stack's defaults, with ``changes`` over them."""
    client, stack = client_of(bench), load_stack(ambari=ambari_line(bench.world.version))
    families = {family: list(repositories) for family in {host.os_family for host in bench.world.hosts.values()}}
    version = client.register_version(version_definition(stack, VERSION, families))
    client.update_repositories(
        STACK, VERSION, version, client.repository_versions(STACK, VERSION)[0].os | _entries(families)
    )
    client.create_empty_cluster(NAME, f"{STACK}-{VERSION}")
    components = sorted({name for names in layout.values() for name in names})
    services = list(dict.fromkeys(stack.service_of(name) or "" for name in components))
    for service in services:
        client.add_service(NAME, service, version)
    types = dict(client.stack_defaults(STACK, VERSION))
    for service in services:
        types |= {kind: Configuration() for kind in stack.services[service].configurations}
        types |= client.stack_defaults(STACK, VERSION, service)
    for kind, one in (changes or {}).items():
        types[kind] = types[kind].changed(one.properties).attributed(one.attributes)
    known = {kind: service for kind, service in stack.configuration_types().items() if service}
    client.put_configurations(NAME, types, "made by hand", services=known)
    for name in components:
        client.add_component(NAME, stack.service_of(name) or "", name)
    client.map_hosts(NAME, layout)
    for host, names in layout.items():
        client.add_host_components(NAME, names, [host])
    client.set_services(NAME, "INSTALLED", None, "Install")
    bench.pass_time(120)
    client.set_services(NAME, "STARTED", None, "Start")
    bench.pass_time(120)
    return client


def _entries(families: Mapping[str, Sequence[tuple[str, str, str]]]) -> dict[str, tuple[object, ...]]:
    from bigtop_builder.adapter.ambari.repository import RepositoryEntry

    return {family: tuple(RepositoryEntry(*one) for one in entries) for family, entries in families.items()}
