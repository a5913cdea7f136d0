"""Operations on services: systemd's where it runs, else init scripts (containers)."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.operation import RESTARTS, Operation

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

# Found out on the host, because a package that is installed just before may bring the one or the other.
ACT = """service={name}
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl {action} "$service.service" || {{
        journalctl --no-pager --lines 30 --unit "$service.service" 2>/dev/null || true
        exit 1
    }}
elif [ -x "/etc/init.d/$service" ]; then
    "/etc/init.d/$service" {action}
else
    echo "there is neither systemd nor an init script /etc/init.d/$service" >&2
    exit 5
fi
rm -f {mark}
"""
ENABLE = """service={name}
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl {systemd} "$service.service"
elif command -v chkconfig >/dev/null; then
    chkconfig "$service" {state}
else
    echo "there is neither systemd nor chkconfig" >&2
    exit 5
fi
"""


def restart_mark(name: str) -> str:
    """The file that says that the service is to be restarted; the facts should hold it."""
    return f"{RESTARTS}/{name}"


def service_running(
    facts: HostFacts, name: str, *, enabled: bool | None = True, changed: bool = False
) -> tuple[Operation, ...]:
    """The service enabled and running; restarted when it is to be because of a change, now or in an earlier run.

    ``enabled`` None leaves that as it is. The facts must hold the service and its ``restart_mark``.
    """
    return (*service_enabled(facts, name, enabled), *_started(facts, name, changed))


def _started(facts: HostFacts, name: str, changed: bool) -> tuple[Operation, ...]:
    now = facts.services.get(name)
    running = now is not None and now.running
    if not running:
        return (_act(name, "start", "it does not run"),)
    if changed or restart_mark(name) in facts.files:
        return (_act(name, "restart", "what it stands on has changed"),)
    return ()


def service_enabled(facts: HostFacts, name: str, enabled: bool | None) -> tuple[Operation, ...]:
    """Whether the service starts with the host."""
    now = facts.services.get(name)
    if enabled is None or (now.enabled if now else False) == enabled:
        return ()
    state, action = ("on", "enable") if enabled else ("off", "disable")
    script = ENABLE.format(name=quote(name), systemd=action, state=state)
    return (Operation(f"{action} {name}", f"with the host's start: {state}", script),)


def service_stopped(facts: HostFacts, name: str, *, enabled: bool | None = False) -> tuple[Operation, ...]:
    """The service not running, and not started with the host."""
    now = facts.services.get(name)
    if now is None:
        return ()
    stop = (_act(name, "stop", "it runs"),) if now.running else ()
    return (*stop, *service_enabled(facts, name, enabled))


def _act(name: str, action: str, detail: str) -> Operation:
    script = ACT.format(name=quote(name), action=action, mark=quote(restart_mark(name)))
    return Operation(f"{action} {name}", detail, script)
