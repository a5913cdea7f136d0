"""Databases of services that exist already: the Ambari server hands their JDBC drivers to the hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bigtop_builder.cluster.layout import Layout, property_text
from bigtop_builder.cluster.problem import Path
from bigtop_builder.model.properties import Secret

KINDS = {
    "mysql": "mysql",
    "mariadb": "mysql",
    "postgres": "postgres",
    "oracle": "oracle",
    "mssql": "mssql",
    "sqlserver": "mssql",
    "sqlanywhere": "sqlanywhere",
}
"""A word in a property → the database as Ambari calls it."""
EXISTING = {"HIVE": "hive-env/hive_database", "OOZIE": "oozie-env/oozie_database"}
"""Services whose database exists already if this property begins so."""
FLAVORS = {
    "HIVE": (
        "hive-site/javax.jdo.option.ConnectionDriverName",
        "hive-site/javax.jdo.option.ConnectionURL",
        "hive-env/hive_database_type",
        "hive-env/hive_database",
    ),
    "OOZIE": ("oozie-site/oozie.service.JPAService.jdbc.driver", "oozie-env/oozie_database"),
    "RANGER": ("admin-properties/DB_FLAVOR",),
    "RANGER_KMS": ("kms-properties/DB_FLAVOR",),
    "DRUID": ("druid-common/druid.metadata.storage.type",),
}
"""Properties that say which database a service has, the one that its scripts go by first."""
USUAL = {"RANGER": "mysql", "RANGER_KMS": "mysql"}
"""What the stack's default is."""
SETUP_NAMES = {"mysql": "mysql", "postgres": "postgresql"}
"""A database as Ambari calls it → the key of ``ambari.setup.drivers``."""


@dataclass(frozen=True)
class ServiceDatabase:
    """A database that a service uses and Ambari does not set up; ``kind`` as ``--jdbc-db`` has it."""

    service: str
    kind: str
    path: Path
    """The place in the inventory that says so."""

    @property
    def property(self) -> str:
        """The property of the Ambari server with the name of the driver's jar."""
        return f"custom.{self.kind}.jdbc.name"


def service_databases(layout: Layout, services: Sequence[str]) -> Iterator[ServiceDatabase]:
    """Yield the existing databases of the services of a layout."""
    for service in services:
        if service in EXISTING and not _text(layout, EXISTING[service]).startswith("Existing"):
            continue
        for place in FLAVORS.get(service, ()):
            text = _text(layout, place).lower() or USUAL.get(service, "")
            kind = next((kind for word, kind in KINDS.items() if word in text), None)
            if kind is not None:
                yield ServiceDatabase(service, kind, ("configurations", *place.split("/", 1)))
                break


def _text(layout: Layout, place: str) -> str:
    kind, _, name = place.partition("/")
    value = layout.property(kind, name)
    return "" if value is None or isinstance(value, Secret) else property_text(value)
