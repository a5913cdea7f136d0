"""Configurations of a cluster."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bigtop_builder.adapter.ambari.connection import Connection, Json, listed, required
from bigtop_builder.adapter.ambari.errors import NotFoundError, UnexpectedAnswerError
from bigtop_builder.adapter.ambari.query import path
from bigtop_builder.cluster.configuration import Configuration

_CONTENT = "version,properties/*,properties_attributes/*"
"""With ``fields=*`` a server answers a minimal call with keys alone, so that every type would look empty (606, 607)."""


@dataclass(frozen=True)
class ConfigGroup:
    """A group of hosts with other configurations; ``tags`` by configuration type.

    A host is in at most one group of a service.
    """

    id: int
    name: str
    service: str
    hosts: frozenset[str]
    tags: Mapping[str, str]


class ConfigurationCalls(Connection):
    """``/clusters/…/configurations`` and ``…/config_groups``."""

    def configuration(self, cluster: str, type: str, tag: str) -> Configuration:
        """Return one version of a type. Passwords are ``SECRET:`` references, which may be sent back.

        Raises NotFoundError if the type or tag does not exist, UnexpectedAnswerError if its content is missing.
        """
        where, query = path("clusters", cluster, "configurations"), f"type={type}&tag={tag}"
        for item in self.items(where, query=query, fields=_CONTENT):
            # Keys come with any answer; a number that came shows that the server went by ``fields``.
            required(item, "version")
            found = configuration_of(item)
            if not found.properties:
                self._require_empty(where, query, type)
            return found
        raise NotFoundError(f"cluster {cluster} has no configuration {type} with tag {tag}", status=404, answer="")

    def _require_empty(self, where: str, query: str, type: str) -> None:
        """Raise UnexpectedAnswerError if another way of asking gives properties (150, 151).

        The server prints no ``properties`` at all for a type without any, so nothing in one answer tells an empty type
        from one that was not printed.
        """
        for item in listed(required(self.get(where, query=query), "items")):
            if item.get("properties"):
                raise UnexpectedAnswerError(
                    f"Ambari's answer has no properties of {type}, which has some",
                    hint="Writing it back as it was read would lose them.",
                )

    def desired_configurations(self, cluster: str) -> dict[str, str]:
        """Return the current tag of each configuration type."""
        data = self.get(path("clusters", cluster), fields="Clusters/desired_configs")
        configs = required(data.get("Clusters", {}), "desired_configs") or {}
        return {str(kind): str(required(config, "tag")) for kind, config in configs.items()}

    def put_configurations(
        self,
        cluster: str,
        configurations: Mapping[str, Configuration],
        note: str,
        *,
        services: Mapping[str, str] | None = None,
    ) -> None:
        """Create new versions of configuration types, each with **all** its properties and attributes.

        ``services`` has the service of a type: types of one service become one version of its configuration. There is
        one call for each service, and one for each type without a known service.
        """
        groups: dict[str, list[Json]] = {}
        for type, one in configurations.items():
            entry = {**_entry(type, _new_tag(), one), "service_config_version_note": note}
            groups.setdefault((services or {}).get(type, f"type {type}"), []).append(entry)
        for entries in groups.values():
            self.put(path("clusters", cluster), {"Clusters": {"desired_config": entries}})

    def config_groups(self, cluster: str) -> list[ConfigGroup]:
        """Return the configuration groups of a cluster; those of blueprints are named ``BLUEPRINT:GROUP``."""
        found = self.items(path("clusters", cluster, "config_groups"), fields="ConfigGroup/*")
        return [_config_group(item.get("ConfigGroup", {})) for item in found]

    def put_config_group(
        self,
        cluster: str,
        name: str,
        service: str,
        hosts: Iterable[str],
        configurations: Mapping[str, Configuration],
        note: str,
        *,
        present: ConfigGroup | None = None,
        unchanged: Collection[str] = (),
    ) -> None:
        """Create a group, or change ``present``: Ambari replaces hosts and configurations as a whole.

        ``configurations`` are all types with all properties that differ from the cluster's, and their attributes,
        without references to secrets; the cluster must have each type. Types in ``unchanged`` keep their tag of
        ``present``. Raises
        ConflictError for a host that is in another group of the service.
        """
        tags = {type: present.tags[type] for type in unchanged} if present is not None else {}
        about: Json = {
            "group_name": name,
            "tag": service,
            "service_name": service,
            "description": "made by bigtop-builder",
            "hosts": [{"host_name": host} for host in sorted(hosts)],
            "desired_configs": [
                _entry(type, tags.get(type) or _new_tag(), one) for type, one in configurations.items()
            ],
            "service_config_version_note": note,
        }
        if present is None:
            self.post(path("clusters", cluster, "config_groups"), [{"ConfigGroup": about}])
        else:
            self.put(path("clusters", cluster, "config_groups", present.id), {"ConfigGroup": about})

    def delete_config_group(self, cluster: str, id: int) -> None:
        """Remove a group if it exists; its hosts get the cluster's configurations again."""
        try:
            self.delete(path("clusters", cluster, "config_groups", id))
        except NotFoundError:
            return


def _new_tag() -> str:
    """Return an unused tag: an existing one would bring its old properties back."""
    return f"version{time.time_ns() // 1000}"


def _entry(type: str, tag: str, one: Configuration) -> Json:
    entry: Json = {"type": type, "tag": tag, "properties": dict(one.properties)}
    if one.attributes:
        entry["properties_attributes"] = {name: dict(values) for name, values in one.attributes.items()}
    return entry


def configuration_of(item: Json) -> Configuration:
    """Parse a version of a configuration type."""
    attributes = item.get("properties_attributes") or {}
    return Configuration(
        _texts(item.get("properties") or {}), {str(name): _texts(values) for name, values in attributes.items()}
    )


def _texts(values: Json) -> dict[str, str]:
    """Return the values as texts; Ambari keeps no property without a value."""
    return {str(name): str(value) for name, value in values.items() if value is not None}


def _config_group(about: Json) -> ConfigGroup:
    return ConfigGroup(
        id=int(required(about, "id")),
        name=str(required(about, "group_name")),
        service=about.get("service_name") or about.get("tag") or "",
        hosts=frozenset(str(host["host_name"]) for host in listed(required(about, "hosts"))),
        tags={str(one["type"]): str(one["tag"]) for one in listed(required(about, "desired_configs"))},
    )
