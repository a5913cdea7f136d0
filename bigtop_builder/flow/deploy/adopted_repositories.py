"""The repositories of a running cluster, as an inventory can say them so that a deployment registers the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bigtop_builder.cluster.adoption.found import FoundRepositories
from bigtop_builder.cluster.blueprint import cluster_environment
from bigtop_builder.cluster.configuration import Configuration
from bigtop_builder.cluster.repository_names import name_repositories
from bigtop_builder.model.inventory import Repository

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.repository import RepositoryEntry, RepositoryVersion
    from bigtop_builder.model.ambari_stack import StackDefinition

ENVIRONMENT, TEMPLATE = "cluster-env", "repo_suse_rhel_template"
Entries = Sequence[tuple[str, str]]
"""Ids and URLs."""


def read_repositories(
    client: Ambari,
    stack: StackDefinition,
    version: RepositoryVersion | None,
    families: Sequence[str],
    environment: Configuration,
) -> FoundRepositories:
    """Return the repositories of the cluster's version; none, with the reason, if a deployment would change them."""
    known = {family: version.os.get(family, ()) for family in families} if version else {}
    listing = tuple(
        f"  {family}: {entry.id} {_shown(entry.url)}"
        for family, entries in known.items()
        for entry in entries
        if entry.url
    )
    if not listing:
        return FoundRepositories(notes=("repositories: the cluster's version has none.",))
    if TEMPLATE not in environment.properties:
        why = f"repositories: not written, because deploy would add {ENVIRONMENT}/{TEMPLATE} to the cluster:"
        return FoundRepositories(notes=(why, *listing))
    names = client.stack_repositories(stack.name, stack.version)
    first = [(one.id, one.url.rstrip("/").replace(families[0], "{family}")) for one in known[families[0]]]
    # What Ambari has added for names of the stack has the address of the first one.
    for candidate in (first, [one for index, one in enumerate(first) if index == 0 or one[1] != first[0][1]]):
        if not any(_credentials(url) for _, url in candidate) and _same(candidate, known, names):
            return FoundRepositories(tuple(candidate), _checked(candidate, families, environment))
    why = "repositories: not written, because deploy would register these otherwise (names, or addresses by system):"
    return FoundRepositories(notes=(why, *listing))


def template_of(entries: Entries, families: Sequence[str], *, gpg_check: bool) -> str:
    """Return the template of agents' repository files as a deployment sets it."""
    repositories = [Repository(id=id, url=url, gpg_check=gpg_check) for id, url in entries]
    return cluster_environment(repositories, families)[TEMPLATE]


def _same(
    candidate: Entries,
    known: Mapping[str, Sequence[RepositoryEntry]],
    stack: Mapping[str, Sequence[RepositoryEntry]],
) -> bool:
    """Return whether a deployment registers these repositories as the cluster has them."""
    for family, entries in known.items():
        ours = [(id, url.replace("{family}", family)) for id, url in candidate]
        made = name_repositories(ours, [(one.id, one.name) for one in stack.get(family, ())])
        if sorted((one.id, one.name, one.url) for one in made) != sorted(
            (one.id, one.name, one.url.rstrip("/")) for one in entries
        ):
            return False
    return True


def _checked(entries: Entries, families: Sequence[str], environment: Configuration) -> bool:
    """Return whether agents check signatures, going by the template of their repository files."""
    template = environment.properties[TEMPLATE]
    return template == template_of(entries, families, gpg_check=True) or "gpgcheck=1" in template


def _credentials(url: str) -> bool:
    return "@" in url.partition("://")[2].partition("/")[0]


def _shown(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://***@{rest.partition('@')[2]}" if _credentials(url) else url
