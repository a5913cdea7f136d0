"""The repository and its version definition, registered with Ambari."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.cluster.version_definition import check_version
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
    """The registered version that the cluster's services have; without them that of the inventory's version string.

    Raises AmbariError when the cluster is of another stack.
    """
    client, choice = deployment.client, deployment.inventory.stack
    found = client.repository_versions(choice.name, choice.version)
    cluster = client.cluster(deployment.cluster)
    if cluster is not None:
        stack = f"{choice.name}-{choice.version}"
        if cluster.version and cluster.version != stack:
            raise AmbariError(
                f"the cluster {deployment.cluster} is of the stack {cluster.version}, not {stack}",
                hint="Ambari moves clusters to another stack with upgrade packs only, which BIGTOP does not have; for "
                "other packages change stack.repository_version.",
            )
        used = {service.repository_version for service in client.services(deployment.cluster)}
        for version in found:
            if version.id in used:
                return version
    wanted = version_of(deployment)
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
    if present.version != version_of(deployment):
        check_version(deployment.stack, version_of(deployment))
        return f"the cluster has {present.version} and moves to {title}"
    _update(deployment, present, wanted)
    return title


def switch_repositories(deployment: Deployment) -> Callable[[], None] | None:
    """When the cluster is to move to another version: the repositories of the one that it has are replaced, for a
    service cannot be given another one without upgrade packs; the agents' reports then rename it. Gives the way back.

    A registered version that has the name already and that no service uses would keep Ambari from that: it goes.
    """
    present = registered(deployment)
    if present is None or present.version == version_of(deployment):
        return None
    client, choice = deployment.client, deployment.inventory.stack
    for other in client.repository_versions(choice.name, choice.version):
        if other.version == version_of(deployment):
            deployment.change(
                f"version definition {choice.name}-{other.version} removed, which no service uses",
                act=partial(client.delete_repository_version, choice.name, choice.version, other.id),
            )
    _update(deployment, present, wanted_repositories(deployment, os_families(deployment)))
    return lambda: _update(deployment, registered(deployment) or present, present.os)


def _update(
    deployment: Deployment, version: RepositoryVersion, wanted: Mapping[str, tuple[RepositoryEntry, ...]]
) -> None:
    """The version's repositories as ``wanted`` says; other OS families keep theirs."""
    choice = deployment.inventory.stack
    differing = {family: entries for family, entries in wanted.items() if _urls(version, family) != _pairs(entries)}
    if not differing:
        return
    detail = "\n".join(
        [f"-{family}: {url}" for family in differing for _, url in _urls(version, family)]
        + [f"+{family}: {one.url}" for family, entries in differing.items() for one in entries]
    )
    deployment.change(
        f"repositories of {choice.name}-{version.version}",
        detail,
        act=lambda: deployment.client.update_repositories(
            choice.name, choice.version, version.id, {**version.os, **differing}
        ),
    )


def _urls(version: RepositoryVersion, family: str) -> list[tuple[str, str]]:
    return _pairs(version.os.get(family, ()))


def _pairs(entries: tuple[RepositoryEntry, ...]) -> list[tuple[str, str]]:
    return sorted((entry.id, entry.url.rstrip("/")) for entry in entries)
