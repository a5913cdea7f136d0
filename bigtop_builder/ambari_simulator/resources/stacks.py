"""Stacks as the server describes them: versions, services, components, configurations (022-032, 506-507).

The definitions come from ``cluster.stack_data``; the shapes are the recorded ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.resources.advisor import RECOMMENDATION, VALIDATION
from bigtop_builder.ambari_simulator.resources.repositories import REPOSITORY_VERSION, STACK_SYSTEM
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.replies import Refusal
from bigtop_builder.cluster.stack_data import ambari_line, load_stack, stack_files
from bigtop_builder.cluster.stack_rest import (
    auto_deploy_properties,
    component_properties,
    default_properties,
    dependency_properties,
    service_properties,
)
from bigtop_builder.model.ambari_stack import AmbariLine, StackDefinition
from bigtop_builder.model.errors import BigtopBuilderError

STACK_KEY = "Stacks/stack_name"
VERSION_KEY = "Versions/stack_version"
SERVICE_KEY = "StackServices/service_name"
COMPONENT_KEY = "StackServiceComponents/component_name"

TYPED = frozenset({"HDFS"})
"""Services whose type is their own name; others have none (620)."""
SERVICE_DEFAULTS = {
    "comments": "",
    "credential_store_enabled": False,
    "credential_store_required": False,
    "credential_store_supported": False,
    "custom_commands": [],
    "ldap_integration_supported": False,
    "maintainer": None,
    "rolling_restart_supported": False,
    "selection": "DEFAULT",
    "service_type": None,
    "sso_integration_requires_kerberos": False,
    "sso_integration_supported": False,
    "support_delete_via_ui": True,
    "user_name": None,
    "properties": {"installable": "true", "managed": "true", "monitored": "true"},
}


def load_stacks(world: World) -> None:
    """Load the stacks of the world's version of Ambari."""
    world.stacks.update(_shipped(ambari_line(world.version)))


@cache
def _shipped(line: AmbariLine) -> dict[tuple[str, str], StackDefinition]:
    stacks = {}
    for stem in stack_files():
        name, _, version = stem.partition("-")
        try:
            stack = load_stack(name.upper(), version, line)
        except BigtopBuilderError:
            continue
        stacks[stack.name, stack.version] = stack
    return stacks


def stack_of(call: Call) -> StackDefinition:
    """Return the stack that the URI names. Raises ``Refusal`` 404."""
    name, version = call.id(STACK_KEY), call.id(VERSION_KEY)
    stack = call.world.stacks.get((name, version))
    if stack is None:
        raise Refusal(404, f"The requested resource doesn't exist: {missing_stack(name, version)}")
    return stack


def missing_stack(name: str, version: str) -> str:
    """The server's message about an unknown stack."""
    return f"Stack data, Stack {name} {version} is not found in Ambari metainfo"


def _stacks(call: Call) -> list[Row]:
    return [{"Stacks": {"stack_name": name}} for name in sorted({name for name, _ in call.world.stacks})]


def _versions(call: Call) -> list[Row]:
    name = call.id(STACK_KEY)
    return [
        _version(stack, call.world.upgrade_packs.get(key, []))
        for key, stack in sorted(call.world.stacks.items())
        if key[0] == name
    ]


def _version(stack: StackDefinition, packs: list[str]) -> dict[str, Any]:
    return {
        "Versions": {
            "active": True,
            "max_jdk": None,
            "min_jdk": None,
            "parent_stack_version": stack.extends,
            "stack-errors": [],
            "stack_name": stack.name,
            "stack_version": stack.version,
            "upgrade_packs": packs,
            "valid": True,
            "config_types": {kind: {"supports": {}} for kind in stack.defaults},
        }
    }


def _needs_fields(call: Call) -> None:
    """Without ``fields=`` the server fails on a sub-resource that requires more than it gets (025)."""
    named = call.id(VERSION_KEY) if VERSION_KEY in call.ids else None
    known = (call.id(STACK_KEY), named) in call.world.stacks
    if known and call.path[-1:] == (named,) and not call.parameters.get("fields") and call.method == "GET":
        raise Refusal(
            400,
            "Invalid Request: Either the management pack ID or the stack name and version are required when searching",
        )


def _services(call: Call) -> list[Row]:
    stack = stack_of(call)
    return [
        {
            "StackServices": SERVICE_DEFAULTS
            | service_properties(stack, name)
            | ({"service_type": name} if name in TYPED else {})
        }
        for name in sorted(stack.services)
    ]


def _components(call: Call) -> list[Row]:
    stack, service = stack_of(call), _service_of(call)
    return [_component(stack, service, name) for name in sorted(stack.services[service].components)]


def _service_of(call: Call) -> str:
    name = call.id(SERVICE_KEY)
    if name not in stack_of(call).services:
        raise Refusal(404, f"The requested resource doesn't exist: {_missing_service(call)}")
    return name


def _missing_service(call: Call) -> str:
    stack = call.id(STACK_KEY), call.id(VERSION_KEY)
    return f"Service not found, stackName={stack[0]}, stackVersion={stack[1]}, serviceName={call.id(SERVICE_KEY)}"


def _component(stack: StackDefinition, service: str, name: str) -> dict[str, Any]:
    row: dict[str, Any] = {"StackServiceComponents": component_properties(stack, service, name)}
    auto = auto_deploy_properties(stack.services[service].components[name])
    return row | ({"auto_deploy": auto} if auto else {})


def _dependencies(call: Call) -> list[Row]:
    stack, service, name = stack_of(call), _service_of(call), call.id(COMPONENT_KEY)
    component = stack.services[service].components.get(name)
    found = component.dependencies if component else []
    return [
        {"Dependencies": dependency_properties(stack, service, name, one), "auto_deploy": {"enabled": one.auto}}
        for one in found
    ]


def _configurations(call: Call) -> list[Row]:
    stack, service = stack_of(call), _service_of(call)
    found: dict[str, Row] = {}
    for kind in stack.services[service].configurations:
        types = stack.services[service].property_types.get(kind, {})
        for name, value in default_properties(stack, kind).items():
            given = {"service_name": service, "property_type": types.get(name, [])}
            found[f"{name}\0{kind}"] = {"StackConfigurations": _property(stack, kind, name, value) | given}
    return [found[key] for key in sorted(found)]


def _stack_configurations(call: Call) -> list[Row]:
    stack = stack_of(call)
    pairs = [(kind, name, value) for kind in stack.defaults for name, value in default_properties(stack, kind).items()]
    return [
        {"StackLevelConfigurations": _property(stack, kind, name, value) | {"property_type": []}}
        for kind, name, value in sorted(pairs, key=lambda pair: pair[1])
    ]


def _property(stack: StackDefinition, kind: str, name: str, value: str | None) -> dict[str, Any]:
    return {
        "final": "false",
        "property_depends_on": [],
        "property_description": "",
        "property_display_name": None,
        "property_name": name,
        "property_value": value,
        "property_value_attributes": {},
        "stack_name": stack.name,
        "stack_version": stack.version,
        "type": f"{kind}.xml",
    }


def _artifacts(call: Call) -> list[Row]:
    stack, service = stack_of(call), _service_of(call)
    common: Mapping[str, Any] = {
        "service_name": service,
        "stack_name": stack.name,
        "stack_version": stack.version,
    }
    return [{"Artifacts": {"artifact_name": f"{kind}_descriptor", **common}} for kind in ("kerberos", "metrics")]


def _themes(call: Call) -> list[Row]:
    stack, service = stack_of(call), _service_of(call)
    own = {"file_name": "directories.json", "service_name": service}
    return [{"ThemeInfo": {**own, "stack_name": stack.name, "stack_version": stack.version}}]


def _none(call: Call) -> list[Row]:
    return []


_PROPERTY_NAMES = (
    "final property_depends_on property_description property_display_name property_name property_type property_value "
    "property_value_attributes stack_name stack_version type"
)


def _keys(category: str, own: str) -> tuple[str, ...]:
    return tuple(f"{category}/{name}" for name in f"{own} stack_name stack_version".split())


THEME = Resource(
    type="Theme",
    plural="themes",
    key="ThemeInfo/file_name",
    keys=_keys("ThemeInfo", "file_name service_name"),
    properties=properties("ThemeInfo", "default file_name service_name stack_name stack_version theme_data"),
    rows=_themes,
)

QUICK_LINK = Resource(
    type="QuickLink",
    plural="quicklinks",
    key="QuickLinkInfo/file_name",
    properties=properties("QuickLinkInfo", "default file_name quicklink_data service_name stack_name stack_version"),
    rows=_none,
)

ARTIFACT = Resource(
    type="StackArtifact",
    plural="artifacts",
    key="Artifacts/artifact_name",
    keys=_keys("Artifacts", "artifact_name service_name"),
    properties=properties("Artifacts", "artifact_name service_name stack_name stack_version"),
    rows=_artifacts,
)

DEPENDENCY = Resource(
    type="StackServiceComponentDependency",
    plural="dependencies",
    key="Dependencies/component_name",
    keys=_keys("Dependencies", "component_name dependent_component_name dependent_service_name"),
    properties=properties(
        "Dependencies",
        "component_name conditions dependent_component_name dependent_service_name scope service_name stack_name "
        "stack_version type",
    )
    | {"auto_deploy/enabled"},
    rows=_dependencies,
)

COMPONENT = Resource(
    type="StackServiceComponent",
    plural="components",
    key=COMPONENT_KEY,
    keys=_keys("StackServiceComponents", "service_name component_name"),
    properties=properties(
        "StackServiceComponents",
        "advertise_version bulk_commands_display_name bulk_commands_master_component_name cardinality "
        "component_category component_name component_type custom_commands decommission_allowed display_name "
        "has_bulk_commands_definition is_client is_master reassign_allowed recovery_enabled rolling_restart_supported "
        "service_name stack_name stack_version",
    )
    | properties("auto_deploy", "enabled location"),
    rows=_components,
    missing=lambda call: f"StackServiceComponent not found, {call.id(COMPONENT_KEY)}",
    sub=(DEPENDENCY,),
)

CONFIGURATION = Resource(
    type="StackConfiguration",
    plural="configurations",
    key="StackConfigurations/property_name",
    keys=_keys("StackConfigurations", "service_name property_name"),
    properties=properties("StackConfigurations", f"{_PROPERTY_NAMES} service_name"),
    rows=_configurations,
)

SERVICE = Resource(
    type="StackService",
    plural="services",
    key=SERVICE_KEY,
    keys=_keys("StackServices", "service_name"),
    properties=properties(
        "StackServices",
        f"{' '.join(SERVICE_DEFAULTS)} config_types display_name required_services service_check_supported "
        "service_name service_version stack_name stack_version",
    ),
    rows=_services,
    missing=_missing_service,
    sub=(THEME, COMPONENT, QUICK_LINK, CONFIGURATION, ARTIFACT),
)

STACK_CONFIGURATION = Resource(
    type="StackLevelConfiguration",
    plural="configurations",
    key="StackLevelConfigurations/property_name",
    keys=_keys("StackLevelConfigurations", "property_name"),
    properties=properties("StackLevelConfigurations", _PROPERTY_NAMES),
    rows=_stack_configurations,
)

VERSION = Resource(
    type="StackVersion",
    plural="versions",
    key=VERSION_KEY,
    keys=("Versions/stack_name", "Versions/stack_version"),
    properties=properties(
        "Versions",
        "active config_types max_jdk min_jdk parent_stack_version stack-errors stack_name stack_version upgrade_packs "
        "valid",
    ),
    rows=_versions,
    missing=lambda call: missing_stack(call.id(STACK_KEY), call.id(VERSION_KEY)),
    sub=(SERVICE, STACK_SYSTEM, REPOSITORY_VERSION, STACK_CONFIGURATION, RECOMMENDATION, VALIDATION),
    guard=_needs_fields,
)

STACK = Resource(
    type="Stack",
    plural="stacks",
    key=STACK_KEY,
    properties=properties("Stacks", "stack_name"),
    rows=_stacks,
    missing=lambda call: f"Stack data, stackName={call.id(STACK_KEY)}",
    sub=(VERSION,),
)
