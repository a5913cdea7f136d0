"""Configurations of a cluster."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bigtop_builder.adapter.ambari.connection import Connection, Json, listed
from bigtop_builder.adapter.ambari.errors import NotFoundError
from bigtop_builder.adapter.ambari.query import path


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

    def configuration(self, cluster: str, type: str, tag: str) -> dict[str, str]:
        """Return the properties of one version of a type. Passwords are ``SECRET:`` references, which may be sent back.

        Raises NotFoundError if the type or tag does not exist.
        """
        where = path("clusters", cluster, "configurations")
        for item in self.items(where, query=f"type={type}&tag={tag}", fields="*"):
            return {str(name): str(value) for name, value in (item.get("properties") or {}).items()}
        raise NotFoundError(f"cluster {cluster} has no configuration {type} with tag {tag}", status=404, answer="")

    def desired_configurations(self, cluster: str) -> dict[str, str]:
        """Return the current tag of each configuration type."""
        data = self.get(path("clusters", cluster), fields="Clusters/desired_configs")
        configs = data.get("Clusters", {}).get("desired_configs") or {}
        return {str(kind): str(config.get("tag", "")) for kind, config in configs.items()}

    def put_configurations(
        self,
        cluster: str,
        configurations: Mapping[str, Mapping[str, str]],
        note: str,
        *,
        services: Mapping[str, str] | None = None,
    ) -> None:
        """Create new versions of configuration types, each with **all** its properties.

        ``services`` has the service of a type: types of one service become one version of its configuration. There is
        one call for each service, and one for each type without a known service.
        """
        groups: dict[str, list[Json]] = {}
        for type, properties in configurations.items():
            entry = {
                "type": type,
                "tag": _new_tag(),
                "properties": dict(properties),
                "service_config_version_note": note,
            }
            groups.setdefault((services or {}).get(type, f"type {type}"), []).append(entry)
        for entries in groups.values():
            self.put(path("clusters", cluster), {"Clusters": {"desired_config": entries}})

    def config_groups(self, cluster: str) -> list[ConfigGroup]:
        """Return the configuration groups of a cluster; those of blueprints are named ``BLUEPRINT:GROUP``."""
        found = self.items(path("clusters", cluster, "config_groups"), fields="*")
        return [_config_group(item.get("ConfigGroup", {})) for item in found]

    def put_config_group(
        self,
        cluster: str,
        name: str,
        service: str,
        hosts: Iterable[str],
        configurations: Mapping[str, Mapping[str, str]],
        note: str,
        *,
        present: ConfigGroup | None = None,
        unchanged: Collection[str] = (),
    ) -> None:
        """Create a group, or change ``present``: Ambari replaces hosts and configurations as a whole.

        ``configurations`` are all types with all properties that differ from the cluster's, without references to
        secrets; the cluster must have each type. Types in ``unchanged`` keep their tag of ``present``. Raises
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
                {"type": type, "tag": tags.get(type) or _new_tag(), "properties": dict(properties)}
                for type, properties in configurations.items()
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


def _config_group(about: Json) -> ConfigGroup:
    return ConfigGroup(
        id=int(about.get("id") or 0),
        name=str(about.get("group_name", "")),
        service=about.get("service_name") or about.get("tag") or "",
        hosts=frozenset(str(host["host_name"]) for host in listed(about.get("hosts"))),
        tags={str(one["type"]): str(one["tag"]) for one in listed(about.get("desired_configs"))},
    )
