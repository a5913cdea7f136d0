"""Version definitions, and the repositories of registered versions."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bigtop_builder.adapter.ambari.connection import Connection, Json, listed, required
from bigtop_builder.adapter.ambari.errors import UnexpectedAnswerError
from bigtop_builder.adapter.ambari.query import fields, path


@dataclass(frozen=True)
class VersionDefinition:
    """A registered version definition; its id is the repository version's."""

    id: int
    stack: str
    stack_version: str
    version: str
    display_name: str


@dataclass(frozen=True)
class RepositoryEntry:
    """A repository of a version for one OS family: ``id`` ``BIGTOP-3.2.0``, ``name`` ``bigtop``.

    ``other``: what Ambari knows of it besides, as its API writes it.
    """

    id: str
    name: str
    url: str
    unique: bool = False
    other: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RepositoryVersion:
    """A version for clusters to use.

    ``os``: repositories by OS family; ``managed``: the families whose repository files the agents write. ``resolved``:
    an agent has reported ``version`` from the packages.
    """

    id: int
    version: str
    display_name: str
    resolved: bool
    os: Mapping[str, tuple[RepositoryEntry, ...]]
    managed: frozenset[str]


class RepositoryCalls(Connection):
    """``/version_definitions``, ``/stacks/…/repository_versions``."""

    def version_definitions(self) -> list[VersionDefinition]:
        """Return every registered version definition."""
        requested = fields("VersionDefinition", "id stack_name stack_version repository_version display_name")
        found = self.items("version_definitions", fields=requested)
        return [_definition(item.get("VersionDefinition", {})) for item in found]

    def register_version(self, xml: str) -> int:
        """Register a version definition, sent inline; return its id. The server does not check the base URLs.

        Raises ConflictError if the version or its display name is registered already.
        """
        encoded = base64.b64encode(xml.encode()).decode()
        data = self.post("version_definitions", {"VersionDefinition": {"version_base64": encoded}}).data
        for resource in listed(data.get("resources")) if isinstance(data, dict) else []:
            return int(resource["VersionDefinition"]["id"])
        raise UnexpectedAnswerError("the response to a new version definition has no id")

    def repository_versions(self, name: str, version: str) -> list[RepositoryVersion]:
        """Return the registered versions of a stack."""
        found = self.items(
            path("stacks", name, "versions", version, "repository_versions"),
            fields="RepositoryVersions/id,RepositoryVersions/repository_version,RepositoryVersions/display_name,"
            "RepositoryVersions/resolved,operating_systems/OperatingSystems/*,"
            "operating_systems/repositories/Repositories/*",
        )
        return [repository_version(item) for item in found]

    def stack_repositories(self, name: str, version: str) -> dict[str, tuple[RepositoryEntry, ...]]:
        """Return the stack's own repositories by OS family (632)."""
        found = self.items(
            path("stacks", name, "versions", version, "operating_systems"), fields="repositories/Repositories/*"
        )
        return {str(item["OperatingSystems"]["os_type"]): _entries(item) for item in found}

    def update_repositories(
        self,
        name: str,
        version: str,
        id: int,
        os: Mapping[str, Sequence[RepositoryEntry]],
        *,
        managed: Collection[str] | None = None,
    ) -> None:
        """Replace all repositories of a version, of all OS families. The server does not check the URLs.

        ``managed``: the families whose repository files the agents write; all of them by default.
        """
        systems = [
            {
                "OperatingSystems": {
                    "os_type": family,
                    "ambari_managed_repositories": managed is None or family in managed,
                },
                "repositories": [{"Repositories": _repository_body(entry)} for entry in entries],
            }
            for family, entries in os.items()
        ]
        where = path("stacks", name, "versions", version, "repository_versions", id)
        self.put(where, {"operating_systems": systems})

    def delete_repository_version(self, name: str, version: str, id: int) -> None:
        """Remove a version. Raises InUseError while hosts use it."""
        self.delete(path("stacks", name, "versions", version, "repository_versions", id))


def repository_version(item: Json) -> RepositoryVersion:
    """Parse a repository version."""
    about = item.get("RepositoryVersions", {})
    os: dict[str, tuple[RepositoryEntry, ...]] = {}
    managed = set()
    for system in listed(required(item, "operating_systems")):
        family = str(system["OperatingSystems"]["os_type"])
        os[family] = _entries(system)
        if system["OperatingSystems"].get("ambari_managed_repositories", True):
            managed.add(family)
    return RepositoryVersion(
        id=int(about["id"]),
        version=str(required(about, "repository_version")),
        display_name=str(about.get("display_name", "")),
        resolved=bool(about.get("resolved")),
        os=os,
        managed=frozenset(managed),
    )


_OTHER = ("applicable_services", "components", "distribution", "mirrors_list", "tags")
"""What a version may say about a repository besides id, name, URL and ``unique``; a new list must repeat it."""


def _entries(system: Json) -> tuple[RepositoryEntry, ...]:
    return tuple(_entry(one.get("Repositories", {})) for one in listed(required(system, "repositories")))


def _entry(item: Json) -> RepositoryEntry:
    return RepositoryEntry(
        str(required(item, "repo_id")),
        required(item, "repo_name") or "",
        required(item, "base_url") or "",
        bool(item.get("unique")),
        {name: item[name] for name in _OTHER if item.get(name)},
    )


def _repository_body(entry: RepositoryEntry) -> Json:
    body: Json = {"repo_id": entry.id, "repo_name": entry.name, "base_url": entry.url, **entry.other}
    return {**body, "unique": True} if entry.unique else body


def _definition(item: Json) -> VersionDefinition:
    return VersionDefinition(
        id=int(item["id"]),
        stack=str(item.get("stack_name", "")),
        stack_version=str(item.get("stack_version", "")),
        version=str(item.get("repository_version", "")),
        display_name=str(item.get("display_name", "")),
    )
