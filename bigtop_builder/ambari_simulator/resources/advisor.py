"""``recommendations`` and ``validations`` of a stack: the shape of answers is recorded (508-517), the advice is basic.

``advisor-error`` in the world's switches makes configuration validations answer 500, as the recorded server did (512).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigtop_builder.ambari_simulator.resources.placement import place, problems
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.replies import Refusal, Reply, resources
from bigtop_builder.cluster.stack_rest import default_properties
from bigtop_builder.model.ambari_stack import StackDefinition

KINDS = (
    "host_groups",
    "configurations",
    "ldap-configurations",
    "sso-configurations",
    "kerberos-configurations",
    "configuration-dependencies",
)
SWITCH = "advisor-error"


def _recommend(call: Call, bodies: tuple[Body, ...]) -> Reply:
    stack, document, kind = _asked(call, bodies, "recommend")
    hosts, services = document.get("hosts", []), document.get("services", [])
    given = document.get("recommendations") or {}
    number = call.world.number("advice")
    if kind == "host_groups":
        blueprint, binding = _groups(place(stack, services, hosts))
        advice: dict[str, Any] = {
            "config-groups": None,
            "blueprint": {"configurations": None, "host_groups": blueprint},
            "blueprint_cluster_binding": {"host_groups": binding},
        }
    else:
        advice = {
            "config-groups": given.get("config-groups"),
            "blueprint": {
                "configurations": _configurations(stack, services),
                "host_groups": (given.get("blueprint") or {}).get("host_groups", []),
            },
            "blueprint_cluster_binding": _named(given.get("blueprint_cluster_binding")),
        }
    document = {
        "href": call.href(*call.path, number),
        "hosts": hosts,
        "services": services,
        "Recommendation": {"id": number},
        "Versions": {"stack_name": stack.name, "stack_version": stack.version},
        "recommendations": advice,
    }
    return resources(document, status=200)


def _validate(call: Call, bodies: tuple[Body, ...]) -> Reply:
    stack, document, kind = _asked(call, bodies, "validate")
    number = call.world.number("advice")
    if kind != "host_groups" and SWITCH in call.world.switches:
        folder = f"/var/run/ambari-server/stack-recommendations/{number}"
        raise Refusal(
            500,
            "Stack Advisor reported an error. Exit Code: 2. "
            "Error: TypeError: argument of type 'NoneType' is not iterable "
            f"\nStdOut file: {folder}/stackadvisor.out\n\nStdErr file: {folder}/stackadvisor.err",
        )
    found = problems(stack, document.get("services", []), _layout(document)) if kind == "host_groups" else []
    items = [
        {"component-name": name, "level": "ERROR", "type": "host-component", "message": message}
        for name, message in found
    ]
    return resources(
        {
            "href": call.href(*call.path, number),
            "items": items,
            "Validation": {"id": number},
            "Versions": {"stack_name": stack.name, "stack_version": stack.version},
        },
        status=200,
    )


def _asked(call: Call, bodies: tuple[Body, ...], verb: str) -> tuple[StackDefinition, Mapping[str, Any], str]:
    """Return stack, body and kind of advice. Raises ``Refusal``, sometimes with plain text like the server."""
    stack = call.world.stacks.get((call.id("Stacks/stack_name"), call.id("Versions/stack_version")))
    if stack is None or not bodies:
        raise Refusal(400, "Request body is not correct, error: no stack or no body", plain=True)
    document = bodies[0].document
    kind = str(document.get(verb))
    if kind not in KINDS:
        kinds = ", ".join(KINDS)
        raise Refusal(
            400,
            f"Request body is not correct, error: Unknown request type: {kind}, possible values: [{kinds}]",
            plain=True,
        )
    if any(service not in stack.services for service in document.get("services", [])):
        raise Refusal(
            400,
            "Error parsing services.json file content: No content to map to Object due to end of input",
            plain=True,
        )
    known = {host.name for host in call.world.live_hosts()}
    strangers = [host for host in document.get("hosts", []) if host not in known]
    if strangers:
        raise Refusal(500, f"Error occured during hosts information retrieving, unknown hosts: {strangers}")
    return stack, document, kind


def _groups(layout: Mapping[str, list[str]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    blueprint, binding = [], []
    for number, (host, components) in enumerate(layout.items(), start=1):
        name = f"host-group-{number}"
        blueprint.append({"components": [{"name": component} for component in components], "name": name})
        binding.append({"hosts": [{"fqdn": host}], "name": name})
    return blueprint, binding


def _named(binding: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a binding as configuration advice repeats it: its hosts have a ``name`` and no ``fqdn`` (510)."""
    groups = (binding or {}).get("host_groups") or []
    return {
        "host_groups": [
            {"hosts": [{"name": host.get("fqdn")} for host in group.get("hosts", [])], "name": group.get("name")}
            for group in groups
        ]
    }


def _layout(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Extract host -> components from the ``recommendations`` of a body."""
    advice = document.get("recommendations") or {}
    groups = {
        group["name"]: [one["name"] for one in group.get("components", [])]
        for group in (advice.get("blueprint") or {}).get("host_groups") or []
    }
    bound = (advice.get("blueprint_cluster_binding") or {}).get("host_groups") or []
    return {host["fqdn"]: groups.get(group["name"], []) for group in bound for host in group.get("hosts", [])}


def _configurations(stack: StackDefinition, services: list[str]) -> dict[str, Any]:
    """Return the stack's defaults for the services' types: advice that changes nothing."""
    kinds = sorted(kind for service in services for kind in stack.services[service].configurations)
    return {
        kind: {
            "properties": {name: value for name, value in default_properties(stack, kind).items() if value is not None}
        }
        for kind in kinds
    }


def _none(call: Call) -> list[Row]:
    return []


_BODY = "hosts services recommendations recommend validate changed_configurations"

RECOMMENDATION = Resource(
    type="Recommendation",
    plural="recommendations",
    key="Recommendation/id",
    properties=properties("Recommendation", "id") | properties("", _BODY),
    rows=_none,
    listed=False,
    create=_recommend,
)

VALIDATION = Resource(
    type="Validation",
    plural="validations",
    key="Validation/id",
    properties=properties("Validation", "id items") | properties("", _BODY),
    rows=_none,
    listed=False,
    create=_validate,
)
