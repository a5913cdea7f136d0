"""Whether a blueprint's groups satisfy the dependencies of the stack's components (077-080).

Rules as Ambari's blueprint validator has them: cardinality counts host groups, not hosts; a dependency on the same host
is added by the server when it may be and its service is in the blueprint at all, one on the cluster must be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bigtop_builder.ambari_simulator.engine.state import Blueprint, HostGroup
from bigtop_builder.ambari_simulator.rest.replies import Refusal
from bigtop_builder.model.ambari_stack import Dependency, StackDefinition

ESCAPE = (
    ".  To disable topology validation and create the blueprint, add the following to the end of the url: "
    "'?validate_topology=false'"
)


def check_components(blueprint: Blueprint, stack: StackDefinition) -> None:
    """Refuse components unknown to the stack."""
    for group in blueprint.groups:
        for name in group.components:
            if name != "AMBARI_SERVER" and stack.component(name) is None:
                raise Refusal(
                    400, f"The component '{name}' in host group '{group.name}' is not valid for the specified stack"
                )


def complete(blueprint: Blueprint, stack: StackDefinition) -> Blueprint:
    """Return the blueprint with the components that the server adds. Raises ``Refusal`` 400 with what is missing."""
    missing: dict[str, dict[str, list[Dependency]]] = {}
    groups = []
    for group in blueprint.groups:
        added, lacking = _resolve(group, blueprint, stack)
        groups.append(replace(group, components=added))
        if lacking:
            missing[group.name] = lacking
    completed = _everywhere(replace(blueprint, groups=tuple(groups)), stack)
    failures = _counts(completed, stack)
    if failures or missing:
        parts = [f"  Invalid service component count: [{', '.join(failures)}]"] if failures else []
        parts += [f" Component dependencies issues: {_told(missing)}"] if missing else []
        raise Refusal(400, "Cluster Topology validation failed." + "".join(parts) + ESCAPE)
    return completed


def _resolve(
    group: HostGroup, blueprint: Blueprint, stack: StackDefinition
) -> tuple[tuple[str, ...], dict[str, list[Dependency]]]:
    services = _services(blueprint, stack)
    everywhere = {name for other in blueprint.groups for name in other.components}
    components, waiting = list(group.components), list(group.components)
    lacking: dict[str, list[Dependency]] = {}
    while waiting:
        name = waiting.pop(0)
        found = stack.component(name)
        for one in found.dependencies if found else ():
            if not _applies(one, blueprint):
                continue
            if one.scope == "cluster":
                if one.component not in everywhere:
                    lacking.setdefault(name, []).append(one)
            elif one.service in services and one.component not in components:
                if one.auto:
                    components.append(one.component)
                    waiting.append(one.component)
                else:
                    lacking.setdefault(name, []).append(one)
    return tuple(components), lacking


def _applies(dependency: Dependency, blueprint: Blueprint) -> bool:
    """Whether all properties that a dependency is conditional on are set."""
    for place in dependency.when:
        kind, _, name = place.partition("/")
        layers = [blueprint.configurations, *(group.configurations for group in blueprint.groups)]
        if not any(name in layer.get(kind, {}) for layer in layers):
            return False
    return True


def _services(blueprint: Blueprint, stack: StackDefinition) -> set[str]:
    found = {stack.service_of(name) for group in blueprint.groups for name in group.components}
    return {name for name in found if name}


def _everywhere(blueprint: Blueprint, stack: StackDefinition) -> Blueprint:
    """Add what the stack deploys automatically: on all groups, or next to the component it accompanies."""
    for service in sorted(_services(blueprint, stack)):
        for name, component in stack.services[service].components.items():
            present = any(name in group.components for group in blueprint.groups)
            if component.auto_deploy is True and component.cardinality == "ALL":
                blueprint = _added(blueprint, name, None)
            elif isinstance(component.auto_deploy, str) and not present:
                blueprint = _added(blueprint, name, component.auto_deploy.partition("/")[2])
    return blueprint


def _added(blueprint: Blueprint, name: str, beside: str | None) -> Blueprint:
    groups = tuple(
        replace(group, components=(*group.components, name))
        if name not in group.components and (beside is None or beside in group.components)
        else group
        for group in blueprint.groups
    )
    return replace(blueprint, groups=groups)


def _counts(blueprint: Blueprint, stack: StackDefinition) -> list[str]:
    """Return the components whose number of groups violates their cardinality, in the server's words."""
    failures = []
    for service in sorted(_services(blueprint, stack)):
        for name, component in stack.services[service].components.items():
            actual = sum(name in group.components for group in blueprint.groups)
            wanted = "0" if name == "SECONDARY_NAMENODE" and _two_name_nodes(blueprint) else component.cardinality
            if not allowed(wanted, actual, len(blueprint.groups)):
                failures.append(f"{name}(actual={actual}, required={wanted})")
    return failures


def _two_name_nodes(blueprint: Blueprint) -> bool:
    """Whether HDFS is highly available; SECONDARY_NAMENODE is then not allowed (Ambari's BlueprintValidatorImpl)."""
    site = blueprint.configurations.get("hdfs-site", {})
    return "dfs.nameservices" in site or "dfs.internal.nameservices" in site


def allowed(cardinality: str, actual: int, everywhere: int) -> bool:
    """Whether the count ``actual`` satisfies a cardinality (``1``, ``1+``, ``0-1``, ``ALL`` of ``everywhere``)."""
    if cardinality == "ALL":
        return actual == everywhere
    if cardinality.endswith("+"):
        return actual >= int(cardinality[:-1])
    low, _, high = cardinality.partition("-")
    return int(low) <= actual <= int(high or low)


def _told(missing: Mapping[str, Mapping[str, list[Dependency]]]) -> str:
    groups = []
    for group, components in missing.items():
        parts = [f"{name}=[{', '.join(map(_info, lacking))}]" for name, lacking in components.items()]
        groups.append(f"{group}={{{', '.join(parts)}}}")
    return f"{{{', '.join(groups)}}}"


def _info(one: Dependency) -> str:
    automatic = str(one.auto).lower()
    return f"DependencyInfo[name={one.on}, scope={one.scope}, type=inclusive, auto-deploy={automatic}]"
