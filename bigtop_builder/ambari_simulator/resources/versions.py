"""Version definitions: how versions of a stack are registered (037-050)."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from bigtop_builder.ambari_simulator.engine.state import RepositoryVersion
from bigtop_builder.ambari_simulator.resources.definition import (
    available_definition,
    manifest,
    parse_definition,
    stack_services,
)
from bigtop_builder.ambari_simulator.resources.repositories import REPOSITORY_PROPERTIES
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import arrange
from bigtop_builder.ambari_simulator.rest.replies import Refusal, Reply, internal, resources
from bigtop_builder.model.ambari_stack import StackDefinition

KEY = "VersionDefinition/id"
NO_METHOD = (
    "Creation method is not known.  VersionDefinition/version_url or VersionDefinition/available is required "
    "or upload the file directly"
)

SHOWN = ("applicable_services", "base_url", "components", "distribution", "os_type", "repo_id", "repo_name", "tags")
"""What a dry run prints about a repository."""


def _rows(call: Call) -> list[Row]:
    """List registered versions, or with ``show_available=true`` in the predicate those that the stacks describe."""
    if call.predicate and "VersionDefinition/show_available" in call.predicate.names:
        stacks = sorted(call.world.stacks.items())
        return [
            {
                "VersionDefinition": {
                    **_definition(stack, available_definition(stack)),
                    "id": stack.id,
                    "show_available": True,
                }
            }
            for _, stack in stacks
        ]
    return [
        {"VersionDefinition": _definition(call.world.stacks[version.stack_name, version.stack_version], version)}
        for version in call.world.versions.values()
    ]


def _definition(stack: StackDefinition, version: RepositoryVersion) -> dict[str, Any]:
    return {
        "display_name": version.display_name,
        "id": version.id,
        "max_jdk": None,
        "min_jdk": None,
        "repository_version": version.version,
        "services": manifest(stack, version),
        "stack_default": False,
        "stack_name": version.stack_name,
        "stack_repo_update_link_exists": False,
        "stack_services": stack_services(stack, version),
        "stack_version": version.stack_version,
        "type": version.type,
        "version_url": version.extra.get("url"),
        "release": version.extra.get("release", {}),
    }


def _create(call: Call, bodies: tuple[Body, ...]) -> Reply:
    version = _described(call, bodies)
    if call.flag("dry_run"):
        return resources(_dry_run(call, version))
    _check_new(call, version)
    version.id = call.world.number("version")
    call.world.versions[version.id] = version
    own = {"id": version.id, "stack_name": version.stack_name, "stack_version": version.stack_version}
    return resources({"href": call.href("version_definitions", version.id), "VersionDefinition": own})


def _described(call: Call, bodies: tuple[Body, ...]) -> RepositoryVersion:
    if call.content_type.partition(";")[0].strip() == "text/xml":
        return parse_definition(call.world, call.text)
    given = bodies[0].properties if bodies else {}
    if "VersionDefinition/version_base64" in given:
        try:
            text = base64.b64decode(given["VersionDefinition/version_base64"], validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Refusal(400, f"Invalid Request: {error}") from None
        return parse_definition(call.world, text)
    if "VersionDefinition/available" in given:
        return _available(call, given["VersionDefinition/available"])
    if "VersionDefinition/version_url" in given:
        return _from_url(call, given["VersionDefinition/version_url"])
    raise Refusal(400, NO_METHOD)


def _available(call: Call, name: str) -> RepositoryVersion:
    stack = next((stack for stack in call.world.stacks.values() if stack.id == name), None)
    if stack is None:
        raise internal(f"Version {name} not found")
    return available_definition(stack)


def _from_url(call: Call, url: str) -> RepositoryVersion:
    status, text = call.world.fetch(url)
    if status != 200:
        raise internal(f"Could not load url from {url}.  Could not load url from '{url}' with code '{status}'.  {text}")
    version = parse_definition(call.world, text)
    version.extra["url"] = url
    return version


def _check_new(call: Call, version: RepositoryVersion) -> None:
    for other in call.world.versions.values():
        if other.display_name == version.display_name:
            raise Refusal(409, f"Repository version with name {version.display_name} already exists.")
        same_stack = (other.stack_name, other.stack_version) == (version.stack_name, version.stack_version)
        if same_stack and other.version == version.version:
            raise Refusal(
                409,
                f"Repository version for stack {version.stack_name}-{version.stack_version} "
                f"and version {version.version} already exists.",
            )


def _dry_run(call: Call, version: RepositoryVersion) -> dict[str, Any]:
    stack = call.world.stacks[version.stack_name, version.stack_version]
    own = _definition(stack, version)
    for name in ("stack_default", "stack_repo_update_link_exists", "version_url"):
        del own[name]
    own |= {"id": None, "show_available": True, "validation": []}
    where: dict[str, Any] = {"stack_name": stack.name, "stack_version": stack.version}
    systems = [
        {
            "OperatingSystems": where | {"ambari_managed_repositories": True, "os_type": family},
            "repositories": [
                {"Repositories": {name: one[name] for name in SHOWN} | where} for one in system["repositories"]
            ],
        }
        for family, system in version.systems.items()
    ]
    return {
        "href": call.href("version_definitions") + "/",
        "VersionDefinition": arrange(own),
        "operating_systems": systems,
    }


def _systems(call: Call) -> list[Row]:
    version = call.world.versions[int(call.id(KEY))]
    where = {"stack_name": version.stack_name, "stack_version": version.stack_version}
    return [
        {
            "OperatingSystems": {
                "ambari_managed_repositories": system["ambari_managed_repositories"],
                "os_type": family,
                "version_definition_id": str(version.id),
                **where,
            }
        }
        for family, system in version.systems.items()
    ]


def _repositories(call: Call) -> list[Row]:
    version = call.world.versions[int(call.id(KEY))]
    own = {"stack_name": version.stack_name, "stack_version": version.stack_version}
    system = version.systems.get(call.id("OperatingSystems/os_type"), {})
    return [
        {"Repositories": one | own | {"version_definition_id": str(version.id)}}
        for one in system.get("repositories", ())
    ]


REPOSITORY = Resource(
    type="Repository",
    plural="repositories",
    key="Repositories/repo_id",
    keys=tuple(
        f"Repositories/{name}"
        for name in ("os_type", "repo_id", "version_definition_id", "stack_name", "stack_version")
    ),
    properties=properties("Repositories", f"{REPOSITORY_PROPERTIES} version_definition_id"),
    rows=_repositories,
)
SYSTEM = Resource(
    type="OperatingSystem",
    plural="operating_systems",
    key="OperatingSystems/os_type",
    keys=tuple(
        f"OperatingSystems/{name}" for name in ("os_type", "version_definition_id", "stack_name", "stack_version")
    ),
    properties=properties(
        "OperatingSystems", "ambari_managed_repositories os_type version_definition_id stack_name stack_version"
    ),
    rows=_systems,
    sub=(REPOSITORY,),
)

VERSION_DEFINITION = Resource(
    type="VersionDefinition",
    plural="version_definitions",
    key=KEY,
    keys=tuple(f"VersionDefinition/{name}" for name in ("id", "stack_name", "stack_version")),
    properties=properties(
        "VersionDefinition",
        "available display_name id max_jdk min_jdk release repository_version services show_available stack_default "
        "stack_name stack_repo_update_link_exists stack_services stack_version type validation version_base64 "
        "version_url",
    ),
    rows=_rows,
    missing=lambda call: f"There is no version definition with id {call.id(KEY)}",
    directives=frozenset({"dry_run", "skip_url_check"}),
    sub=(SYSTEM,),
    create=_create,
    create_by_id=False,
)
