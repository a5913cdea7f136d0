"""Check what is really installed.

An agent of Ambari 3.0 can report a failed installation as completed (seen on a live server), so the packages are
checked on the hosts themselves.
"""

from __future__ import annotations

from bigtop_builder.adapter.ssh import Remote
from bigtop_builder.cluster.demands import wanted_packages
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.desired_layout import desired_layout
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import os_families, version_of
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.flow.hosts.operations import report_failure
from bigtop_builder.hosts.packages import NAMES
from bigtop_builder.model.errors import AmbariError, HostError

SECONDS = 120


def check_installed(connections: Connections, world: World, reporter: Reporter) -> None:
    """Check the packages of all hosts, in one round trip each. Raises AmbariError with the missing ones by host."""
    if not connections.packages_known:
        return
    (family, *_) = os_families(connections.client, world)
    layout = desired_layout(connections.client, world, reporter)
    wishes = {
        host: [
            wish
            for wish in wanted_packages(world.stack, group.names, family, version_of(world))
            if wish.origin == "stack"
        ]
        for host, group in layout.hosts.items()
    }

    def work(remote: Remote) -> list[str]:
        output = remote.run(NAMES, timeout=SECONDS)
        names = output.stdout.split()
        return [wish.expected for wish in wishes[remote.name] if not wish.matches(names)]

    lacking = []
    report = report_failure(reporter.phase, reporter.emit)
    for host, missing in connections.fleet.each(work, list(wishes), done=report).items():
        if not isinstance(missing, HostError) and missing:
            lacking.append(f"{host} lacks {', '.join(missing)}")
    if lacking:
        raise AmbariError(
            "Ambari reports everything as installed, but " + "; ".join(lacking),
            hint="Install them there with yum, or delete the component from the host in Ambari; then deploy again.",
        )
