"""Versions of services' configurations, which Ambari numbers by service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bigtop_builder.adapter.ambari.configuration import configuration_of
from bigtop_builder.adapter.ambari.connection import Connection, Json, listed, required
from bigtop_builder.adapter.ambari.errors import NotFoundError
from bigtop_builder.adapter.ambari.query import all_of, path
from bigtop_builder.cluster.configuration import Configuration

DEFAULT_GROUP = "Default"
"""The group of versions that are for the whole cluster."""
DELETED_GROUP = "Deleted"
"""Ambari's name for the group of a version whose configuration group no longer exists."""
_FIELDS = (
    "service_name,service_config_version,service_config_version_note,user,is_current,createtime,stack_id,group_id,"
    "group_name,hosts,is_cluster_compatible"
)


@dataclass(frozen=True)
class ServiceVersion:
    """A version of a service's configurations, or of what a configuration group has instead of them.

    ``created`` is in seconds since the epoch. ``compatible`` is Ambari's word for: of the stack that the service has.
    """

    service: str
    version: int
    created: float
    user: str
    note: str
    group: str
    current: bool
    stack: str
    compatible: bool
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class VersionContent:
    """What a version consists of: by configuration type the tag and the content. Passwords are references."""

    tags: Mapping[str, str]
    configurations: Mapping[str, Configuration]


class ConfigHistoryCalls(Connection):
    """``/clusters/…/configurations/service_config_versions``."""

    def service_versions(self, cluster: str, service: str | None = None) -> list[ServiceVersion]:
        """Return the versions of a service, or of all services, by service and number."""
        query = f"service_name={service}" if service else ""
        found = [_version(item) for item in self.items(_place(cluster), query=query, fields=_FIELDS)]
        return sorted(found, key=lambda one: (one.service, one.version))

    def service_version_content(self, cluster: str, service: str, version: int) -> VersionContent:
        """Return the configurations of a version. Raises NotFoundError."""
        query = all_of(f"service_name={service}", f"service_config_version={version}")
        # Without ``fields`` the server prints everything; a minimal answer has keys alone.
        for item in listed(required(self.get(_place(cluster), query=query), "items")):
            parts = listed(required(item, "configurations"))
            return VersionContent(
                {str(required(one, "type")): str(required(one, "tag")) for one in parts},
                {str(one["type"]): configuration_of(one) for one in parts},
            )
        raise NotFoundError(f"{service} has no configuration version {version}", status=404, answer="")

    def roll_back_service(self, cluster: str, service: str, version: int, note: str) -> None:
        """Make a version's configurations current again, as a new version. Raises NotFoundError."""
        wanted = {
            "service_name": service,
            "service_config_version": version,
            "service_config_version_note": note,
        }
        self.put(path("clusters", cluster), {"Clusters": {"desired_service_config_versions": wanted}})


def _place(cluster: str) -> str:
    return path("clusters", cluster, "configurations", "service_config_versions")


def _version(item: Json) -> ServiceVersion:
    return ServiceVersion(
        service=str(required(item, "service_name")),
        version=int(required(item, "service_config_version")),
        created=float(item.get("createtime") or 0) / 1000,
        user=str(item.get("user") or ""),
        note=str(item.get("service_config_version_note") or ""),
        group=str(item.get("group_name") or DEFAULT_GROUP),
        current=required(item, "is_current") in (True, "true"),
        stack=str(item.get("stack_id") or ""),
        compatible=item.get("is_cluster_compatible") not in (False, "false"),
        hosts=tuple(str(host) for host in item.get("hosts") or ()),
    )
