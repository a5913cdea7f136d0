"""The simulated world: users, hosts, versions, blueprints, clusters and requests behind one lock and one clock.

A call to the API holds ``lock`` from ``settle`` to the end of its answer. ``settle`` lets every registered engine
catch up with the clock (hosts that register late, tasks that run), so nothing moves between two calls but what the
clock moved, and a test that sets the clock sees the same states each time.

    world = World(clock=lambda: 1795377358.0)
    world.engines.append(my_engine.advance)            # called with now() before each call
    world.registered.append(lambda host: …)            # an agent registered (again)
    world.removing.append(lambda host: …)              # a host is about to be removed; may raise Refusal
    with world.lock: world.settle()
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bigtop_builder.ambari_simulator.engine.repository_probe import Fetch, fetch, is_address
from bigtop_builder.model.ambari_stack import StackDefinition

HEARTBEAT_LIMIT = 121.0
"""Seconds without a heartbeat after which a host counts as lost (recorded; the server's setting is 120)."""
RETURN_SECONDS = 9.0
"""From a restart of the server until agents register again: HEARTBEAT_LOST, no heartbeat (702, 703)."""
STATUS_SECONDS = 2.0
"""Until then hosts are WAITING_FOR_HOST_STATUS_UPDATES (705, 707)."""
COMPONENTS_SECONDS = 3.0
"""Until then components are UNKNOWN (706; seen a second longer than the hosts' own state)."""

SHIPPED = "admin"
"""The password that a new server's administrator has."""


@dataclass
class User:
    """An account; ``admin`` may do everything, an account without roles reads next to nothing."""

    name: str
    password: str
    admin: bool = False
    active: bool = True
    failures: int = 0
    created: float = 0.0


@dataclass
class Host:
    """A host whose agent has registered or will at ``registers_at`` (seconds since the epoch).

    ``lost_at``: when its agent died; ``None`` while it lives. ``returns_at``: when it registers again after a restart
    of the server, ``healthy_at`` and ``known_at``: when its state and those of its components are known after that.
    ``available``: whether a blueprint may take it; a host of a deleted cluster is not until its agent registers again.
    """

    name: str
    ip: str
    os_type: str = "redhat8"
    os_family: str = "redhat8"
    architecture: str = "x86_64"
    cpu_count: int = 2
    memory_kb: int = 8_131_312
    rack: str = "/default-rack"
    registers_at: float = 0.0
    registered: bool = False
    registered_at: float = 0.0
    lost_at: float | None = None
    returns_at: float | None = None
    healthy_at: float = 0.0
    known_at: float = 0.0
    cluster: str | None = None
    available: bool = True
    maintenance: str = "OFF"
    extra: dict[str, Any] = field(default_factory=dict)

    def lost(self, now: float) -> bool:
        """Whether the server has noticed that the agent is gone, or has not heard from it since its own restart."""
        return self.returns_at is not None or (self.lost_at is not None and now - self.lost_at >= HEARTBEAT_LIMIT)

    def state(self, now: float) -> str:
        """``Hosts/host_state``."""
        if self.lost(now):
            return "HEARTBEAT_LOST"
        return "HEALTHY" if now >= self.healthy_at else "WAITING_FOR_HOST_STATUS_UPDATES"


@dataclass(frozen=True)
class HostGroup:
    """A group of a blueprint; ``configurations``: type -> property -> value."""

    name: str
    cardinality: str
    components: tuple[str, ...]
    configurations: dict[str, dict[str, str]] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    """Component -> ``provision_action`` (``INSTALL_ONLY``), where the blueprint gives one."""
    attributes: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """Type -> attribute -> property -> value."""


@dataclass(frozen=True)
class Blueprint:
    """A blueprint that passed validation."""

    name: str
    stack_name: str
    stack_version: str
    groups: tuple[HostGroup, ...]
    configurations: dict[str, dict[str, str]] = field(default_factory=dict)
    settings: list[dict[str, Any]] = field(default_factory=list)
    security: str = "NONE"
    attributes: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """Type -> attribute -> property -> value."""

    def group(self, name: str) -> HostGroup | None:
        """Return the group of that name, if any."""
        return next((group for group in self.groups if group.name == name), None)


@dataclass
class RepositoryVersion:
    """A registered version; ``systems``: documents of ``operating_systems`` by OS family, in order."""

    id: int
    stack_name: str
    stack_version: str
    version: str
    display_name: str
    systems: dict[str, dict[str, Any]] = field(default_factory=dict)
    type: str = "STANDARD"
    resolved: bool = False
    """Whether an installation has reported the full version."""
    extra: dict[str, Any] = field(default_factory=dict)


class World:
    """Everything the server knows. ``clock`` returns seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time, version: str = "3.0.0.0") -> None:
        self.clock = clock
        self.version = version
        self.lock = threading.RLock()
        self.started = clock()
        self.users: dict[str, User] = {"admin": User("admin", SHIPPED, admin=True, created=self.started)}
        self.agent_key = SHIPPED
        """The agents of hosts derive their passwords from it."""
        self.hosts: dict[str, Host] = {}
        self.stacks: dict[tuple[str, str], StackDefinition] = {}
        self.switches: set[str] = set()
        """Faults of the recorded server to reproduce, by name."""
        self.fetch: Fetch = fetch
        self.is_address: Callable[[str], bool] = is_address
        """Whether it takes an address for a repository; a rehearsal takes the user's own folders too."""
        self.properties: dict[str, str] = {}
        """Properties of ``ambari.properties`` besides the usual ones."""
        self.checks: dict[int, Any] = {}
        self.bootstraps: dict[int, Any] = {}
        self.versions: dict[int, RepositoryVersion] = {}
        self.blueprints: dict[str, Blueprint] = {}
        self.clusters: dict[str, Any] = {}
        self.requests: dict[int, Any] = {}
        self.engines: list[Callable[[float], None]] = [self._register_due]
        self.registered: list[Callable[[Host], None]] = []
        self.removing: list[Callable[[Host], None]] = []
        self.host_status: Callable[[Host], str] = self._plain_status
        self.work: Any = None
        """The ``Work`` of this world, once there is one."""
        self.upgrade_packs: dict[tuple[str, str], list[str]] = {}
        """Names of upgrade packs by the stack that they lead to: files on a real server."""
        self.counters: dict[str, int] = {}
        self.changes = 0
        """Grows with each change worth keeping."""

    def now(self) -> float:
        """Return the simulated time in seconds since the epoch."""
        return self.clock()

    def milliseconds(self) -> int:
        """Return the simulated time in milliseconds, as Ambari writes it."""
        return int(self.now() * 1000)

    def settle(self) -> None:
        """Let everything that is driven by the clock catch up. The caller holds the lock."""
        now = self.now()
        for engine in self.engines:
            engine(now)

    def number(self, name: str, *, first: int = 1) -> int:
        """Return the next number of a sequence: ``cluster``, ``request``, ``task``, ``version``."""
        self.counters[name] = self.counters.get(name, first - 1) + 1
        return self.counters[name]

    def skip(self, name: str, to: int) -> None:
        """Continue a sequence after ``to``."""
        self.counters[name] = to

    def live_hosts(self) -> list[Host]:
        """Return the registered hosts, sorted by name."""
        return sorted((host for host in self.hosts.values() if host.registered), key=lambda host: host.name)

    def register(self, host: Host, when: float | None = None) -> None:
        """Register an agent, for the first time or again: its host is healthy and available to blueprints."""
        host.registered = True
        host.registered_at = self.now() if when is None else when
        if host.returns_at is not None:
            host.healthy_at = host.registered_at + STATUS_SECONDS
            host.known_at = host.registered_at + COMPONENTS_SECONDS
        host.lost_at = host.returns_at = None
        if host.cluster is None:
            host.available = True
        self.hosts[host.name] = host
        self.changes += 1
        for listener in self.registered:
            listener(host)

    def _register_due(self, now: float) -> None:
        for host in list(self.hosts.values()):
            if host.lost_at is not None:
                continue
            if not host.registered and host.registers_at <= now:
                self.register(host)
            elif host.returns_at is not None and host.returns_at <= now:
                self.register(host, host.returns_at)

    def forget_hosts(self) -> None:
        """Forget what agents have reported, as a restart of the server does, until they register again."""
        for host in self.hosts.values():
            if host.registered:
                host.returns_at = self.now() + RETURN_SECONDS

    def _plain_status(self, host: Host) -> str:
        return "HEALTHY" if host.state(self.now()) == "HEALTHY" else "UNKNOWN"
