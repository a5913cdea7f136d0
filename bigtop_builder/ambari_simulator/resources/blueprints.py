"""Blueprints: layouts by host group, checked against the stack (068-088, 106, 448-453, 518-525)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigtop_builder.ambari_simulator.engine.state import Blueprint, HostGroup
from bigtop_builder.ambari_simulator.resources.topology import check_components, complete
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.replies import CREATED, DONE, Refusal, Reply, uncaught
from bigtop_builder.ambari_simulator.rest.writing import flatten

KEY = "Blueprints/blueprint_name"
NO_SUCH_STACK = "org.apache.ambari.server.stack.NoSuchStackException: The requested stack doesn't exist."


def _rows(call: Call) -> list[Row]:
    return [_row(blueprint) for blueprint in sorted(call.world.blueprints.values(), key=lambda one: one.name)]


def _row(blueprint: Blueprint) -> dict[str, Any]:
    return {
        "configurations": _listed(blueprint.configurations, blueprint.attributes),
        "host_groups": [
            {
                "components": [_component(group, name) for name in group.components],
                "configurations": _listed(group.configurations, group.attributes),
                "name": group.name,
                "cardinality": group.cardinality,
            }
            for group in blueprint.groups
        ],
        "settings": blueprint.settings,
        "Blueprints": {
            "blueprint_name": blueprint.name,
            "stack_name": blueprint.stack_name,
            "stack_version": blueprint.stack_version,
            "security": {"type": blueprint.security},
        },
    }


def _component(group: HostGroup, name: str) -> dict[str, str]:
    action = group.actions.get(name)
    return {"name": name} | ({"provision_action": action} if action else {})


def _listed(
    configurations: Mapping[str, Mapping[str, str]], attributes: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> list[dict[str, Any]]:
    return [
        {
            kind: {
                "properties": dict(given),
                **({"properties_attributes": attributes[kind]} if attributes.get(kind) else {}),
            }
        }
        for kind, given in configurations.items()
    ]


def _create(call: Call, bodies: tuple[Body, ...]) -> Reply:
    if not bodies:
        raise Refusal(400, "Request body for Blueprint create request is empty")
    for body in bodies:
        name = call.ids.get(KEY) or body.properties.get(KEY)
        if not name:
            raise Refusal(400, "Blueprint name must be provided")
        if name in call.world.blueprints:
            raise Refusal(409, f"Attempted to create a Blueprint which already exists, blueprint_name={name}")
        call.world.blueprints[name] = _checked(call, parse_blueprint(name, body.document))
    return CREATED


def _checked(call: Call, blueprint: Blueprint) -> Blueprint:
    stack = call.world.stacks.get((blueprint.stack_name, blueprint.stack_version))
    if stack is None:
        told = f"Name='{blueprint.stack_name}' Version='{blueprint.stack_version}'"
        raise Refusal(400, f"Specified stack doesn't exist: {NO_SUCH_STACK} {told}")
    check_components(blueprint, stack)
    return complete(blueprint, stack) if call.flag("validate_topology", default=True) else blueprint


def parse_blueprint(name: str, document: Mapping[str, Any]) -> Blueprint:
    """Parse a blueprint from a body. Raises ``Refusal`` 400; like the server, 500 if the stack is not named."""
    own = document.get("Blueprints", {})
    stack_name, stack_version = own.get("stack_name"), own.get("stack_version")
    if not stack_name or not stack_version:
        raise uncaught()
    groups = tuple(_group(group) for group in document.get("host_groups") or ())
    if not groups:
        raise Refusal(400, "At least one host group must be specified in a blueprint")
    security = own.get("security") or {}
    return Blueprint(
        name=name,
        stack_name=stack_name,
        stack_version=stack_version,
        groups=groups,
        configurations=parse_configurations(document.get("configurations")),
        settings=list(document.get("settings") or ()),
        security=security.get("type", "NONE") if isinstance(security, Mapping) else "NONE",
        attributes=parse_attributes(document.get("configurations")),
    )


def _group(document: Mapping[str, Any]) -> HostGroup:
    name = document.get("name")
    if not name:
        raise Refusal(400, "Every host group must include a non-null 'name' property")
    components = document.get("components") or ()
    if not components:
        raise Refusal(400, f"Host group '{name}' must contain at least one component")
    if any(not component.get("name") for component in components):
        raise Refusal(400, f"The 'name' property is required for each component in host group '{name}'")
    return HostGroup(
        name=name,
        cardinality=document.get("cardinality") or "NOT SPECIFIED",
        components=tuple(dict.fromkeys(component["name"] for component in components)),
        configurations=parse_configurations(document.get("configurations")),
        actions={one["name"]: one["provision_action"] for one in components if one.get("provision_action")},
        attributes=parse_attributes(document.get("configurations")),
    )


def parse_configurations(documents: Any) -> dict[str, dict[str, str]]:
    """Parse ``configurations`` of a blueprint or template, with or without ``properties``: type -> properties."""
    found: dict[str, dict[str, str]] = {}
    for document in documents or ():
        for kind, given in document.items():
            if not isinstance(given, Mapping):
                kind, _, rest = kind.partition("/")
                given = {rest.removeprefix("properties/"): given}
            inner = given.get("properties", {k: v for k, v in given.items() if k != "properties_attributes"})
            found.setdefault(kind, {}).update(flatten(inner))
    return found


def parse_attributes(documents: Any) -> dict[str, dict[str, dict[str, str]]]:
    """Parse ``properties_attributes`` of a blueprint's ``configurations``: type -> attribute -> property -> value."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for document in documents or ():
        for kind, given in document.items():
            attributes = given.get("properties_attributes") if isinstance(given, Mapping) else None
            for attribute, values in (attributes or {}).items():
                found.setdefault(kind, {}).setdefault(attribute, {}).update(values)
    return found


def _delete(call: Call, rows: list[Row]) -> Reply:
    if not rows:
        raise Refusal(404, f"The requested resource doesn't exist: {_missing(call)}")
    for row in rows:
        name = row["Blueprints"]["blueprint_name"]
        if any(getattr(cluster, "blueprint", None) == name for cluster in call.world.clusters.values()):
            raise Refusal(
                400, f"Invalid Request: Blueprint {name} cannot be deleted as cluster provisioning was initiated on it."
            )
        del call.world.blueprints[name]
    return DONE


def _missing(call: Call) -> str:
    return f"Blueprint not found, {KEY}={call.id(KEY)}"


BLUEPRINT = Resource(
    type="Blueprint",
    plural="blueprints",
    key=KEY,
    properties=properties("Blueprints", "blueprint_name security stack_name stack_version")
    | properties("", "configurations host_groups settings validate_topology"),
    rows=_rows,
    missing=_missing,
    directives=frozenset({"validate_topology"}),
    passes_missing=True,
    create=_create,
    delete=_delete,
)
