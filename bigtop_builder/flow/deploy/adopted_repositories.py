"""The repositories of a running cluster, as an inventory can say them so that a deployment registers the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bigtop_builder.cluster.adoption.found import FoundRepositories
from bigtop_builder.cluster.blueprint import cluster_environment
from bigtop_builder.cluster.configuration import Configuration
from bigtop_builder.cluster.repository_names import name_repositories
from bigtop_builder.model.repository import Repository

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
    if version is not None and not {*known} <= version.managed:
        why = "repositories: not written, because hosts have repository files of their own, and deploy would have "
        return FoundRepositories(notes=(f"{why}Ambari's agents write them:", *listing))
    names = client.stack_repositories(stack.name, stack.version)
    first = [(one.id, one.url.rstrip("/").replace(families[0], "{family}")) for one in known[families[0]]]
    # What Ambari has added for names of the stack has the address of the first one.
    for candidate in (first, [one for index, one in enumerate(first) if index == 0 or one[1] != first[0][1]]):
        if not any(_credentials(url) for _, url in candidate) and _same(candidate, known, names):
            return _checked(FoundRepositories(tuple(candidate)), families, environment)
    why = "repositories: not written, because deploy would register these otherwise (names, or addresses by system):"
    return FoundRepositories(notes=(why, *listing))


def template_of(found: FoundRepositories, families: Sequence[str]) -> str:
    """Return the template of agents' repository files as a deployment sets it."""
    repositories = [
        Repository(id=id, url=url, gpg_check=found.gpg_check, gpg_key=found.gpg_key) for id, url in found.entries
    ]
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


def _checked(found: FoundRepositories, families: Sequence[str], environment: Configuration) -> FoundRepositories:
    """Return the repositories with how agents check signatures, going by the template of their repository files."""
    template = environment.properties[TEMPLATE]
    if not re.search(r"^gpgcheck *= *1", template, re.MULTILINE):
        return replace(found, gpg_check=False)
    key = re.search(r"^gpgkey *= *((?:https?|file)://\S+)$", template, re.MULTILINE)
    for url in [key[1].replace(families[0], "{family}"), key[1]] if key and not _credentials(key[1]) else []:
        keyed = replace(found, gpg_key=url)
        if template_of(found, families) != template and template_of(keyed, families) == template:
            return keyed
    return found


def _credentials(url: str) -> bool:
    return "@" in url.partition("://")[2].partition("/")[0]


def _shown(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://***@{rest.partition('@')[2]}" if _credentials(url) else url
