"""A user's project file (``bigtop-builder.yaml``): stack, platforms, mirrors, network, keys, overlays."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from bigtop_builder.model.archive_limits import ArchiveLimits
from bigtop_builder.model.base import (
    BASE_URL,
    PUSH_URL,
    REFERENCE,
    Age,
    Credentials,
    Duration,
    GitCommit,
    HostPath,
    Name,
    PlainText,
    Sha256,
    Sha512,
    Size,
    StrictModel,
    UpstreamVersion,
    size_in_bytes,
)
from bigtop_builder.model.mirrors import Mirrors
from bigtop_builder.model.source import Alternative


class Proxy(StrictModel):
    """An HTTP proxy for sources and build containers."""

    http: str | None = None
    """The proxy for ``http://`` addresses: ``http://proxy.example.com:3128``."""
    https: str | None = None
    """The proxy for ``https://`` addresses. It is usually the same server, itself addressed by ``http://``."""
    no_proxy: list[str] = Field(default_factory=list)
    """Hosts and domains to reach directly: ``[.example.com, 10.0.0.0/8]``."""
    credentials: Credentials | None = None
    """User and password for the proxy."""


class Network(StrictModel):
    """How this site reaches the internet."""

    ca_bundle: HostPath | None = None
    """PEM file with the certificate authorities to trust; by default the host's own bundle."""
    proxy: Proxy = Proxy()
    """The HTTP proxy of this site."""
    connect_timeout: Duration = "20s"
    """Time limit for opening one connection."""
    stall_timeout: Duration = "60s"
    """A transfer that receives nothing for this long is aborted."""
    minimum_rate: Size = "1k"
    """Bytes per second, on average over ``stall_timeout``, below which a transfer is aborted."""
    transfer_timeout: Duration = "4h"
    """A transfer that is not complete after this time is aborted, however much it receives."""
    retries: int = Field(default=2, ge=0, le=10)
    """How often a failed transfer is tried again. A try that brought the file further does not count."""


class Signing(StrictModel):
    """The key that signs packages and repository metadata."""

    key: PlainText | None = None
    """Fingerprint or user id of a key in ``homedir``."""
    homedir: HostPath | None = None
    """GnuPG home; by default one below the store."""
    passphrase: str | None = Field(default=None, pattern=REFERENCE)
    """``env:NAME`` or ``file:PATH``."""
    valid_for: Age | None = None
    """How long a publication is valid: ``repo verify`` reports an older one as expired. Default: for ever."""
    attestation_key: str | None = Field(default=None, pattern=REFERENCE)
    """A private key in PEM, ECDSA P-256 or Ed25519, as ``env:NAME`` or ``file:PATH``: attestations then also come as
    DSSE envelopes, which ``cosign`` reads."""
    attestation_passphrase: str | None = Field(default=None, pattern=REFERENCE)
    """``env:NAME`` or ``file:PATH``."""


class PushSsh(StrictModel):
    """How ``repo push`` logs in over SSH; whatever is missing here comes from the settings of OpenSSH."""

    key: HostPath | None = None
    """A private key without a passphrase; one that has a passphrase belongs into an agent."""
    known_hosts: HostPath | None = None
    """A file with the host key of the server."""


class Push(StrictModel):
    """Where ``repo push`` uploads publications to."""

    url: str | None = Field(default=None, pattern=PUSH_URL)
    """The counterpart of the root of repositories: a web server that takes uploads (``https://repo.example.com/rpm``),
    or a folder on a machine with rsync (``ssh://user@host/srv/rpm``)."""
    metadata: Literal["publication", "server"] = "publication"
    """``server`` uploads packages alone, because the server writes metadata of its own, as a Nexus yum repository."""
    credentials: Credentials | None = None
    """For a web server; OpenSSH has its own."""
    ssh: PushSsh = PushSsh()
    """How to log in over SSH."""


class Publish(StrictModel):
    """How packages are published."""

    base_url: str | None = Field(default=None, pattern=BASE_URL)
    """The address at which hosts reach the root of the repositories; it goes into the .repo files."""
    push: Push = Push()
    """Where ``repo push`` uploads them to."""

    @field_validator("base_url")
    @classmethod
    def _open_to_all(cls, address: str | None) -> str | None:
        if address and urlsplit(address).password:
            raise ValueError("must not contain a password, which everybody could read in the .repo files")
        return address


class Results(StrictModel):
    """Results of builds that the machines of a team share."""

    url: str | None = Field(default=None, pattern=r"^(https?://[^\s/]+(/\S*)?|(file://)?/\S*)$")
    """Where they are: ``https://results.example.com/bigtop``, or a folder that all machines mount."""
    push: bool = False
    """Whether this machine puts its own results there; they are signed with ``signing.attestation_key``."""
    credentials: Credentials | None = None
    """User and password of an HTTP server, by reference."""
    trust: list[HostPath] = Field(default_factory=list)
    """Files with public keys in PEM: results that one of them signed are taken, besides those of this machine's own
    key."""


class Limits(StrictModel):
    """Bounds of a run."""

    jobs: int = Field(default=0, ge=0, le=256)
    """Tasks to run in parallel; 0 chooses by processors and memory."""
    download_size: Size = "20g"
    """The largest file to download."""
    metadata_size: Size = "512m"
    """The largest unpacked metadata file of a repository to read."""
    log_size: Size = "64m"
    """The largest log of one step; the middle of a longer one is dropped."""
    memory: Size | None = None
    """Memory limit of every build container, instead of the component's own."""
    timeout: Duration | None = None
    """Time limit of every step, instead of the component's own."""
    disk: Size = "64g"
    """The most that a build container may write; a build that writes more is stopped."""
    result_size: Size = "16g"
    """The most that is taken over from one build: its staged tree, or its packages; and so much of its downloads."""
    result_files: int = Field(default=500_000, ge=1)
    """The most files and folders that are taken over from one build."""
    repository_time: Duration = "10m"
    """How long repositories may take over the checksums, or over the locked files, of what one task downloads."""
    archive_size: Size = "20g"
    """The largest unpacked size of an archive or package; above 1 GiB, it may unpack to 200 times its size at most."""
    archive_members: int = Field(default=500_000, ge=1)
    """The most members of an archive."""
    archive_memory: Size = "256m"
    """Memory for unpacking an archive: the dictionary of xz, the window of zstd."""

    @property
    def archives(self) -> ArchiveLimits:
        """The bounds of archives, in bytes."""
        memory = size_in_bytes(self.archive_memory)
        return ArchiveLimits(size_in_bytes(self.archive_size), self.archive_members, memory)


class Executor(StrictModel):
    """Where the tasks of a build are carried out: on this machine, or by the workers of a Dask cluster."""

    dask: str | None = Field(default=None, pattern=r"^(tcp|tls)://[^\s/@]+:[0-9]{1,5}$")
    """The address of the cluster's scheduler: ``tls://builds.example.com:8786``. Without one, this machine builds."""
    certificates: HostPath | None = None
    """The folder with the certificates of ``tls://``, as ``worker certificates`` makes it: ``ca.pem``, and of this
    machine's part ``client.pem`` and ``client-key.pem``, or ``worker.pem`` and ``worker-key.pem``."""
    insecure: bool = False
    """Whether ``tcp://`` may lead to another machine. Whoever reaches such a scheduler runs programs on its workers."""
    lease: Duration = "60s"
    """A worker that did not reach the scheduler for this long ends its containers; a run that did not, fails."""
    patience: Duration = "60s"
    """How long a run waits for a worker to join, when there is none that could carry out a task."""


class Choice(StrictModel):
    """The user's choices for one component."""

    version: UpstreamVersion | None = None
    """The version, one of the component file's; by default the stack's."""
    release: int | None = Field(default=None, ge=1, le=999_999_999)
    """The release number of the packages, before the dist tag."""
    variant: Name | None = None
    """The variant to build; by default the component file's."""
    options: dict[str, PlainText] = Field(default_factory=dict)
    """Values of the component's options, by name; ``list NAME`` shows what it has."""
    variables: dict[str, PlainText | dict[str, PlainText]] = Field(default_factory=dict)
    """Variables of the component's file to set; of one that is a mapping, the keys to set."""
    source: HostPath | None = None
    """A folder or archive that replaces the component's main source."""


class Packaging(StrictModel):
    """Bigtop's own packaging instead of the component files."""

    bigtop: HostPath
    """A tree of Apache Bigtop 3.2.0 or newer: a checkout, or a release archive."""
    suffix: bool = True
    """Whether package names carry the stack's suffix, as in ``zookeeper_3_2_0``; Bigtop's ``-PpkgSuffix``."""
    parent_dir: str | None = Field(default="/usr/bigtop", pattern=r"^/[^\s]*[^/\s]$")
    """The parent of the stack's folder, below which packages install; null for none. Bigtop's ``-PparentDir``."""
    stamp: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+~]*$")
    """The release number of every package, instead of the bill's; Bigtop's ``BIGTOP_BUILD_STAMP``."""


class SourcePin(StrictModel):
    """The digest of a source in Bigtop's tree, because Bigtop names none."""

    sha256: Sha256 | None = None
    """SHA-256 of the file that Bigtop downloads."""
    sha512: Sha512 | None = None
    """SHA-512 of the file that Bigtop downloads."""
    commit: GitCommit | None = None
    """The commit, where Bigtop clones a repository."""
    alternatives: list[Alternative] = Field(default_factory=list)
    """Other places of the same source: any archive with one top folder."""


class ProjectFile(StrictModel):
    """The project file."""

    stack: Name = "bigtop-3.2.0"
    """The stack to build."""
    platforms: list[Name] = Field(default_factory=lambda: ["el8"], min_length=1)
    """The platforms to build for when the command line names none."""
    architectures: list[Literal["x86_64", "aarch64"]] = Field(default_factory=list)
    """The architectures to build for; by default that of this machine. The first builds everything, the others what
    is native. Each needs a machine that runs its programs: a worker of that architecture, or emulation."""
    builder: Literal["embedded", "platform"] = "embedded"
    """``embedded`` builds in an image made from Debian's packages alone; ``platform`` in the platform's own."""
    native: Literal["refuse", "label"] | None = None
    """What to do with a native package on a platform other than the builder's: refuse it, or build it and label it
    with the platform it was built on. By default a component that was named is refused, and ``--all`` labels."""
    store: HostPath | None = None
    """The store; by default ``$XDG_CACHE_HOME/bigtop-builder``."""
    output: HostPath = "output"
    """The folder of finished packages, by platform."""
    repository: HostPath = "repository"
    """The root of published repositories."""
    overlays: list[HostPath] = Field(default_factory=list)
    """Folders with the structure of ``templates`` that add or change files; later ones win."""
    components: dict[Name, Choice] = Field(default_factory=dict)
    """Choices for single components, by name."""
    packaging: Packaging | None = None
    """Build with Bigtop's own packaging, not with the component files."""
    sources: dict[Name, SourcePin] = Field(default_factory=dict)
    """Digests of sources that Bigtop's own packaging downloads, by component."""
    locks: Literal["use", "ignore", "require"] = "use"
    """Whether a component that has a lock compiles with it, without a network; ``require`` refuses to compile with one
    what has no lock."""
    smoke_tests: bool = True
    """Whether a build runs the smoke test of each component on a clean host."""
    mirrors: Mirrors = Mirrors()
    """Where the downloads of sources and builds go."""
    network: Network = Network()
    """How this site reaches the internet."""
    publish: Publish = Publish()
    """How packages are published."""
    results: Results = Results()
    """The results of builds that the machines of a team share."""
    signing: Signing = Signing()
    """The key that signs packages and repository metadata."""
    limits: Limits = Limits()
    """Bounds of a run."""
    executor: Executor = Executor()
    """Where tasks run: on this machine, or on a cluster of workers."""


def default_store(environment: dict[str, str]) -> Path:
    """Return ``$XDG_CACHE_HOME/bigtop-builder``, else ``~/.cache/bigtop-builder``."""
    cache = environment.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "bigtop-builder"
