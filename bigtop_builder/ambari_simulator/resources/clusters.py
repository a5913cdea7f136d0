"""``clusters``: creation, configuration, deletion, export (contract 6; exchanges 095-105, 119-142, 152, 329-346)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bigtop_builder.ambari_simulator.engine.cluster_state import REMOVABLE, Cluster
from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.engine.work import Work, work_of
from bigtop_builder.ambari_simulator.resources.alerts import ALERT, ALERT_DEFINITION, summary
from bigtop_builder.ambari_simulator.resources.configurations import (
    CONFIG_GROUP,
    CONFIGURATION,
    SERVICE_VERSION,
    desire,
    go_back,
    masked,
)
from bigtop_builder.ambari_simulator.resources.host_components import (
    CLUSTER_HOST,
    COMPONENT,
    HOST_COMPONENT,
    leave_clusters,
)
from bigtop_builder.ambari_simulator.resources.provisioning import create_by_blueprint
from bigtop_builder.ambari_simulator.resources.requests import REQUEST, cluster_of, stamp
from bigtop_builder.ambari_simulator.resources.services import ARTIFACT, SERVICE
from bigtop_builder.ambari_simulator.resources.stack_versions import STACK_VERSION, UPGRADE_CHECK
from bigtop_builder.ambari_simulator.resources.upgrades import UPGRADE
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf
from bigtop_builder.ambari_simulator.rest.replies import CREATED, DONE, Refusal, Reply, internal, uncaught
from bigtop_builder.cluster.stack_rest import default_properties

HOST_STATES = ("HEALTHY", "UNHEALTHY", "HEARTBEAT_LOST", "INIT")
HOST_STATUSES = ("HEALTHY", "UNHEALTHY", "UNKNOWN", "ALERT")
STORES = {"storage.persistent": "false", "storage.temporary": "true"}


def cluster_row(world: World, cluster: Cluster) -> Row:
    """A cluster."""
    return {
        "Clusters": {
            "cluster_id": cluster.id,
            "cluster_name": cluster.name,
            "health_report": _health(world, cluster),
            "provisioning_state": cluster.provisioning,
            "security_type": cluster.security,
            "total_hosts": len(cluster.hosts),
            "version": cluster.stack.id,
            "credential_store_properties": Leaf(STORES),
            "desired_configs": Leaf(
                {name: Leaf(tag=one.tag, version=one.version) for name, one in sorted(cluster.desired.items())}
            ),
            "desired_service_config_versions": _service_versions(cluster),
        },
        "alerts_summary": summary(),
        "alerts_summary_hosts": Leaf({"CRITICAL": 0, "OK": 0, "UNKNOWN": 0, "WARNING": 0}),
    }


def _health(world: World, cluster: Cluster) -> Leaf:
    hosts = [world.hosts[name] for name in cluster.hosts if name in world.hosts]
    states = [host.state(world.now()) for host in hosts]
    statuses = [work_of(world).host_status(host) for host in hosts]
    stale = {one.host for one in cluster.components.values() if cluster.stale(one)}
    report = {
        "Host/stale_config": len(stale),
        "Host/maintenance_state": sum(host.maintenance == "ON" for host in hosts),
    }
    report |= {f"Host/host_state/{name}": states.count(name) for name in HOST_STATES}
    return Leaf(report | {f"Host/host_status/{name}": statuses.count(name) for name in HOST_STATUSES})


def _service_versions(cluster: Cluster) -> Leaf:
    current = [one for one in cluster.service_versions if one.current]
    return Leaf(
        {
            name: [
                Leaf(
                    hosts=one.hosts,
                    compatibleWithCurrentStack=True,
                    cluster_name=cluster.name,
                    service_name=name,
                    service_config_version=one.version,
                    createtime=stamp(one.created),
                    group_id=one.group,
                    group_name=one.group_name,
                    user=one.user,
                    stack_id=cluster.stack.id,
                    is_current=True,
                    is_cluster_compatible=True,
                    **({"service_config_version_note": one.note} if one.note else {}),
                )
                for one in current
                if one.service == name
            ]
            for name in sorted({one.service for one in current})
        }
    )


def _rows(call: Call) -> Iterable[Row]:
    # A user without roles gets an empty list, not a refusal (498).
    if not call.user.admin:
        return []
    return [cluster_row(call.world, call.world.clusters[name]) for name in sorted(call.world.clusters)]


def _create(call: Call, bodies: tuple[Body, ...]) -> Reply:
    name = call.ids.get("Clusters/cluster_name", "")
    body = bodies[0] if bodies else Body({}, {})
    name = name or str(body.properties.get("Clusters/cluster_name", ""))
    if "blueprint" in body.document:
        return create_by_blueprint(call, name, body)
    version = body.properties.get("Clusters/version")
    if not version:
        raise Refusal(400, "Stack information should be provided when creating a cluster")
    stack_name, _, stack_version = str(version).partition("-")
    stack = call.world.stacks.get((stack_name, stack_version))
    if stack is None:
        raise internal(f"Stack data, Stack {stack_name} {stack_version} is not found in Ambari metainfo")
    if name in call.world.clusters:
        raise Refusal(409, f"Attempted to create a Cluster which already exists, clusterName={name}")
    call.world.clusters[name] = Cluster(call.world.number("cluster", first=2), name, stack, call.world.now())
    return CREATED


def _update(call: Call, rows: list[Row], body: Body) -> Reply:
    reply = DONE
    for row in rows:
        cluster = call.world.clusters[row["Clusters"]["cluster_name"]]
        reply = _update_one(call, cluster, body)
    return reply


def _update_one(call: Call, cluster: Cluster, body: Body) -> Reply:
    given = body.document.get("Clusters", {})
    if not isinstance(given, dict):
        given = {}
    back = given.get("desired_service_config_versions")
    wanted = given.get("desired_config", body.properties.get("Clusters/desired_config"))
    if wanted and back:
        raise Refusal(400, "desired_config and desired_service_config_versions cannot be given in one call")
    cluster.provisioning = str(given.get("provisioning_state", cluster.provisioning))
    if back:
        note = back.get("service_config_version_note")
        return go_back(call, cluster, str(back["service_name"]), int(back["service_config_version"]), note)
    if wanted:
        return desire(call, cluster, wanted if isinstance(wanted, list) else [wanted])
    return DONE


def _delete(call: Call, rows: list[Row]) -> Reply:
    for row in rows:
        delete_cluster(call.world, work_of(call.world), call.world.clusters[row["Clusters"]["cluster_name"]])
    return DONE


def delete_cluster(world: World, work: Work, cluster: Cluster) -> None:
    """Delete a cluster whose components are all stopped.

    With a request that has not ended it still succeeds and then stops the scheduler of the whole server until a
    restart (live-notes, HAZARD). With a configuration group it fails (610), and so does every other attempt until a
    restart (611). Its hosts cannot be taken again until their agents register anew.
    """
    if any(work.state_of(one) not in REMOVABLE for one in cluster.components.values()):
        raise internal(f"Could not delete cluster, clusterName={cluster.name}")
    cluster.undeletable = cluster.undeletable or bool(cluster.groups)
    if cluster.undeletable:
        raise uncaught()
    if work.engine.unfinished(cluster.name):
        work.engine.poisoned = cluster.name
    for name in cluster.hosts:
        if name in world.hosts:
            world.hosts[name].cluster, world.hosts[name].available = None, False
    del world.clusters[cluster.name]


def export(call: Call, rows: list[Row]) -> dict[str, Any]:
    """Export the cluster as a blueprint: a host group for each distinct set of components, without default values."""
    cluster: Cluster = call.world.clusters[rows[0]["Clusters"]["cluster_name"]]
    layouts: dict[tuple[str, ...], list[str]] = {}
    for host in sorted(cluster.hosts):
        layouts.setdefault(tuple(one.component for one in cluster.on(host)), []).append(host)
    groups = [
        {
            "components": [{"name": name} for name in sorted(components, reverse=True)],
            "name": f"host_group_{number}",
            "cardinality": str(len(hosts)),
        }
        for number, (components, hosts) in enumerate(layouts.items(), start=1)
    ]
    defaults = {name: default_properties(cluster.stack, name) for name in cluster.stack.defaults}
    for service in cluster.services:
        defaults |= cluster.stack.services[service].defaults
    configurations = []
    for name in sorted(cluster.desired):
        known = defaults.get(name, {})
        own = {
            key: value for key, value in masked(cluster.stack, cluster.desired[name]).items() if known.get(key) != value
        }
        if own:
            configurations.append({name: {"properties": own}})
    stack = {"stack_name": cluster.stack.name, "stack_version": cluster.stack.version}
    return {"configurations": configurations, "host_groups": groups, "Blueprints": stack}


def _nothing(kind: str, plural: str, key: str) -> Resource:
    return Resource(type=kind, plural=plural, key=key, properties=frozenset({key}), rows=lambda call: [])


def _descriptors(call: Call) -> Iterable[Row]:
    name = cluster_of(call).name
    return [{"KerberosDescriptor": {"cluster_name": name, "type": kind}} for kind in ("COMPOSITE", "STACK", "USER")]


KERBEROS_DESCRIPTOR = Resource(
    type="KerberosDescriptor",
    plural="kerberos_descriptors",
    key="KerberosDescriptor/type",
    keys=("KerberosDescriptor/cluster_name", "KerberosDescriptor/type"),
    properties=properties("KerberosDescriptor", "cluster_name type"),
    rows=_descriptors,
)


def _credentials(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    return [
        {"Credential": {"alias": alias, "cluster_name": cluster.name, "type": kind}}
        for alias, kind in sorted(cluster.credentials.items())
    ]


def _create_credential(call: Call, bodies: tuple[Body, ...]) -> Reply:
    cluster, alias = cluster_of(call), call.id("Credential/alias")
    kind = str(bodies[0].properties.get("Credential/type", "temporary")) if bodies else "temporary"
    if kind.lower() == "persisted":
        raise Refusal(400, "Credentials cannot be stored in Ambari's persistent secure credential store")
    if alias in cluster.credentials:
        raise Refusal(409, f"A credential with the alias of {alias} already exists")
    cluster.credentials[alias] = kind
    return CREATED


def _delete_credential(call: Call, rows: list[Row]) -> Reply:
    for row in rows:
        del cluster_of(call).credentials[row["Credential"]["alias"]]
    return DONE


CREDENTIAL = Resource(
    type="Credential",
    plural="credentials",
    key="Credential/alias",
    keys=("Credential/alias", "Credential/cluster_name"),
    properties=properties("Credential", "alias cluster_name type principal key"),
    rows=_credentials,
    listed=False,
    create=_create_credential,
    update=lambda call, rows, body: DONE,
    delete=_delete_credential,
)


def _unlisted(resource: Resource) -> Resource:
    from dataclasses import replace

    return replace(resource, listed=False)


CLUSTER = Resource(
    type="Cluster",
    plural="clusters",
    key="Clusters/cluster_name",
    properties=properties(
        "Clusters",
        "cluster_id cluster_name credential_store_properties desired_config desired_configs "
        "desired_service_config_versions health_report provisioning_state security_type total_hosts version",
    )
    | {"alerts_summary", "alerts_summary_hosts"},
    rows=_rows,
    missing=lambda call: f"Cluster not found, clusterName={call.id('Clusters/cluster_name')}",
    sub=(
        _nothing("ClusterPrivilege", "privileges", "PrivilegeInfo/privilege_id"),
        CONFIG_GROUP,
        KERBEROS_DESCRIPTOR,
        CLUSTER_HOST,
        CONFIGURATION,
        REQUEST,
        SERVICE,
        _nothing("Workflow", "workflows", "Workflow/workflow_id"),
        ALERT,
        STACK_VERSION,
        SERVICE_VERSION,
        ALERT_DEFINITION,
        ARTIFACT,
        _unlisted(COMPONENT),
        _unlisted(HOST_COMPONENT),
        CREDENTIAL,
        UPGRADE,
        UPGRADE_CHECK,
    ),
    create=_create,
    update=_update,
    delete=_delete,
    formats={"blueprint": export, "blueprint_full": export, "blueprint_minimal": export},
)


def connect(world: World) -> None:
    """Remove hosts from their cluster when they are removed from the server."""
    world.removing.append(lambda host: leave_clusters(host, world))
