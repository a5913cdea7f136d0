"""The history of services' configurations as Ambari keeps it, and the way back to an earlier version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.ambari.config_history import DEFAULT_GROUP, DELETED_GROUP, ServiceVersion
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.sources.web import ca_bundle
from bigtop_builder.cluster.comparison import configuration_changes
from bigtop_builder.cluster.config_history import PropertyChange, change_lines, shown, version_changes, version_range
from bigtop_builder.cluster.layout import TOKEN, layout_of
from bigtop_builder.cluster.outdated import outdated_by_type
from bigtop_builder.flow.deploy.deployment import open_deployment
from bigtop_builder.flow.deploy.desired_layout import is_client
from bigtop_builder.flow.deploy.host_states import installed, listed
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import AmbariError, ConfigurationError
from bigtop_builder.recipe.document import near

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.cluster import ClusterView
    from bigtop_builder.adapter.ambari.config_history import VersionContent
    from bigtop_builder.recipe.inventory import LoadedInventory
    from bigtop_builder.recipe.settings import Settings


@dataclass(frozen=True)
class ConfigHistory:
    """Versions of configurations, and the difference between two of them if it was asked for."""

    cluster: str
    versions: tuple[ServiceVersion, ...]
    compared: tuple[int, int] | None = None
    changes: tuple[PropertyChange, ...] = field(default=())

    def data(self) -> dict[str, Any]:
        """Return the output of ``--json``."""
        found: dict[str, Any] = {"cluster": self.cluster, "versions": [asdict(one) for one in self.versions]}
        if self.compared is not None:
            found |= {"compared": list(self.compared), "changes": [asdict(one) for one in self.changes]}
        return found


def read_history(
    loaded: LoadedInventory, settings: Settings, service: str | None = None, diff: str | None = None
) -> ConfigHistory:
    """Read the versions of a service, or of all, and with ``diff`` (``3..5`` or ``3``) compare two of a service.

    Raises ConfigurationError for an unknown service or version, AmbariError.
    """
    if diff is not None and service is None:
        raise ConfigurationError("--diff needs a service", hint=f"For example: config-history … HDFS --diff {diff}")
    chosen = version_range(diff) if diff is not None else None
    require_ambari(loaded)
    ca = ca_bundle(settings.project.network)
    with open_deployment(loaded, Secrets(), lambda event: None, Path(), ca=ca, overlays=settings.overlays) as opened:
        client, world = opened.connections.client, opened.world
        view = require_cluster(client, world)
        versions = _versions(client, world, view, service) if service else client.service_versions(world.cluster)
        if service is None or chosen is None:
            return ConfigHistory(world.cluster, tuple(versions))
        first = _one(versions, service, chosen[0])
        second = _one(versions, service, chosen[1]) if chosen[1] is not None else _current(versions, first)
        if first.group != second.group:
            raise ConfigurationError(
                f"version {first.version} of {service} is of the group {first.group}, version {second.version} of "
                f"{second.group}",
                hint="Compare versions of one group.",
            )
        old, new = (
            client.service_version_content(world.cluster, service, one.version).configurations
            for one in (first, second)
        )
        return ConfigHistory(world.cluster, (first, second), (first.version, second.version), version_changes(old, new))


def require_ambari(loaded: LoadedInventory) -> None:
    """Raise ConfigurationError for an inventory without a server, which keeps no versions."""
    if loaded.inventory.ambari is None:
        raise ConfigurationError(
            "the inventory has no Ambari, which keeps the versions of configurations", location=loaded.place("cluster")
        )


def require_cluster(client: Ambari, world: World) -> ClusterView:
    """Return the cluster. Raises AmbariError if it does not exist."""
    _ = world.server_version
    view = client.cluster(world.cluster)
    if view is None:
        raise AmbariError(
            f"there is no cluster {world.cluster} at {world.loaded.ambari.url}",
            hint="Create it with: bigtop-builder deploy",
            location=world.loaded.place("cluster"),
        )
    return view


def _versions(client: Ambari, world: World, view: ClusterView, service: str) -> list[ServiceVersion]:
    if service not in view.services:
        raise ConfigurationError(
            f"the cluster {world.cluster} has no service {service}",
            hint=near(service, view.services),
        )
    return client.service_versions(world.cluster, service)


def _one(versions: Sequence[ServiceVersion], service: str, number: int) -> ServiceVersion:
    for one in versions:
        if one.version == number:
            return one
    known = ", ".join(str(one.version) for one in versions[-20:]) or "none"
    raise ConfigurationError(
        f"{service} has no configuration version {number}",
        hint=f"Its versions: {known}. See: bigtop-builder config-history … {service}",
    )


def _current(versions: Sequence[ServiceVersion], like: ServiceVersion) -> ServiceVersion:
    for one in versions:
        if one.current and one.group == like.group:
            return one
    raise ConfigurationError(
        f"no version of {like.service} is current for the group {like.group}", hint="Give both versions: --diff 1..2."
    )


def roll_back(client: Ambari, world: World, reporter: Reporter, service: str, number: int) -> str:
    """Make an earlier version of a service's configurations current again; return a note about it.

    Whether it is done is read from Ambari, so that a repetition changes nothing. Raises ConfigurationError for what
    cannot be rolled back to, AmbariError if Ambari has anything else afterwards.
    """
    view = require_cluster(client, world)
    versions = _versions(client, world, view, service)
    old = _one(versions, service, number)
    if old.group == DELETED_GROUP:
        raise ConfigurationError(
            f"version {number} of {service} is of a configuration group that no longer exists",
            hint="Choose a version of a group that exists; the cluster's own are those of Default.",
        )
    current = _current(versions, old)
    if not old.compatible or (old.stack and old.stack != current.stack):
        raise ConfigurationError(
            f"version {number} of {service} is of the stack {old.stack}, the cluster has {current.stack}",
            hint="Configurations of another stack do not fit; choose a version of this stack.",
        )
    wanted = client.service_version_content(world.cluster, service, number)
    present = client.service_version_content(world.cluster, service, current.version)
    if wanted.tags == present.tags and old.hosts == current.hosts:
        return f"version {current.version} of {service}, the current one, is the same"
    missing = sorted({*present.tags} - {*wanted.tags})
    if missing and old.group == DEFAULT_GROUP:
        raise ConfigurationError(
            f"version {number} of {service} has no {', '.join(missing)}: going back to it would remove what "
            "the service needs now",
            hint="Choose a later version, or change single properties in the inventory.",
        )
    _check_resolved(old, wanted)
    changes = version_changes(present.configurations, wanted.configurations)
    affected = _affected(world, old, changes)
    note = f"back to version {number}: {reporter.signature('rollback')}"
    lines = [*change_lines(changes), *([f"to restart afterwards: {affected}"] if affected else [])]
    reporter.change(
        f"{service} back to configuration version {number}",
        "\n".join(lines),
        act=lambda: _roll_back(client, world, old, wanted, note),
        disrupts=[f"configuration of {service}"],
    )
    _warn_of_inventory(world, reporter, old, wanted)
    return _outcome(world, reporter, service, number)


def _check_resolved(old: ServiceVersion, wanted: VersionContent) -> None:
    """Raise ConfigurationError for the version that Ambari keeps of a blueprint before it puts hosts into it."""
    for kind, one in sorted(wanted.configurations.items()):
        for name, value in sorted(one.properties.items()):
            if TOKEN.search(value):
                raise ConfigurationError(
                    f"version {old.version} of {old.service} has names of groups where hosts should be: {kind}/{name}",
                    hint=f"It is the blueprint as it was sent; the cluster began with version {old.version + 1}.",
                )


def _affected(world: World, old: ServiceVersion, changes: Sequence[PropertyChange]) -> str:
    """Return what runs with an outdated configuration afterwards, in other services too."""
    hosts = set(old.hosts) if old.group != DEFAULT_GROUP else None
    places = {
        place
        for kind in {one.type for one in changes}
        for place in outdated_by_type(world.stack, installed(world), kind)
        if hosts is None or place[0] in hosts
    }
    return listed(
        one
        for one in world.components()
        if (one.host, one.component) in places and (one.state == "STARTED" or is_client(world.stack, one.component))
    )


def _roll_back(client: Ambari, world: World, old: ServiceVersion, wanted: VersionContent, note: str) -> None:
    """Roll back and read back. Raises AmbariError if Ambari has other configurations afterwards."""
    client.roll_back_service(world.cluster, old.service, old.version, note)
    current = _current(client.service_versions(world.cluster, old.service), old)
    found = client.service_version_content(world.cluster, old.service, current.version).tags
    if old.group == DEFAULT_GROUP:
        in_force = client.desired_configurations(world.cluster)
        found = {kind: in_force.get(kind, "") for kind in found}
    differing = sorted(kind for kind, tag in wanted.tags.items() if found.get(kind) != tag)
    if differing:
        raise AmbariError(
            f"Ambari accepted the rollback of {old.service} but has another version of {', '.join(differing)}",
            hint="Somebody may have changed it meanwhile: see bigtop-builder config-history.",
        )


def _warn_of_inventory(world: World, reporter: Reporter, old: ServiceVersion, wanted: VersionContent) -> None:
    """Warn of what the inventory gives another value: the next deployment would undo the rollback."""
    if old.group != DEFAULT_GROUP:
        return
    plain = {kind: one.properties for kind, one in wanted.configurations.items()}
    changes = configuration_changes(layout_of(world.loaded), plain)
    lines = [
        f"{kind}/{name}: {shown(name, new)} (the version has {shown(name, now) if now is not None else 'none'})"
        for kind, properties in changes.items()
        if kind in plain
        for name, (now, new) in properties.items()
    ]
    if lines:
        reporter.notice(
            f"the inventory {world.loaded.file.name} gives other values, which the next deploy sets again; change it "
            "too: " + "; ".join(lines),
            warning=True,
        )


def _outcome(world: World, reporter: Reporter, service: str, number: int) -> str:
    if reporter.dry_run:
        return ""
    world.forget_components()
    stale = [
        one
        for one in world.components()
        if one.stale and not one.maintenance and (one.state == "STARTED" or is_client(world.stack, one.component))
    ]
    if not stale:
        return f"{service} has version {number} again; nothing needs a restart"
    reporter.notice(
        f"these run with an outdated configuration until they restart: {listed(stale)}. "
        f"To restart them: bigtop-builder deploy {world.loaded.file.name} --phase start"
    )
    return f"{service} has version {number} again; {len(stale)} components need a restart"
