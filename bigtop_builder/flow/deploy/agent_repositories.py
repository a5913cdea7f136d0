"""Remove what agents have left in ``/etc/yum.repos.d``: files that they cannot read, and those of former versions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.flow.hosts.facts import gather
from bigtop_builder.flow.hosts.operations import WorkResult, apply
from bigtop_builder.hosts.agent_repositories import remove_agent_repositories
from bigtop_builder.hosts.facts import Wanted
from bigtop_builder.hosts.packages import REFRESH
from bigtop_builder.model.errors import HostError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.hosts.facts import HostFacts


def remove_leftovers(
    connections: Connections, world: World, reporter: Reporter, gone: Collection[str] = frozenset()
) -> WorkResult:
    """Remove agents' repository files that are broken, or of versions that no service on the host comes from.

    ``gone``: hosts that no longer exist. Hosts that fail are in the result; each has been reported.
    """
    if not connections.hosted:
        return WorkResult()
    facts, lost = _facts(connections, world, reporter, [host for host in world.hosts if host not in gone])
    used = _used(connections.client, world)
    stack = world.inventory.stack.name
    ours = not world.inventory.agents_write_repositories
    plan = {host: remove_agent_repositories(known, stack, used[host], ours=ours) for host, known in facts.items()}
    done = apply(connections.fleet, plan, phase=reporter.phase, emit=reporter.emit, dry_run=reporter.dry_run)
    reporter.changes += done.changes
    return WorkResult(failed=lost).joined(done)


def refresh_metadata(connections: Connections, reporter: Reporter, hosts: Iterable[str]) -> None:
    """Make yum on these hosts look at every repository again before agents install: one may have been mended.

    A host where that fails is not held up: the installation shows what is wrong.
    """
    if connections.hosted and not reporter.dry_run:
        connections.fleet.each(lambda remote: remote.run(REFRESH, timeout=60), sorted({*hosts}))


def _facts(
    connections: Connections, world: World, reporter: Reporter, hosts: Sequence[str]
) -> tuple[dict[str, HostFacts], dict[str, HostError]]:
    """Return the facts of hosts; those of the check serve, because no agent has installed since."""
    if world.facts is not None and {*hosts} <= {*world.facts}:
        return {host: world.facts[host] for host in hosts}, {}
    wanted = dict.fromkeys(hosts, Wanted())
    facts, lost = gather(connections.fleet, wanted, phase=reporter.phase, emit=reporter.emit)
    return facts, lost


def _used(client: Ambari, world: World) -> dict[str, frozenset[int]]:
    """Return the repository versions in use by host.

    Those of our cluster's services on its hosts, all registered ones on hosts of another cluster, none on free hosts.
    """
    clusters = {host.name: host.cluster for host in client.hosts()}
    places = {clusters.get(host) for host in world.hosts}
    ours = client.services(world.cluster) if world.cluster in places else []
    known = [service.repository_version for service in ours]
    # A server that does not say what its services come from may use any of its versions.
    unsure = None in known
    asking = unsure or places - {None, world.cluster}
    others = frozenset(version.id for version in client.version_definitions()) if asking else frozenset[int]()
    own = others if unsure else frozenset(number for number in known if number is not None)
    return {
        host: own if clusters.get(host) == world.cluster else others if clusters.get(host) else frozenset()
        for host in world.hosts
    }
