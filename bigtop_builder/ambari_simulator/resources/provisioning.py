"""Clusters from blueprints: the creation template, its configurations, hosts added later (contract 6.2 to 6.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bigtop_builder.ambari_simulator.engine.cluster_state import (
    Cluster,
    ConfigGroup,
    ConfigVersion,
    HostRequest,
    LogicalRequest,
    Service,
)
from bigtop_builder.ambari_simulator.engine.host_assignment import (
    SPENT_NUMBERS,
    plan_host_request,
)
from bigtop_builder.ambari_simulator.engine.java_hash_order import hash_order
from bigtop_builder.ambari_simulator.engine.state import Blueprint, HostGroup, World
from bigtop_builder.ambari_simulator.engine.work import work_of
from bigtop_builder.ambari_simulator.rest.query import Predicate, parse_predicate
from bigtop_builder.ambari_simulator.rest.registry import Body, Call
from bigtop_builder.ambari_simulator.rest.replies import Refusal, Reply, accepted
from bigtop_builder.cluster.configuration import with_unit
from bigtop_builder.cluster.stack_rest import default_properties

STRATEGIES = frozenset(
    {
        "NEVER_APPLY",
        "ONLY_STACK_DEFAULTS_APPLY",
        "ALWAYS_APPLY",
        "ALWAYS_APPLY_DONT_OVERRIDE_CUSTOM_VALUES",
    }
)
ACTIONS = frozenset({"INSTALL_AND_START", "INSTALL_ONLY", "START_ONLY"})
RETRIES = {
    "command_retry_enabled": "true",
    "command_retry_max_time_in_sec": "600",
    "commands_to_retry": "INSTALL,START",
}
"""What a blueprint deployment adds to cluster-env by default."""

_TEMPLATE = "Invalid Cluster Creation Template: org.apache.ambari.server.topology.InvalidTopologyTemplateException: "
CREDENTIAL = "kdc.admin.credential"
_TOPOLOGY = "Topology validation failed: org.apache.ambari.server.topology.InvalidTopologyException: "
_PROVISIONING = "An exception occurred during cluster provisioning: "
_TOKEN = re.compile(r"%HOSTGROUP::([^%]+)%(:[0-9]+)?")


@dataclass
class Wanted:
    """A host of the template: by name, or one of ``host_count`` that match a predicate."""

    name: str | None
    predicate: Predicate | None = None
    rack: str | None = None


@dataclass
class Template:
    """A creation template, checked as far as possible without the cluster."""

    blueprint: Blueprint
    groups: dict[str, list[Wanted]]
    configurations: dict[str, dict[str, str]] = field(default_factory=dict)
    group_configurations: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    action: str = "INSTALL_AND_START"
    password: str | None = None


def create_by_blueprint(call: Call, name: str, body: Body) -> Reply:
    """Create a cluster from a creation template; the answer names the logical request."""
    world, given = call.world, body.document
    template = read_template(world, given)
    _check_credential(template.blueprint, given)
    _check_groups(template)
    _check_passwords(world, template)
    repository = _repository(world, given, template.blueprint)
    if name in world.clusters:
        world.number("request")
        raise Refusal(
            500,
            f"{_PROVISIONING}org.apache.ambari.server.AmbariException: Attempted to create a Cluster which already "
            f"exists, clusterName={name}",
        )
    blueprint = template.blueprint
    stack = world.stacks[blueprint.stack_name, blueprint.stack_version]
    cluster = Cluster(world.number("cluster", first=2), name, stack, world.now(), provisioning="INSTALLED")
    cluster.repository, cluster.blueprint, cluster.security = repository, blueprint.name, blueprint.security
    present = sorted({str(stack.service_of(one)) for group in blueprint.groups for one in group.components})
    for service in present:
        cluster.services[service] = Service(service, repository)
    _configure(world, cluster, template, call.user.name)
    world.clusters[name] = cluster
    logical = _logical(call, cluster, template, f"Logical Request: Provision Cluster '{name}'")
    for _ in range(SPENT_NUMBERS):
        world.number("request")
    return accepted(call.href("clusters", name, "requests", logical.id), logical.id)


def add_by_blueprint(call: Call, cluster: Cluster, entries: list[Mapping[str, Any]], own: str | None) -> Reply:
    """Add hosts to a cluster by host group; the answer names a logical request."""
    if cluster.blueprint is None:
        raise Refusal(
            400, f"Topology validation failed: Unable to retrieve cluster topology for cluster {cluster.name}"
        )
    blueprint = call.world.blueprints[cluster.blueprint]
    groups: dict[str, list[Wanted]] = {}
    for entry in entries:
        group = str(entry.get("host_group", ""))
        if blueprint.group(group) is None:
            raise Refusal(
                400,
                "Invalid Add Hosts Template: org.apache.ambari.server.topology.InvalidTopologyTemplateException: "
                f"Invalid host group specified in request: {group}",
            )
        name = str(entry.get("host_name") or entry.get("Hosts/host_name") or own or "") or None
        if name in cluster.hosts:
            raise Refusal(400, f"{_TOPOLOGY}Host {name} cannot be added, because it is already in the cluster")
        rack = entry.get("rack_info")
        predicate = parse_predicate(str(entry["host_predicate"])) if entry.get("host_predicate") else None
        count = 1 if name else int(entry.get("host_count", 1))
        groups.setdefault(group, []).extend(Wanted(name, predicate, rack) for _ in range(count))
    number = sum(len(wanted) for wanted in groups.values())
    context = f"Logical Request: Scale Cluster '{cluster.name}' (+{number} hosts)"
    logical = _logical(call, cluster, Template(blueprint, groups), context)
    return accepted(call.href("clusters", cluster.name, "requests", logical.id), logical.id)


def _logical(call: Call, cluster: Cluster, template: Template, context: str) -> LogicalRequest:
    world, work = call.world, work_of(call.world)
    logical = LogicalRequest(world.number("request"), cluster, context, world.now(), [])
    for name in hash_order(template.groups):
        group = template.blueprint.group(name)
        if group is not None:
            logical.host_requests += _host_requests(call, cluster, template, group)
    cluster.logical[logical.id] = logical
    work.assign_hosts(logical, world.now() + work.pace.assign)
    return logical


def _host_requests(call: Call, cluster: Cluster, template: Template, group: HostGroup) -> list[HostRequest]:
    actions = {name: group.actions.get(name, template.action) for name in group.components}
    wanted = {one.name: one for one in template.groups[group.name] if one.name}
    ordered = [wanted[name] for name in hash_order(list(wanted))]
    ordered += [one for one in template.groups[group.name] if not one.name]
    return [
        plan_host_request(call.world, cluster, group.name, actions, one.name, one.predicate, one.rack)
        for one in ordered
    ]


def read_template(world: World, given: Mapping[str, Any]) -> Template:
    """Parse the template in a body. Raises ``Refusal`` 400."""
    name = str(given.get("blueprint", ""))
    blueprint = world.blueprints.get(name)
    if blueprint is None:
        raise Refusal(
            400,
            f"{_TEMPLATE}The specified blueprint doesn't exist: "
            f"org.apache.ambari.server.topology.NoSuchBlueprintException: No blueprint exists with the name '{name}'",
        )
    if not given.get("host_groups"):
        raise Refusal(400, f"{_TEMPLATE}'host_groups' element must be included in cluster create body")
    template = Template(blueprint, {}, named_configurations(given.get("configurations", ())))
    for one in given["host_groups"]:
        group = str(one.get("name", ""))
        template.groups[group] = _wanted(group, one)
        template.group_configurations[group] = named_configurations(one.get("configurations", ()))
    template.password = given.get("default_password")
    template.action = str(given.get("provision_action", "INSTALL_AND_START"))
    if template.action not in ACTIONS:
        raise Refusal(400, f"{_TEMPLATE}Invalid provision_action specified in the template: {template.action}")
    strategy = str(given.get("config_recommendation_strategy", "NEVER_APPLY"))
    if strategy not in STRATEGIES:
        raise Refusal(400, f"{_TEMPLATE}Config recommendation strategy is not supported: {strategy}")
    return template


def _wanted(group: str, one: Mapping[str, Any]) -> list[Wanted]:
    hosts = one.get("hosts") or []
    count = int(one.get("host_count", 0) or 0)
    if hosts and count:
        raise Refusal(
            400,
            f"{_TEMPLATE}Host group '{group}' must not contain both a 'hosts' element and a 'host_count' value",
        )
    if not hosts and not count:
        raise Refusal(
            400, f"{_TEMPLATE}Host group '{group}' must contain at least one 'hosts/fqdn' or a 'host_count' value"
        )
    predicate = parse_predicate(str(one["host_predicate"])) if one.get("host_predicate") else None
    named = [Wanted(str(host.get("fqdn", "")).lower(), rack=host.get("rack_info")) for host in hosts]
    return named or [Wanted(None, predicate) for _ in range(count)]


def named_configurations(entries: Any) -> dict[str, dict[str, str]]:
    """Return configurations of a blueprint or template, flat or with ``properties``, by type."""
    found: dict[str, dict[str, str]] = {}
    for entry in entries:
        for name, body in entry.items():
            found.setdefault(name, {}).update(body.get("properties", body))
    return found


def _check_groups(template: Template) -> None:
    seen: set[str] = set()
    for group, wanted in template.groups.items():
        if template.blueprint.group(group) is None:
            raise Refusal(
                500,
                f"{_PROVISIONING}Invalid host_group specified: {group}.  All request host groups must have a "
                "corresponding host group in the specified blueprint",
            )
        for one in wanted:
            if one.name and one.name in seen:
                raise Refusal(400, f"{_TOPOLOGY}Host {one.name} is mapped to multiple host groups")
            seen.add(one.name or "")


def _repository(world: World, given: Mapping[str, Any], blueprint: Blueprint) -> int:
    number, text = given.get("repository_version_id"), given.get("repository_version")
    fitting = [
        one.id
        for one in world.versions.values()
        if (one.stack_name, one.stack_version) == (blueprint.stack_name, blueprint.stack_version)
        and text in (None, one.version)
    ]
    if number is not None:
        if not str(number).isdigit() or int(number) not in fitting:
            raise Refusal(
                500,
                f"{_PROVISIONING}Could not identify repository version with repository version id {number} for "
                "installing services. Specify a valid repository version id with 'repository_version_id'",
            )
        return int(number)
    if len(fitting) > 1:
        stack = f"{blueprint.stack_name}-{blueprint.stack_version}"
        raise Refusal(500, f"{_PROVISIONING}Several repositories were found for {stack}: specify one of them")
    if not fitting:
        raise Refusal(500, f"{_PROVISIONING}Could not identify repository version for installing services")
    return fitting[0]


def _check_credential(blueprint: Blueprint, given: Mapping[str, Any]) -> None:
    """Refuse a cluster with Kerberos without the KDC administrator's credential, whatever the type of the KDC."""
    security = (given.get("security") or {}).get("type") or blueprint.security
    aliases = [one.get("alias") for one in given.get("credentials") or ()]
    if security == "KERBEROS" and CREDENTIAL not in aliases:
        raise Refusal(400, f"{_TOPOLOGY}{CREDENTIAL} is missing from request.")


def _check_passwords(world: World, template: Template) -> None:
    blueprint = template.blueprint
    stack = world.stacks[blueprint.stack_name, blueprint.stack_version]
    missing: dict[str, dict[str, list[str]]] = {}
    for group in blueprint.groups:
        given = [blueprint.configurations, group.configurations, template.configurations]
        given.append(template.group_configurations.get(group.name, {}))
        for service in sorted({str(stack.service_of(one)) for one in group.components}):
            for path in stack.services[service].passwords if service in stack.services else ():
                kind, _, name = path.partition("/")
                if template.password is None and not any(name in one.get(kind, {}) for one in given):
                    missing.setdefault(group.name, {}).setdefault(kind, []).append(name)
    if missing:
        raise Refusal(
            400,
            f"{_TOPOLOGY}Missing required password properties.  Specify a value for these properties in the cluster "
            f"or host group configurations or include 'default_password' field in request. {_shown(missing)}",
        )


def _shown(missing: Mapping[str, Mapping[str, list[str]]]) -> str:
    groups = []
    for group, kinds in missing.items():
        inner = ", ".join(f"{kind}=[{', '.join(names)}]" for kind, names in kinds.items())
        groups.append(f"{group}={{{inner}}}")
    return f"{{{', '.join(groups)}}}"


def _configure(world: World, cluster: Cluster, template: Template, user: str) -> None:
    """Create two versions of each type, like the server: INITIAL, and TOPOLOGY_RESOLVED with host names."""
    stack, blueprint = cluster.stack, template.blueprint
    known: dict[str, dict[str, str]] = {name: _plain(default_properties(stack, name)) for name in stack.defaults}
    for service in cluster.services:
        definition = stack.services[service]
        for name in definition.configurations:
            known[name] = _plain(definition.defaults.get(name, {}))
        for path in definition.passwords if template.password is not None else ():
            kind, _, name = path.partition("/")
            known.setdefault(kind, {})[name] = str(template.password)
    known.setdefault("cluster-env", {}).update(RETRIES)
    types = stack.configuration_types()
    unknown = [
        name for part in (blueprint.configurations, template.configurations) for name in part if name not in types
    ]
    if unknown:
        raise Refusal(
            400, f"{_TOPOLOGY}The following config types are not defined in the stack: [{', '.join(unknown)}]"
        )
    for part in (blueprint.configurations, template.configurations):
        for name, values in part.items():
            known.setdefault(name, {}).update(values)
    hosts = {group: [one.name for one in wanted if one.name] for group, wanted in template.groups.items()}
    for tag, resolve, author in (("INITIAL", False, user), ("TOPOLOGY_RESOLVED", True, "internal")):
        for name in sorted(known):
            values = known[name]
            resolved = {
                key: with_unit(name, key, _resolved(value, hosts)) if resolve else value
                for key, value in values.items()
            }
            cluster.put(name, tag, resolved, blueprint.attributes.get(name, {}))
        for service in cluster.services:
            cluster.note_service(service, world.now(), author, None)
    _group_configurations(world, cluster, template)


def _plain(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _resolved(value: str, hosts: Mapping[str, list[str]]) -> str:
    def names(found: re.Match[str]) -> str:
        return ",".join(f"{host}{found[2] or ''}" for host in hosts.get(found[1], ()))

    return _TOKEN.sub(names, value)


def _group_configurations(world: World, cluster: Cluster, template: Template) -> None:
    types = cluster.stack.configuration_types()
    for group in template.blueprint.groups:
        own: dict[str, dict[str, str]] = {name: dict(values) for name, values in group.configurations.items()}
        for name, values in template.group_configurations.get(group.name, {}).items():
            own.setdefault(name, {}).update(values)
        own = {
            kind: {name: with_unit(kind, name, value) for name, value in values.items()} for kind, values in own.items()
        }
        for service in sorted({str(types[name]) for name in own if types.get(name)}):
            number = world.number("config group")
            versions = {
                name: ConfigVersion(name, group.name, 1, values, group.attributes.get(name, {}))
                for name, values in own.items()
                if types.get(name) == service
            }
            label = f"{template.blueprint.name}:{group.name}"
            cluster.groups[number] = ConfigGroup(number, label, service, [], versions)
