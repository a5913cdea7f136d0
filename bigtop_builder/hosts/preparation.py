"""What an inventory requires of its hosts before Ambari is installed: facts go in, operations come out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bigtop_builder.hosts import chrony
from bigtop_builder.hosts.chrony import TIME_SERVICES, keep_time, needs_chrony
from bigtop_builder.hosts.facts import HostFacts, Wanted
from bigtop_builder.hosts.files import write_file
from bigtop_builder.hosts.operation import Cannot, Operation
from bigtop_builder.hosts.packages import OPEN, Access, RepositoryFile, install_packages, repository, repository_path
from bigtop_builder.hosts.powertools import enable_powertools
from bigtop_builder.hosts.repository_access import ALL_OPEN, Accesses
from bigtop_builder.hosts.services import restart_mark
from bigtop_builder.hosts.system import (
    HOSTS_FILE,
    SELINUX_FILE,
    THP_BOOT,
    hosts_entries,
    make_user,
    no_firewall,
    selinux,
    sysctl,
    transparent_huge_pages,
)
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.repository import Repository, filled, variable_names
from bigtop_builder.recipe.inventory import LoadedInventory

LIMITS_FILE = "/etc/security/limits.d/90-bigtop-builder.conf"
SYSCTL_FILE = "/etc/sysctl.d/90-bigtop-builder.conf"
CERTIFICATES = "/etc/pki/tls/certs/bigtop-builder-ca.pem"
OPEN_FILES = PROCESSES = 65536


@dataclass(frozen=True)
class Prepared:
    """The planned operations of a host, and the settings that are impossible there."""

    operations: tuple[Operation, ...]
    cannot: tuple[Cannot, ...] = ()


def wanted(loaded: LoadedInventory) -> Wanted:
    """Return the facts that ``prepare`` needs of any host."""
    prepare = loaded.inventory.prepare
    services = [*TIME_SERVICES, "firewalld"] if prepare.chrony or prepare.firewall == "disable" else []
    return Wanted(
        files=(
            HOSTS_FILE,
            SELINUX_FILE,
            THP_BOOT,
            LIMITS_FILE,
            SYSCTL_FILE,
            CERTIFICATES,
            chrony.CONFIGURATION,
            *(repository_path(entry.id) for entry in loaded.inventory.repositories),
            *(restart_mark(name) for name in services),
        ),
        services=tuple(services),
        variables=repository_variables(loaded),
        homes=tuple(filter(None, (prepare.java_home,))),
    )


def prepare(
    facts: HostFacts,
    loaded: LoadedInventory,
    *,
    addresses: Mapping[str, str] | None = None,
    certificates: bytes | None = None,
    accesses: Accesses = ALL_OPEN,
) -> Prepared:
    """Plan what the host lacks according to the inventory.

    ``addresses``: IP addresses by FQDN, for /etc/hosts. ``certificates``: PEM authorities for the repositories.
    Raises HostError like ``repository_file``.
    """
    parts = list(_parts(facts, loaded, addresses or {}, certificates, accesses))
    return Prepared(
        tuple(part for part in parts if isinstance(part, Operation)),
        tuple(part for part in parts if isinstance(part, Cannot)),
    )


def _parts(
    facts: HostFacts,
    loaded: LoadedInventory,
    addresses: Mapping[str, str],
    certificates: bytes | None,
    accesses: Accesses,
) -> Iterator[Operation | Cannot]:
    prepare = loaded.inventory.prepare
    if prepare.hosts_entries:
        yield from hosts_entries(facts, addresses, [host.name for host in loaded.hosts])
    if certificates is not None:
        yield from write_file(facts, CERTIFICATES, certificates)
    for index, entry in enumerate(loaded.inventory.repositories if prepare.repositories else ()):
        known = CERTIFICATES if certificates else None
        yield from repository(facts, repository_file(facts, entry, known, accesses.of(index)))
    if prepare.powertools:
        yield from enable_powertools(facts)
    if prepare.selinux != "keep":
        yield from selinux(facts, prepare.selinux)
    if prepare.firewall == "disable":
        yield from no_firewall(facts)
    yield from install_packages(facts, _packages(facts, loaded))
    if prepare.chrony:
        yield from keep_time(facts, prepare.ntp_servers)
    for user, groups in prepare.users.items():
        yield from make_user(facts, user, groups)
    if prepare.limits:
        yield from write_file(facts, LIMITS_FILE, limits(loaded.inventory.require.open_files))
    if prepare.swappiness is not None:
        yield from sysctl(facts, {"vm.swappiness": str(prepare.swappiness)}, SYSCTL_FILE)
    if prepare.transparent_huge_pages != "keep":
        yield from transparent_huge_pages(facts, prepare.transparent_huge_pages)


def repository_file(
    facts: HostFacts, entry: Repository, certificates: str | None = None, access: Access = OPEN
) -> RepositoryFile:
    """Return the repository file of this host for a repository of the inventory; its OS family fills ``{family}``.

    The default key is the one that our repositories contain: ``repodata/repomd.xml.key``. Raises HostError if an
    address contains ``{family}`` and the host's OS is unknown, or if the host lacks a variable in the key's address:
    yum replaces variables, but the key is downloaded without it.
    """
    if facts.family is None and "{family}" in f"{entry.url} {entry.gpg_key}":
        raise HostError(
            f"{facts.name}: {facts.os_name or 'its system'} belongs to no OS family that Ambari knows",
            hint=f"the address of repository {entry.id} contains {{family}}; use one without it, or remove the host",
        )
    url = filled(entry.url, facts.family).rstrip("/")
    key = filled(entry.key, facts.family)
    checked = entry.gpg_check or entry.repo_gpg_check
    source = filled(key, None, facts.variables)
    lacking = variable_names(source) if checked else ()
    if lacking:
        raise HostError(
            f"{facts.name}: yum has no variable ${lacking[0]} there, which is in an address of repository {entry.id}",
            hint=f"correct it, or create /etc/yum/vars/{lacking[0]} on the host",
        )
    return RepositoryFile(
        entry.id,
        url,
        key if checked else None,
        entry.gpg_check,
        entry.repo_gpg_check,
        certificates if url.startswith("https:") else None,
        access,
        source if checked else None,
    )


def repository_variables(loaded: LoadedInventory) -> tuple[str, ...]:
    """Return the variables of yum in the addresses of repositories, the longest first."""
    setup = loaded.inventory.ambari.setup if loaded.inventory.ambari else None
    own = (setup.repository, setup.gpg_key) if setup else ()
    return variable_names(*(text for one in loaded.inventory.repositories for text in (one.url, one.gpg_key)), *own)


def limits(open_files: int) -> bytes:
    """Return the file for pam_limits. ``*`` does not include root, which therefore has its own lines."""
    files = max(open_files, OPEN_FILES)
    lines = [f"{who:<8}-    {what:<8}{value}" for who in ("*", "root") for what, value in _each_limit(files)]
    return "".join(f"{line}\n" for line in ["# Written by bigtop-builder.", *lines]).encode()


def _each_limit(files: int) -> Sequence[tuple[str, int]]:
    return ("nofile", files), ("nproc", PROCESSES)


def _packages(facts: HostFacts, loaded: LoadedInventory) -> Iterator[str]:
    prepare = loaded.inventory.prepare
    if prepare.jdk is not None and not _has_jdk(facts, prepare.jdk, prepare.java_home):
        yield prepare.jdk
    yield from prepare.packages
    if prepare.jdbc_driver is not None:
        yield prepare.jdbc_driver
    if prepare.chrony and needs_chrony(facts):
        yield "chrony"


def _has_jdk(facts: HostFacts, package: str, java_home: str | None) -> bool:
    if java_home is not None:
        return any(jdk.path == java_home for jdk in facts.jdks)
    major = jdk_major(package)
    return any(java_major(jdk.version) == major for jdk in facts.jdks) if major else package in facts.packages


def jdk_major(package: str) -> int | None:
    """Return the Java version in a package name: ``java-1.8.0-openjdk`` → 8, ``java-17-openjdk`` → 17; else None."""
    found = re.search(r"(?:java|jdk|jre)-?(1\.)?(\d+)", package)
    return int(found[2]) if found else None


def java_major(version: str) -> int | None:
    """Return the major Java version: ``1.8.0_402`` → 8, ``11.0.22`` → 11."""
    found = re.match(r"(?:1\.)?(\d+)", version)
    return int(found[1]) if found else None
