"""Hosts awaited at the Ambari server, and the reason of each that does not come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigtop_builder.hosts.agent import CONFIGURATION, LOG, NAME, server_of
from bigtop_builder.hosts.ambari_logs import Cause, agent_cause
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError, HostError, InterruptedRunError
from bigtop_builder.model.event import AnyEvent, CheckFinished, Notice

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.server import RegisteredHost
    from bigtop_builder.adapter.ssh.fleet import Fleet
    from bigtop_builder.adapter.ssh.remote import Remote
    from bigtop_builder.recipe.inventory import LoadedInventory

Emit = Callable[[AnyEvent], None]

FIRST_LOOK = 30.0
"""Seconds until the agents' logs are looked into for a reason that waiting does not mend."""
LINES = 60

LOOK = f"""printf 'name %s\\n' "$(hostname -f 2>/dev/null || true)"
if rpm -q {NAME} >/dev/null 2>&1; then echo installed; fi
pid=$(cat /var/run/{NAME}/{NAME}.pid 2>/dev/null || true)
if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then echo running; fi
echo ini; cat {CONFIGURATION} 2>/dev/null || true
echo; echo '--- log'; tail -n {LINES} {LOG} 2>/dev/null || true
"""


@dataclass(frozen=True)
class Agent:
    """What a look at a host shows of its agent."""

    name: str
    """As the host calls itself."""
    installed: bool
    running: bool
    server: str | None
    log: str


class UnregisteredError(AmbariError):
    """Hosts that have not registered; ``reasons`` by host, ``last_lines`` of the log of one that tells none."""

    def __init__(self, reasons: Mapping[str, Cause], last_lines: Sequence[str] = ()) -> None:
        told = [f"{host}: {cause.message}" for host, cause in reasons.items()]
        count = "1 host has" if len(reasons) == 1 else f"{len(reasons)} hosts have"
        super().__init__(
            "\n".join([f"{count} not registered with the Ambari server", *told]),
            hint="\n".join(dict.fromkeys(cause.hint for cause in reasons.values())),
        )
        self.reasons = dict(reasons)
        self.last_lines = tuple(last_lines)


def parse_look(output: str) -> Agent:
    """What ``LOOK`` printed."""
    head, _, log = output.partition("\n--- log\n")
    state, _, ini = head.partition("\nini\n")
    lines = state.splitlines()
    name = next((line[5:].strip().lower() for line in lines if line.startswith("name ")), "")
    return Agent(name, "installed" in lines, "running" in lines, server_of(ini), log)


def reason(host: str, agent: Agent, server: str | None, registered: Sequence[str]) -> Cause | None:
    """Why ``host`` is not registered; None when its log does not tell. ``server``: whom its agent should name, None
    when any name of the server will do."""
    if not agent.installed:
        return Cause(
            "ambari-agent is not installed",
            f"install it there in the server's version, write the server into {CONFIGURATION} and start it;"
            " or give ambari.setup",
        )
    if server is not None and agent.server != server:
        return Cause(
            f"its agent looks for the server {agent.server}, not {server}",
            "bigtop-builder deploy --phase ambari points it there",
        )
    if agent.name != host:
        own = agent.name or "(nothing)"
        as_other = " and has registered so" if agent.name in registered else ""
        return Cause(
            f"the host calls itself {own}{as_other}",
            "make `hostname -f` print the name of the inventory, and restart ambari-agent",
            lasting=True,
        )
    cause = agent_cause(agent.log, server or agent.server or "")
    if not agent.running:
        told = f"; its log ends with: {cause.message}" if cause else ""
        return Cause(f"ambari-agent does not run{told}", "`ambari-agent start` on the host tells why")
    return cause


def await_registration(
    client: Ambari, loaded: LoadedInventory, fleet: Fleet | None, emit: Emit, cancelled: threading.Event
) -> None:
    """Waits until every host of the groups is registered and sends heartbeats, at most ``registration_timeout``.

    ``fleet`` None: there are no hosts to look at. Ends early when all that are missing have a reason that waiting does
    not mend. Raises UnregisteredError, AmbariError and InterruptedRunError.
    """
    choice, wanted = loaded.ambari, loaded.cluster_hosts
    server = choice.setup.host.lower() if choice.setup else None
    begin = time.monotonic()
    limit, poll = seconds(choice.registration_timeout), seconds(choice.poll)
    look_at = min(FIRST_LOOK, limit)
    told: set[str] = set()
    while True:
        registered = {host.name: host for host in client.hosts()}
        missing = [host for host in wanted if not _healthy(registered.get(host))]
        if not missing:
            return
        if not told:
            emit(Notice(text=_waiting(missing, registered)))
            told.update(missing)
        waited = time.monotonic() - begin
        if waited >= look_at:
            causes, lines = _causes(missing, registered, server, fleet)
            if waited >= limit or all(cause.lasting for cause in causes.values()):
                raise _unregistered(causes, lines, emit)
            look_at = min(waited + 2 * FIRST_LOOK, limit)
        if cancelled.wait(min(poll, max(0.05, limit - waited))):
            raise InterruptedRunError("stopped while waiting for hosts to register")


def _healthy(host: RegisteredHost | None) -> bool:
    # UNHEALTHY tells of components, not of the agent.
    return host is not None and host.state in ("HEALTHY", "UNHEALTHY")


def _waiting(missing: Sequence[str], registered: Mapping[str, RegisteredHost]) -> str:
    shown = ", ".join(f"{host} ({registered[host].state})" if host in registered else host for host in missing[:10])
    more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
    return f"waiting for hosts to register with Ambari: {shown}{more}"


def _causes(
    missing: Sequence[str], registered: Mapping[str, RegisteredHost], server: str | None, fleet: Fleet | None
) -> tuple[dict[str, Cause], tuple[str, ...]]:
    """The reason of each missing host, and the end of a log that tells none."""
    seen: Mapping[str, Agent | HostError] = fleet.each(_look, missing) if fleet is not None else {}
    causes: dict[str, Cause] = {}
    lines: tuple[str, ...] = ()
    for host in missing:
        agent = seen.get(host)
        if isinstance(agent, HostError):
            causes[host] = Cause(agent.message, agent.hint or "mend the connection to the host")
            continue
        found = reason(host, agent, server, list(registered)) if agent is not None else None
        if found is None and agent is not None:
            lines = lines or tuple(agent.log.splitlines()[-20:])
        state = registered[host].state if host in registered else None
        causes[host] = found or Cause(
            f"it is registered and its agent is {state}" if state else "the server has not heard of it",
            f"look into {LOG} on the host, and start ambari-agent there if it does not run",
        )
    return causes, lines


def _look(remote: Remote) -> Agent:
    return parse_look(remote.run(LOOK, timeout=60).stdout)


def _unregistered(causes: Mapping[str, Cause], lines: Sequence[str], emit: Emit) -> UnregisteredError:
    for host, cause in causes.items():
        emit(
            CheckFinished(
                phase="ambari", check="registration", host=host, level="error", message=cause.message, hint=cause.hint
            )
        )
    return UnregisteredError(causes, lines)
