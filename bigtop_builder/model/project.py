"""A user's project file (``bigtop-builder.yaml``): stack, platforms, mirrors, network, keys, overlays."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from bigtop_builder.model.base import Duration, Name, Size, StrictModel, Version

SecretReference = str
"""``env:NAME`` or ``file:PATH``: a secret is never written into a file of ours."""


class Credentials(StrictModel):
    """By reference only."""

    user: str = Field(pattern=r"^(env|file):.+$")
    """``env:NAME`` or ``file:PATH``."""
    password: str = Field(pattern=r"^(env|file):.+$")
    """``env:NAME`` or ``file:PATH``."""


class MavenMirror(StrictModel):
    """A mirror in Maven's settings."""

    id: str = "mirror"
    url: str
    mirror_of: str = "*"
    credentials: Credentials | None = None


class Mirrors(StrictModel):
    """Where the downloads of sources and builds go."""

    preset: Literal["default", "aliyun", "huaweicloud", "tencent", "none"] = "default"
    """A named set of public mirrors; what is given below wins over it."""
    apache: list[str] = Field(default_factory=list)
    """Base addresses that mirror Apache's ``dist``; the Apache archive is always the last."""
    maven: list[MavenMirror] = Field(default_factory=list)
    """Maven mirrors; without one, one mirror of ``*`` on Maven Central."""
    npm: str | None = None
    """npm registry."""
    pip: str | None = None
    """Package index for pip."""
    ivy: str | None = None
    """Maven-layout repository for ivy and sbt."""
    gradle: str | None = None
    """Maven-layout repository for Gradle."""
    debian: str | None = None
    """Debian mirror; without one, the host's or debootstrap's own."""


class Proxy(StrictModel):
    """An HTTP proxy for sources and build containers."""

    http: str | None = None
    https: str | None = None
    no_proxy: list[str] = Field(default_factory=list)
    credentials: Credentials | None = None


class Network(StrictModel):
    """How this site reaches the outside."""

    ca_bundle: str | None = None
    """PEM file with the certificate authorities to trust; without it the host's own bundle."""
    proxy: Proxy = Proxy()
    connect_timeout: Duration = "20s"
    stall_timeout: Duration = "60s"
    """A transfer that gives nothing for so long is broken off."""
    retries: int = Field(default=2, ge=0, le=10)


class Signing(StrictModel):
    """The key that signs packages and repository metadata."""

    key: str | None = None
    """Fingerprint or user id of a key in ``homedir``."""
    homedir: str | None = None
    """GnuPG home; without it one below the store."""
    passphrase: str | None = Field(default=None, pattern=r"^(env|file):.+$")
    """``env:NAME`` or ``file:PATH``."""


class Limits(StrictModel):
    """Bounds of a run."""

    jobs: int = Field(default=0, ge=0, le=256)
    """Tasks side by side; 0 chooses by processors and memory."""
    log_size: Size = "64m"
    """The most that one step's log may hold; its middle is left out then."""
    memory: Size | None = None
    """Memory limit of every build container, instead of the component's own."""
    timeout: Duration | None = None
    """Time limit of every step, instead of the component's own."""


class Choice(StrictModel):
    """What the user chose for one component."""

    version: Version | None = None
    release: int | None = Field(default=None, ge=1)
    variant: Name | None = None
    options: dict[str, str] = Field(default_factory=dict)
    source: str | None = None
    """A folder or archive that takes the place of the component's main source."""


class Project(StrictModel):
    """The project file."""

    stack: Name = "bigtop-3.2.0"
    """The stack to build."""
    platforms: list[Name] = Field(default_factory=lambda: ["el8"], min_length=1)
    """The platforms to build for when the command line names none."""
    builder: Literal["embedded", "platform"] = "embedded"
    """``embedded`` builds in an image made from Debian's packages alone; ``platform`` in the platform's own."""
    native: Literal["refuse", "label"] = "refuse"
    """What to do with a native package that was asked for on a platform that the builder is not: refuse it, or
    build it and label it with the platform it was really built on."""
    store: str | None = None
    """The store; without it ``$XDG_CACHE_HOME/bigtop-builder``."""
    output: str = "output"
    """Where finished packages are put, by platform."""
    repository: str = "repository"
    """The root of published repositories."""
    overlays: list[str] = Field(default_factory=list)
    """Folders of the shape of ``templates`` that add or change files; later ones win."""
    components: dict[Name, Choice] = Field(default_factory=dict)
    mirrors: Mirrors = Mirrors()
    network: Network = Network()
    signing: Signing = Signing()
    limits: Limits = Limits()


def default_store(environment: dict[str, str]) -> Path:
    """``$XDG_CACHE_HOME/bigtop-builder`` or ``~/.cache/bigtop-builder``."""
    cache = environment.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "bigtop-builder"
