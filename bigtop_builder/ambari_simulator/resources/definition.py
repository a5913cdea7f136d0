"""Version definition files: parsed from XML, or made by the server from a stack's own data (039-048).

Form read from Ambari's ``version_definition.xsd``: release (type, stack-id, version, build, display), manifest,
repository-info.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from bigtop_builder.ambari_simulator.engine.stack_repositories import add_stack_repositories, repository_document
from bigtop_builder.ambari_simulator.engine.state import RepositoryVersion, World
from bigtop_builder.ambari_simulator.rest.replies import Refusal, internal
from bigtop_builder.model.ambari_stack import StackDefinition

COMPANIONS = frozenset({"KERBEROS", "AMBARI_METRICS", "AMBARI_INFRA_SOLR"})
"""Services that belong to Ambari rather than to a version of a stack."""


def parse_definition(world: World, text: str) -> RepositoryVersion:
    """Parse a repository version (number 0). Raises ``Refusal``: 400 for bad XML, 500 for an unknown stack."""
    if "<!DOCTYPE" in text:
        raise Refusal(400, "com.ctc.wstx.exc.WstxException: A document type is not expected")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise Refusal(400, f"com.ctc.wstx.exc.WstxException: {error}") from None
    name, _, stack_version = _text(root, "release/stack-id").partition("-")
    if (name, stack_version) not in world.stacks:
        raise internal(f"Stack data, Stack {name} {stack_version} is not found in Ambari metainfo")
    version, build = _text(root, "release/version"), _text(root, "release/build") or None
    full = f"{version}-{build}" if build else version
    services = {service.get("name", ""): service.get("version", "") for service in root.findall("manifest/service")}
    systems = _systems(world, root)
    add_stack_repositories(world.stacks[name, stack_version], systems)
    return RepositoryVersion(
        id=0,
        stack_name=name,
        stack_version=stack_version,
        version=full,
        display_name=_text(root, "release/display") or f"{name}-{full}",
        type=_text(root, "release/type") or "STANDARD",
        systems=systems,
        extra={
            "services": services,
            "release": {
                "build": build,
                "compatible_with": _text(root, "release/compatible-with") or None,
                "notes": _text(root, "release/release-notes") or None,
                "version": version,
            },
        },
    )


def check_repository(world: World, url: str, *names: str) -> None:
    """Refuse what would become other lines of the hosts' repository files, and an address that is not of HTTP."""
    if url and not world.is_address(url):
        raise Refusal(400, f"Could not access base url '{url}', only http and https are known")
    if any(not name.isprintable() for name in names):
        raise Refusal(400, "The id or name of a repository has control characters")


def _text(root: ElementTree.Element, path: str) -> str:
    return (root.findtext(path) or "").strip()


def _systems(world: World, root: ElementTree.Element) -> dict[str, dict[str, Any]]:
    systems: dict[str, dict[str, Any]] = {}
    for system in root.findall("repository-info/os"):
        family = system.get("family", "")
        repositories = []
        for repo in system.findall("repo"):
            url, repo_id, name = (_text(repo, tag) for tag in ("baseurl", "repoid", "reponame"))
            check_repository(world, url, repo_id, name)
            repositories.append(repository_document(family, url, repo_id, name, _text(repo, "unique")))
        systems[family] = {"ambari_managed_repositories": True, "repositories": repositories}
    return systems


def available_definition(stack: StackDefinition) -> RepositoryVersion:
    """Return the version that the stack's own data describe: all its services, with the stack's repositories."""
    systems = {
        family: {
            "ambari_managed_repositories": True,
            "repositories": [repository_document(family, one.url, one.id, one.name)],
        }
        for family, one in stack.families.items()
    }
    services = {name: service.version for name, service in stack.services.items() if name not in COMPANIONS}
    release = {"build": None, "compatible_with": None, "notes": "NONE", "version": stack.version}
    return RepositoryVersion(
        id=0,
        stack_name=stack.name,
        stack_version=stack.version,
        version=stack.version,
        display_name=stack.id,
        systems=systems,
        extra={"services": services, "release": release},
    )


def manifest(stack: StackDefinition, version: RepositoryVersion) -> list[dict[str, Any]]:
    """Return ``services`` of a version: those that its definition names."""
    return [
        {
            "name": name,
            "versions": [{"version": told, "components": []}],
            "display_name": stack.services[name].title if name in stack.services else name,
        }
        for name, told in version.extra.get("services", {}).items()
    ]


def stack_services(stack: StackDefinition, version: RepositoryVersion) -> list[dict[str, Any]]:
    """Return ``stack_services`` of a version: all of the stack, in the versions given by the definition."""
    told = version.extra.get("services", {})
    return [
        {"name": name, "display_name": service.title, "comment": "", "versions": [told.get(name, service.version)]}
        for name, service in stack.services.items()
    ]
