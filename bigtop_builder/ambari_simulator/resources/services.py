"""``services`` of a cluster: states, addition, deletion (contract 8.1, 8.4; exchanges 143-200, 319-328, 344-366)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bigtop_builder.ambari_simulator.engine.cluster_state import REMOVABLE, Cluster, Service
from bigtop_builder.ambari_simulator.engine.work import work_of
from bigtop_builder.ambari_simulator.resources.alerts import ALERT, summary
from bigtop_builder.ambari_simulator.resources.host_components import COMPONENT, check_maintenance
from bigtop_builder.ambari_simulator.resources.operations import change_states, check_state
from bigtop_builder.ambari_simulator.resources.requests import cluster_of
from bigtop_builder.ambari_simulator.resources.stack_versions import state_of_version
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf
from bigtop_builder.ambari_simulator.rest.replies import CREATED, DONE, Refusal, Reply, accepted, internal


def service_row(call: Call, cluster: Cluster, service: Service) -> Row:
    """A service of a cluster."""
    stack = cluster.stack
    switches: dict[str, Any] = dict.fromkeys(
        (
            "kerberos_enabled",
            "ldap_integration_desired",
            "ldap_integration_enabled",
            "ldap_integration_supported",
            "sso_integration_desired",
            "sso_integration_enabled",
            "sso_integration_requires_kerberos",
            "sso_integration_supported",
        ),
        False,
    )
    return {
        "ServiceInfo": {
            **switches,
            "cluster_name": cluster.name,
            "credential_store_enabled": "false",
            "credential_store_supported": "false",
            "desired_repository_version_id": service.repository,
            "desired_stack": Leaf(stackName=stack.name, stackVersion=stack.version, stackId=stack.id),
            "maintenance_state": service.maintenance,
            "repository_state": state_of_version(call.world, cluster, service.repository),
            "service_name": service.name,
            "state": _state(call, cluster, service.name),
        },
        "alerts_summary": summary(),
    }


def _state(call: Call, cluster: Cluster, service: str) -> str:
    members = cluster.of(service)
    states = {work_of(call.world).state_of(one) for one in members if not one.client}
    return "UNKNOWN" if "UNKNOWN" in states else cluster.service_state(service)


def _rows(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    return [service_row(call, cluster, cluster.services[name]) for name in sorted(cluster.services)]


def _create(call: Call, bodies: tuple[Body, ...]) -> Reply:
    cluster = cluster_of(call)
    wanted = [body.properties for body in bodies if body.properties] or [{}]
    for given in wanted:
        name = str(given.get("ServiceInfo/service_name") or call.ids.get("ServiceInfo/service_name", ""))
        _add(call, cluster, name, given.get("ServiceInfo/desired_repository_version_id"))
    return CREATED


def _add(call: Call, cluster: Cluster, name: str, repository: Any) -> None:
    if name in cluster.services:
        raise Refusal(
            409,
            f"Attempted to create a service which already exists: , clusterName={cluster.name} serviceName={name}",
        )
    used = {service.repository for service in cluster.services.values()}
    if repository is None and not used:
        raise Refusal(400, "No repositories were found for service installation")
    if repository is None and len(used) > 1:
        raise Refusal(
            400,
            "ServiceInfo/desired_repository_version_id was not specified, and the cluster contains more than one "
            "standard-type repository",
        )
    number = int(repository) if repository is not None else used.pop()
    if number not in call.world.versions:
        raise Refusal(400, f"Could not find any repositories defined by {number}")
    if name not in cluster.stack.services:
        raise Refusal(
            400,
            f"Unsupported or invalid service in stack, clusterName={cluster.name}, serviceName={name}, "
            f"stackInfo={cluster.stack.id}",
        )
    cluster.services[name] = Service(name, number)


def _update(call: Call, rows: list[Row], body: Body) -> Reply:
    cluster = cluster_of(call)
    names = [str(row["ServiceInfo"]["service_name"]) for row in rows]
    wanted = body.properties.get("ServiceInfo/maintenance_state")
    if wanted is not None:
        check_maintenance(str(wanted))
        for name in names:
            cluster.services[name].maintenance = str(wanted)
    state = body.properties.get("ServiceInfo/state")
    if state is None:
        return DONE
    check_state(str(state))
    single = "ServiceInfo/service_name" in call.ids
    taking = [name for name in names if single or cluster.services[name].maintenance == "OFF"]
    request = change_states(
        work_of(call.world),
        cluster,
        sorted((one for name in taking for one in cluster.of(name)), key=lambda one: (one.host, one.component)),
        str(state),
        str(body.info.get("context", "")),
        call.user.name,
        clients_of=taking if call.parameters.get("params/reconfigure_client", "true") == "true" else (),
        check=taking if call.parameters.get("params/run_smoke_test") == "true" else (),
    )
    if request is None:
        return DONE
    return accepted(call.href("clusters", cluster.name, "requests", request.id), request.id)


def _delete(call: Call, rows: list[Row]) -> Reply:
    cluster = cluster_of(call)
    for row in rows:
        name = str(row["ServiceInfo"]["service_name"])
        if any(work_of(call.world).state_of(one) not in REMOVABLE for one in cluster.of(name)):
            raise internal(
                f"Cannot remove {cluster.name}/{name}. One or more host components are in a non-removable state."
            )
        for kind in cluster.types_of(name):
            del cluster.desired[kind]
            del cluster.versions[kind]
        cluster.service_versions = [one for one in cluster.service_versions if one.service != name]
        for one in cluster.of(name):
            cluster.remove(one)
        del cluster.services[name]
    return DONE


ARTIFACT = Resource(
    type="Artifact",
    plural="artifacts",
    key="Artifacts/artifact_name",
    properties=properties("Artifacts", "artifact_name"),
    rows=lambda call: [],
)
SERVICE = Resource(
    type="Service",
    plural="services",
    key="ServiceInfo/service_name",
    keys=("ServiceInfo/cluster_name", "ServiceInfo/service_name"),
    properties=properties(
        "ServiceInfo",
        "cluster_name credential_store_enabled credential_store_supported desired_repository_version_id desired_stack "
        "kerberos_enabled ldap_integration_desired ldap_integration_enabled ldap_integration_supported "
        "maintenance_state repository_state service_name sso_integration_desired sso_integration_enabled "
        "sso_integration_requires_kerberos sso_integration_supported state",
    )
    | {"alerts_summary"},
    rows=_rows,
    missing=lambda call: (
        f"Service not found, clusterName={call.id('Clusters/cluster_name')}, "
        f"serviceName={call.id('ServiceInfo/service_name')}"
    ),
    directives=frozenset({"params/run_smoke_test", "params/reconfigure_client"}),
    sub=(ALERT, COMPONENT, ARTIFACT),
    create=_create,
    update=_update,
    delete=_delete,
)
