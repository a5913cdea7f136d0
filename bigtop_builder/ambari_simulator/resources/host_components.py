"""``components``, ``hosts`` of a cluster and ``host_components`` (contract 8.1, exchanges 143-148, 225-257, 428)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bigtop_builder.ambari_simulator.engine.cluster_state import REMOVABLE, Cluster, HostComponent
from bigtop_builder.ambari_simulator.engine.state import Host, World
from bigtop_builder.ambari_simulator.engine.work import work_of
from bigtop_builder.ambari_simulator.resources.decommission import name_node_metrics
from bigtop_builder.ambari_simulator.resources.hosts import HOST_PROPERTIES, host_row, set_rack
from bigtop_builder.ambari_simulator.resources.operations import change_states, check_state
from bigtop_builder.ambari_simulator.resources.provisioning import add_by_blueprint
from bigtop_builder.ambari_simulator.resources.requests import cluster_of
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf
from bigtop_builder.ambari_simulator.rest.replies import CREATED, DONE, Refusal, Reply, accepted, internal

MAINTENANCE = frozenset({"ON", "OFF"})


def host_component_row(call: Call, cluster: Cluster, one: HostComponent) -> Row:
    """A component on a host."""
    service = cluster.services[one.service]
    version = call.world.versions.get(service.repository)
    definition = cluster.stack.services[one.service].components[one.component]
    # Metrics are asked of the process itself, and only if the call wants them.
    asked = "metrics" in call.parameters.get("fields", "")
    metrics = name_node_metrics(work_of(call.world), cluster, one) if asked else {}
    return {
        "HostRoles": {
            "cluster_name": cluster.name,
            "component_name": one.component,
            **({"desired_admin_state": one.admin} if definition.decommission else {}),
            "desired_repository_version": version.version if version is not None else None,
            "desired_stack_id": cluster.stack.id,
            "desired_state": one.desired,
            "display_name": definition.title,
            "host_name": one.host,
            "maintenance_state": maintenance(call.world, cluster, one),
            "public_host_name": one.host,
            "reload_configs": False,
            "service_name": one.service,
            "stale_configs": cluster.stale(one),
            "state": work_of(call.world).state_of(one),
            "upgrade_state": one.upgrade_state,
            "version": one.version,
            "actual_configs": Leaf(),
        },
        **({"metrics": metrics} if metrics else {}),
    }


def maintenance(world: World, cluster: Cluster, one: HostComponent) -> str:
    """Return its own maintenance state, or the one implied by its service or host."""
    if one.maintenance == "ON":
        return "ON"
    service = cluster.services[one.service].maintenance == "ON"
    host = one.host in world.hosts and world.hosts[one.host].maintenance == "ON"
    if service and host:
        return "IMPLIED_FROM_SERVICE_AND_HOST"
    return "IMPLIED_FROM_SERVICE" if service else "IMPLIED_FROM_HOST" if host else "OFF"


def chosen_components(call: Call, rows: list[Row]) -> list[HostComponent]:
    """Return the components behind rows."""
    cluster = cluster_of(call)
    return [cluster.components[(row["HostRoles"]["host_name"], row["HostRoles"]["component_name"])] for row in rows]


def _rows(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    host, component = call.ids.get("Hosts/host_name"), call.ids.get("ServiceComponentInfo/component_name")
    found = sorted(cluster.components.values(), key=lambda one: (one.host, one.component))
    return [
        host_component_row(call, cluster, one)
        for one in found
        if host in (None, one.host) and component in (None, one.component)
    ]


def _missing(call: Call) -> str:
    component = call.id("HostRoles/component_name")
    cluster = cluster_of(call)
    return (
        f"ServiceComponentHost not found, clusterName={cluster.name}, "
        f"serviceName={cluster.stack.service_of(component) or 'null'}, serviceComponentName={component}, "
        f"hostName={call.ids.get('Hosts/host_name', 'null')}"
    )


def _create(call: Call, bodies: tuple[Body, ...]) -> Reply:
    cluster = cluster_of(call)
    host = call.id("Hosts/host_name")
    names = [str(body.properties["HostRoles/component_name"]) for body in bodies if body.properties]
    for name in names or [call.id("HostRoles/component_name")]:
        add_component(cluster, host, name)
    return CREATED


def add_component(cluster: Cluster, host: str, name: str) -> None:
    """Put a component onto a host on request. Raises ``Refusal``."""
    if host not in cluster.hosts:
        raise Refusal(
            404,
            "Attempted to add a host_component to a host that doesn't exist: "
            f"clusterName={cluster.name}, hostName={host}",
        )
    if (host, name) in cluster.components:
        raise Refusal(
            409,
            "Attempted to create a host_component which already exists: "
            f"[clusterName={cluster.name}, hostName={host}, componentName={name}]",
        )
    try:
        cluster.add(host, name)
    except KeyError:
        service = cluster.stack.service_of(name)
        raise internal(
            f"Service not found, clusterName={cluster.name}, serviceName={service or f'component: {name}'}"
        ) from None


def _update(call: Call, rows: list[Row], body: Body) -> Reply:
    cluster, chosen = cluster_of(call), chosen_components(call, rows)
    wanted = body.properties.get("HostRoles/maintenance_state")
    if wanted is not None:
        check_maintenance(str(wanted))
        for one in chosen:
            one.maintenance = str(wanted)
    state = body.properties.get("HostRoles/state")
    if state is None:
        return DONE
    check_state(str(state))
    if state == "STARTED" and call.ids.get("HostRoles/component_name") and chosen and chosen[0].client:
        raise Refusal(400, f"Invalid desired state for a client component: {chosen[0].component}")
    request = change_states(
        work_of(call.world), cluster, chosen, str(state), str(body.info.get("context", "")), call.user.name
    )
    if request is None:
        return DONE
    return accepted(call.href("clusters", cluster.name, "requests", request.id), request.id)


def check_maintenance(wanted: str) -> None:
    """Only ON and OFF can be set (400)."""
    if wanted not in MAINTENANCE:
        raise Refusal(400, f"Invalid arguments, can't set maintenance state to {wanted}")


def _delete(call: Call, rows: list[Row]) -> Reply:
    cluster = cluster_of(call)
    for one in chosen_components(call, rows):
        if work_of(call.world).state_of(one) not in REMOVABLE:
            raise internal(_prohibiting(cluster, one))
        cluster.remove(one)
    return DONE


def _prohibiting(cluster: Cluster, one: HostComponent) -> str:
    named = f"clusterName={cluster.name}, serviceName={one.service}, componentName={one.component}, hostname={one.host}"
    return (
        f"Current host component state prohibiting component removal., {named}, request={{ {named}, "
        "publicHostname=null, desiredState=null, state=null, desiredStackId=null, staleConfig=null, adminState=null, "
        f"maintenanceState=null}}, state={one.state}"
    )


def _host_link(call: Call, row: Row) -> dict[str, Any]:
    """Below a host the answer leaves out the host (148), elsewhere it names it (193, 232)."""
    if "hosts" in call.path and len(call.path) % 2:
        return {}
    return {
        "host": {
            "href": call.href("clusters", row["HostRoles"]["cluster_name"], "hosts", row["HostRoles"]["host_name"])
        }
    }


HOST_COMPONENT_PROPERTIES = properties(
    "HostRoles",
    "actual_configs cluster_name component_name desired_admin_state desired_repository_version desired_stack_id "
    "desired_state display_name ha_state host_name maintenance_state public_host_name reload_configs service_name "
    "stale_configs state upgrade_state version",
) | properties("metrics/dfs/namenode", "DeadNodes DecomNodes LiveNodes")
HOST_COMPONENT = Resource(
    type="HostComponent",
    plural="host_components",
    key="HostRoles/component_name",
    keys=("HostRoles/cluster_name", "HostRoles/component_name", "HostRoles/host_name"),
    properties=HOST_COMPONENT_PROPERTIES,
    rows=_rows,
    missing=_missing,
    href=lambda call, row: call.href(
        "clusters",
        row["HostRoles"]["cluster_name"],
        "hosts",
        row["HostRoles"]["host_name"],
        "host_components",
        row["HostRoles"]["component_name"],
    ),
    links=_host_link,
    create=_create,
    update=_update,
    delete=_delete,
)


def _host_rows(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    found = [call.world.hosts[name] for name in sorted(cluster.hosts) if name in call.world.hosts]
    return [_cluster_host_row(call.world, cluster, host) for host in found]


def _cluster_host_row(world: World, cluster: Cluster, host: Host) -> Row:
    row = host_row(world, host)
    row["Hosts"]["maintenance_state"] = host.maintenance
    row["Hosts"]["desired_configs"] = Leaf({name: _desired(cluster, host, name) for name in sorted(cluster.desired)})
    return row


def _desired(cluster: Cluster, host: Host, kind: str) -> Leaf:
    own = [group for group in cluster.groups.values() if host.name in group.hosts and kind in group.configurations]
    overrides = {str(group.id): group.configurations[kind].tag for group in own}
    found = Leaf(default=cluster.desired[kind].tag)
    return Leaf({**found, "overrides": Leaf(overrides)}) if overrides else found


def _create_hosts(call: Call, bodies: tuple[Body, ...]) -> Reply:
    cluster = cluster_of(call)
    own = call.ids.get("Hosts/host_name")
    if any("blueprint" in body.properties for body in bodies):
        return add_by_blueprint(call, cluster, [dict(body.properties) for body in bodies], own)
    names = [str(body.properties["Hosts/host_name"]) for body in bodies if "Hosts/host_name" in body.properties]
    map_hosts(call.world, cluster, [own] if own else names)
    return CREATED


def map_hosts(world: World, cluster: Cluster, names: list[str]) -> None:
    """Add registered hosts to a cluster. Raises ``Refusal``."""
    unknown = [name for name in names if name not in world.hosts or not world.hosts[name].registered]
    if unknown:
        raise Refusal(
            400,
            "Attempted to add unknown hosts to a cluster.  These hosts have not been registered with the server: "
            + ",".join(unknown),
        )
    for name in names:
        if name in cluster.hosts:
            raise Refusal(
                409,
                f"Attempted to create a host which already exists: clusterName={cluster.name}, hostName={name}",
            )
    for name in names:
        cluster.hosts.append(name)
        world.hosts[name].cluster, world.hosts[name].available = cluster.name, False


def _update_hosts(call: Call, rows: list[Row], body: Body) -> Reply:
    for row in rows:
        host = call.world.hosts[row["Hosts"]["host_name"]]
        set_rack(call.world, host, body)
        wanted = str(body.properties.get("Hosts/maintenance_state", host.maintenance))
        check_maintenance(wanted)
        host.maintenance = wanted
    return DONE


def leave_clusters(host: Host, world: World) -> None:
    """Remove a host from its cluster. Raises ``Refusal`` if anything runs on it."""
    cluster: Cluster | None = world.clusters.get(host.cluster or "")
    if cluster is None:
        return
    started = [one.component for one in cluster.on(host.name) if work_of(world).state_of(one) not in REMOVABLE]
    if started:
        raise internal(
            f"Cannot remove host {host.name} from {cluster.name}.  The following roles exist, and these components are "
            f"not in the removable state: {', '.join(started)}"
        )
    for one in cluster.on(host.name):
        cluster.remove(one)
    cluster.hosts.remove(host.name)
    for group in cluster.groups.values():
        group.hosts = [name for name in group.hosts if name != host.name]
    host.cluster = None


def _delete_hosts(call: Call, rows: list[Row]) -> Reply:
    from bigtop_builder.ambari_simulator.resources.hosts import remove_host

    for row in rows:
        remove_host(call.world, row["Hosts"]["host_name"])
    return DONE


CLUSTER_HOST = Resource(
    type="Host",
    plural="hosts",
    key="Hosts/host_name",
    keys=("Hosts/cluster_name", "Hosts/host_name"),
    properties=HOST_PROPERTIES | properties("", "blueprint host_group host_name host_count host_predicate rack_info"),
    rows=_host_rows,
    missing=lambda call: (
        f"Host not found, cluster={call.id('Clusters/cluster_name')}, hostname={call.id('Hosts/host_name')}"
    ),
    sub=(HOST_COMPONENT,),
    create=_create_hosts,
    update=_update_hosts,
    delete=_delete_hosts,
)


def component_row(call: Call, cluster: Cluster, service: str, component: str) -> Row:
    """Return a component of a cluster with its counters."""
    members = [one for one in cluster.of(service) if one.component == component]
    states = [work_of(call.world).state_of(one) for one in members]
    definition = cluster.stack.services[service].components[component]
    version = call.world.versions.get(cluster.services[service].repository)
    known = [one.version for one in members]
    counted: dict[str, Any] = {
        f"{name.lower()}_count": states.count(name)
        for name in ("INIT", "INSTALLED", "INSTALL_FAILED", "STARTED", "UNKNOWN")
    }
    worst = next((one for one in ("UNKNOWN", "INSTALL_FAILED", "INIT", "INSTALLED") if one in states), None)
    return {
        "ServiceComponentInfo": {
            **counted,
            "category": definition.category,
            "cluster_name": cluster.name,
            "component_name": component,
            "desired_stack": cluster.stack.id,
            "desired_version": version.version if version is not None else None,
            "display_name": definition.title,
            "installed_and_maintenance_off_count": sum(
                one.state == "INSTALLED" and one.maintenance == "OFF" for one in members
            ),
            "recovery_enabled": "false",
            "repository_state": "CURRENT" if known and "UNKNOWN" not in known else "NOT_REQUIRED",
            "service_name": service,
            "state": worst or ("STARTED" if states else "INIT"),
            "total_count": len(members),
        }
    }


def _component_rows(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    own = call.ids.get("ServiceInfo/service_name")
    return [
        component_row(call, cluster, service.name, component)
        for service in cluster.services.values()
        if own in (None, service.name)
        for component in sorted(service.components)
    ]


def _create_components(call: Call, bodies: tuple[Body, ...]) -> Reply:
    from bigtop_builder.ambari_simulator.rest.replies import uncaught

    cluster = cluster_of(call)
    names = [str(body.properties["ServiceComponentInfo/component_name"]) for body in bodies if body.properties]
    for name in names or [call.id("ServiceComponentInfo/component_name")]:
        service = cluster.stack.service_of(name)
        if service is None or service not in cluster.services:
            raise uncaught()
        known = cluster.services[service].components
        if name in known:
            raise Refusal(
                409,
                "Attempted to create one or more components which already exist: "
                f"[clusterName={cluster.name}, serviceName={service}, componentName={name}]",
            )
        known.append(name)
    return CREATED


COMPONENT = Resource(
    type="Component",
    plural="components",
    key="ServiceComponentInfo/component_name",
    keys=(
        "ServiceComponentInfo/cluster_name",
        "ServiceComponentInfo/component_name",
        "ServiceComponentInfo/service_name",
    ),
    properties=properties(
        "ServiceComponentInfo",
        "category cluster_name component_name desired_stack desired_version display_name init_count installed_count "
        "install_failed_count recovery_enabled service_name started_count state total_count unknown_count",
    ),
    rows=_component_rows,
    missing=lambda call: (
        f"ServiceComponent not found, clusterName={call.id('Clusters/cluster_name')}, "
        f"serviceComponentName={call.id('ServiceComponentInfo/component_name')}"
    ),
    sub=(HOST_COMPONENT,),
    create=_create_components,
)
