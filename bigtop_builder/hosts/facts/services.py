"""Services of systemd and init scripts, and the firewall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from bigtop_builder.hosts.facts.fact import Fact, FactGroup, Rows
from bigtop_builder.model.base import StrictModel

FIREWALLS = ("firewalld", "iptables", "nftables")


class ServiceFact(StrictModel):
    """An existing systemd unit or init script."""

    running: bool
    enabled: bool
    pids: tuple[int, ...] = ()
    failed: bool = False
    """Whether systemd gave up on it."""


# One call of systemctl shows all units, with an empty line after each; an alias has several Names. In a container
# without systemd, init scripts report their state; under systemd they are units themselves.
SERVICES = r"""
systemd=; [ -d /run/systemd/system ] && systemd=1
if [ -n "$systemd" ]; then
    id= load= active= state= pid=
    while IFS='=' read -r key value; do
        case $key in
            Names) id=${value//.service/};; LoadState) load=$value;; ActiveState) active=$value;;
            UnitFileState) state=$value;; MainPID) pid=$value;;
            '') emit unit "$id" "$load" "$active" "$state" "$pid"; id= load= active= state= pid=;;
        esac
    done < <(for one in __FIREWALLS__ "${services[@]}"; do printf '%s\0' "$one.service"; done |
        timeout 20 xargs -0 systemctl show -p Names,LoadState,ActiveState,UnitFileState,MainPID 2>/dev/null; echo)
fi
enabled() {
    local link
    for link in /etc/rc.d/rc[2345].d/S[0-9][0-9]"$1" /etc/rc[2345].d/S[0-9][0-9]"$1"; do
        [ -e "$link" ] && { echo 1; return; }
    done
    echo 0
}
for one in "${services[@]}"; do
    [ -e "/etc/init.d/$one" ] || continue
    running=; pids=
    if [ -z "$systemd" ]; then
        timeout 20 "/etc/init.d/$one" status >/dev/null 2>&1 < /dev/null && running=1 || running=0
        for path in "/run/$one.pid" "/run/$one"/*.pid "/var/run/$one.pid" "/var/run/$one"/*.pid; do
            read -r value 2>/dev/null < "$path" && [ -d "/proc/$value" ] && pids="$pids $value"
        done
    fi
    emit script "$one" "$running" "$(enabled "$one")" "${pids# }"
done
firewall=none
for path in /proc/[0-9]*/comm; do
    if read -r value 2>/dev/null < "$path" && [ "$value" = firewalld ]; then firewall=firewalld; fi
done
emit firewall "$firewall"
""".replace("__FIREWALLS__", " ".join(FIREWALLS))


def _units(rows: Rows) -> Iterator[tuple[str, ServiceFact]]:
    scripts = {values[0]: values[2] == "1" for values in rows.of("script")}
    for names, load, active, state, pid in rows.of("unit"):
        for name in names.split():
            if load == "loaded":
                yield (
                    name,
                    ServiceFact(
                        running=active in ("active", "activating", "reloading"),
                        # systemd generates a unit for an init script; only the rc links show whether it is enabled.
                        enabled=state.startswith("enabled") or (state != "disabled" and scripts.get(name, False)),
                        pids=(int(pid),) if pid not in ("", "0") else (),
                        failed=active == "failed",
                    ),
                )


def _scripts(rows: Rows) -> Iterator[tuple[str, ServiceFact]]:
    for name, running, enabled, pids in rows.of("script"):
        if running:
            found = tuple(int(pid) for pid in pids.split())
            yield name, ServiceFact(running=running == "1", enabled=enabled == "1", pids=found)


def _services(rows: Rows) -> dict[str, ServiceFact]:
    return {**dict(_scripts(rows)), **dict(_units(rows))}


def _firewall(rows: Rows) -> str | None:
    active = [name for name, unit in _units(rows) if unit.running and name in FIREWALLS]
    return active[0] if active else rows.single("firewall")


class ServiceFacts(FactGroup):
    """Services of systemd and init scripts, and the firewall."""

    services: Annotated[dict[str, ServiceFact], Fact(SERVICES, _services)] = Field(default_factory=dict)
    """The wanted services that exist, and the firewalls."""
    firewall: Annotated[str | None, Fact(SERVICES, _firewall)] = None
    """The firewall service that is running (``firewalld``), or ``none``."""
