"""What is known of a host at one moment. What could not be found out is None or missing, never a guess."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pydantic import Field

from bigtop_builder.model.base import StrictModel


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
