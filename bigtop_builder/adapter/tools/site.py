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

from bigtop_builder.adapter.sources.web import ca_bundle, proxies
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.adapter.tools.site_settings import CA, SITE, ToolSettings
from bigtop_builder.adapter.tools.truststore import certificates, java_truststore
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.project import ProjectFile

PEM_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
)
JAVA_PLACES = (
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/java/cacerts",
    "/etc/pki/ca-trust/extracted/java/cacerts",
)
HOME_LINKS = {
    ".m2/settings.xml": "m2-settings.xml",
    ".npmrc": "npmrc",
    ".yarnrc": "yarnrc",
    ".bowerrc": "bowerrc",
    ".gradle/gradle.properties": "gradle.properties",
    ".gradle/init.gradle": "init.gradle",
    ".sbt/repositories": "sbt-repositories",
}
CA_VARIABLES = (
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
)
MAVEN_OPTS = "-Dmaven.wagon.httpconnectionManager.ttlSeconds=25 -Dsun.net.inetaddr.ttl=600"
"""Maven keeps connections for as long as a module compiles; a NAT that has forgotten one lets its next request hang.
Java asks for an address again every 30 seconds, and Maven gives up a build when one such question goes unanswered."""


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
    project: ProjectFile, folder: Path, addresses: Addresses | None = None, *, offline: bool = False
) -> SiteSettings:
    """Writes the site's settings into ``folder``, which only we may enter (see ``private_folder``).

    With ``offline`` the tools are told to be content with their caches, whatever their age.
    Raises ConfigurationError for a secret, a CA bundle or an address that cannot be had.
    """
    site = folder / "site"
    addresses = addresses or Addresses(project.mirrors)
    pem = ca_bundle(project.network)
    ders = certificates(pem)
    settings = ToolSettings(addresses, proxies(project.network), offline=offline)
    _write(site, {name: text.encode() for name, text in settings.texts.items()})
    _write(site, {"ca.pem": pem.read_bytes(), "cacerts": java_truststore(ders)})
    return SiteSettings(
        mounts={site: [SITE], site / "ca.pem": list(PEM_PLACES), site / "cacerts": list(JAVA_PLACES)},
        home_links={home: f"{SITE}/{name}" for home, name in HOME_LINKS.items() if name in settings.texts},
        environment={
            **dict.fromkeys(CA_VARIABLES, CA),
            "PIP_CONFIG_FILE": f"{SITE}/pip.conf",
            "NPM_CONFIG_USERCONFIG": f"{SITE}/npmrc",
            "MAVEN_OPTS": MAVEN_OPTS,
            **settings.environment,
            **settings.secrets.variables,
        },
        secrets=settings.secrets.values,
    )


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
