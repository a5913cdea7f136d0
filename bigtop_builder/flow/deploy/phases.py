"""The work of each phase, as ``deploying`` orders them."""

from __future__ import annotations

from typing import Any

from bigtop_builder.flow.deploy import cluster_setup, service_state, verification
from bigtop_builder.flow.deploy.context import Deployment
from bigtop_builder.flow.deploy.desired_layout import as_recommendation, services_of, wanted_layout
from bigtop_builder.flow.deploy.destroy import destroy_cluster
from bigtop_builder.flow.deploy.preflight import check, check_own
from bigtop_builder.flow.deploy.repository import register
from bigtop_builder.flow.hosts.work import WorkResult
from bigtop_builder.model.errors import AmbariError
from bigtop_builder.model.event import CheckFinished

LATER = "known once the server is set up"

__all__ = ["ambari", "check", "cluster", "destroy", "layout", "prepare", "repository", "standalone", "start", "verify"]


def _worked(deployment: Deployment, result: WorkResult) -> None:
    deployment.changes += result.changes
    error = result.error()
    if error is not None:
        raise error


def _not_there(deployment: Deployment) -> bool:
    """With a dry run the phases before have set nothing up."""
    return deployment.dry_run and not deployment.server_answers


def check_hosts(deployment: Deployment) -> str:
    """The hosts alone are looked at."""
    from bigtop_builder.flow.hosts import checks

    check_own(deployment)
    found = checks.check_hosts(deployment.loaded, deployment.fleet, deployment.emit)
    found.demand()
    return found.note


def prepare(deployment: Deployment) -> str:
    """Hosts get what they lack."""
    from bigtop_builder.flow.hosts.preparation import prepare_hosts

    check_own(deployment)
    result = prepare_hosts(
        deployment.loaded, deployment.fleet, deployment.emit, dry_run=deployment.dry_run, facts=deployment.facts
    )
    _worked(deployment, result)
    return ""


def ambari(deployment: Deployment) -> str:
    """Server and agents, when they are ours to set up; then every host is registered."""
    from bigtop_builder.flow.deploy.ambari_server import set_up_servers
    from bigtop_builder.flow.deploy.registration import await_registration

    result = set_up_servers(
        deployment.loaded,
        deployment.fleet,
        deployment.client,
        deployment.secrets,
        deployment.emit,
        dry_run=deployment.dry_run,
        cancelled=deployment.cancelled,
    )
    _worked(deployment, result)
    deployment.look_again()
    if _not_there(deployment):
        return LATER
    if deployment.dry_run:
        known = {host.name for host in deployment.client.hosts()}
        missing = [host for host in deployment.hosts if host not in known]
        return f"to register: {', '.join(missing)}" if missing else "all hosts are registered"
    await_registration(
        deployment.client,
        deployment.loaded,
        deployment.fleet if deployment.hosted else None,
        deployment.emit,
        deployment.cancelled,
    )
    return f"{deployment.client.version()} at {deployment.ambari.url}"


def repository(deployment: Deployment) -> str:
    """The version definition is registered."""
    return LATER if _not_there(deployment) else register(deployment)


def layout(deployment: Deployment) -> str:
    """The layout is made, and held against Ambari's own validation, whose words are told.

    Its errors do not end the deployment, as they do not in Ambari's own interface: the advisor demands services that
    others can do without, and the blueprint is checked by the server once more.
    """
    if _not_there(deployment):
        return LATER
    made = wanted_layout(deployment)
    stack = deployment.inventory.stack
    services = services_of(deployment, made)
    remarks = deployment.client.validate(
        stack.name, stack.version, "host_groups", list(made.hosts), services, as_recommendation(made)
    )
    for remark in remarks:
        where = ": ".join(part for part in (remark.component, remark.config_type, remark.config_name) if part)
        deployment.emit(
            CheckFinished(
                phase=deployment.phase,
                check="Ambari's validation",
                host=remark.host,
                level="warning",
                message=f"{remark.level}: {where}: {remark.message}" if where else f"{remark.level}: {remark.message}",
            )
        )
    return f"{len(made.components)} components on {len(made.hosts)} hosts"


def cluster(deployment: Deployment) -> str:
    """The cluster is there as the inventory says."""
    return LATER if _not_there(deployment) else cluster_setup.bring_cluster(deployment)


def start(deployment: Deployment) -> str:
    """What should run runs, with its present configuration."""
    return LATER if _not_there(deployment) else service_state.start(deployment)


def standalone(deployment: Deployment) -> str:
    """Services that Ambari does not manage."""
    from bigtop_builder.flow.hosts.apply_standalone import apply_standalone

    result = apply_standalone(deployment.loaded, deployment.fleet, deployment.emit, dry_run=deployment.dry_run)
    _worked(deployment, result)
    return ""


def verify(deployment: Deployment) -> str:
    """All checks and jobs. Raises AmbariError when there is no cluster."""
    managed = deployment.inventory.ambari is not None
    if managed and deployment.server_version and deployment.client.cluster(deployment.cluster) is None:
        raise AmbariError(
            f"there is no cluster {deployment.cluster} at {deployment.ambari.url}",
            hint="bigtop-builder deploy makes it.",
            location=deployment.loaded.place("cluster"),
        )
    return verification.verify(deployment)


def verify_after_deploy(deployment: Deployment) -> str:
    """All checks and jobs, unless nothing was changed since they last succeeded: then only the alerts."""
    if deployment.dry_run:
        return "left out: a dry run starts nothing"
    return verification.verify(deployment) if verification.due(deployment) else verification.glance(deployment)


def destroy(deployment: Deployment) -> str:
    """The cluster goes; hosts keep what is installed."""
    if deployment.inventory.ambari is None:
        return "the inventory has no Ambari"
    _ = deployment.server_answers
    return destroy_cluster(deployment)


def wipe(deployment: Deployment) -> str:
    """The cluster goes, and hosts are freed of it."""
    from bigtop_builder.flow.hosts.removal import wipe_hosts

    note = destroy(deployment)
    result = wipe_hosts(deployment.loaded, deployment.fleet, deployment.emit, dry_run=deployment.dry_run)
    _worked(deployment, result)
    return note


def blueprint_body(deployment: Deployment) -> dict[str, Any]:
    """The blueprint as it would be sent."""
    return cluster_setup.named_blueprint(deployment)[1]


def template_body(deployment: Deployment) -> dict[str, Any]:
    """The cluster template as it would be sent, with references in place of secrets."""
    return cluster_setup.template(deployment, cluster_setup.named_blueprint(deployment)[0], secrets=False)


def version_definition_text(deployment: Deployment) -> str:
    """The version definition as it would be sent."""
    from bigtop_builder.flow.deploy.repository import definition

    return definition(deployment)
