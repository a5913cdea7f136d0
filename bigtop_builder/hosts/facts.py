"""What is known of a host at one moment. What could not be found out is None or missing, never a guess."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from pydantic import Field, ValidationError

from bigtop_builder.hosts.gather import gather_script
from bigtop_builder.model.base import StrictModel
from bigtop_builder.model.errors import HostError

__all__ = ["FileFact", "HostFacts", "Jdk", "Mount", "Package", "ServiceFact", "UrlFact", "User", "Wanted"]
__all__ += ["gather_script", "parse_facts"]


@dataclass(frozen=True)
class Wanted:
    """What a caller wants to know beside what is always told. Two of them can be joined with ``|``."""

    files: tuple[str, ...] = ()
    """Paths; files below ``/etc/yum.repos.d`` are always told."""
    urls: tuple[str, ...] = ()
    """Addresses that the host should reach."""
    services: tuple[str, ...] = ()
    """Names without ``.service``."""
    selectors: tuple[str, ...] = ()
    """Names that ``distro-select`` knows."""
    names: tuple[str, ...] = ()
    """Names that the host should resolve."""

    def __or__(self, other: Wanted) -> Wanted:
        joined = {one.name: (*getattr(self, one.name), *getattr(other, one.name)) for one in fields(self)}
        return Wanted(**{name: tuple(dict.fromkeys(values)) for name, values in joined.items()})


class FileFact(StrictModel):
    """A file, or what a link leads to."""

    kind: str
    """As stat says: ``regular file``, ``directory``."""
    size: int
    owner: str
    group: str
    mode: str
    """Octal: ``644``."""
    sha256: str | None = None
    """Of a regular file that may be read."""
    text: str | None = Field(default=None, repr=False)
    """Below 64 KiB, and UTF-8."""
    link: str | None = None
    """Where the path leads, if it is a link itself."""


class ServiceFact(StrictModel):
    """A systemd unit or an init script that is there."""

    running: bool
    enabled: bool
    pids: tuple[int, ...] = ()
    failed: bool = False
    """systemd gave it up."""


class Package(StrictModel):
    """An installed package."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    vendor: str | None = None

    @property
    def evr(self) -> str:
        """``[epoch:]version-release``."""
        return f"{self.epoch}:{self.version}-{self.release}" if self.epoch else f"{self.version}-{self.release}"


class Jdk(StrictModel):
    """A Java home. ``compiler``: it holds ``javac``."""

    path: str
    version: str
    compiler: bool


class Mount(StrictModel):
    """A local file system; sizes in bytes."""

    path: str
    size: int
    free: int


class User(StrictModel):
    """An account."""

    uid: int
    gid: int
    home: str
    shell: str


class UrlFact(StrictModel):
    """What an address answered: curl's exit code, the status (0 without HTTP answer), and what curl said."""

    code: int
    status: int
    message: str

    @property
    def reached(self) -> bool:
        """Whether it is there; a ``file`` address has no status."""
        return self.code == 0 and self.status < 400


class HostFacts(StrictModel):
    """A host."""

    name: str
    """As the inventory calls it."""
    os_id: str | None = None
    """``rocky``."""
    os_version: str | None = None
    os_name: str | None = None
    family: str | None = None
    """As Ambari keys repositories: ``redhat8``; None for one that it does not know."""
    arch: str | None = None
    kernel: str | None = None
    hostname: str | None = None
    fqdn: str | None = None
    """What ``hostname -f`` says."""
    addresses: tuple[str, ...] = ()
    """What the host itself finds for its FQDN."""
    reverse: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The names of those addresses; one without an entry has none."""
    lookups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The wanted names that resolve, with their addresses."""
    unanswered: tuple[str, ...] = ()
    """Wanted names for which there was no time: the resolver is too slow."""
    clock: float
    """Seconds since 1970 when the facts were complete."""
    clock_skew: float | None = None
    """Seconds that the host is ahead of this machine; None when the facts were read without a watch."""
    clock_precision: float = 0.0
    """Seconds by which that may be wrong."""
    cpus: int | None = None
    memory: int | None = None
    """Bytes."""
    memory_available: int | None = None
    swap: int | None = None
    mounts: tuple[Mount, ...] = ()
    umask: str | None = None
    open_files: tuple[int | None, int | None] | None = None
    """Soft and hard limit of a log-in; None in it is without limit."""
    processes: tuple[int | None, int | None] | None = None
    selinux: str | None = None
    """``enforcing``, ``permissive`` or ``disabled``."""
    firewall: str | None = None
    """The firewall's service that runs (``firewalld``), or ``none``."""
    thp: str | None = None
    """``always``, ``madvise`` or ``never``."""
    sysctl: dict[str, str] = Field(default_factory=dict)
    systemd: bool = False
    container: bool = False
    commands: frozenset[str] = frozenset()
    """Which of a few programs are there."""
    jdks: tuple[Jdk, ...] = ()
    ports: dict[int, str | None] = Field(default_factory=dict)
    """TCP ports in use, with the program that listens."""
    users: dict[str, User] = Field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """With the members of each; those whose own group it is are among them."""
    rpm: bool = False
    """Whether there is an rpm to ask about packages."""
    packages: dict[str, tuple[Package, ...]] = Field(default_factory=dict)
    bigtop: tuple[str, ...] = ()
    """What stands in ``/usr/bigtop``."""
    selectors: dict[str, str] = Field(default_factory=dict)
    """The version that ``/usr/bigtop/current/NAME`` leads to."""
    services: dict[str, ServiceFact] = Field(default_factory=dict)
    """Those asked for that are there."""
    files: dict[str, FileFact] = Field(default_factory=dict)
    """Those asked for that are there, and the repository files."""
    urls: dict[str, UrlFact] = Field(default_factory=dict)

    def has_package(self, name: str) -> bool:
        """Whether a package of that name is installed."""
        return name in self.packages

    def mount_of(self, path: str) -> Mount | None:
        """The file system that ``path`` is on."""
        around = [mount for mount in self.mounts if f"{path}/".startswith(f"{mount.path.rstrip('/')}/")]
        return max(around, key=lambda mount: len(mount.path), default=None)


_FAMILIES = {"openeuler": "openeuler"} | dict.fromkeys(
    ("rhel", "centos", "rocky", "ol", "oraclelinux", "scientific", "redhat"), "redhat"
)


def os_family(os_id: str | None, version: str | None) -> str | None:
    """As an Ambari agent finds it (contract of ``os_family.json``): ``rocky`` 8.10 → ``redhat8``.

    None for what Ambari has no family for; AlmaLinux and Kylin are such.
    """
    family = _FAMILIES.get((os_id or "").lower())
    major = re.match(r"[0-9]+", version or "")
    return f"{family}{major[0]}" if family and major else None


_Rows = dict[str, list[list[str]]]


def parse_facts(name: str, stdout: str, *, began: float | None = None, ended: float | None = None) -> HostFacts:
    """The facts in the output of ``gather_script``. ``name``: the host's name in the inventory; ``began`` and
    ``ended``: this machine's clock before and after the round trip.

    Raises HostError when the output is not whole.
    """
    rows: _Rows = {}
    for line in stdout.split("\n"):
        key, *values = line.split("\t")
        rows.setdefault(key, []).append(values)
    if len(rows.get("facts", ())) != 1 or len(rows.get("end", ())) != 1:
        last = " ".join(stdout.split("\n")[-2:])[-200:]
        raise HostError(f"{name}: its facts did not come completely: {last or 'nothing came'}")
    try:
        return HostFacts(name=name, **_machine(rows), **_clock(rows, began, ended), **_system(rows), **_content(rows))
    except (ValueError, IndexError, KeyError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else repr(error)
        raise HostError(f"{name}: its facts cannot be understood: {what}") from error


def _one(rows: _Rows, key: str) -> str | None:
    """The single value of a fact; None when there is none."""
    values = rows.get(key)
    return (values[-1][0] or None) if values and values[-1] else None


def _pairs(rows: _Rows, key: str) -> dict[str, str]:
    return {values[0]: values[1] for values in rows.get(key, ())}


def _gathered(rows: _Rows, key: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for values in rows.get(key, ()):
        found.setdefault(values[0].lower(), {}).update(dict.fromkeys(values[1:]))
    return {name: tuple(values) for name, values in found.items()}


def _clock(rows: _Rows, began: float | None, ended: float | None) -> dict[str, object]:
    first, last = float(rows["facts"][0][1]), float(rows["end"][0][0])
    if began is None or ended is None:
        return {"clock": last}
    on_the_way = max(0.0, (ended - began) - (last - first))
    skew = (first + last) / 2 - (began + ended) / 2
    return {"clock": last, "clock_skew": skew, "clock_precision": on_the_way / 2}


def _machine(rows: _Rows) -> dict[str, object]:
    system = _pairs(rows, "os")
    hostname, kernel, arch, cpus = rows["machine"][0]
    memory = {key: int(value) << 10 for key, value in _pairs(rows, "memory").items()}
    limits = [None if value == "unlimited" else int(value) for value in rows["limits"][0]]
    return {
        "os_id": system.get("ID"),
        "os_version": system.get("VERSION_ID"),
        "os_name": system.get("PRETTY_NAME"),
        "family": os_family(system.get("ID"), system.get("VERSION_ID")),
        "arch": arch or None,
        "kernel": kernel or None,
        "hostname": hostname or None,
        "fqdn": _one(rows, "fqdn"),
        "addresses": tuple(dict.fromkeys(values[0] for values in rows.get("own", ()))),
        "reverse": {values[0]: tuple(" ".join(values[1:]).split()) for values in rows.get("reverse", ())},
        "lookups": _gathered(rows, "address"),
        "unanswered": tuple(values[0] for values in rows.get("unanswered", ())),
        "cpus": int(cpus) if cpus else None,
        "memory": memory.get("MemTotal"),
        "memory_available": memory.get("MemAvailable"),
        "swap": memory.get("SwapTotal"),
        "mounts": tuple(
            Mount(path=path, size=int(size) << 10, free=int(free) << 10) for size, free, path in rows.get("mount", ())
        ),
        "open_files": (limits[0], limits[1]),
        "processes": (limits[2], limits[3]),
    }


def _system(rows: _Rows) -> dict[str, object]:
    units = dict(_units(rows))
    firewalls = [name for name, unit in units.items() if unit.running and name in ("firewalld", "iptables", "nftables")]
    accounts = {
        name: User(uid=int(uid), gid=int(gid), home=home, shell=shell)
        for name, uid, gid, home, shell in rows.get("user", ())
    }
    by_group: dict[int, list[str]] = {}
    for name, account in accounts.items():
        by_group.setdefault(account.gid, []).append(name)
    ports: dict[int, str | None] = {}
    for number, owner in rows.get("port", ()):
        ports[int(number)] = owner or ports.get(int(number))
    return {
        "umask": _one(rows, "umask"),
        "selinux": _one(rows, "selinux"),
        "firewall": firewalls[0] if firewalls else _one(rows, "firewall"),
        "thp": _one(rows, "thp"),
        "sysctl": _pairs(rows, "sysctl"),
        "systemd": _one(rows, "systemd") == "1",
        "container": _one(rows, "container") == "1",
        "commands": frozenset(values[0] for values in rows.get("command", ())),
        "jdks": tuple(
            Jdk(path=path, version=version, compiler=compiler == "1") for path, version, compiler in rows.get("jdk", ())
        ),
        "ports": ports,
        "users": accounts,
        "groups": {
            name: tuple(dict.fromkeys([*filter(None, members.split(",")), *by_group.get(int(gid), ())]))
            for name, gid, members in rows.get("group", ())
        },
        "services": {**dict(_scripts(rows)), **units},
    }


def _units(rows: _Rows) -> Iterator[tuple[str, ServiceFact]]:
    scripts = {values[0]: values[2] == "1" for values in rows.get("script", ())}
    for names, load, active, state, pid in rows.get("unit", ()):
        for name in names.split():
            if load == "loaded":
                yield (
                    name,
                    ServiceFact(
                        running=active in ("active", "activating", "reloading"),
                        # systemd knows an init script as a unit that it made itself; the links tell.
                        enabled=state.startswith("enabled") or (state != "disabled" and scripts.get(name, False)),
                        pids=(int(pid),) if pid not in ("", "0") else (),
                        failed=active == "failed",
                    ),
                )


def _scripts(rows: _Rows) -> Iterator[tuple[str, ServiceFact]]:
    for name, running, enabled, pids in rows.get("script", ()):
        if running:
            found = tuple(int(pid) for pid in pids.split())
            yield name, ServiceFact(running=running == "1", enabled=enabled == "1", pids=found)


def _content(rows: _Rows) -> dict[str, object]:
    packages: dict[str, list[Package]] = {}
    for name, epoch, version, release, arch, vendor in rows.get("package", ()):
        packages.setdefault(name, []).append(
            Package(
                name=name,
                epoch=int(epoch),
                version=version,
                release=release,
                arch=arch,
                vendor=None if vendor == "(none)" else vendor,
            )
        )
    digests, texts, links = _pairs(rows, "sha256"), _pairs(rows, "text"), _pairs(rows, "link")
    selected = {
        name: found[1]
        for name, target in _pairs(rows, "current").items()
        if (found := re.match(r"(?:/usr/bigtop|\.\.)/([^/]+)/", target))
    }
    return {
        "rpm": "rpm" in rows,
        "packages": {name: tuple(found) for name, found in packages.items()},
        "bigtop": tuple(values[0] for values in rows.get("bigtop", ())),
        "selectors": selected,
        "files": {
            path: FileFact(
                kind="regular file" if kind == "regular empty file" else kind,
                size=int(size),
                owner=owner,
                group=group,
                mode=mode,
                sha256=digests.get(path),
                text=_decoded(texts, path),
                link=links.get(path),
            )
            for path, kind, size, owner, group, mode in rows.get("file", ())
        },
        "urls": {
            url: UrlFact(code=int(code), status=int(status or 0), message=message)
            for url, code, status, message in rows.get("url", ())
        },
    }


def _decoded(texts: Mapping[str, str], path: str) -> str | None:
    try:
        return base64.b64decode(texts[path], validate=True).decode() if path in texts else None
    except (UnicodeDecodeError, binascii.Error):
        return None
