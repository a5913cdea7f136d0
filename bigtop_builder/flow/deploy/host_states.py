"""The states of hosts and components right after a restart: wait until agents have reported before judging by them.

Recorded on a live server of 3.0 (700 to 710): 4 s after its restart, hosts are HEARTBEAT_LOST without any heartbeat and
their components UNKNOWN; at 10 s hosts are WAITING_FOR_HOST_STATUS_UPDATES; at 12 s everything has its true state. In
between, hosts may be HEALTHY while components are still UNKNOWN. Only a host that was silent for two minutes is
HEARTBEAT_LOST with the time of its last heartbeat.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.base import seconds

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.server import RegisteredHost
    from bigtop_builder.adapter.ambari.service import HostComponent

REPORT_SECONDS = 60.0
"""Time limit for agents to report after a restart: five times of what was recorded."""
HEARD = frozenset({"HEALTHY", "UNHEALTHY"})
"""States of hosts whose agents report. UNHEALTHY is about components, not about the agent."""
LOST = "HEARTBEAT_LOST"
UNKNOWN = "UNKNOWN"
UNINSTALLED = ("INIT", "INSTALLING", "INSTALL_FAILED")
"""States of components that are not installed. INSTALLING is one while no request is running: a restart of the server
left it behind."""


def await_reports(client: Ambari, world: World, reporter: Reporter) -> frozenset[str]:
    """Wait until the agents of the cluster's hosts have reported; return the hosts that Ambari does not hear from.

    Hosts that have been silent for long are not waited for, and hosts that did not report in time are waited for only
    once in a deployment.
    """
    begin = reporter.clock()
    reported = False
    while True:
        components = world.components()
        hosts = {host.name: host for host in client.hosts() if host.cluster == world.cluster}
        silent = silent_hosts(hosts, components)
        world.unheard &= silent
        coming = {name for name in silent if name in hosts and is_coming(hosts[name])} - world.unheard
        if not coming:
            return silent
        if reporter.clock() - begin > REPORT_SECONDS:
            world.unheard |= coming
            return silent
        if not reported:
            reported = True
            reporter.notice(f"waiting for the agents of {', '.join(sorted(coming))} to report to Ambari")
        reporter.sleep(seconds(world.loaded.ambari.poll))


def silent_hosts(hosts: Mapping[str, RegisteredHost], components: Iterable[HostComponent]) -> frozenset[str]:
    """Return the hosts that Ambari does not hear from, or whose components it does not know the state of."""
    unknown = {one.host for one in components if one.state == UNKNOWN}
    return frozenset(unknown | {name for name, host in hosts.items() if host.state not in HEARD})


def is_coming(host: RegisteredHost) -> bool:
    """Return whether a silent host's agent can be expected to report soon: it was not lost by itself."""
    return host.state != LOST or host.heartbeat is None


def installed(world: World) -> list[tuple[str, str]]:
    """Return host and name of the installed components of the cluster."""
    return [(one.host, one.component) for one in world.components() if one.state not in UNINSTALLED]


def listed(components: Iterable[HostComponent]) -> str:
    """Return components as text: ``ZOOKEEPER_SERVER on node1, node2``."""
    hosts: dict[str, list[str]] = defaultdict(list)
    for one in components:
        hosts[one.component].append(one.host)
    return "; ".join(f"{component} on {', '.join(sorted(names))}" for component, names in sorted(hosts.items()))
