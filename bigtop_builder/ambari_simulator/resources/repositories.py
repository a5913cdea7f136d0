"""Operating systems, repositories and repository versions of a stack (032-033, 051-067, 089-094)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bigtop_builder.ambari_simulator.engine.repository_probe import refusal
from bigtop_builder.ambari_simulator.engine.stack_repositories import repository_document
from bigtop_builder.ambari_simulator.engine.state import RepositoryVersion, World
from bigtop_builder.ambari_simulator.resources.definition import check_repository, manifest, stack_services
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.replies import CREATED, DONE, Refusal, Reply, internal

SYSTEM_KEY = "OperatingSystems/os_type"
VERSION_ID = "RepositoryVersions/id"

REPOSITORY_PROPERTIES = (
    "applicable_services base_url components default_base_url distribution mirrors_list os_type repo_id repo_name "
    "stack_name stack_version tags unique"
)

KEPT = ("applicable_services", "components", "distribution", "mirrors_list", "tags")
"""What a version's PUT may give of a repository besides id, name and URL (RepositoryVersionHelper)."""


def _stack(call: Call) -> tuple[str, str]:
    return call.id("Stacks/stack_name"), call.id("Versions/stack_version")


def _stack_fields(call: Call) -> dict[str, str]:
    name, version = _stack(call)
    return {"stack_name": name, "stack_version": version}


def _stack_systems(call: Call) -> list[Row]:
    stack = call.world.stacks[_stack(call)]
    known = {"ambari_managed_repositories": True} | _stack_fields(call)
    return [{"OperatingSystems": {"os_type": family} | known} for family in stack.families]


def _stack_repositories(call: Call) -> list[Row]:
    family = call.id(SYSTEM_KEY)
    one = call.world.stacks[_stack(call)].families.get(family)
    if one is None:
        return []
    row = repository_document(family, one.url, one.id, one.name) | _stack_fields(call)
    return [{"Repositories": row | {"default_base_url": one.url, "mirrors_list": None}}]


def _put_stack_repository(call: Call, rows: list[Row], body: Body) -> Reply:
    """Probe an address, and change nothing: the old way of setting it is gone (RepositoryResourceProvider)."""
    if rows:
        _probe(call, body.properties)
    return DONE


def _post_stack_repository(call: Call, bodies: tuple[Body, ...]) -> Reply:
    if not call.flag("validate_only"):
        raise Refusal(500, "Cannot create repositories.")
    for body in bodies:
        _probe(call, {**body.properties, "Repositories/verify_base_url": "true"})
    return CREATED


def _probe(call: Call, given: Mapping[str, Any]) -> None:
    url = given.get("Repositories/base_url")
    if given.get("Repositories/verify_base_url", "true") != "true":
        return
    if not url:
        # The server's exception has no message.
        raise Refusal(500, "")
    if not given.get("Repositories/repo_name"):
        raise Refusal(400, "repo_name is required to verify repository")
    if message := refusal(call.world.fetch, url, call.world.is_address):
        raise Refusal(400, message)


def _version_rows(call: Call) -> list[Row]:
    if VERSION_ID in call.ids and call.method == "GET":
        _version(call)
    return [
        _version_row(call, version)
        for version in call.world.versions.values()
        if (version.stack_name, version.stack_version) == _stack(call)
    ]


def _version_row(call: Call, version: RepositoryVersion) -> dict[str, Any]:
    stack = call.world.stacks[_stack(call)]
    row = {
        "display_name": version.display_name,
        "has_children": False,
        "hidden": False,
        "id": version.id,
        "parent_id": None,
        "repository_version": version.version,
        "resolved": version.resolved,
        "services": manifest(stack, version),
        "stack_services": stack_services(stack, version),
        "type": version.type,
    }
    if "release" in version.extra:
        row["release"] = version.extra["release"]
    return {"RepositoryVersions": row | _stack_fields(call)}


def _put_version(call: Call, rows: list[Row], body: Body) -> Reply:
    """Replace all operating systems; addresses are not probed (055)."""
    for row in rows:
        version = call.world.versions[row["RepositoryVersions"]["id"]]
        if "operating_systems" in body.document:
            version.systems = systems_of(call, body.document["operating_systems"])
        version.display_name = body.properties.get("RepositoryVersions/display_name", version.display_name)
    return DONE


def _post_version(call: Call, bodies: tuple[Body, ...]) -> Reply:
    name, stack_version = _stack(call)
    for body in bodies:
        number = body.properties.get("RepositoryVersions/repository_version", "")
        display = body.properties.get("RepositoryVersions/display_name", f"{name}-{number}")
        if any(version.display_name == display for version in call.world.versions.values()):
            raise Refusal(409, f"Repository version with name {display} already exists")
        if not re.match(r"\d", number) or number.split(".")[0] != stack_version.split(".")[0]:
            raise internal(f"Version {number} needs to belong to stack {name}-{stack_version}")
        systems = systems_of(call, body.document.get("operating_systems", []))
        created = RepositoryVersion(
            id=call.world.number("version"),
            stack_name=name,
            stack_version=stack_version,
            version=number,
            display_name=display,
            systems=systems,
        )
        call.world.versions[created.id] = created
    return CREATED


def systems_of(call: Call, documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Parse ``operating_systems`` of a body, by family. Raises ``Refusal`` 500 for a family unknown to the stack."""
    name, version = _stack(call)
    systems: dict[str, dict[str, Any]] = {}
    for document in documents:
        own = document.get("OperatingSystems", {})
        family = own.get("os_type", document.get(SYSTEM_KEY, ""))
        if family not in call.world.stacks[name, version].families:
            raise internal(f"Operating system type {family} is not supported by stack {name}-{version}")
        repositories = [
            _repository(call.world, family, one.get("Repositories", one)) for one in document.get("repositories", [])
        ]
        managed = own.get("ambari_managed_repositories", "true") == "true"
        systems[family] = {"ambari_managed_repositories": managed, "repositories": repositories}
    return systems


def _repository(world: World, family: str, given: dict[str, Any]) -> dict[str, Any]:
    url, repo_id, repo_name = (str(given.get(name) or "") for name in ("base_url", "repo_id", "repo_name"))
    check_repository(world, url, repo_id, repo_name)
    made = repository_document(family, url, repo_id, repo_name)
    kept = {name: given[name] for name in KEPT if given.get(name) is not None}
    return made | {"mirrors_list": None, "unique": given.get("unique") == "true"} | kept


def _delete_version(call: Call, rows: list[Row]) -> Reply:
    """Raises ``Refusal`` 500 for a version that hosts have installed (RepositoryVersionResourceProvider)."""
    for row in rows:
        number = row["RepositoryVersions"]["id"]
        users = sorted(
            {
                one.host
                for cluster in call.world.clusters.values()
                for one in cluster.components.values()
                if cluster.services[one.service].repository == number and one.version != "UNKNOWN"
            }
        )
        if users:
            raise internal(
                "Repository version can't be deleted as it is used by the following hosts: "
                f"CURRENT on {', '.join(users)}"
            )
    for row in rows:
        del call.world.versions[row["RepositoryVersions"]["id"]]
    return DONE


def _missing_version(call: Call) -> str:
    return f"There is no repository version with id {call.id(VERSION_ID)}"


def _systems(call: Call) -> list[Row]:
    version = _version(call)
    return [
        {
            "OperatingSystems": {
                "ambari_managed_repositories": system["ambari_managed_repositories"],
                "os_type": family,
                "repository_version_id": version.id,
            }
            | _stack_fields(call)
        }
        for family, system in version.systems.items()
    ]


def _repositories(call: Call) -> list[Row]:
    version = _version(call)
    system = version.systems.get(call.id(SYSTEM_KEY), {})
    own = {"repository_version_id": version.id} | _stack_fields(call)
    return [{"Repositories": one | own} for one in system.get("repositories", [])]


def _version(call: Call) -> RepositoryVersion:
    found = call.world.versions.get(int(call.id(VERSION_ID)) if call.id(VERSION_ID).isdecimal() else 0)
    if found is None:
        raise Refusal(404, _missing_version(call))
    return found


STACK_REPOSITORY = Resource(
    type="Repository",
    plural="repositories",
    key="Repositories/repo_id",
    keys=tuple(f"Repositories/{name}" for name in ("os_type", "repo_id", "stack_name", "stack_version")),
    properties=properties("Repositories", f"{REPOSITORY_PROPERTIES} verify_base_url"),
    rows=_stack_repositories,
    directives=frozenset({"validate_only"}),
    create=_post_stack_repository,
    update=_put_stack_repository,
)

STACK_SYSTEM = Resource(
    type="OperatingSystem",
    plural="operating_systems",
    key=SYSTEM_KEY,
    keys=tuple(f"OperatingSystems/{name}" for name in ("os_type", "stack_name", "stack_version")),
    properties=properties("OperatingSystems", "ambari_managed_repositories os_type stack_name stack_version"),
    rows=_stack_systems,
    sub=(STACK_REPOSITORY,),
)

REPOSITORY = Resource(
    type="Repository",
    plural="repositories",
    key="Repositories/repo_id",
    keys=tuple(
        f"Repositories/{name}"
        for name in ("os_type", "repo_id", "repository_version_id", "stack_name", "stack_version")
    ),
    properties=properties("Repositories", f"{REPOSITORY_PROPERTIES} repository_version_id"),
    rows=_repositories,
)

SYSTEM = Resource(
    type="OperatingSystem",
    plural="operating_systems",
    key=SYSTEM_KEY,
    keys=tuple(
        f"OperatingSystems/{name}" for name in ("os_type", "repository_version_id", "stack_name", "stack_version")
    ),
    properties=properties(
        "OperatingSystems", "ambari_managed_repositories os_type repository_version_id stack_name stack_version"
    ),
    rows=_systems,
    sub=(REPOSITORY,),
)

REPOSITORY_VERSION = Resource(
    type="RepositoryVersion",
    plural="repository_versions",
    key=VERSION_ID,
    keys=tuple(f"RepositoryVersions/{name}" for name in ("id", "stack_name", "stack_version")),
    properties=properties(
        "RepositoryVersions",
        "display_name has_children hidden id parent_id release repository_version resolved services stack_name "
        "stack_services stack_version type",
    ),
    writable=frozenset({"operating_systems"}),
    rows=_version_rows,
    missing=_missing_version,
    sub=(SYSTEM,),
    create=_post_version,
    update=_put_version,
    delete=_delete_version,
)
