"""``hosts prepare``, and the phase of that name of a deployment: gather facts, then do what is missing."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.flow.hosts.facts import gather
from bigtop_builder.flow.hosts.operations import Emit, WorkResult, apply, report_failure
from bigtop_builder.hosts.facts import HostFacts
from bigtop_builder.hosts.preparation import Prepared, prepare, wanted
from bigtop_builder.hosts.repository_access import ALL_OPEN, Accesses
from bigtop_builder.model.errors import ConfigurationError, HostError
from bigtop_builder.model.event import Notice
from bigtop_builder.recipe.inventory import LoadedInventory

if TYPE_CHECKING:
    from bigtop_builder.adapter.ssh.fleet import Fleet

NAMED_HOSTS = 5


def prepare_hosts(
    loaded: LoadedInventory,
    fleet: Fleet,
    emit: Emit,
    *,
    dry_run: bool,
    facts: Mapping[str, HostFacts] | None = None,
    accesses: Accesses = ALL_OPEN,
) -> WorkResult:
    """Set up all hosts as the inventory's ``prepare`` and ``repositories`` say.

    Takes one round trip to a host that lacks nothing and two to others; one less with the ``facts`` that
    ``check_hosts`` has just gathered. Emits a Notice for what cannot be set on a host.
    """
    certificates = _certificates(loaded)
    needed = wanted(loaded)
    unseen = {host.name: needed for host in loaded.hosts if facts is None or host.name not in facts}
    found, lost = gather(fleet, unseen, phase="prepare", emit=emit)
    facts = {**(facts or {}), **found}
    addresses = _addresses(loaded, facts)
    prepared: dict[str, Prepared] = {}
    for host, known in facts.items():
        try:
            prepared[host] = prepare(known, loaded, addresses=addresses, certificates=certificates, accesses=accesses)
        except HostError as error:
            lost[host] = error
            report_failure("prepare", emit)(host, error)
    _report_impossible(prepared, emit)
    plan = {host: what.operations for host, what in prepared.items()}
    done = apply(fleet, plan, phase="prepare", emit=emit, dry_run=dry_run)
    return WorkResult(failed=lost).joined(done)


def _certificates(loaded: LoadedInventory) -> bytes | None:
    name = loaded.inventory.prepare.ca
    if name is None:
        return None
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{name} cannot be read: {error.strerror or error}", location=loaded.place("prepare", "ca")
        ) from error


def _addresses(loaded: LoadedInventory, facts: Mapping[str, HostFacts]) -> dict[str, str]:
    """IP addresses by FQDN: those that the hosts find themselves, else the inventory's; unknown ones are omitted."""
    found: dict[str, str] = {}
    for host in loaded.hosts:
        known = facts.get(host.name)
        for address in (*(known.addresses if known else ()), host.address):
            with suppress(ValueError):
                parsed = ipaddress.ip_address(address)
                if not parsed.is_loopback and not parsed.is_link_local:
                    found.setdefault(host.name, str(parsed))
    return found


def _report_impossible(prepared: Mapping[str, Prepared], emit: Emit) -> None:
    hosts: dict[str, list[str]] = {}
    for host, what in prepared.items():
        for cannot in what.cannot:
            hosts.setdefault(str(cannot), []).append(host)
    for text, names in hosts.items():
        more = f" and {len(names) - NAMED_HOSTS} more" if len(names) > NAMED_HOSTS else ""
        emit(Notice(text=f"{text} ({', '.join(names[:NAMED_HOSTS])}{more})"))
