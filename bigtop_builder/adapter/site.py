"""What a closed network needs inside every build container: certificates, mirrors, proxies, credentials.

All of it is generated into a private folder that is mounted, never copied: nothing gets into an image layer, and the
folder goes when the run ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bigtop_builder.adapter import clients
from bigtop_builder.adapter.addresses import Addresses
from bigtop_builder.adapter.redact import disguises
from bigtop_builder.adapter.secret import read_secret
from bigtop_builder.adapter.sources.web import ca_bundle, proxies
from bigtop_builder.adapter.truststore import certificates, java_truststore
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.project import MavenMirror, Project

SITE = "/site"
CA = f"{SITE}/ca.pem"
PEM_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
)
JAVA_PLACES = (
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/java/cacerts",
    "/etc/pki/ca-trust/extracted/java/cacerts",
)
CA_VARIABLES = (
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
)


@dataclass(frozen=True)
class SiteSettings:
    """The site's network as a container gets it.

    Maven finds its settings through ``$HOME/.m2/settings.xml`` only (MAVEN_ARGS is of Maven 3.9 and later), so
    whoever makes the container's ``$HOME`` (``/work/home``) makes the symbolic links of ``home_links``.
    """

    mounts: dict[Path, list[str]]
    """What is mounted read-only: path on the host → paths in the container."""
    home_links: dict[str, str]
    """Links to make below ``$HOME``: relative path → path in the container."""
    environment: dict[str, str] = field(repr=False)
    """Variables of the container; some hold secrets: never log them."""
    secrets: list[str] = field(repr=False)
    """Values that no log may show: see ``redact.Redactor``."""


def site_files(
    project: Project, folder: Path, addresses: Addresses | None = None, *, offline: bool = False
) -> SiteSettings:
    """Writes the site's settings into ``folder``, which only we may enter (see ``private_folder``).

    With ``offline`` the tools are told to be content with their caches, whatever their age.
    Raises ConfigurationError for a secret, a CA bundle or an address that cannot be had.
    """
    addresses = addresses or Addresses(project.mirrors)
    secrets = _Secrets()
    pem = ca_bundle(project.network)
    ders = certificates(pem)
    mirrors = _repositories(addresses.maven(), secrets)
    gradle, ivy = addresses.gradle(), addresses.ivy()
    known = proxies(project.network)
    servers = _proxy_servers(known, secrets)
    no_proxy = [entry.strip() for entry in known.get("no_proxy", "").split(",") if entry.strip()]
    java = clients.java_proxy(servers, no_proxy)
    pip, npm = addresses.pip(), addresses.npm()
    for address in (pip, npm or ""):
        secrets.in_address(address)
    texts = {
        "m2-settings.xml": clients.maven_settings(mirrors, servers, no_proxy, offline=offline),
        "npmrc": clients.npmrc(npm, CA, offline=offline),
        "pip.conf": clients.pip_conf(pip, CA),
        "gradle.properties": clients.gradle_properties(java | secrets.java_login(servers)),
    }
    options = [f"-D{name}={value}" for name, value in java.items()]
    if gradle is not None:
        texts["init.gradle"] = clients.gradle_init(_repositories([gradle], secrets)[0])
    if offline:
        texts["init.gradle"] = clients.GRADLE_OFFLINE + texts.get("init.gradle", "")
    if ivy is not None:
        repository = _repositories([ivy], secrets)[0]
        texts["ivysettings.xml"] = clients.ivy_settings(repository)
        texts["sbt-repositories"] = clients.sbt_repositories(repository)
        options += ["-Dsbt.override.build.repos=true", f"-Dsbt.repository.config={SITE}/sbt-repositories"]
    site = folder / "site"
    _write(site, {name: text.encode() for name, text in texts.items()})
    _write(site, {"ca.pem": pem.read_bytes(), "cacerts": java_truststore(ders)})
    return SiteSettings(
        mounts={site: [SITE], site / "ca.pem": list(PEM_PLACES), site / "cacerts": list(JAVA_PLACES)},
        home_links={
            ".m2/settings.xml": f"{SITE}/m2-settings.xml",
            ".npmrc": f"{SITE}/npmrc",
            ".gradle/gradle.properties": f"{SITE}/gradle.properties",
            **({".gradle/init.gradle": f"{SITE}/init.gradle"} if "init.gradle" in texts else {}),
            **({".sbt/repositories": f"{SITE}/sbt-repositories"} if ivy is not None else {}),
        },
        environment={
            **dict.fromkeys(CA_VARIABLES, CA),
            "PIP_CONFIG_FILE": f"{SITE}/pip.conf",
            "NPM_CONFIG_USERCONFIG": f"{SITE}/npmrc",
            **_proxy_variables(known),
            **({"SBT_OPTS": " ".join(options)} if options else {}),
            **secrets.variables,
        },
        secrets=secrets.values,
    )


class _Secrets:
    """Credentials on their way into variables, and the values that must not be shown."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.values: list[str] = []

    def login(self, name: str, user: str, password: str) -> tuple[str, str]:
        """The names of the variables that carry user and password."""
        names = f"BIGTOP_SITE_{name}_USER", f"BIGTOP_SITE_{name}_PASSWORD"
        self.variables |= dict(zip(names, (user, password), strict=True))
        self._hide(password, user)
        return names

    def in_address(self, address: str) -> None:
        """Hides the password of ``https://user:password@host``."""
        parts = urlsplit(address)
        if parts.password:
            self._hide(unquote(parts.password), unquote(parts.username or ""))
            self._hide(parts.password, None)

    def java_login(self, servers: list[clients.ProxyServer]) -> dict[str, str]:
        """System properties with the proxies' user and password, for a file that cannot name variables."""
        found = {}
        for server in servers:
            if server.user is not None and server.password is not None:
                found[f"{server.scheme}.proxyUser"] = self.variables[server.user]
                found[f"{server.scheme}.proxyPassword"] = self.variables[server.password]
        return {name: value.replace("\\", "\\\\") for name, value in found.items()}

    def _hide(self, password: str, user: str | None) -> None:
        self.values += [form for form in disguises(password, user=user) if form not in self.values]


def _repositories(mirrors: list[MavenMirror], secrets: _Secrets) -> list[clients.Repository]:
    """Each with an id of its own, because Maven finds the credentials by it."""
    found: list[clients.Repository] = []
    for mirror in mirrors:
        taken = [repository.id for repository in found]
        name = mirror.id if mirror.id not in taken else f"{mirror.id}-{len(taken) + 1}"
        secrets.in_address(mirror.url)
        user = password = None
        if mirror.credentials is not None:
            place = f"mirrors.maven ({mirror.id})"
            values = [read_secret(secret, place) for secret in (mirror.credentials.user, mirror.credentials.password)]
            user, password = secrets.login(f"MAVEN_{len(found)}", *values)
        found.append(clients.Repository(name, mirror.url, mirror.mirror_of, user, password))
    return found


def _proxy_servers(known: dict[str, str], secrets: _Secrets) -> list[clients.ProxyServer]:
    found = []
    for scheme in ("http", "https"):
        if scheme not in known:
            continue
        parts = urlsplit(known[scheme] if "://" in known[scheme] else f"http://{known[scheme]}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        user = password = None
        if parts.username and parts.password:
            secrets.in_address(known[scheme])
            login = unquote(parts.username), unquote(parts.password)
            user, password = secrets.login(f"{scheme.upper()}_PROXY", *login)
        found.append(clients.ProxyServer(scheme, parts.hostname or "", port, user, password))
    return found


def _proxy_variables(known: dict[str, str]) -> dict[str, str]:
    """``http_proxy`` and its like, in both spellings, since programs differ in what they read."""
    if not known.get("http") and not known.get("https"):
        return {}
    no_proxy = ",".join(filter(None, [*clients.LOCAL, known.get("no_proxy", "")]))
    lower = {f"{scheme}_proxy": known[scheme] for scheme in ("http", "https") if scheme in known}
    lower["no_proxy"] = no_proxy
    return lower | {name.upper(): value for name, value in lower.items()}


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Readable for the container's user; the folder above keeps everybody else out."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    for name, data in files.items():
        path = folder / name
        path.write_bytes(data)
        path.chmod(0o644)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for ``site_files`` that only we may enter, in memory where the host has /dev/shm; removed at the end.

    What killed processes left behind is removed too: a living one holds a lock on its folder.
    """
    home = _home()
    _remove_leftovers(home)
    folder, descriptor = _locked_folder(home)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _locked_folder(home: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix="site-", dir=home))
        # Another process may take the folder for a leftover before it is locked.
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _home() -> Path:
    memory = Path("/dev/shm")
    base = memory if os.access(memory, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    home = base / f"bigtop-builder-{os.getuid()}"
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
    status = home.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ConfigurationError(
            f"{home} is not a folder that only you may enter", hint="remove it; another user may have made it"
        )
    return home


def _remove_leftovers(home: Path) -> None:
    for folder in home.glob("site-*"):
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
