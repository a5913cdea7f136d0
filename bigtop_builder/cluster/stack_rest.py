"""Convert a stack to the format of Ambari's REST responses, and back.

Shapes as recorded from Ambari 3.0.0.0: ``GET stacks/<name>/versions/<version>/services`` with all of StackServices,
components, dependencies and auto_deploy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bigtop_builder.model.ambari_stack import (
    BulkCommands,
    ConfigurationFlag,
    ConfigurationType,
    Dependency,
    StackComponent,
    StackDefinition,
    StackService,
)

FLAGS: tuple[ConfigurationFlag, ...] = ("adding_forbidden", "do_not_extend", "final")
CONDITION = "PropertyExists"


def service_properties(stack: StackDefinition, name: str) -> dict[str, Any]:
    """Return ``StackServices`` of a service."""
    service = stack.services[name]
    return {
        "display_name": service.title,
        "required_services": list(service.requires),
        "service_check_supported": True,
        "service_name": name,
        "service_version": service.version,
        "stack_name": stack.name,
        "stack_version": stack.version,
        "config_types": {
            kind: {"supports": {flag: str(flag in one.supports).lower() for flag in FLAGS}}
            for kind, one in service.configurations.items()
        },
    }


def component_properties(stack: StackDefinition, service: str, name: str) -> dict[str, Any]:
    """Return ``StackServiceComponents`` of a component."""
    component = stack.services[service].components[name]
    bulk = component.bulk or BulkCommands(title="", master="")
    return {
        "advertise_version": component.advertises_version,
        "bulk_commands_display_name": bulk.title,
        "bulk_commands_master_component_name": bulk.master,
        "cardinality": component.cardinality,
        "component_category": component.category,
        "component_name": name,
        "component_type": component.kind,
        "custom_commands": list(component.commands),
        "decommission_allowed": component.decommission,
        "display_name": component.title,
        "has_bulk_commands_definition": component.bulk is not None,
        "is_client": component.is_client,
        "is_master": component.category == "MASTER",
        "reassign_allowed": component.reassign,
        "recovery_enabled": component.recovery,
        "rolling_restart_supported": component.rolling_restart,
        "service_name": service,
        "stack_name": stack.name,
        "stack_version": stack.version,
    }


def dependency_properties(stack: StackDefinition, service: str, component: str, one: Dependency) -> dict[str, Any]:
    """Return ``Dependencies`` of one dependency of a component."""
    return {
        "component_name": one.component,
        "conditions": [
            {"configType": place.partition("/")[0], "property": place.partition("/")[2], "type": CONDITION}
            for place in one.when
        ],
        "dependent_component_name": component,
        "dependent_service_name": service,
        "scope": one.scope,
        "service_name": one.service,
        "stack_name": stack.name,
        "stack_version": stack.version,
        "type": "inclusive",
    }


def auto_deploy_properties(component: StackComponent) -> dict[str, Any] | None:
    """Return ``auto_deploy`` of a component, or None if it has none."""
    if not component.auto_deploy:
        return None
    location = {"location": component.auto_deploy} if isinstance(component.auto_deploy, str) else {}
    return {"enabled": True, **location}


def stack_tools(stack: StackDefinition) -> str:
    """Return the value of ``cluster-env/stack_tools``."""
    tools = {
        f"{kind}_selector": [tool.name, tool.path, tool.package]
        for kind, tool in (("stack", stack.tools.select), ("conf", stack.tools.conf))
    }
    return json.dumps({stack.name: tools}, indent=2)


def stack_packages(stack: StackDefinition) -> str:
    """Return the value of ``cluster-env/stack_packages``: the selector's names for each component."""
    selected = {
        name: {
            key: {"STACK-SELECT-PACKAGE": component.select[0], "INSTALL": list(component.select)}
            for key, component in service.components.items()
            if component.select
        }
        for name, service in stack.services.items()
    }
    folders = {
        name.lower(): [
            {"conf_dir": folder, "current_dir": f"{{0}}/{link}"} for folder, link in service.conf_dirs.items()
        ]
        for name, service in stack.services.items()
        if service.conf_dirs
    }
    chosen = {name: components for name, components in selected.items() if components}
    return json.dumps({stack.name: {"stack-select": chosen, "conf-select": folders}}, indent=2)


def stack_features(stack: StackDefinition) -> str:
    """Return the value of ``cluster-env/stack_features``."""
    features = [
        {"name": name, **{f"{end}_version": value for end, value in feature.model_dump().items() if value}}
        for name, feature in stack.features.items()
    ]
    return json.dumps({stack.name: {"stack_features": features}}, indent=2)


def default_properties(stack: StackDefinition, kind: str) -> dict[str, str | None]:
    """Return the default properties of a configuration type, as far as the stack data has them."""
    if kind == "cluster-env":
        return {
            **stack.defaults.get(kind, {}),
            "stack_features": stack_features(stack),
            "stack_packages": stack_packages(stack),
            "stack_root": json.dumps({stack.name: stack.root}, separators=(",", ":")),
            "stack_tools": stack_tools(stack),
        }
    service = stack.configuration_types().get(kind)
    known = stack.services[service].defaults if service else stack.defaults
    return dict(known.get(kind, {}))


def stack_from_rest(items: Iterable[Mapping[str, Any]], known: StackDefinition) -> StackDefinition:
    """Return the stack as a server describes it; packages, selector, paths, needs, order and restarts are ``known``'s.

    ``items`` are those of ``GET stacks/<name>/versions/<version>/services`` with ``StackServices/*``,
    ``components/StackServiceComponents/*``, ``components/dependencies/Dependencies/*`` and
    ``components/auto_deploy`` as fields. Services that ``known`` lacks have no packages.
    """
    services = {}
    stack: Mapping[str, Any] = {}
    for item in items:
        stack = item["StackServices"]
        services[stack["service_name"]] = _service(item, known.services.get(stack["service_name"]))
    name, version = stack.get("stack_name", known.name), stack.get("stack_version", known.version)
    return known.model_copy(update={"name": name, "version": version, "services": services})


def _service(item: Mapping[str, Any], known: StackService | None) -> StackService:
    about = item["StackServices"]
    components = {
        one["StackServiceComponents"]["component_name"]: _component(one, known) for one in item.get("components", ())
    }
    before = known.configurations if known else {}
    configurations = {
        kind: ConfigurationType(
            supports=[flag for flag in FLAGS if one.get("supports", {}).get(flag) == "true"],
            restarts=before[kind].restarts if kind in before else None,
        )
        for kind, one in (about.get("config_types") or {}).items()
    }
    base = known or StackService(version=about["service_version"], title=about["service_name"], components={})
    return base.model_copy(
        update={
            "version": about["service_version"],
            "title": about.get("display_name") or base.title,
            "requires": list(about.get("required_services") or ()),
            "configurations": configurations or base.configurations,
            "components": components,
        }
    )


def _component(item: Mapping[str, Any], known: StackService | None) -> StackComponent:
    about = item["StackServiceComponents"]
    same = known.components.get(about["component_name"]) if known else None
    bulk = BulkCommands(
        title=about.get("bulk_commands_display_name") or "",
        master=about.get("bulk_commands_master_component_name") or "",
    )
    auto = item.get("auto_deploy") or {}
    return StackComponent(
        category=about["component_category"],
        cardinality=about["cardinality"],
        title=about.get("display_name") or about["component_name"],
        kind=about.get("component_type"),
        advertises_version=about.get("advertise_version", True),
        commands=list(about.get("custom_commands") or ()),
        bulk=bulk if about.get("has_bulk_commands_definition") else None,
        decommission=about.get("decommission_allowed", False),
        reassign=about.get("reassign_allowed", False),
        recovery=about.get("recovery_enabled", False),
        rolling_restart=about.get("rolling_restart_supported", False),
        auto_deploy=auto.get("location") or bool(auto.get("enabled")),
        dependencies=[_dependency(one["Dependencies"]) for one in item.get("dependencies", ())],
        select=same.select if same else [],
        paths=same.paths if same else [],
        needs=same.needs if same else [],
        after=same.after if same else [],
        restart_after=same.restart_after if same else [],
    )


def _dependency(about: Mapping[str, Any]) -> Dependency:
    when = [f"{one['configType']}/{one['property']}" for one in about.get("conditions") or ()]
    # The response does not say whether Ambari adds the component; in BIGTOP it does not for those with conditions.
    return Dependency(
        on=f"{about['service_name']}/{about['component_name']}", scope=about["scope"], when=when, auto=not when
    )
