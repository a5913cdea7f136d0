"""The work of each phase, in the order of ``deployment_run``."""

from __future__ import annotations

from typing import Any

from bigtop_builder.flow.deploy import cluster_setup, service_state, stack_upgrade, verification
from bigtop_builder.flow.deploy.agent_repositories import remove_leftovers
from bigtop_builder.flow.deploy.deployment import Deployment
from bigtop_builder.flow.deploy.desired_layout import as_recommendation, desired_layout, services_of
from bigtop_builder.flow.deploy.destroy import destroy_cluster
from bigtop_builder.flow.deploy.preflight import check, check_own
from bigtop_builder.flow.deploy.removal import make_way
from bigtop_builder.flow.deploy.removal import remove as remove_all
from bigtop_builder.flow.deploy.repository import register
from bigtop_builder.flow.deploy.stack_obstacles import pack_text, require_way, wanted_pack
from bigtop_builder.flow.hosts.operations import WorkResult
from bigtop_builder.model.errors import AmbariError
from bigtop_builder.model.event import CheckFinished

LATER = "known once the server is set up"

__all__ = ["ambari", "check", "cluster", "destroy", "layout", "prepare", "repository", "standalone", "start", "verify"]


def _worked(deployment: Deployment, result: WorkResult) -> None:
    """Count the changes of work on hosts. Raises HostError if a host failed."""
    deployment.reporter.changes += result.changes
    error = result.error()
    if error is not None:
        raise error


def _server_missing(deployment: Deployment) -> bool:
    """Return whether this is a dry run and the server does not exist yet: earlier phases have set nothing up."""
    return deployment.reporter.dry_run and not deployment.world.server_answers


def check_hosts(deployment: Deployment) -> str:
    """Check the hosts, and nothing else. Raises HostError if a host fails a check."""
    from bigtop_builder.flow.hosts import checks

    check_own(deployment.connections, deployment.world)
    found = checks.check_hosts(
        deployment.world.loaded,
        deployment.connections.fleet,
        deployment.reporter.emit,
        accesses=deployment.world.accesses,
    )
    found.raise_for_errors()
    return found.note


def prepare(deployment: Deployment) -> str:
    """Set up on the hosts whatever they lack. Raises HostError."""
    from bigtop_builder.flow.hosts.preparation import prepare_hosts

    check_own(deployment.connections, deployment.world)
    result = prepare_hosts(
        deployment.world.loaded,
        deployment.connections.fleet,
        deployment.reporter.emit,
        dry_run=deployment.reporter.dry_run,
        facts=deployment.world.facts,
        accesses=deployment.world.accesses,
    )
    _worked(deployment, result)
    return ""


def ambari(deployment: Deployment) -> str:
    """Set up server and agents if the inventory says so, then wait until every host is registered."""
    from bigtop_builder.flow.deploy.ambari_server import set_up_servers
    from bigtop_builder.flow.deploy.registration import await_registration

    setup = deployment.world.loaded.ambari.setup
    answers = setup is not None and deployment.world.server_answers
    pack = wanted_pack(deployment.connections.client, deployment.world) if answers else None
    result = set_up_servers(
        deployment.world.loaded,
        deployment.connections.fleet,
        deployment.connections.client,
        deployment.connections.secrets,
        deployment.reporter.emit,
        dry_run=deployment.reporter.dry_run,
        cancelled=deployment.reporter.cancelled,
        files={pack[0]: pack[1].encode()} if pack else {},
    )
    _worked(deployment, result)
    deployment.world.forget_server()
    if _server_missing(deployment):
        return LATER
    if deployment.reporter.dry_run:
        known = {host.name for host in deployment.connections.client.hosts()}
        missing = [host for host in deployment.world.hosts if host not in known]
        return f"to register: {', '.join(missing)}" if missing else "all hosts are registered"
    await_registration(
        deployment.connections.client,
        deployment.world.loaded,
        deployment.connections.fleet if deployment.connections.hosted else None,
        deployment.reporter.emit,
        deployment.reporter.cancelled,
    )
    return f"{deployment.connections.client.version()} at {deployment.world.loaded.ambari.url}"


def repository(deployment: Deployment) -> str:
    """Register the version definition, and remove what agents left of former ones."""
    if _server_missing(deployment):
        return LATER
    require_way(deployment.connections.client, deployment.world)
    note = register(deployment.connections.client, deployment.world, deployment.reporter)
    error = remove_leftovers(deployment.connections, deployment.world, deployment.reporter).error()
    if error is not None:
        raise error
    return note


def layout(deployment: Deployment) -> str:
    """Determine the layout and report what Ambari's own validation says about it.

    Its errors do not end the deployment, just as in Ambari's web interface: the advisor requires services that others
    can do without, and the server checks the blueprint again.
    """
    if _server_missing(deployment):
        return LATER
    made = desired_layout(deployment.connections.client, deployment.world, deployment.reporter)
    stack = deployment.world.inventory.stack
    services = services_of(deployment.world.stack, made)
    remarks = deployment.connections.client.validate(
        stack.name, stack.version, "host_groups", list(made.hosts), services, as_recommendation(made)
    )
    for remark in remarks:
        where = ": ".join(part for part in (remark.component, remark.config_type, remark.config_name) if part)
        deployment.reporter.emit(
            CheckFinished(
                phase=deployment.reporter.phase,
                check="Ambari's validation",
                host=remark.host,
                level="warning",
                message=f"{remark.level}: {where}: {remark.message}" if where else f"{remark.level}: {remark.message}",
            )
        )
    return f"{len(made.components)} components on {len(made.hosts)} hosts"


def cluster(deployment: Deployment) -> str:
    """Create the cluster, or reconcile an existing one with the inventory."""
    if _server_missing(deployment):
        return LATER
    return cluster_setup.bring_cluster(deployment.connections, deployment.world, deployment.reporter)


def start(deployment: Deployment) -> str:
    """Start what should run, and restart what runs with an outdated configuration."""
    if _server_missing(deployment):
        return LATER
    make_way(deployment.connections.client, deployment.world, deployment.reporter)
    note = service_state.start(deployment.connections.client, deployment.world, deployment.reporter)
    stack_upgrade.conclude(deployment.connections, deployment.world, deployment.reporter)
    return note


def remove(deployment: Deployment) -> str:
    """Remove what has left the inventory."""
    if _server_missing(deployment):
        return LATER
    return remove_all(deployment.connections.client, deployment.world, deployment.reporter)


def standalone(deployment: Deployment) -> str:
    """Set up the services that Ambari does not manage."""
    from bigtop_builder.flow.hosts.apply_standalone import apply_standalone

    result = apply_standalone(
        deployment.world.loaded,
        deployment.connections.fleet,
        deployment.reporter.emit,
        dry_run=deployment.reporter.dry_run,
        restart=deployment.reporter.restart,
        pending=deployment.world.expected.services,
        agreement=deployment.reporter.consent.require_outside,
    )
    _worked(deployment, result)
    return ""


def verify(deployment: Deployment) -> str:
    """Run all checks and jobs. Raises AmbariError if the cluster does not exist."""
    managed = deployment.world.inventory.ambari is not None
    if (
        managed
        and deployment.world.server_version
        and deployment.connections.client.cluster(deployment.world.cluster) is None
    ):
        raise AmbariError(
            f"there is no cluster {deployment.world.cluster} at {deployment.world.loaded.ambari.url}",
            hint="bigtop-builder deploy creates it.",
            location=deployment.world.loaded.place("cluster"),
        )
    return verification.verify(deployment.connections, deployment.world, deployment.reporter)


def verify_after_deploy(deployment: Deployment) -> str:
    """Run all checks and jobs; only check the alerts if nothing has changed since they last succeeded."""
    if deployment.reporter.dry_run:
        return "skipped: a dry run starts nothing"
    return (
        verification.verify(deployment.connections, deployment.world, deployment.reporter)
        if verification.needs_verify(deployment.reporter)
        else verification.check_alerts(deployment.connections, deployment.world, deployment.reporter)
    )


def destroy(deployment: Deployment, gone: frozenset[str] = frozenset()) -> str:
    """Remove the cluster; hosts keep what is installed. Nothing is expected of hosts that are ``gone``."""
    if deployment.world.inventory.ambari is None:
        return "the inventory has no Ambari"
    _ = deployment.world.server_answers
    return destroy_cluster(deployment.connections, deployment.world, deployment.reporter, gone)


def rollback(deployment: Deployment, service: str, version: int) -> str:
    """Make an earlier version of a service's configurations current again."""
    from bigtop_builder.flow.deploy.config_history import roll_back

    return roll_back(deployment.connections.client, deployment.world, deployment.reporter, service, version)


def wipe(deployment: Deployment, gone: frozenset[str] = frozenset()) -> str:
    """Remove the cluster, and uninstall what deployments put on its hosts."""
    from bigtop_builder.flow.hosts.removal import uninstall

    note = destroy(deployment, gone)
    result = uninstall(
        deployment.world.loaded,
        deployment.connections.fleet,
        deployment.reporter.emit,
        dry_run=deployment.reporter.dry_run,
        gone=gone,
    )
    _worked(deployment, result)
    return note


def blueprint_body(deployment: Deployment) -> dict[str, Any]:
    """Return the blueprint as it would be sent."""
    return cluster_setup.named_blueprint(deployment.connections.client, deployment.world, deployment.reporter)[1]


def template_body(deployment: Deployment) -> dict[str, Any]:
    """Return the cluster template as it would be sent, with references in place of secrets."""
    return cluster_setup.template(
        deployment.connections,
        deployment.world,
        deployment.reporter,
        cluster_setup.named_blueprint(deployment.connections.client, deployment.world, deployment.reporter)[0],
        secrets=False,
    )


def upgrade_pack_text(deployment: Deployment) -> str:
    """Return the upgrade pack that the server needs for the inventory's stack. Raises AmbariError if it needs none."""
    return pack_text(deployment.connections.client, deployment.world)


def version_definition_text(deployment: Deployment) -> str:
    """Return the version definition as it would be sent."""
    from bigtop_builder.flow.deploy.repository import definition

    return definition(deployment.connections.client, deployment.world)
