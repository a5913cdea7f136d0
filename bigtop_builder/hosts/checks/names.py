"""Host names: what a host calls itself, and whether names and addresses resolve to each other."""

from __future__ import annotations

from collections.abc import Mapping

from bigtop_builder.hosts.checks.rule import PREPARED, Fleetwide, Level, Problem, Problems, Rule, some
from bigtop_builder.hosts.facts import HostFacts


def _severity(fleet: Fleetwide, hint: str) -> tuple[Level, str]:
    """The level of a name that resolves wrongly or not at all: a warning if prepare.hosts_entries will fix it."""
    return ("warning", PREPARED) if fleet.loaded.inventory.prepare.hosts_entries else ("error", hint)


def _name(host: HostFacts, fleet: Fleetwide) -> Problems:
    if host.fqdn is not None and host.fqdn.lower() == host.name:
        return
    level, hint = _severity(
        fleet,
        f"Run hostnamectl set-hostname {host.name} there and fix DNS or /etc/hosts, or put the host's own name into "
        "the inventory: Ambari knows hosts by the output of hostname -f.",
    )
    if host.fqdn is None:
        yield Problem(level, "it does not know its own FQDN", hint)
    elif host.fqdn.lower().startswith(f"{host.name}."):
        hint = f"Write {host.fqdn.lower()} in the inventory: Ambari knows hosts by the output of hostname -f."
        yield Problem("error", f"it calls itself {host.fqdn}, the inventory {host.name}", hint)
    elif (host.hostname or "").lower() in (host.name, host.name.partition(".")[0]):
        yield Problem(level, f"it calls itself {host.fqdn}, the inventory {host.name}", hint)
    else:
        # Entries in /etc/hosts do not change what the host is called: an error in any case.
        hint = f"Run hostnamectl set-hostname {host.name} there, or put the host's own name into the inventory."
        yield Problem("error", f"it calls itself {host.fqdn}, the inventory {host.name}", hint)


def _forward(host: HostFacts, fleet: Fleetwide) -> Problems:
    loopback = [address for address in host.addresses if address.startswith("127.") or address == "::1"]
    if not host.addresses:
        level, hint = _severity(fleet, "Fix DNS or /etc/hosts of that host.")
        yield Problem(level, "its own name does not resolve on it", hint)
    elif loopback:
        level, hint = _severity(fleet, "Remove the name from the loopback line of its /etc/hosts.")
        yield Problem(level, f"its own name resolves to {loopback[0]}: services would listen there only", hint)


def _reverse(host: HostFacts, fleet: Fleetwide) -> Problems:
    for address in host.addresses:
        names = host.reverse.get(address, ())
        if not names:
            yield Problem("warning", f"its address {address} has no name", "Kerberos and HDFS need reverse look-ups.")
        elif host.name not in (name.lower() for name in names) and not address.startswith("127."):
            level, hint = _severity(fleet, "Fix the reverse zone of DNS, or /etc/hosts.")
            yield Problem(level, f"its address {address} resolves to {names[0]}", hint)


def _names(host: HostFacts, fleet: Fleetwide) -> Problems:
    others = [entry.name for entry in fleet.loaded.hosts if entry.name not in host.lookups]
    missing = [name for name in others if name not in host.unanswered]
    if missing:
        level, hint = _severity(fleet, "Fix DNS, or set prepare.hosts_entries: true.")
        yield Problem(level, f"it cannot resolve {some(missing)}", hint)
    lost = [name for name in fleet.loaded.inventory.prepare.ntp_servers if name.lower() not in host.lookups]
    if lost and not host.container and not host.unanswered:
        yield Problem("error", f"it cannot resolve the NTP server {some(lost)}", "Correct prepare.ntp_servers, or DNS.")
    if host.unanswered:
        yield Problem("warning", "its resolver is too slow to look up all hosts", "Check its DNS servers.")


CHECKS: Mapping[str, Rule] = {
    "name": _name,
    "forward-lookup": _forward,
    "reverse-lookup": _reverse,
    "names": _names,
}
