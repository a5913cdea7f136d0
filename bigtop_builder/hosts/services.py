"""Operations on services: with systemd if it is running, else with init scripts (containers)."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.operation import RESTARTS, Operation

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import SoftwareFacts

# Decided on the host, because a package that was installed just before may contain either.
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
    echo "systemd is not running, and there is no init script /etc/init.d/$service" >&2
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
    echo "systemd is not running, and chkconfig is missing" >&2
    exit 5
fi
"""


def restart_mark(name: str) -> str:
    """Return the path of the file that marks a pending restart of the service; the facts should include it."""
    return f"{RESTARTS}/{name}"


def service_running(
    facts: SoftwareFacts, name: str, *, enabled: bool | None = True, changed: bool = False
) -> tuple[Operation, ...]:
    """Plan to enable and start the service; to restart it after a change, in this run or in an earlier one.

    ``enabled`` None keeps that setting. The facts must include the service and its ``restart_mark``.
    """
    return (*service_enabled(facts, name, enabled), *_started(facts, name, changed))


def _started(facts: SoftwareFacts, name: str, changed: bool) -> tuple[Operation, ...]:
    now = facts.services.get(name)
    running = now is not None and now.running
    if not running:
        return (_act(name, "start", "not running"),)
    if changed or restart_mark(name) in facts.files:
        return (_act(name, "restart", "its packages or files have changed"),)
    return ()


def service_enabled(facts: SoftwareFacts, name: str, enabled: bool | None) -> tuple[Operation, ...]:
    """Plan whether the service starts at boot; None keeps that setting."""
    now = facts.services.get(name)
    if enabled is None or (now.enabled if now else False) == enabled:
        return ()
    state, action = ("on", "enable") if enabled else ("off", "disable")
    script = ENABLE.format(name=quote(name), systemd=action, state=state)
    return (Operation(f"{action} {name}", f"start at boot: {state}", script),)


def service_stopped(facts: SoftwareFacts, name: str, *, enabled: bool | None = False) -> tuple[Operation, ...]:
    """Plan to stop the service, and not to start it at boot; nothing if the service does not exist."""
    now = facts.services.get(name)
    if now is None:
        return ()
    stop = (_act(name, "stop", "running"),) if now.running else ()
    return (*stop, *service_enabled(facts, name, enabled))


def _act(name: str, action: str, detail: str) -> Operation:
    script = ACT.format(name=quote(name), action=action, mark=quote(restart_mark(name)))
    return Operation(f"{action} {name}", detail, script, disrupts=() if action == "start" else (name,))
