"""The pure engine tied to the world: component states follow tasks, agents get orders, hosts are monitored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from bigtop_builder.ambari_simulator.engine import alerts
from bigtop_builder.ambari_simulator.engine.cluster_state import Cluster, HostComponent, LogicalRequest
from bigtop_builder.ambari_simulator.engine.engine import Engine, Pace
from bigtop_builder.ambari_simulator.engine.host_assignment import assign_hosts
from bigtop_builder.ambari_simulator.engine.injection import Injections, TaskFault
from bigtop_builder.ambari_simulator.engine.stack_repositories import update_used_versions
from bigtop_builder.ambari_simulator.engine.state import Host, RepositoryVersion, World
from bigtop_builder.ambari_simulator.engine.task import Order, Outcome, Status, Task

MOST_MINUTES = 120
"""Minutes of alerts to catch up with after the clock has jumped."""


@dataclass(frozen=True)
class Context:
    """What an agent gets besides the command: one cluster as seen from its host.

    ``layout``: component -> its hosts, sorted; ``configurations``: type -> properties in force on the host;
    ``repositories``: (id, base URL) pairs of the host's OS family; ``packages``: names as the stack's definition
    writes them, with ``{version}``.
    """

    cluster: str
    service: str
    stack_name: str
    stack_version: str
    stack_root: str
    repository_id: int
    repository_version: str
    repositories: tuple[tuple[str, str], ...] = ()
    packages: tuple[str, ...] = ()
    selected: tuple[str, ...] = ()
    layout: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    configurations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Agent(Protocol):
    """Executes commands on hosts: INSTALL, START, STOP, RESTART, SERVICE_CHECK, STATUS (``ok``: it runs)."""

    def execute(
        self, command: str, component: str, host: str, context: Context
    ) -> tuple[bool, str, str, dict[str, Any]]:
        """Return success, standard output, standard error, and the agent's structured output."""
        ...


class Crew(Protocol):
    """The agents of all hosts: they take orders and report outcomes through ``Work.report``."""

    def take(self, work: Work, order: Order, now: float) -> None:
        """Execute an order, now or later; must not block."""
        ...

    def look(self, work: Work, now: float) -> None:
        """Check the processes of started components and report to ``Work.process_died``; must not block."""
        ...

    def close(self) -> None:
        """Stop what still runs."""
        ...


def work_of(world: World) -> Work:
    """Return the work that belongs to a world."""
    return cast(Work, world.work)


class Work:
    """Requests, agents and what they change in the world. Callers of all methods hold ``world.lock``."""

    def __init__(self, world: World, crew: Crew, pace: Pace | None = None) -> None:
        self.world = world
        self.crew = crew
        self.pace = pace or Pace()
        self.injections = Injections()
        self.engine = Engine(self.pace, self._ordered, self._changed)
        self._looked = world.now()
        self._watched: set[int] = set()
        world.work = self
        world.host_status = self.host_status
        world.engines.append(self.advance)
        world.registered.append(self.registered)
        world.skip("request", 1)
        world.skip("task", 1)
        world.skip("logical task", 9999)

    def advance(self, now: float) -> None:
        """Catch up with the clock."""
        for host in self.world.hosts.values():
            if host.lost_at is not None and host.name not in self.engine.silent:
                self.engine.silent.add(host.name)
                self.engine.after(host.lost_at + self.pace.lost, lambda then, gone=host: self._gone(gone, then))  # type: ignore[misc]
        for cluster in self.world.clusters.values():
            if cluster.id not in self._watched:
                self._watched.add(cluster.id)
                self._watch_alerts(cluster, cluster.created, 0)
        self.engine.advance(now)
        if now - self._looked >= self.pace.status:
            self._looked = now
            self.crew.look(self, now)

    def _watch_alerts(self, cluster: Cluster, when: float, minute: int) -> None:
        """Let agents look at a cluster's alerts for the first time a minute after its creation, and then each minute.

        Hours that nobody has watched are skipped.
        """
        if self.world.clusters.get(cluster.name) is not cluster:
            return
        if minute:
            alerts.look(self.world, cluster, minute, when)
        behind = int((self.world.now() - when) / self.pace.minute)
        steps = max(1, behind - MOST_MINUTES)
        then = when + steps * self.pace.minute
        self.engine.after(then, lambda now: self._watch_alerts(cluster, now, minute + steps))

    def report(self, order: Order, outcome: Outcome, now: float | None = None) -> None:
        """Take an agent's report on an order."""
        self.engine.report(order.task, order.tries, outcome, self.world.now() if now is None else now)

    def process_died(self, cluster: str, host: str, component: str) -> None:
        """Note that a process has died: STARTED becomes INSTALLED, the desired state stays."""
        one = self._component(cluster, host, component)
        if one and one.state == "STARTED":
            one.state = "INSTALLED"
            self.world.changes += 1

    def registered(self, host: Host) -> None:
        """Continue the deployments that wait for a host whose agent has registered."""
        self.engine.silent.discard(host.name)
        for cluster in self.world.clusters.values():
            for logical in cluster.logical.values():
                if logical.pending_hosts:
                    self.assign_hosts(logical, self.world.now())

    def assign_hosts(self, logical: LogicalRequest, when: float) -> None:
        """Assign free hosts to a blueprint deployment once the clock has reached ``when``."""
        self.engine.after(when, lambda then: assign_hosts(logical, self.world, self.engine, then))

    def restart_server(self) -> None:
        """Restart the server: requests are rescheduled, a poisoned scheduler runs again, the versions in use get the
        stack's repositories, agents have to register."""
        update_used_versions(self.world)
        self.engine.restart(self.world.clusters, self.world.now())
        for cluster in self.world.clusters.values():
            cluster.undeletable = False
        self.world.forget_hosts()

    def lost(self, host: str) -> bool:
        """Whether the server has noticed that a host's agent is gone, or does not know the host."""
        found = self.world.hosts.get(host)
        return found is None or found.lost(self.world.now())

    def state_of(self, one: HostComponent) -> str:
        """``HostRoles/state``: UNKNOWN while the host is lost or has not reported it yet, except for clients."""
        if one.client or one.state not in {"STARTED", "STARTING", "STOPPING", "INSTALLED"}:
            return one.state
        host = self.world.hosts.get(one.host)
        unheard = host is None or host.lost(self.world.now()) or self.world.now() < host.known_at
        return "UNKNOWN" if unheard else one.state

    def host_status(self, host: Host) -> str:
        """``Hosts/host_status``: UNHEALTHY if a master, ALERT if a slave that should run does not."""
        if host.state(self.world.now()) != "HEALTHY":
            return "UNKNOWN"
        cluster: Cluster | None = self.world.clusters.get(host.cluster or "")
        if cluster is None:
            return "HEALTHY"
        down = [one for one in cluster.on(host.name) if one.desired == "STARTED" and one.state != "STARTED"]
        masters = [
            one for one in down if cluster.stack.services[one.service].components[one.component].category == "MASTER"
        ]
        return "UNHEALTHY" if masters else "ALERT" if down else "HEALTHY"

    def context(self, cluster: Cluster, host: str, service: str, component: str | None) -> Context:
        """Return what an agent gets with a command."""
        definition = cluster.stack.services[service]
        chosen = cluster.services[service].repository if service in cluster.services else cluster.repository
        version = self.world.versions.get(chosen) if chosen is not None else None
        layout = cluster.layout()
        family = self.world.hosts[host].os_family
        packages = tuple(
            one.name
            for one in definition.packages
            if (not one.families or family in one.families) and (one.component is None or one.component in layout)
        )
        return Context(
            cluster=cluster.name,
            service=service,
            stack_name=cluster.stack.name,
            stack_version=cluster.stack.version,
            stack_root=cluster.stack.root,
            repository_id=chosen or 0,
            repository_version=version.version if version else "",
            repositories=_addresses(version, family),
            packages=packages,
            selected=tuple(definition.components[component].select) if component in definition.components else (),
            layout=layout,
            configurations={name: cluster.effective(host, name)[0] for name in cluster.desired},
        )

    def context_of(self, task: Task) -> Context | None:
        """Return what the agent of a task gets; ``None`` if the cluster has no configurations for it (357-361)."""
        cluster: Cluster | None = self.world.clusters.get(self.engine.requests[task.request].cluster)
        if cluster is None or not cluster.desired:
            return None
        return self.context(cluster, task.host, task.service, task.role)

    def missing_text(self, task: Task) -> str:
        """Return the message of an agent that did not get its cluster's configurations."""
        cluster: Cluster | None = self.world.clusters.get(self.engine.requests[task.request].cluster)
        number = cluster.id if cluster else 0
        text = f"'Configurations for cluster_id={number} is missing. Check if server sent it.'"
        return f"Caught an exception while executing custom service command: <class 'KeyError'>: {text}; {text}"

    def _ordered(self, order: Order, now: float) -> None:
        fault = None if order.cancel else self.injections.for_order(order)
        if fault is None:
            self.crew.take(self, order, now)
        elif fault.effect == "slow":
            self.engine.after(now + fault.seconds, lambda then: self.crew.take(self, order, then))
        elif fault.effect == "lost":
            self.world.hosts[order.task.host].lost_at = now
        elif isinstance(fault, TaskFault) and fault.effect == "fail":
            outcome = Outcome(False, fault.stdout, fault.stderr, {})
            self.engine.after(now + fault.seconds, lambda then: self.report(order, outcome, then))
        elif isinstance(fault, TaskFault) and fault.effect == "die":
            self.crew.take(self, order, now)
            cluster, task = self.engine.requests[order.task.request].cluster, order.task
            self.engine.after(now + fault.seconds, lambda _: self.process_died(cluster, task.host, task.role))

    def _gone(self, host: Host, now: float) -> None:
        if host.lost_at is not None:
            self.engine.lose(host.name, now)

    def _component(self, cluster: str, host: str, component: str) -> HostComponent | None:
        found = self.world.clusters.get(cluster)
        return found.components.get((host, component)) if found else None

    def _changed(self, task: Task, before: Status) -> None:
        self.world.changes += 1
        cluster: Cluster | None = self.world.clusters.get(self.engine.requests[task.request].cluster)
        if cluster is not None and task.request in cluster.distributing:
            self._distributed(cluster, task.request)
        one = cluster.components.get((task.host, task.role)) if cluster else None
        if cluster is None or one is None:
            return
        command = task.custom or task.command
        if task.status is Status.QUEUED and command in PASSING:
            one.state = PASSING[command]
        elif task.status is Status.COMPLETED:
            self._succeeded(cluster, one, task)
        elif task.status in {Status.FAILED, Status.TIMEDOUT, Status.ABORTED} and before is not Status.PENDING:
            one.state = AFTER_FAILURE.get(command, one.state)

    def _distributed(self, cluster: Cluster, request: int) -> None:
        """Note that all hosts have the packages of a version, which is resolved by that."""
        number = cluster.distributing[request]
        if all(task.status is Status.COMPLETED for task in self.engine.requests[request].tasks):
            self.world.versions[number].resolved = True
            cluster.installed_versions.append(number)

    def _succeeded(self, cluster: Cluster, one: HostComponent, task: Task) -> None:
        command = task.custom or task.command
        if command in {"INSTALL", "START", "RESTART"}:
            one.applied = cluster.tags_for(one)
            one.restart_required = one.restart_required and command == "INSTALL" and not one.client
            version = self.world.versions.get(cluster.services[one.service].repository)
            told = (task.structured or {}).get("version")
            # Components without a name in the selector have no version (683).
            if cluster.selected(one) and version is not None and cluster.upgrading is not None:
                one.version = str(told or version.version)
                one.upgrade_state = "COMPLETE" if one.version == version.version else "VERSION_MISMATCH"
            elif (
                cluster.selected(one)
                and version is not None
                and self._advertised(version, str(told or version.version))
            ):
                one.version = version.version
        if command == "INSTALL" or command == "STOP" or one.client:
            one.state = "INSTALLED"
        elif command in {"START", "RESTART"}:
            one.state = "STARTED"

    def _advertised(self, version: RepositoryVersion, told: str) -> bool:
        """Give a version the name that an agent reports for its packages, unless another one of the stack has it: the
        server then fails on its database's constraint and records nothing of the component (StackVersionListener)."""
        rivals = [
            one
            for one in self.world.versions.values()
            if one is not version
            and (one.stack_name, one.stack_version, one.version) == (version.stack_name, version.stack_version, told)
        ]
        if rivals:
            return False
        version.version, version.resolved = told, True
        return True


PASSING = {"INSTALL": "INSTALLING", "START": "STARTING", "STOP": "STOPPING"}
AFTER_FAILURE = {"INSTALL": "INSTALL_FAILED", "START": "INSTALLED", "STOP": "STARTED", "RESTART": "INSTALLED"}


def _addresses(version: RepositoryVersion | None, family: str) -> tuple[tuple[str, str], ...]:
    """Return repository ids and base URLs for agents of an OS family; none if they are not managed."""
    system = version.systems.get(family, {}) if version else {}
    if str(system.get("ambari_managed_repositories", True)).lower() == "false":
        return ()
    return tuple((str(one["repo_id"]), str(one["base_url"])) for one in system.get("repositories", ()))
