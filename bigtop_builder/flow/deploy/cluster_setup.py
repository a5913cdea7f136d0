"""The phase ``cluster``: made from a blueprint when it is not there, else brought to the inventory's layout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.ambari.errors import ConflictError, RefusedError
from bigtop_builder.cluster.blueprint import blueprint_body, cluster_template
from bigtop_builder.cluster.comparison import compare_blueprints
from bigtop_builder.flow.deploy.context import Deployment
from bigtop_builder.flow.deploy.desired_layout import is_blueprint_of, wanted_layout
from bigtop_builder.flow.deploy.installed_packages import check_installed
from bigtop_builder.flow.deploy.pending_requests import settle
from bigtop_builder.flow.deploy.reconcile import adapt, demand_free, environment
from bigtop_builder.flow.deploy.repository import registered
from bigtop_builder.flow.deploy.request_follower import carry_out, follow
from bigtop_builder.flow.deploy.service_state import listed, put_state
from bigtop_builder.flow.deploy.upgrade import upgrade
from bigtop_builder.model import digest
from bigtop_builder.model.errors import AmbariError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.cluster import ClusterView
    from bigtop_builder.adapter.ambari.service import HostComponent

UNINSTALLED = ("INIT", "INSTALLING", "INSTALL_FAILED")
"""INSTALLING too, for nothing of the cluster runs when this is asked: a server that was restarted leaves it behind."""


def bring_cluster(deployment: Deployment) -> str:
    """Create or adapt the cluster, move it to other packages, install what is not installed.

    Raises AmbariError, ConfigurationError, HostError.
    """
    view = deployment.client.cluster(deployment.cluster)
    if view is not None:
        view = _whole(deployment, deployment.client.cluster(deployment.cluster) if settle(deployment) else view)
    if view is None:
        _create(deployment)
        return "made" if not deployment.dry_run else ""
    adapt(deployment, view)
    upgrade(deployment)
    _install(deployment)
    return ""


def named_blueprint(deployment: Deployment) -> tuple[str, dict[str, Any]]:
    """The blueprint's name and body. The name holds the body's digest: another layout is another blueprint."""
    body = blueprint_body(
        wanted_layout(deployment), deployment.stack, environment(deployment), deployment.inventory.security.kerberos
    )
    return f"{deployment.cluster}-{digest.of_data(body)[:12]}", body


def template(deployment: Deployment, name: str, *, secrets: bool = True) -> dict[str, Any]:
    """The body that makes the cluster; ``secrets`` False puts references in place of values."""
    inventory = deployment.inventory
    kerberos = inventory.security.kerberos

    def value(reference: str, place: str) -> str:
        return deployment.secrets.value(reference, place) if secrets else f"({reference})"

    version = registered(deployment)
    password = inventory.default_password
    return cluster_template(
        wanted_layout(deployment),
        name,
        lambda secret, place: value(secret.secret, place),
        repository_version=version.id if version else None,
        default_password=value(password, "default_password") if password else None,
        recommendation=inventory.recommendation,
        kerberos=kerberos,
        kerberos_password=value(kerberos.admin_password, "security.kerberos.admin_password") if kerberos else None,
    )


def _create(deployment: Deployment) -> None:
    client = deployment.client
    layout = wanted_layout(deployment)
    demand_free(deployment, layout.hosts)
    name, body = named_blueprint(deployment)
    for old in client.blueprints():
        if old == name and compare_blueprints(body, client.blueprint(old) or {}):
            raise AmbariError(f"the blueprint {name} is there with another content", hint="Delete it in Ambari.")
    if name not in client.blueprints():
        shown = json.dumps(body, indent=2)
        deployment.change(
            f"blueprint {name}", shown if deployment.dry_run else "", act=lambda: client.create_blueprint(name, body)
        )
    lines = [f"+{group.name}: {', '.join(group.hosts)}: {', '.join(group.names)}" for group in layout.groups]
    started: list[int] = []
    deployment.change(
        f"cluster {deployment.cluster}", "\n".join(lines), act=lambda: started.append(_post(deployment, name))
    )
    for request in started:
        follow(deployment, request)
        check_installed(deployment)


def _post(deployment: Deployment, blueprint: str) -> int:
    """Create the cluster. A half that a refused creation leaves behind is ours, and is removed again."""
    client, name = deployment.client, deployment.cluster
    body = template(deployment, blueprint)
    try:
        return client.create_cluster(name, body)
    except ConflictError:
        raise
    except RefusedError:
        left = client.cluster(name)
        if left is not None and not left.hosts:
            deployment.notice(f"the refused creation left an empty cluster {name}: it is removed", warning=True)
            client.delete_cluster(name)
        raise


def _whole(deployment: Deployment, view: ClusterView | None) -> ClusterView | None:
    """The cluster; None once one is removed of which a creation has left no more than the name.

    Ambari makes the cluster before its configurations and hosts, so that a server which ends in between leaves one
    that nothing can be installed on. Raises AmbariError when such a one is not of our making.
    """
    if view is None or view.hosts or "cluster-env" in view.desired_configs:
        return view
    name = deployment.cluster
    if not own_blueprints(deployment):
        raise AmbariError(
            f"there is an empty cluster {name}, which no deployment has made",
            hint="Remove it in Ambari, or take another name.",
        )
    deployment.change(
        f"cluster {name} removed: its creation was broken off", act=lambda: deployment.client.delete_cluster(name)
    )
    return None


def _install(deployment: Deployment) -> None:
    """Whatever is on a host of the cluster and not installed: new, or failed before. What is in maintenance is left
    alone, as Ambari does.

    Raises AmbariError when some of it is not installed afterwards: Ambari leaves lost hosts out without a word.
    """
    missing = _uninstalled(deployment)
    if not missing:
        return
    carry_out(
        deployment,
        f"install {listed(missing)}",
        lambda: put_state(deployment, "INSTALLED", missing, "Install components"),
    )
    if deployment.dry_run:
        return
    left = _uninstalled(deployment)
    if left:
        raise AmbariError(
            f"Ambari has not installed {listed(left)}",
            hint="Are the agents of these hosts alive? `bigtop-builder status` tells; then run the deployment again.",
        )
    check_installed(deployment)


def _uninstalled(deployment: Deployment) -> list[HostComponent]:
    return [one for one in deployment.components() if one.state in UNINSTALLED and not one.maintenance]


def own_blueprints(deployment: Deployment) -> list[str]:
    """Blueprints that deployments of this cluster have made."""
    return [name for name in deployment.client.blueprints() if is_blueprint_of(name, deployment.cluster)]
