"""The status of a cluster, read from Ambari and, for stand-alone services, from the hosts. Nothing is changed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.sources.web import ca_bundle
from bigtop_builder.flow.deploy.alerts import JudgedAlert, read_alerts, unknown_alerts
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.deployment import open_deployment
from bigtop_builder.flow.deploy.desired_layout import desired_layout, is_client, starting
from bigtop_builder.flow.deploy.drift import Difference, differences
from bigtop_builder.flow.deploy.host_states import HEARD, await_reports
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.event import AnyEvent, CheckFinished, HostFailed

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.service import HostComponent
    from bigtop_builder.recipe.inventory import LoadedInventory
    from bigtop_builder.recipe.settings import Settings


@dataclass(frozen=True)
class ServiceStatus:
    """A service: ``running`` out of ``wanted`` components are running."""

    name: str
    state: str
    running: int
    wanted: int
    installed: int
    stale: int
    maintenance: bool

    @property
    def green(self) -> bool:
        """Whether everything that should run does, with the current configuration."""
        return self.running >= self.wanted and not self.stale


@dataclass(frozen=True)
class HostStatus:
    """A host of the inventory: ``state`` is Ambari's, or MISSING if its agent has not registered."""

    name: str
    group: str | None
    state: str
    components: int
    down: tuple[str, ...] = ()

    @property
    def green(self) -> bool:
        """Whether the agent is healthy and all components that should run do."""
        return self.state == "HEALTHY" and not self.down


@dataclass(frozen=True)
class AlertStatus:
    """An alert that is not OK. ``outdated``: it was seen before the last change, and nobody has looked since."""

    state: str
    host: str
    label: str
    text: str
    outdated: bool = False

    @property
    def green(self) -> bool:
        """Whether it is no sign of trouble now."""
        return self.state != "CRITICAL" or self.outdated


@dataclass
class ClusterStatus:
    """A cluster. ``exists`` is None if the inventory has no Ambari."""

    cluster: str
    url: str | None = None
    server_version: str | None = None
    exists: bool | None = None
    version: str | None = None
    hosts: list[HostStatus] = field(default_factory=list)
    services: list[ServiceStatus] = field(default_factory=list)
    alerts: list[AlertStatus] = field(default_factory=list)
    unknown_alerts: str = ""
    """How many alerts are UNKNOWN, and which."""
    heard_seconds: float | None = None
    """The age of the oldest heartbeat of the cluster's hosts, except lost ones."""
    requests: list[tuple[int, str, str, float]] = field(default_factory=list)
    """Unfinished requests: id, context, status, percent."""
    standalone: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Level, host, check, message."""
    differences: list[Difference] = field(default_factory=list)
    """What a deployment would change in Ambari."""

    @property
    def green(self) -> bool:
        """Whether everything is as the inventory says."""
        return (
            self.exists is not False
            and not self.differences
            and all(host.green for host in self.hosts)
            and all(service.green for service in self.services)
            and all(alert.green for alert in self.alerts)
            and not any(level == "error" for level, *_ in self.standalone)
        )

    def data(self) -> dict[str, Any]:
        """Return the output of ``--json``."""
        return {
            **asdict(self),
            "hosts": [asdict(host) for host in self.hosts],
            "services": [asdict(service) for service in self.services],
            "requests": [dict(zip(("id", "context", "status", "percent"), one, strict=True)) for one in self.requests],
            "standalone": [
                dict(zip(("level", "host", "check", "message"), one, strict=True)) for one in self.standalone
            ],
            "green": self.green,
        }


def read_status(loaded: LoadedInventory, settings: Settings) -> ClusterStatus:
    """Read the status. Raises AmbariError if the server does not answer, ConfigurationError for a wrong inventory."""
    status = ClusterStatus(loaded.inventory.cluster)
    events: list[AnyEvent] = []
    lock = threading.Lock()

    def keep(event: AnyEvent) -> None:
        with lock:
            events.append(event)

    ca = ca_bundle(settings.project.network)
    with open_deployment(loaded, Secrets(), keep, Path(), ca=ca, overlays=settings.overlays) as deployment:
        deployment.reporter.begin("verify")
        if loaded.inventory.ambari is not None:
            _ambari(deployment.connections, deployment.world, deployment.reporter, status)
        if loaded.inventory.standalone:
            from bigtop_builder.flow.hosts.apply_standalone import verify_standalone

            verify_standalone(loaded, deployment.connections.fleet, deployment.reporter.emit)
    for event in events:
        if isinstance(event, CheckFinished):
            status.standalone.append((event.level, event.host or "", event.check, event.message))
        elif isinstance(event, HostFailed):
            status.standalone.append(("error", event.host, event.kind, event.message))
    return status


def _ambari(connections: Connections, world: World, reporter: Reporter, status: ClusterStatus) -> None:
    client = connections.client
    status.url, status.server_version = client.url, world.server_version
    registered = {host.name: host for host in client.hosts()}
    view = client.cluster(world.cluster)
    status.exists = view is not None
    components: list[HostComponent] = []
    wanted: dict[str, set[str]] = {}
    if view is not None:
        await_reports(client, world, reporter)
        registered = {host.name: host for host in client.hosts()}
        wanted = starting(world.stack, desired_layout(client, world, reporter))
        components = world.components()
        _services(client, world, status, components, wanted)
        status.version = view.version
        _alerts(status, read_alerts(client, world, reporter, wait=False))
        heard = [host for host in registered.values() if host.cluster == world.cluster and host.state in HEARD]
        beats = [host.heartbeat for host in heard if host.heartbeat is not None]
        status.heard_seconds = max(0.0, client.clock() - min(beats)) if beats else None
        status.requests = [
            (one.id, one.context, one.status, one.percent)
            for one in client.requests(world.cluster, unfinished_only=True)
        ]
        status.differences = differences(connections, world, reporter, view)
    counts = Counter(one.host for one in components)
    running = {(one.host, one.component) for one in components if one.state == "STARTED"}
    for entry in world.loaded.hosts:
        known = registered.get(entry.name)
        down = tuple(sorted(name for name in wanted.get(entry.name, ()) if (entry.name, name) not in running))
        if entry.group is not None:
            state = known.state if known else "MISSING"
            status.hosts.append(HostStatus(entry.name, entry.group, state, counts[entry.name], down))


def _alerts(status: ClusterStatus, judged: Sequence[JudgedAlert]) -> None:
    status.alerts = sorted(
        (
            AlertStatus(
                one.alert.state,
                one.alert.host or "",
                one.alert.label or one.alert.name,
                one.alert.text.strip(),
                one.outdated,
            )
            for one in judged
            if one.meant and one.alert.state in ("CRITICAL", "WARNING")
        ),
        key=lambda one: (one.state, one.host, one.label),
    )
    status.unknown_alerts = unknown_alerts(judged)


def _services(
    client: Ambari,
    world: World,
    status: ClusterStatus,
    components: list[HostComponent],
    wanted: dict[str, set[str]],
) -> None:
    for view in client.services(world.cluster):
        own = [one for one in components if one.service == view.name]
        meant = [one for one in own if one.component in wanted.get(one.host, ())]
        status.services.append(
            ServiceStatus(
                view.name,
                view.state,
                running=sum(one.state == "STARTED" for one in meant),
                wanted=len(meant),
                installed=len(own),
                # A stopped component gets its configuration when it starts.
                stale=sum(
                    one.stale
                    and not one.maintenance
                    and (one.state == "STARTED" or is_client(world.stack, one.component))
                    for one in own
                ),
                maintenance=view.maintenance,
            )
        )
