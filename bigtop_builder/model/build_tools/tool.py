"""What describes a build tool. Each tool's module holds one ``BuildTool``, named in ``registry``.

The descriptions are part of the vocabulary, not of the adapters, because project and component files take words from
them: ``mirrors.gradle``, ``caches: [gradle]``. They are data and functions that touch nothing but their arguments and
the files named in them; ``adapter.tools`` does the work.

Every start of the program loads them: so they are named tuples, which Python makes faster than data classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from bigtop_builder.model.base import Address, Credentials, StrictModel

SITE = "/site"
"""The folder of generated settings in a build container."""

CA = f"{SITE}/ca.pem"
"""The certificate authorities to trust, in a build container."""

Role = Literal["content", "bookkeeping", "private"]
"""See ``adapter.tools.cache``."""


class Host(Protocol):
    """What this machine's own clients are configured to use."""

    def variable(self, name: str) -> str | None:
        """Return an environment variable."""

    def output(self, command: list[str]) -> str | None:
        """Run a command and return what it prints; None when it is missing or fails."""

    def maven_central(self) -> str:
        """Return the address of Maven Central. Raises ConfigurationError when it is unknown."""

    def debian_mirror(self) -> str:
        """Return the address of a Debian mirror. Raises ConfigurationError when it is unknown."""


class Download(NamedTuple):
    """A kind of download whose address can be chosen."""

    name: str
    """Its field in ``mirrors``, and in ``mirrors.cache``."""
    presets: Mapping[str, str] = {}
    """Its address in each preset that has one; in any other the tool keeps its own default."""
    below: str = ""
    """What the tool reads below a Nexus repository: ``/simple``."""
    own: Callable[[Host], str | None] | None = None
    """Finds the address that this machine's client uses. Raises ConfigurationError."""
    probed: bool = True
    """Whether ``doctor`` checks a chosen address."""


class AddressBook(Protocol):
    """Where downloads go at this site: configured address, else the site's cache, else the preset, else the host's."""

    @property
    def preset(self) -> str:
        """The name of the preset."""

    @property
    def redirects(self) -> bool:
        """False when each tool keeps its own defaults."""

    def configured(self, name: str) -> Any:
        """Return a field of ``mirrors``; None or empty when the user left it out."""

    def cached(self, name: str) -> str | None:
        """Return the address of a download in the site's cache."""

    def public(self, name: str) -> str | None:
        """Return the address of a download in the preset."""

    def own(self, name: str) -> str | None:
        """Return the address that the host's client uses. Raises ConfigurationError when it is unknown."""

    def address(self, name: str) -> str | None:
        """Return the address of a download; None leaves the tool its own default."""

    def credentials(self, address: str) -> Credentials | None:
        """Return the credentials of the site's cache if ``address`` is in it."""


class MavenMirror(StrictModel):
    """A mirror in Maven's settings."""

    id: str = "mirror"
    """The mirror's id in Maven's settings."""
    url: Address
    """The mirror's address."""
    mirror_of: str = "*"
    """The repositories that it stands in for, as in Maven's ``mirrorOf``; ``*`` is all of them."""
    credentials: Credentials | None = None
    """User and password for the mirror."""


class Repository(NamedTuple):
    """A ``MavenMirror`` as a build container sees it; ``user`` and ``password`` are names of environment variables."""

    id: str
    url: str
    mirror_of: str = "*"
    user: str | None = None
    password: str | None = None


class ProxyServer(NamedTuple):
    """A proxy for ``scheme``; ``user`` and ``password`` are names of environment variables."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = None


class Site(Protocol):
    """The network of a site, for which a tool's settings are written. Secrets stay in environment variables."""

    @property
    def addresses(self) -> AddressBook:
        """Where downloads go."""

    @property
    def proxies(self) -> Sequence[ProxyServer]:
        """The proxies for HTTP and HTTPS."""

    @property
    def no_proxy(self) -> Sequence[str]:
        """Hosts, domains (``.corp``) and networks (``10.0.0.0/8``) that are reached without a proxy."""

    @property
    def offline(self) -> bool:
        """Whether tools must use their caches alone."""

    def address(self, name: str) -> str | None:
        """Return ``addresses.address(name)``, whose password, if any, is then masked in logs."""

    def login(self, address: str | None) -> tuple[str, str] | None:
        """Return the variables with user and password for an address in the site's cache."""

    def with_login(self, address: str | None) -> str | None:
        """Return the address with user and password in it, for tools that read them nowhere else."""

    def value(self, variable: str) -> str:
        """Return the secret in a variable, for files that cannot refer to variables."""

    def encoded(self, variable: str) -> str:
        """Return the name of another variable, with the secret in base64."""

    def repositories(self, name: str, mirrors: Sequence[MavenMirror]) -> list[Repository]:
        """Return repositories with their credentials in variables; each gets an id of its own."""


class ToolSettings(NamedTuple):
    """What configures a tool in a build container."""

    files: Mapping[str, str] = {}
    """Texts by their names below ``SITE``."""
    links: Mapping[str, str] = {}
    """Links below ``$HOME``, to names of files."""
    environment: Mapping[str, str] = {}
    options: Mapping[str, Sequence[str]] = {}
    """Words for variables that several tools add to, such as ``ANT_OPTS``."""


class Remote(NamedTuple):
    """Where a file of a download cache comes from: an address that this program may ask itself."""

    url: str
    credentials: Credentials | None = None
    checksums: bool = True
    """Whether the server publishes ``<url>.sha1`` and the like."""


class CacheFolder(NamedTuple):
    """A folder of a download cache as a build left it."""

    path: str
    names: Collection[str]
    """Its plain files."""
    open: Callable[[str], BinaryIO]
    """Opens one of them, never through a link. Raises OSError."""


class CacheLayout(NamedTuple):
    """Where a tool keeps its download cache, and what its files are. Paths are relative to ``place``.

    A file of content is shared by all components when the host can tell that it is what the remote gave: it must
    have the checksum that one of its ``remotes`` publishes, or be named by its own SHA-256 or SHA-512 (``digest``).
    """

    place: str
    """The cache's folder below ``$HOME``."""
    roles: Mapping[str, Role]
    """The first pattern that is found in a path decides the role of the file; without one it is private."""
    downloaded: Callable[[CacheFolder], Collection[str]] = lambda folder: folder.names
    """Selects the files of a folder that the tool may have downloaded."""
    remotes: Callable[[AddressBook, str], Sequence[Remote]] = lambda book, path: ()
    """Returns where a file of content comes from; nothing when that is unknown. Raises ConfigurationError."""
    digest: Callable[[str], tuple[str, str] | None] = lambda path: None
    """Returns the digest in the name of a file of content: algorithm and hexadecimal value."""
    portable: Callable[[str], str | None] = lambda path: None
    """Returns the name of bookkeeping in a lock, where it means the same at every site; nothing (``""``) when the tool
    does without it, None when a lock cannot hold it."""
    local: Callable[[AddressBook, str], Sequence[str]] = lambda book, path: ()
    """Returns the paths of such bookkeeping in the cache at this site."""
    purl: Callable[[str], str] = lambda path: ""
    """Returns the package URL of a file of content, for attestations; nothing when it is not part of a package."""
    unit: Callable[[str], str] = lambda path: path
    """Maps files that are used together to one name: reading one of them counts as a use of all."""
    built: Callable[[Path], frozenset[str]] = lambda tree: frozenset()
    """Names what a source tree builds itself and installs into the cache."""
    overwritten: Callable[[str, frozenset[str]], bool] = lambda folder, built: False
    """Whether a build that makes ``built`` writes into a folder: its files are then copied, never linked."""

    def role(self, path: str) -> Role:
        """Return the role of a file. A merge that was killed may have left ``.tmp`` files."""
        if path.endswith(".tmp"):
            return "private"
        return next((role for pattern, role in self.roles.items() if re.search(pattern, path)), "private")


class BuildTool(NamedTuple):
    """A build tool, or another client that downloads from mirrors."""

    name: str
    downloads: tuple[Download, ...] = ()
    mirrors: type | None = None
    """A plain class with the fields that the tool adds to ``mirrors`` in the project file."""
    site_cache: type | None = None
    """Fields that it adds to ``mirrors.cache``."""
    cache: CacheLayout | None = None
    """Its download cache, which component files name in ``caches``."""
    settings: Callable[[Site], ToolSettings] = lambda site: ToolSettings()
    """Writes its settings for a site. Raises ConfigurationError."""
