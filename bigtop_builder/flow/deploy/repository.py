"""The repository and its version definition, registered with Ambari."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigtop_builder.flow.deploy.context import Deployment
from bigtop_builder.model.errors import AmbariError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.repository import RepositoryEntry, RepositoryVersion


def version_of(deployment: Deployment) -> str:
    """The repository version string: without build, for the agents make package names of it."""
    choice = deployment.inventory.stack
    return choice.repository_version or choice.version


def os_families(deployment: Deployment) -> tuple[str, ...]:
    """The OS families of the inventory's hosts as their agents told Ambari. Raises AmbariError for none."""
    ours = set(deployment.hosts)
    families = {host.os_family for host in deployment.client.hosts() if host.name in ours and host.os_family}
    if not families:
        raise AmbariError(
            "none of the inventory's hosts has registered with Ambari", hint="Run the phase ambari first."
        )
    return tuple(sorted(families))


def wanted_repositories(deployment: Deployment, families: tuple[str, ...]) -> dict[str, tuple[RepositoryEntry, ...]]:
    """By OS family: the inventory's repositories."""
    from bigtop_builder.adapter.ambari.repository import RepositoryEntry

    return {
        family: tuple(
            RepositoryEntry(entry.id, entry.id.lower(), entry.url.replace("{family}", family))
            for entry in deployment.inventory.repositories
        )
        for family in families
    }


def registered(deployment: Deployment) -> RepositoryVersion | None:
    """The registered version of the inventory's version string."""
    choice = deployment.inventory.stack
    wanted = version_of(deployment)
    found = deployment.client.repository_versions(choice.name, choice.version)
    return next((version for version in found if version.version == wanted), None)


def definition(deployment: Deployment) -> str:
    """The version definition's XML."""
    from bigtop_builder.cluster.version_definition import version_definition

    wanted = wanted_repositories(deployment, os_families(deployment))
    return version_definition(
        deployment.stack,
        version_of(deployment),
        {family: [(one.id, one.name, one.url) for one in entries] for family, entries in wanted.items()},
    )


def register(deployment: Deployment) -> str:
    """The phase ``repository``."""
    if not deployment.inventory.repositories:
        return "the inventory names no repository: Ambari's own are used"
    choice = deployment.inventory.stack
    families = os_families(deployment)
    wanted = wanted_repositories(deployment, families)
    present = registered(deployment)
    title = f"{choice.name}-{version_of(deployment)}"
    if present is None:
        xml = definition(deployment)
        detail = "\n".join(f"+{family}: {one.url}" for family, entries in wanted.items() for one in entries)
        deployment.change(f"version definition {title}", detail, act=lambda: deployment.client.register_version(xml))
        return title
    differing = {family: entries for family, entries in wanted.items() if _urls(present, family) != _pairs(entries)}
    if differing:
        systems = {**present.os, **differing}
        detail = "\n".join(
            [f"-{family}: {url}" for family in differing for _, url in _urls(present, family)]
            + [f"+{family}: {one.url}" for family, entries in differing.items() for one in entries]
        )
        deployment.change(
            f"repositories of {title}",
            detail,
            act=lambda: deployment.client.update_repositories(choice.name, choice.version, present.id, systems),
        )
    return title


def _urls(version: RepositoryVersion, family: str) -> list[tuple[str, str]]:
    return _pairs(version.os.get(family, ()))


def _pairs(entries: tuple[RepositoryEntry, ...]) -> list[tuple[str, str]]:
    return sorted((entry.id, entry.url.rstrip("/")) for entry in entries)
