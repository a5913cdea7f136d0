"""Wait until hosts have registered with the Ambari server, and find out why some have not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigtop_builder.hosts.agent import LOG, server_of
from bigtop_builder.hosts.agent_user import CONFIGURATION, NAME
from bigtop_builder.hosts.ambari_logs import Cause, agent_cause, registers
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
"""Seconds before the agents' logs are searched for a problem that waiting does not solve."""
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
    """The state of an agent on its host."""

    name: str
    """What ``hostname -f`` prints on the host."""
    installed: bool
    running: bool
    server: str | None
    log: str


class UnregisteredError(AmbariError):
    """Some hosts have not registered: ``reasons`` by host, ``last_lines`` of the log of one without a known reason."""

    def __init__(self, reasons: Mapping[str, Cause], last_lines: Sequence[str] = ()) -> None:
        lines = [f"{host}: {cause.message}" for host, cause in reasons.items()]
        count = "1 host has" if len(reasons) == 1 else f"{len(reasons)} hosts have"
        super().__init__(
            "\n".join([f"{count} not registered with the Ambari server", *lines]),
            hint="\n".join(dict.fromkeys(cause.hint for cause in reasons.values())),
        )
        self.reasons = dict(reasons)
        self.last_lines = tuple(last_lines)


def parse_look(output: str) -> Agent:
    """Parse the output of ``LOOK``."""
    head, _, log = output.partition("\n--- log\n")
    state, _, ini = head.partition("\nini\n")
    lines = state.splitlines()
    name = next((line[5:].strip().lower() for line in lines if line.startswith("name ")), "")
    return Agent(name, "installed" in lines, "running" in lines, server_of(ini), log)


def reason(host: str, agent: Agent, server: str | None, registered: Sequence[str]) -> Cause | None:
    """Return why ``host`` is not registered, or None if its log does not show it.

    ``server`` is the server that its agent must be configured for; None if any name of the server is fine.
    """
    if not agent.installed:
        return Cause(
            "ambari-agent is not installed",
            f"install the server's version of it there, set the server in {CONFIGURATION} and start it;"
            " or give ambari.setup",
        )
    if server is not None and agent.server != server:
        return Cause(
            f"its agent is configured for the server {agent.server}, not {server}",
            "bigtop-builder deploy --phase ambari corrects that",
        )
    if agent.name != host:
        own = agent.name or "(nothing)"
        as_other = " and has registered under that name" if agent.name in registered else ""
        return Cause(
            f"the host calls itself {own}{as_other}",
            "make `hostname -f` print the name in the inventory, and restart ambari-agent",
            lasting=True,
        )
    cause = agent_cause(agent.log, server or agent.server or "")
    if not agent.running:
        ending = f"; its log ends with: {cause.message}" if cause else ""
        return Cause(f"ambari-agent is not running{ending}", "run `ambari-agent start` on the host to see why")
    if cause is None and host not in registered and registers(agent.log):
        return Cause(
            f"its agent has registered with the server {agent.server}, which is not this one",
            f"set hostname in [server] of {CONFIGURATION} to this Ambari server, and restart ambari-agent",
        )
    return cause


def await_registration(
    client: Ambari, loaded: LoadedInventory, fleet: Fleet | None, emit: Emit, cancelled: threading.Event
) -> None:
    """Wait at most ``registration_timeout`` until every host of the groups is registered and sends heartbeats.

    Without a ``fleet`` the agents cannot be inspected. Gives up early if waiting would not help any of the missing
    hosts. Raises UnregisteredError, AmbariError and InterruptedRunError.
    """
    choice, wanted = loaded.ambari, loaded.cluster_hosts
    server = choice.setup.host.lower() if choice.setup else None
    begin = time.monotonic()
    limit, poll = seconds(choice.registration_timeout), seconds(choice.poll)
    look_at = min(FIRST_LOOK, limit)
    reported: set[str] = set()
    while True:
        registered = {host.name: host for host in client.hosts()}
        missing = [host for host in wanted if not _healthy(registered.get(host))]
        if not missing:
            return
        if not reported:
            emit(Notice(text=_waiting(missing, registered)))
            reported.update(missing)
        waited = time.monotonic() - begin
        if waited >= look_at:
            causes, lines = _causes(missing, registered, server, fleet)
            if waited >= limit or all(cause.lasting for cause in causes.values()):
                raise _unregistered(causes, lines, emit)
            look_at = min(waited + 2 * FIRST_LOOK, limit)
        if cancelled.wait(min(poll, max(0.05, limit - waited))):
            raise InterruptedRunError("stopped while waiting for hosts to register")


def _healthy(host: RegisteredHost | None) -> bool:
    # UNHEALTHY is about components, not about the agent.
    return host is not None and host.state in ("HEALTHY", "UNHEALTHY")


def _waiting(missing: Sequence[str], registered: Mapping[str, RegisteredHost]) -> str:
    shown = ", ".join(f"{host} ({registered[host].state})" if host in registered else host for host in missing[:10])
    more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
    return f"waiting for hosts to register with Ambari: {shown}{more}"


def _causes(
    missing: Sequence[str], registered: Mapping[str, RegisteredHost], server: str | None, fleet: Fleet | None
) -> tuple[dict[str, Cause], tuple[str, ...]]:
    """Return the reason of each missing host, and the end of a log without a known reason."""
    seen: Mapping[str, Agent | HostError] = fleet.each(_look, missing) if fleet is not None else {}
    causes: dict[str, Cause] = {}
    lines: tuple[str, ...] = ()
    for host in missing:
        agent = seen.get(host)
        if isinstance(agent, HostError):
            causes[host] = Cause(agent.message, agent.hint or "fix the connection to the host")
            continue
        found = reason(host, agent, server, list(registered)) if agent is not None else None
        if found is None and agent is not None:
            lines = lines or tuple(agent.log.splitlines()[-20:])
        state = registered[host].state if host in registered else None
        causes[host] = found or Cause(
            f"it is registered and its agent is {state}" if state else "the server does not know it",
            f"see {LOG} on the host, and start ambari-agent there if it is not running",
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
