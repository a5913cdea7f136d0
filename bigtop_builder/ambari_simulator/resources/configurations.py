"""Configurations of a cluster: versions, tags, service versions, config groups (8.3; exchanges 150-207, 386)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from bigtop_builder.ambari_simulator.engine.cluster_state import Cluster, ConfigGroup, ConfigVersion, ServiceVersion
from bigtop_builder.ambari_simulator.resources.requests import cluster_of, stamp
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf
from bigtop_builder.ambari_simulator.rest.replies import DONE, Refusal, Reply, internal, resources, uncaught
from bigtop_builder.model.ambari_stack import StackDefinition

PREFIX, PASSWORD = "SECRET", "PASSWORD"


def desire(call: Call, cluster: Cluster, wanted: list[Mapping[str, Any]]) -> Reply:
    """Activate configurations: new versions, or an old one again by its tag.

    Raises ``Refusal`` 500 where components were put onto hosts before the cluster had any configuration (357).
    """
    if cluster.components and not cluster.desired:
        raise uncaught()
    known = cluster.stack.configuration_types()
    changed: dict[str, list[ConfigVersion]] = {}
    note = next(
        (str(one["service_config_version_note"]) for one in wanted if "service_config_version_note" in one), None
    )
    for one in wanted:
        version = _desire_one(cluster, one)
        service = known.get(str(one["type"]))
        if version is not None and service in cluster.services:
            changed.setdefault(str(service), []).append(version)
    documents = []
    for service, versions in changed.items():
        noted = cluster.note_service(service, call.world.now(), call.user.name, note)
        documents.append(_changed(call, cluster, noted, versions))
    return resources(*documents, status=200) if documents else DONE


def _desire_one(cluster: Cluster, one: Mapping[str, Any]) -> ConfigVersion | None:
    """Return the new version; ``None`` if the same one is already active or an old one was reactivated."""
    name, tag = str(one["type"]), str(one.get("tag") or uuid.uuid4())
    earlier = next((version for version in cluster.versions.get(name, ()) if version.tag == tag), None)
    if earlier is not None:
        cluster.desired[name] = earlier
        return None
    current = cluster.desired.get(name)
    given = {
        key: "" if value is None else _revealed(cluster, value)
        for key, value in dict(one.get("properties") or {}).items()
    }
    attributes = one.get("properties_attributes") or {}
    if current is not None and dict(current.properties) == given and dict(current.attributes) == attributes:
        return None
    return cluster.put(name, tag, given, attributes)


def _changed(call: Call, cluster: Cluster, noted: ServiceVersion, versions: list[ConfigVersion]) -> dict[str, Any]:
    stack = cluster.stack
    return {
        "href": service_version_href(call, cluster, noted),
        "configurations": [
            {
                "clusterName": cluster.name,
                "stackId": {"stackName": stack.name, "stackVersion": stack.version, "stackId": stack.id},
                "type": one.type,
                "versionTag": one.tag,
                "version": one.version,
                "serviceConfigVersions": None,
                "configs": masked(stack, one),
                "configAttributes": dict(one.attributes),
                "propertiesTypes": _property_types(stack, noted.service, one),
            }
            for one in versions
        ],
        "group_id": noted.group,
        "group_name": noted.group_name,
        "service_config_version": noted.version,
        "service_config_version_note": noted.note,
        "service_name": noted.service,
    }


def _property_types(stack: StackDefinition, service: str, one: ConfigVersion) -> dict[str, list[str]]:
    """Return USER, GROUP, PASSWORD … with the properties of that kind that the version has (759)."""
    found: dict[str, list[str]] = {}
    for name, kinds in stack.services[service].property_types.get(one.type, {}).items():
        for kind in kinds if name in one.properties else ():
            found.setdefault(kind, []).append(name)
    return found


def masked(stack: StackDefinition, one: ConfigVersion) -> dict[str, str]:
    """Return the properties with references in place of passwords (SecretReference.replacePasswordsWithReferences)."""
    service = stack.configuration_types().get(one.type)
    if service is None:
        return dict(one.properties)
    names = {
        name for name, kinds in stack.services[service].property_types.get(one.type, {}).items() if PASSWORD in kinds
    }
    names |= {
        name
        for kind, _, name in (place.partition("/") for place in stack.services[service].passwords)
        if kind == one.type
    }
    return {
        name: f"{PREFIX}:{one.type}:{one.version}:{name}" if name in names and value else value
        for name, value in one.properties.items()
    }


def _revealed(cluster: Cluster, value: Any) -> Any:
    """Return the password that a reference stands for. Raises ``Refusal`` 500 for a version that does not exist."""
    parts = value.split(":") if isinstance(value, str) else []
    if len(parts) != 4 or parts[0] != PREFIX:
        return value
    _, kind, number, name = parts
    known = next((one for one in cluster.versions.get(kind, ()) if str(one.version) == number), None)
    if known is None or name not in known.properties:
        raise internal(f"Error when parsing secret reference. Cluster: {cluster.name} ConfigType: {kind}")
    return known.properties[name]


def service_version_href(call: Call, cluster: Cluster, one: ServiceVersion) -> str:
    """The address of a service's configuration version."""
    place = call.href("clusters", cluster.name, "configurations", "service_config_versions")
    return f"{place}?service_name={one.service}&service_config_version={one.version}"


def go_back(call: Call, cluster: Cluster, service: str, number: int, note: str | None) -> Reply:
    """Reactivate an old version of a service's configurations, as a new version (ClusterImpl.java).

    Types of the service that the old version lacks are no longer active; a group's version gives the group its former
    hosts, as far as they exist. The message with the braces is the real one.
    """
    old = next((one for one in cluster.service_versions if (one.service, one.version) == (service, number)), None)
    if old is None:
        raise Refusal(
            404,
            "The specified resource doesn't exist: Service config version with serviceName={} and version={} not found",
        )
    group = cluster.groups.get(old.group)
    if old.group != -1 and group is None:
        raise Refusal(400, "Config group {} doesn't exist")
    if group is not None:
        group.configurations = {one.type: one for one in old.configurations}
        group.hosts = [host for host in old.hosts if host in cluster.hosts]
    else:
        kept = {one.type: one for one in old.configurations}
        for name in cluster.types_of(service):
            if name not in kept:
                del cluster.desired[name]
        cluster.desired |= kept
    noted = cluster.note_service(service, call.world.now(), call.user.name, note, group=group)
    return resources(_changed(call, cluster, noted, list(old.configurations)), status=200)


def config_href(call: Call, row: Row) -> str:
    """The address of one version of a configuration type."""
    return _address(call, row["Config"]["cluster_name"], str(row["type"]), str(row["tag"]))


def _address(call: Call, cluster: str, type: str, tag: str) -> str:
    return f"{call.href('clusters', cluster, 'configurations')}?type={quote(type)}&tag={quote(tag)}"


def _rows(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    rows = [_row(call, cluster, one) for name in sorted(cluster.versions) for one in cluster.versions[name]]
    own = (one for group in cluster.groups.values() for one in group.configurations.values())
    return rows + [_row(call, cluster, one) for one in own]


def _row(call: Call, cluster: Cluster, one: ConfigVersion) -> Row:
    row: dict[str, Any] = {
        "tag": one.tag,
        "type": one.type,
        "version": one.version,
        "Config": {"cluster_name": cluster.name, "stack_id": cluster.stack.id},
    }
    # Only a query for a tag is answered with the properties themselves, and an empty type has no such key at all
    # (ConfigurationResourceProvider).
    if call.predicate is not None and "tag" in call.predicate.names:
        if one.properties:
            row["properties"] = Leaf(masked(cluster.stack, one))
        if one.attributes:
            row["properties_attributes"] = Leaf(one.attributes)
    return row


def _service_version_rows(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    return [_service_version_row(cluster, one) for one in cluster.service_versions]


def _service_version_row(cluster: Cluster, one: ServiceVersion) -> Row:
    return {
        "cluster_name": cluster.name,
        "configurations": [
            {
                "Config": {"cluster_name": cluster.name, "stack_id": cluster.stack.id},
                "type": version.type,
                "tag": version.tag,
                "version": version.version,
                "properties": masked(cluster.stack, version),
                "properties_attributes": dict(version.attributes),
            }
            for version in one.configurations
        ],
        "createtime": stamp(one.created),
        "group_id": one.group,
        "group_name": one.group_name,
        "hosts": one.hosts,
        "is_cluster_compatible": one.stack == cluster.stack.id,
        "is_current": one.current,
        "service_config_version": one.version,
        "service_config_version_note": one.note,
        "service_name": one.service,
        "stack_id": one.stack,
        "user": one.user,
    }


SERVICE_VERSION_PROPERTIES = properties(
    "",
    "cluster_name configurations createtime group_id group_name hosts is_cluster_compatible is_current "
    "service_config_version service_config_version_note service_name stack_id user",
)
SERVICE_VERSION = Resource(
    type="ServiceConfigVersion",
    plural="service_config_versions",
    key="service_config_version",
    keys=tuple(sorted(SERVICE_VERSION_PROPERTIES)),
    properties=SERVICE_VERSION_PROPERTIES,
    rows=_service_version_rows,
    href=lambda call, row: (
        call.href("clusters", row["cluster_name"], "configurations", "service_config_versions")
        + f"?service_name={row['service_name']}&service_config_version={row['service_config_version']}"
    ),
)
CONFIGURATION = Resource(
    type="Configuration",
    plural="configurations",
    key="tag",
    keys=("tag", "type", "version", "Config/cluster_name", "Config/stack_id", "properties", "properties_attributes"),
    properties=properties("", "tag type version properties properties_attributes")
    | properties("Config", "cluster_name stack_id"),
    minimal_keys=("tag", "type"),
    rows=_rows,
    href=config_href,
)


NOTE = "ConfigGroup/service_config_version_note"


def _group_rows(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    return [
        {
            "ConfigGroup": {
                "cluster_name": cluster.name,
                "description": one.description,
                "desired_configs": [
                    Leaf(
                        tag=version.tag, href=_address(call, cluster.name, version.type, version.tag), type=version.type
                    )
                    for version in one.configurations.values()
                ],
                "group_name": one.name,
                "hosts": [
                    Leaf(href=call.href("clusters", cluster.name, "hosts", host), host_name=host) for host in one.hosts
                ],
                "id": one.id,
                "tag": one.service,
            }
        }
        for one in cluster.groups.values()
    ]


def _fill(cluster: Cluster, group: ConfigGroup, given: Mapping[str, Any]) -> None:
    """Replace hosts and configurations as a whole.

    Raises ``Refusal`` 409 for a host that is in another group of the service, 500 for a type that the cluster has not.
    """
    hosts = [str(one["host_name"]) for one in given.get("ConfigGroup/hosts", ())]
    for other in cluster.groups.values():
        if other.id != group.id and other.service == group.service and {*hosts} & {*other.hosts}:
            raise Refusal(
                409,
                f"Host is already associated with a config group, clusterName = {cluster.name}, "
                f"configGroupName = {other.name}, tag = {other.service}, "
                f"hostname = {min({*hosts} & {*other.hosts})}",
            )
    for one in given.get("ConfigGroup/desired_configs", ()):
        if str(one["type"]) not in cluster.desired:
            raise internal(
                f"Trying to add not existent config type to config group: configType = {one['type']} "
                f"cluster = {cluster.name}"
            )
    group.name = str(given.get("ConfigGroup/group_name", group.name))
    group.description = str(given.get("ConfigGroup/description", group.description))
    group.hosts = hosts
    group.configurations = {}
    for one in given.get("ConfigGroup/desired_configs", ()):
        tag = str(one.get("tag") or uuid.uuid4())
        attributes = {name: dict(values) for name, values in (one.get("properties_attributes") or {}).items()}
        group.configurations[str(one["type"])] = ConfigVersion(
            str(one["type"]), tag, 1, dict(one.get("properties", {})), attributes
        )


def _create_groups(call: Call, bodies: tuple[Body, ...]) -> Reply:
    cluster = cluster_of(call)
    documents = []
    for body in bodies:
        given = body.properties
        _require_names(given)
        name = str(given.get("ConfigGroup/group_name", ""))
        service = str(given.get("ConfigGroup/service_name") or given.get("ConfigGroup/tag", ""))
        if any((one.name, one.service) == (name, service) for one in cluster.groups.values()):
            raise Refusal(409, f"Config group already exists with the same name and tag, clusterName={cluster.name}")
        group = ConfigGroup(call.world.number("config group"), name, service, [], {})
        _fill(cluster, group, given)
        cluster.groups[group.id] = group
        _note_group(call, cluster, group, given)
        href = call.href("clusters", cluster.name, "config_groups", group.id)
        documents.append({"href": href, "ConfigGroup": {"id": group.id}})
    return resources(*documents)


def _update_groups(call: Call, rows: list[Row], body: Body) -> Reply:
    """Raises ``Refusal`` 500 for a group that does not exist; the real server does so too, unlike for a DELETE."""
    cluster = cluster_of(call)
    _require_names(body.properties)
    if not rows and (missing := call.ids.get(CONFIG_GROUP.key)):
        raise internal(f"Config group not found, clusterName = {cluster.name}, groupId = {missing}")
    for row in rows:
        group = cluster.groups[row["ConfigGroup"]["id"]]
        _fill(cluster, group, body.properties)
        _note_group(call, cluster, group, body.properties)
    return DONE


def _note_group(call: Call, cluster: Cluster, group: ConfigGroup, given: Mapping[str, Any]) -> None:
    """Create a version of the group's service; not for a service that the cluster does not have."""
    if group.service in cluster.services:
        note = given.get(NOTE)
        cluster.note_service(group.service, call.world.now(), call.user.name, note and str(note), group=group)


def _require_names(given: Mapping[str, Any]) -> None:
    """Raises ``Refusal`` 400 for a group without a name or tag, whether it exists or not."""
    if not given.get("ConfigGroup/group_name") or not given.get("ConfigGroup/tag"):
        raise Refusal(400, "Cluster name, group name and tag need to be provided.")


def _require_group(call: Call, rows: list[Row]) -> None:
    if CONFIG_GROUP.key in call.ids and not rows:
        raise Refusal(404, "The specified resource doesn't exist: ConfigGroup not found")


def _delete_groups(call: Call, rows: list[Row]) -> Reply:
    _require_group(call, rows)
    for row in rows:
        cluster = cluster_of(call)
        cluster.forget_group(cluster.groups[row["ConfigGroup"]["id"]])
    return DONE


CONFIG_GROUP = Resource(
    type="ConfigGroup",
    plural="config_groups",
    key="ConfigGroup/id",
    keys=("ConfigGroup/cluster_name", "ConfigGroup/id"),
    properties=properties(
        "ConfigGroup", "cluster_name description desired_configs group_name hosts id service_name tag"
    ),
    writable=frozenset({NOTE}),
    rows=_group_rows,
    passes_missing=True,
    create=_create_groups,
    update=_update_groups,
    delete=_delete_groups,
)
