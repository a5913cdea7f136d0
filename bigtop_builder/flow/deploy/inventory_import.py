"""``inventory import``: from a server or from files to the text of an inventory that a deployment takes."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.sources.web import ca_bundle
from bigtop_builder.cluster.adoption.blueprint_files import cluster_of, read_json
from bigtop_builder.cluster.adoption.found import FoundCluster, FoundServer, Usual
from bigtop_builder.cluster.adoption.inventory import ImportedInventory, inventory_of
from bigtop_builder.cluster.high_availability import high_availability
from bigtop_builder.cluster.layout import layout_of
from bigtop_builder.cluster.layout_rules import check_layout
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.cluster.stack_rest import default_properties
from bigtop_builder.flow.deploy.adopt import read_cluster
from bigtop_builder.model.base import SECRET
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors
from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.inventory import load_inventory

if TYPE_CHECKING:
    from bigtop_builder.model.ambari_stack import StackDefinition
    from bigtop_builder.recipe.settings import Settings

UNKNOWN_SERVER = "http://ambari.example.com:8080"


@dataclass(frozen=True)
class Imported:
    """An inventory of a cluster; ``remarks`` are what the reader must look at before deploying."""

    cluster: str
    inventory: ImportedInventory
    hosts: int
    remarks: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """Return the output of ``--json``."""
        return {
            "cluster": self.cluster,
            "hosts": self.hosts,
            "left_out": self.inventory.left_out,
            "variables": list(self.inventory.variables),
            "remarks": list(self.remarks),
        }


def import_server(address: str, server: FoundServer, cluster: str | None, settings: Settings) -> Imported:
    """Return the inventory of a running cluster. Raises AmbariError, ConfigurationError."""
    from bigtop_builder.adapter.ambari.client import Ambari

    parts = urlsplit(address)
    found = re.search(r"/clusters/([^/?]+)", parts.path)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ConfigurationError(
            f"{parts.hostname or address!r}: not the address of an Ambari server",
            hint="https://ambari.example.com:8443, without a user: give --user and --password.",
        )
    if not re.match(SECRET, server.password):
        raise ConfigurationError(
            "--password is no reference", hint="Passwords are given as env:NAME, file:PATH, command:COMMAND or prompt."
        )
    server = replace(server, url=f"{parts.scheme}://{parts.netloc}")
    name = cluster or (unquote(found[1]) if found else None)
    ca = Path(server.ca) if server.ca else ca_bundle(settings.project.network)
    client = Ambari(server.url, server.user, Secrets().value(server.password, "--password"), ca=ca)
    try:
        return _imported(*read_cluster(client, server, name, settings.overlays))
    finally:
        client.close()


def import_files(files: Sequence[Path], server: FoundServer, cluster: str | None, settings: Settings) -> Imported:
    """Return the inventory of the cluster that a blueprint and its template describe. Raises ConfigurationError."""
    known = cluster_of([read_json(file) for file in files], cluster, replace(server, url=server.url or UNKNOWN_SERVER))
    roots = (shipped_templates(), *settings.overlays)
    stack = load_stack(known.stack, known.stack_version, roots=roots)
    values = {
        kind: {
            name: frozenset((value,)) for name, value in default_properties(stack, kind).items() if value is not None
        }
        for kind in known.configurations
    }
    passwords = {
        kind: frozenset(name for name, kinds in types.items() if "PASSWORD" in kinds)
        for service in stack.services.values()
        for kind, types in service.property_types.items()
    }
    return _imported(known, Usual(values, {}, passwords), stack)


def _imported(found: FoundCluster, usual: Usual, stack: StackDefinition) -> Imported:
    made = inventory_of(found, usual)
    hosts, remarks = _tried(made.text, stack, found)
    return Imported(found.name, made, hosts, remarks)


def _tried(text: str, stack: StackDefinition, found: FoundCluster) -> tuple[int, tuple[str, ...]]:
    """Load an inventory as a deployment does; return its number of hosts, and what a deployment will say of it."""
    with tempfile.TemporaryDirectory(prefix="bigtop-builder-") as folder:
        file = Path(folder) / "inventory.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            loaded = load_inventory(file)
            present = {kind: one.properties for kind, one in found.configurations.items()}
            derived = high_availability(layout_of(loaded), found.name, present)
            checked = check_layout(
                derived.layout,
                stack,
                loaded.place,
                kerberos=loaded.inventory.security.kerberos is not None,
                default_password=loaded.inventory.default_password is not None,
            )
        except ConfigurationErrors as errors:
            return 0, tuple(_said(one) for one in errors.errors)
        except ConfigurationError as error:
            return 0, (_said(error),)
    added = tuple(f"a new cluster would get {text}" for text in checked.added)
    added += tuple(
        f"deploy sets what high availability needs: {kind}: {', '.join(names)}"
        for kind, names in derived.properties.items()
    )
    return len(loaded.cluster_hosts), added + checked.warnings


def _said(error: ConfigurationError) -> str:
    place = error.location
    where = f"line {place.line}, {place.path}: " if place and place.line else ""
    return f"deploy refuses this until it is corrected: {where}{error.message}"
