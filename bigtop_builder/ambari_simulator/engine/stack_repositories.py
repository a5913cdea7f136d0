"""The repositories that a stack brings along: Ambari adds them to versions that have none of their **name**.

It does so when a version definition is registered (733, 734: RepoUtil.getServiceRepos), and at each start of the server
for the versions that services use (UpdateActiveRepoVersionOnStartup). It compares no ids, so a version may then have
two repositories of one id, and agents write two sections of one name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.model.ambari_stack import StackDefinition


def repository_document(family: str, url: str, identity: str, name: str, unique: str = "false") -> dict[str, Any]:
    """Return a repository of a version as its resource prints it."""
    return {
        "applicable_services": [],
        "base_url": url,
        "components": None,
        "default_base_url": "",
        "distribution": None,
        "mirrors_list": "",
        "os_type": family,
        "repo_id": identity,
        "repo_name": name,
        "tags": [],
        "unique": unique == "true",
    }


def add_stack_repositories(stack: StackDefinition, systems: Mapping[str, dict[str, Any]]) -> None:
    """Add the stack's repositories to ``systems`` (by OS family) that have none of their name."""
    for family, system in systems.items():
        one = stack.families.get(family)
        names = {repository["repo_name"] for repository in system["repositories"]}
        if one is not None and one.name not in names:
            system["repositories"].append(repository_document(family, one.url, one.id, one.name))


def update_used_versions(world: World) -> None:
    """Add the stack's repositories to every version that a service uses, as the server does when it starts."""
    used = {service.repository for cluster in world.clusters.values() for service in cluster.services.values()}
    for number in used & {*world.versions}:
        version = world.versions[number]
        stack = world.stacks.get((version.stack_name, version.stack_version))
        if stack is not None:
            add_stack_repositories(stack, version.systems)
