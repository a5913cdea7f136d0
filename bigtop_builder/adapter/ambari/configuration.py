"""Configurations of a cluster."""

from __future__ import annotations

import time
from collections.abc import Mapping

from bigtop_builder.adapter.ambari.connection import Connection, Json
from bigtop_builder.adapter.ambari.errors import NotFoundError
from bigtop_builder.adapter.ambari.query import path


class ConfigurationCalls(Connection):
    """``/clusters/…/configurations``."""

    def configuration(self, cluster: str, type: str, tag: str) -> dict[str, str]:
        """The properties of one version of a type; passwords come as ``SECRET:`` references, which may be sent back.

        Raises NotFoundError when there is no such type or tag.
        """
        where = path("clusters", cluster, "configurations")
        for item in self.items(where, query=f"type={type}&tag={tag}", fields="*"):
            return {str(name): str(value) for name, value in (item.get("properties") or {}).items()}
        raise NotFoundError(f"cluster {cluster} has no configuration {type} with tag {tag}", status=404, answer="")

    def desired_configurations(self, cluster: str) -> dict[str, str]:
        """The tag in use by configuration type."""
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
        """Makes new versions of configuration types; each with **all** its properties.

        ``services`` tells the service of a type: types of one service become one version of its configuration. One
        call of the server for each service, or for each type whose service is not told.
        """
        groups: dict[str, list[Json]] = {}
        for type, properties in configurations.items():
            entry = {
                "type": type,
                # A tag that exists would bring its old properties back.
                "tag": f"version{time.time_ns() // 1000}",
                "properties": dict(properties),
                "service_config_version_note": note,
            }
            groups.setdefault((services or {}).get(type, f"type {type}"), []).append(entry)
        for entries in groups.values():
            self.put(path("clusters", cluster), {"Clusters": {"desired_config": entries}})
