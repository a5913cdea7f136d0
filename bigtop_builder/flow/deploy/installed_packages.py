"""What is really installed. An agent of Ambari 3.0 can report a failed installation as completed (seen on a live
server), so the packages are counted on the hosts themselves."""

from __future__ import annotations

from bigtop_builder.adapter.ssh import Remote
from bigtop_builder.cluster.demands import wanted_packages
from bigtop_builder.flow.deploy.context import Deployment
from bigtop_builder.flow.deploy.desired_layout import wanted_layout
from bigtop_builder.flow.deploy.repository import os_families, version_of
from bigtop_builder.flow.hosts.work import tell_failure
from bigtop_builder.model.errors import AmbariError, HostError

SECONDS = 120


def check_installed(deployment: Deployment) -> None:
    """One round trip a host. Raises AmbariError with the packages that are missing, by host."""
    if not deployment.hosted:
        return
    (family, *_) = os_families(deployment)
    layout = wanted_layout(deployment)
    wishes = {
        host: [
            wish
            for wish in wanted_packages(deployment.stack, group.names, family, version_of(deployment))
            if wish.origin == "stack"
        ]
        for host, group in layout.hosts.items()
    }

    def work(remote: Remote) -> list[str]:
        output = remote.run("rpm -qa --qf '%{NAME}\\n'", timeout=SECONDS)
        names = output.stdout.split()
        return [wish.expected for wish in wishes[remote.name] if not wish.matches(names)]

    lacking = []
    told = tell_failure(deployment.phase, deployment.emit)
    for host, missing in deployment.fleet.each(work, list(wishes), done=told).items():
        if not isinstance(missing, HostError) and missing:
            lacking.append(f"{host} lacks {', '.join(missing)}")
    if lacking:
        raise AmbariError(
            "Ambari says that all is installed, but " + "; ".join(lacking),
            hint="Install them there with yum, or delete the component from the host in Ambari; then run again.",
        )
