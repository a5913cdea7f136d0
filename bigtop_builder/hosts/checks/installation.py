"""Whether packages can be installed: programs, repositories, Ambari, operating system and architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from bigtop_builder.hosts.checks.rule import PREPARED, Fleetwide, Level, Problem, Problems, Rule
from bigtop_builder.hosts.facts import HostFacts, UrlFact
from bigtop_builder.hosts.os_aliases import OS_FAMILY_FILES
from bigtop_builder.hosts.os_families import alias_of, family_of
from bigtop_builder.hosts.repository_access import Accesses
from bigtop_builder.model.inventory import OsFamily
from bigtop_builder.model.repository import filled, variable_names
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.inventory import LoadedInventory

FAMILIES: tuple[str, ...] = get_args(OsFamily)
UNTRUSTED = (35, 51, 58, 60, 77, 83)
"""curl's exit codes for a server certificate that it does not trust."""


def _programs(host: HostFacts, fleet: Fleetwide) -> Problems:
    if not host.rpm or not host.commands & {"yum", "dnf"}:
        yield Problem("error", "rpm with yum or dnf is missing", "Only systems that install RPMs are supported.")
    elif not host.commands & {"python", "python2", "python3"}:
        yield Problem("warning", "Python is missing; Ambari's agent needs it", "Install python3.")


def _repository(host: HostFacts, fleet: Fleetwide) -> Problems:
    for address in repository_addresses(fleet.loaded, host.family):
        lacking = [name for name in variable_names(address) if name not in host.variables]
        if lacking and host.rpm:
            builtin = near(lacking[0], ("releasever", "basearch", "arch"))
            hint = builtin or f"Correct the address, or create /etc/yum/vars/{lacking[0]} there."
            yield Problem("error", f"yum has no variable ${lacking[0]}, which is in {address}", hint)
        elif address in host.urls:
            yield from _reach("the repository", address, host.urls[address], fleet)


def _ambari(host: HostFacts, fleet: Fleetwide) -> Problems:
    for address in ambari_addresses(fleet.loaded):
        # Any HTTP answer shows that Ambari is reachable.
        if address in host.urls and host.urls[address].status == 0:
            yield from _reach("Ambari", address, host.urls[address], fleet)


def _reach(what: str, address: str, answer: UrlFact, fleet: Fleetwide) -> Problems:
    if answer.reached:
        return
    if answer.code in UNTRUSTED and fleet.loaded.inventory.prepare.ca:
        yield Problem("warning", f"it does not trust {what} at {address} yet", PREPARED)
        return
    reason = f"it answers {answer.status}" if answer.code in (0, 22) else answer.message.removeprefix("curl: ").strip()
    hint = "Check the address, the name on that host, and firewalls and proxies in between."
    if answer.code in UNTRUSTED:
        hint = "Name the authority that signed its certificate in prepare.ca."
    yield Problem("error", f"{what} at {address} is unreachable: {reason}", hint)


def repository_addresses(loaded: LoadedInventory, family: str | None = None) -> tuple[str, ...]:
    """The addresses of the repositories' metadata; without ``family`` those of all families, because a host's family
    is known only after its facts were gathered."""
    setup = loaded.inventory.ambari.setup if loaded.inventory.ambari else None
    urls = [repository.url for repository in loaded.inventory.repositories]
    found = [address for url in urls for address in _metadata(url, family)]
    return tuple(dict.fromkeys([*found, *(_metadata(setup.repository, family) if setup else ())]))


def _metadata(url: str, family: str | None) -> list[str]:
    families = (family,) if family else FAMILIES
    return list(dict.fromkeys(f"{filled(url, one).rstrip('/')}/repodata/repomd.xml" for one in families))


def url_options(loaded: LoadedInventory, accesses: Accesses) -> tuple[str, ...]:
    """What curl needs on hosts to read the repositories' metadata: credentials and proxies."""
    setup = loaded.inventory.ambari.setup if loaded.inventory.ambari else None
    each = [(one.url, accesses.of(index)) for index, one in enumerate(loaded.inventory.repositories)]
    each += [(setup.repository, accesses.ambari)] if setup else []
    options = [(url, access.curl()) for url, access in each]
    return tuple(f"{address}\n{lines}" for url, lines in options if lines for address in _metadata(url, None))


def ambari_addresses(loaded: LoadedInventory) -> tuple[str, ...]:
    """The address of an existing Ambari server; nothing for one that is still to be set up."""
    ambari = loaded.inventory.ambari
    return (ambari.url,) if ambari is not None and ambari.setup is None else ()


def _os(host: HostFacts, fleet: Fleetwide) -> Problems:
    shown = host.os_name or host.os_id or "an unknown system"
    if host.family not in FAMILIES:
        level: Level = "error" if fleet.loaded.inventory.ambari else "warning"
        yield Problem(level, f"{shown} is not supported by Ambari's stack", _unknown(host))
    else:
        yield from _told(host, fleet, shown)
    if (host.os_id, host.os_version) != fleet.system:
        majority = " ".join(part or "?" for part in fleet.system)
        other = {one.family for one in fleet.facts.values()} != {host.family}
        single = any("{family}" not in repository.url for repository in fleet.loaded.inventory.repositories)
        yield Problem(
            "error" if other and single else "warning",
            f"{shown} here, {majority} on most hosts",
            "Use one OS for all hosts; with several, the repositories' addresses need {family}.",
        )


def _unknown(host: HostFacts) -> str:
    """Return what to do about a system that nothing is known of."""
    supported = f"Supported OS families: {', '.join(FAMILIES)}."
    alias = alias_of(host.os_id, host.os_version)
    if alias is None or host.family is not None:
        return f"{supported} Install one of their systems."
    return (
        f"{supported} If it installs the packages of one of them, of redhat8 for example: add "
        f'"{alias}": "redhat8" to aliases in {OS_FAMILY_FILES["ambari-agent"]}, write the repositories\' addresses '
        "without {family}, and put os into require.ignore."
    )


def _told(host: HostFacts, fleet: Fleetwide, shown: str) -> Problems:
    """Tell which systems Ambari does not list itself: they get the packages of the family that they are related to."""
    family = family_of(host.os_id, host.os_version)
    ambari = fleet.loaded.inventory.ambari
    if family is None or family.alias is None or ambari is None:
        return
    hint = f"deploy adds {family.alias}: {family.name} to os_family.json of Ambari."
    if ambari.setup is None:
        hint = (
            f'Before its agent registers, add "{family.alias}": "{family.name}" to aliases in '
            f"{OS_FAMILY_FILES['ambari-agent']} there."
        )
    yield Problem("warning", f"Ambari does not list {shown}: it is treated as {family.name}", hint)


def _architecture(host: HostFacts, fleet: Fleetwide) -> Problems:
    offered = fleet.architectures
    if offered is not None and host.arch is not None and host.arch not in offered and offered - {"noarch"}:
        known = ", ".join(sorted(offered - {"noarch"}))
        yield Problem("error", f"its architecture is {host.arch}, the repository's is {known}")


CHECKS: Mapping[str, Rule] = {
    "programs": _programs,
    "repository": _repository,
    "ambari": _ambari,
    "os": _os,
    "architecture": _architecture,
}
