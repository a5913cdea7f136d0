"""What Ambari and Hadoop will trip over on hosts: pure rules over facts and inventory."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bigtop_builder.hosts import software
from bigtop_builder.hosts.facts import HostFacts, UrlFact, Wanted
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.inventory import OsFamily
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.inventory import LoadedInventory

Level = Literal["ok", "warning", "error"]
GIB = 1 << 30
FAMILIES: tuple[str, ...] = get_args(OsFamily)
UNTRUSTED = (35, 51, 58, 60, 77, 83)
"""curl's exit codes for a server whose certificate does not convince it."""
PREPARED = "bigtop-builder hosts prepare sets it."


@dataclass(frozen=True)
class Finding:
    """What a check found. ``host`` None: on all of them."""

    check: str
    host: str | None
    level: Level
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class Trouble:
    """A finding before it is known whose it is."""

    level: Level
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class Fleetwide:
    """What a check of one host needs to know of the others."""

    loaded: LoadedInventory
    facts: Mapping[str, HostFacts]
    architectures: frozenset[str] | None
    """Of the repository's packages, ``noarch`` among them; None when it was not read."""
    skew: float
    """Seconds by which the middle host is ahead of this machine."""
    system: tuple[str | None, str | None]
    """OS and version that most hosts have."""


Troubles = Iterator[Trouble]
Check = Callable[[HostFacts, Fleetwide], Troubles]


def wanted(loaded: LoadedInventory) -> Wanted:
    """What the checks need to know of every host beside what is always told."""
    return Wanted(
        urls=(*_repository_addresses(loaded), *_ambari_addresses(loaded)),
        names=tuple(host.name for host in loaded.hosts),
    )


def check(
    facts: Mapping[str, HostFacts], loaded: LoadedInventory, *, architectures: frozenset[str] | None = None
) -> list[Finding]:
    """All findings: what is wrong on a host, and one ``ok`` for each check that all hosts pass.

    Raises ConfigurationError when ``require.ignore`` names a check that does not exist.
    """
    ignored, idle = _ignored(loaded), _idle(loaded, architectures)
    skews = [one.clock_skew for one in facts.values() if one.clock_skew is not None]
    systems = Counter((one.os_id, one.os_version) for one in facts.values())
    fleet = Fleetwide(
        loaded,
        facts,
        architectures,
        statistics.median(skews) if skews else 0.0,
        systems.most_common(1)[0][0] if systems else (None, None),
    )
    findings: list[Finding] = []
    for name, rule in CHECKS.items():
        if name in ignored | idle or not facts:
            continue
        found = [
            Finding(name, host, trouble.level, trouble.message, trouble.hint)
            for host, one in facts.items()
            for trouble in rule(one, fleet)
        ]
        findings += found or [Finding(name, None, "ok", f"{len(facts)} hosts" if len(facts) > 1 else "1 host")]
    return findings


def _idle(loaded: LoadedInventory, architectures: frozenset[str] | None) -> frozenset[str]:
    """Checks that have nothing to look at: they must not be told as passed."""
    subjects = {
        "repository": _repository_addresses(loaded),
        "ambari": _ambari_addresses(loaded),
        "architecture": architectures,
    }
    return frozenset(name for name, subject in subjects.items() if not subject)


def _ignored(loaded: LoadedInventory) -> frozenset[str]:
    names = loaded.inventory.require.ignore
    for number, name in enumerate(names):
        if name not in CHECKS:
            raise ConfigurationError(
                f"there is no check {name!r}",
                hint=near(name, CHECKS),
                location=loaded.place("require", "ignore", number),
            )
    return frozenset(names)


def _mended(fleet: Fleetwide, hint: str) -> tuple[Level, str]:
    """How bad it is that a name leads nowhere or astray, and what to do: entries in /etc/hosts mend it."""
    return ("warning", PREPARED) if fleet.loaded.inventory.prepare.hosts_entries else ("error", hint)


def _name(host: HostFacts, fleet: Fleetwide) -> Troubles:
    if host.fqdn is not None and host.fqdn.lower() == host.name:
        return
    level, hint = _mended(
        fleet,
        f"Run hostnamectl set-hostname {host.name} there and mend DNS or /etc/hosts, or use its own name: Ambari "
        "knows hosts by what hostname -f says.",
    )
    if host.fqdn is None:
        yield Trouble(level, "it does not know its own FQDN", hint)
    elif (host.hostname or "").lower() in (host.name, host.name.partition(".")[0]):
        yield Trouble(level, f"it calls itself {host.fqdn}, the inventory {host.name}", hint)
    else:
        hint = f"Run hostnamectl set-hostname {host.name} there, or use its own name: Ambari does."
        yield Trouble("error", f"it calls itself {host.fqdn}, the inventory {host.name}", hint)


def _forward(host: HostFacts, fleet: Fleetwide) -> Troubles:
    loopback = [address for address in host.addresses if address.startswith("127.") or address == "::1"]
    if not host.addresses:
        level, hint = _mended(fleet, "Mend DNS or /etc/hosts of that host.")
        yield Trouble(level, "its own name does not resolve on it", hint)
    elif loopback:
        level, hint = _mended(fleet, "Take the name out of the loopback line of its /etc/hosts.")
        yield Trouble(level, f"its own name leads to {loopback[0]}: services would listen there only", hint)


def _reverse(host: HostFacts, fleet: Fleetwide) -> Troubles:
    for address in host.addresses:
        names = host.reverse.get(address, ())
        if not names:
            yield Trouble("warning", f"its address {address} has no name", "Kerberos and HDFS need reverse look-up.")
        elif host.name not in (name.lower() for name in names) and not address.startswith("127."):
            level, hint = _mended(fleet, "Mend DNS's reverse zone or /etc/hosts.")
            yield Trouble(level, f"its address {address} leads to {names[0]}", hint)


def _names(host: HostFacts, fleet: Fleetwide) -> Troubles:
    others = [entry.name for entry in fleet.loaded.hosts if entry.name not in host.lookups]
    missing = [name for name in others if name not in host.unanswered]
    if missing:
        level, hint = _mended(fleet, "Mend DNS, or set prepare.hosts_entries: true.")
        yield Trouble(level, f"it does not find {_some(missing)}", hint)
    if host.unanswered:
        yield Trouble("warning", "its resolver is too slow to ask it for all hosts", "Check DNS servers there.")


def _clock(host: HostFacts, fleet: Fleetwide) -> Troubles:
    limit = float(seconds(fleet.loaded.inventory.require.clock_skew))
    if host.clock_skew is None:
        return
    apart = host.clock_skew - fleet.skew
    hint = "Let chronyd or ntpd keep its time." if host.container else "Let chronyd keep its time (prepare.chrony)."
    if abs(apart) - host.clock_precision > limit:
        way = "ahead of" if apart > 0 else "behind"
        yield Trouble("error", f"its clock is {abs(apart):.1f} s {way} most hosts", hint)
    elif abs(host.clock_skew) - host.clock_precision > limit:
        way = "ahead of" if host.clock_skew > 0 else "behind"
        yield Trouble("warning", f"its clock is {abs(host.clock_skew):.1f} s {way} this machine's", hint)


def _memory(host: HostFacts, fleet: Fleetwide) -> Troubles:
    need = fleet.loaded.inventory.require.memory
    # What firmware and kernel keep is missing from the total.
    if host.memory is not None and host.memory < need * GIB * 0.93:
        yield Trouble("error", f"{host.memory / GIB:.1f} GiB of memory, {need} are demanded", "See require.memory.")


def _disk(host: HostFacts, fleet: Fleetwide) -> Troubles:
    need = fleet.loaded.inventory.require.disk
    told: set[str] = set()
    for path in fleet.loaded.inventory.require.mounts:
        mount = host.mount_of(path)
        if mount is None:
            yield Trouble("warning", f"what is free on {path} could not be found out")
        elif mount.free < need * GIB and mount.path not in told:
            told.add(mount.path)
            hint = "Free some, or see require.disk and require.mounts."
            yield Trouble("error", f"{mount.free / GIB:.1f} GiB free on {mount.path}, {need} are demanded", hint)


def _umask(host: HostFacts, fleet: Fleetwide) -> Troubles:
    if host.umask is not None and int(host.umask, 8) & 0o055:
        yield Trouble(
            "error" if int(host.umask, 8) & 0o005 else "warning",
            f"umask is {host.umask}: services cannot read what is installed",
            "Set umask 0022 for root (/etc/profile, /etc/login.defs).",
        )


def _limits(host: HostFacts, fleet: Fleetwide) -> Troubles:
    need = fleet.loaded.inventory.require.open_files
    soft = host.open_files[0] if host.open_files else None
    if soft is not None and soft < need:
        hint = "Raise nofile below /etc/security/limits.d."
        if fleet.loaded.inventory.prepare.limits:
            hint = f"{PREPARED} If it has: sshd needs UsePAM, and the machine's own limit bounds it."
        yield Trouble("warning", f"{soft} open files are allowed, {need} are demanded", hint)


def _jdk(host: HostFacts, fleet: Fleetwide) -> Troubles:
    prepare = fleet.loaded.inventory.prepare
    home = prepare.java_home
    if home is not None and not any(jdk.path == home for jdk in host.jdks):
        found = ", ".join(jdk.path for jdk in host.jdks) or "none"
        level: Level = "warning" if prepare.jdk else "error"
        yield Trouble(level, f"there is no Java in {home} (there is {found})", "See prepare.java_home and prepare.jdk.")
    elif not host.jdks:
        if prepare.jdk:
            yield Trouble("warning", "there is no Java", f"hosts prepare installs {prepare.jdk}.")
        else:
            yield Trouble("error", "there is no Java", "Install a JDK, or name its package in prepare.jdk.")


def _selinux(host: HostFacts, fleet: Fleetwide) -> Troubles:
    choice = fleet.loaded.inventory.prepare.selinux
    if host.selinux == "enforcing" and choice != "enforcing":
        hint = "Ambari asks for permissive." if choice == "keep" else PREPARED
        yield Trouble("warning", "SELinux is enforcing", hint)


def _firewall(host: HostFacts, fleet: Fleetwide) -> Troubles:
    if host.firewall not in (None, "none"):
        hint = "Open the services' ports, or set prepare.firewall: disable."
        if fleet.loaded.inventory.prepare.firewall == "disable":
            hint = PREPARED
        yield Trouble("warning", f"{host.firewall} runs", hint)


def _thp(host: HostFacts, fleet: Fleetwide) -> Troubles:
    if host.thp == "always":
        keep = fleet.loaded.inventory.prepare.transparent_huge_pages == "keep" or host.container
        hint = "They cost Hadoop and databases time; set them to madvise." if keep else PREPARED
        yield Trouble("warning", "transparent huge pages are on for everything", hint)


def _swappiness(host: HostFacts, fleet: Fleetwide) -> Troubles:
    choice = fleet.loaded.inventory.prepare.swappiness
    value = host.sysctl.get("vm.swappiness")
    if value is not None and int(value) > (choice if choice is not None else 10) and host.swap != 0:
        hint = "Set vm.swappiness to 1." if choice is None or host.container else PREPARED
        yield Trouble("warning", f"vm.swappiness is {value}", hint)


def _programs(host: HostFacts, fleet: Fleetwide) -> Troubles:
    if not host.rpm or not host.commands & {"yum", "dnf"}:
        yield Trouble("error", "there is no rpm with yum or dnf", "Only systems that install RPMs can be used.")
    elif not host.commands & {"python", "python2", "python3"}:
        yield Trouble("warning", "there is no Python, which Ambari's agent needs", "Install python3.")


def _repository(host: HostFacts, fleet: Fleetwide) -> Troubles:
    for address in _repository_addresses(fleet.loaded, host.family):
        if address in host.urls:
            yield from _reach("the repository", address, host.urls[address], fleet)


def _ambari(host: HostFacts, fleet: Fleetwide) -> Troubles:
    for address in _ambari_addresses(fleet.loaded):
        # Whatever Ambari answers shows that it is there.
        if address in host.urls and host.urls[address].status == 0:
            yield from _reach("Ambari", address, host.urls[address], fleet)


def _reach(what: str, address: str, answer: UrlFact, fleet: Fleetwide) -> Troubles:
    if answer.reached:
        return
    if answer.code in UNTRUSTED and fleet.loaded.inventory.prepare.ca:
        yield Trouble("warning", f"it does not trust {what} at {address} yet", PREPARED)
        return
    reason = f"it answers {answer.status}" if answer.code in (0, 22) else answer.message.removeprefix("curl: ").strip()
    hint = "Check the address, the name on that host, firewalls and proxies on the way."
    if answer.code in UNTRUSTED:
        hint = "Name the authority that signed its certificate in prepare.ca."
    yield Trouble("error", f"{what} at {address} cannot be reached: {reason}", hint)


def _repository_addresses(loaded: LoadedInventory, family: str | None = None) -> tuple[str, ...]:
    """Of the metadata. Without ``family`` those of all, because what a host is shows only when it is asked."""
    urls = [repository.url for repository in loaded.inventory.repositories]
    setup = loaded.inventory.ambari.setup if loaded.inventory.ambari else None
    if setup is not None:
        urls.append(setup.repository)
    found = [
        f"{url.replace('{family}', one).rstrip('/')}/repodata/repomd.xml"
        for url in urls
        for one in ((family,) if family else FAMILIES)
    ]
    return tuple(dict.fromkeys(found))


def _ambari_addresses(loaded: LoadedInventory) -> tuple[str, ...]:
    """A server that is still to be set up is not there yet."""
    ambari = loaded.inventory.ambari
    return (ambari.url,) if ambari is not None and ambari.setup is None else ()


def _os(host: HostFacts, fleet: Fleetwide) -> Troubles:
    shown = host.os_name or host.os_id or "an unknown system"
    if host.family not in FAMILIES:
        level: Level = "error" if fleet.loaded.inventory.ambari else "warning"
        yield Trouble(level, f"{shown} is no OS that Ambari's stack knows", f"It knows {', '.join(FAMILIES)}.")
    if (host.os_id, host.os_version) != fleet.system:
        majority = " ".join(part or "?" for part in fleet.system)
        other = {one.family for one in fleet.facts.values()} != {host.family}
        single = any("{family}" not in repository.url for repository in fleet.loaded.inventory.repositories)
        yield Trouble(
            "error" if other and single else "warning",
            f"{shown} here, {majority} on most hosts",
            "One OS for all hosts is best; with several, repositories' addresses need {family}.",
        )


def _arch(host: HostFacts, fleet: Fleetwide) -> Troubles:
    offered = fleet.architectures
    if offered is not None and host.arch is not None and host.arch not in offered and offered - {"noarch"}:
        known = ", ".join(sorted(offered - {"noarch"}))
        yield Trouble("error", f"its architecture is {host.arch}, the repository holds {known}")


def _ports(host: HostFacts, fleet: Fleetwide) -> Troubles:
    for port, owner, reason in software.taken_ports(host, fleet.loaded):
        by = owner or "another program"
        yield Trouble("error", f"port {port}, which {reason} needs, is taken by {by}", "Stop that, or move the port.")


def _packages(host: HostFacts, fleet: Fleetwide) -> Troubles:
    foreign, other = software.foreign_packages(host, fleet.loaded.inventory.stack)
    if foreign:
        yield Trouble(
            "error",
            f"packages of another distribution are there: {_some(foreign)}",
            "Remove them: they bring the same commands, users and paths.",
        )
    if other:
        yield Trouble("warning", f"packages of another stack are there: {_some(other)}", "Remove them when unused.")


def _leftovers(host: HostFacts, fleet: Fleetwide) -> Troubles:
    left = software.leftovers(host)
    if left:
        paths = [f"/usr/bigtop/{name}" for name in left]
        yield Trouble("warning", f"no package is left for {_some(paths)}", "Remove it if nobody needs it.")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


CHECKS: Mapping[str, Check] = {
    "name": _name,
    "forward-lookup": _forward,
    "reverse-lookup": _reverse,
    "names": _names,
    "clock": _clock,
    "memory": _memory,
    "disk": _disk,
    "umask": _umask,
    "open-files": _limits,
    "jdk": _jdk,
    "selinux": _selinux,
    "firewall": _firewall,
    "huge-pages": _thp,
    "swappiness": _swappiness,
    "programs": _programs,
    "repository": _repository,
    "ambari": _ambari,
    "os": _os,
    "architecture": _arch,
    "ports": _ports,
    "packages": _packages,
    "leftovers": _leftovers,
}
"""By the name that ``require.ignore`` takes."""
