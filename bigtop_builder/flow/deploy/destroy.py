"""The phase ``destroy``: what runs is aborted, services stopped, the cluster removed, hosts wiped if that is wanted."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from bigtop_builder.adapter.ambari.errors import InUseError
from bigtop_builder.adapter.ssh import Remote
from bigtop_builder.flow.deploy.cluster_setup import own_blueprints
from bigtop_builder.flow.deploy.context import Deployment
from bigtop_builder.flow.deploy.pending_requests import clear
from bigtop_builder.flow.deploy.repository import registered
from bigtop_builder.flow.deploy.request_follower import carry_out
from bigtop_builder.model.errors import AmbariError, HostError

REMOVABLE = frozenset({"INIT", "INSTALLING", "INSTALLED", "INSTALL_FAILED", "UNINSTALLED", "UNKNOWN", "DISABLED"})
"""States of components with which a cluster can be removed."""
RESTART_AGENT = "if command -v ambari-agent; then ambari-agent restart; fi"
RESTART_SECONDS = 120


def destroy_cluster(deployment: Deployment) -> str:
    """Remove the cluster from Ambari, with its blueprints and repository version; what is gone already is no mistake.

    The order matters: a cluster that is removed while a request of it is unfinished blocks the whole server (seen on
    a live server of 3.0).
    """
    client, name = deployment.client, deployment.cluster
    view = client.cluster(name)
    if view is not None:
        _abort(deployment)
        _stop(deployment)
        told = f"{len(view.hosts)} hosts, services {', '.join(view.services)}"
        deployment.change(f"cluster {name} removed", told, act=lambda: client.delete_cluster(name))
        _free_hosts(deployment, view.hosts)
    for blueprint in own_blueprints(deployment):
        deployment.change(f"blueprint {blueprint} removed", act=partial(client.delete_blueprint, blueprint))
    _forget_version(deployment)
    return "" if view is not None else f"there is no cluster {name}"


def _free_hosts(deployment: Deployment, hosts: Collection[str]) -> None:
    """Ambari gives hosts of a removed cluster to no other before their agents have registered again (seen on a live
    server of 3.0). A host that cannot be reached hinders nothing but its own next cluster."""
    ours = sorted({*hosts} & {*deployment.hosts})
    if deployment.dry_run or not deployment.hosted or not ours:
        return

    def restart(remote: Remote) -> None:
        output = remote.run(RESTART_AGENT, timeout=RESTART_SECONDS)
        if output.code:
            raise HostError(f"ambari-agent restart ended with {output.code}")

    for host, result in deployment.fleet.each(restart, ours).items():
        if isinstance(result, HostError):
            deployment.notice(f"{host}: its agent could not be restarted: {result.message}", warning=True)


def _abort(deployment: Deployment) -> None:
    for _ in range(30):
        unfinished = deployment.client.requests(deployment.cluster, unfinished_only=True)
        physical = [view for view in unfinished if not view.logical]
        if not physical:
            clear(deployment, [view for view in unfinished if view.logical], "the cluster is removed")
            return
        clear(deployment, physical, "the cluster is removed")
        if deployment.dry_run:
            return
        deployment.sleep(1)
    raise AmbariError(
        f"requests of the cluster {deployment.cluster} do not end although they were aborted",
        hint="Restart the Ambari server; removing the cluster now would block it.",
    )


def _stop(deployment: Deployment) -> None:
    """Told by components: a service of which a part runs may say of itself that it is only installed."""
    running = sorted({one.service for one in deployment.components() if one.state not in REMOVABLE})
    if not running:
        return
    carry_out(
        deployment,
        f"stop {', '.join(running)}",
        lambda: deployment.client.set_services(deployment.cluster, "INSTALLED", running, "Stop services"),
    )


def _forget_version(deployment: Deployment) -> None:
    version = registered(deployment)
    if version is None:
        return
    choice = deployment.inventory.stack

    def forget() -> None:
        deployment.client.delete_repository_version(choice.name, choice.version, version.id)

    try:
        deployment.change(f"version definition {choice.name}-{version.version} removed", act=forget)
    except InUseError:
        deployment.notice(f"{choice.name}-{version.version} stays registered: another cluster uses it")
