"""What every build container needs of a closed network: certificates, mirrors, proxies, credentials.

It is generated into a private folder that is mounted, never copied, and removed when the run ends: nothing gets into
an image layer.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.adapter.sources.web import ca_bundle, proxies
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.adapter.tools.site_settings import SiteNetwork, proxy_variables, tool_settings
from bigtop_builder.adapter.tools.truststore import certificates, java_truststore
from bigtop_builder.model.build_tools.tool import CA, SITE
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
CA_VARIABLES = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True)
class SiteSettings:
    """The site's network as a container gets it.

    Whoever makes the container's ``$HOME`` (``/work/home``) makes the symbolic links of ``home_links``, because some
    tools look for their settings there only.
    """

    mounts: dict[Path, list[str]]
    """What is mounted read-only: path on the host → paths in the container."""
    home_links: dict[str, str]
    """Links to make below ``$HOME``: relative path → path in the container."""
    environment: dict[str, str] = field(repr=False)
    """Variables of the container; some hold secrets, so never log them."""
    secrets: list[str] = field(repr=False)
    """Values that no log may show: see ``redact.Redactor``."""


def site_files(
    project: ProjectFile,
    folder: Path,
    addresses: Addresses | None = None,
    *,
    offline: bool = False,
    without: Collection[str] = (),
) -> SiteSettings:
    """Write the site's settings into ``folder``, which only this user may enter (see ``private_folder``).

    With ``offline`` the tools use their caches alone, however old; those ``without`` get no settings.
    Raises ConfigurationError for a secret, a CA
    bundle or an address that is unavailable.
    """
    addresses = addresses or Addresses(project.mirrors)
    return _files(project, folder / "site", addresses, proxies(project.network), offline, without)


def sealed_site_files(
    project: ProjectFile, folder: Path, addresses: Addresses, *, without: Collection[str] = ()
) -> SiteSettings:
    """Write settings into ``folder`` for a build without a network: without secrets and proxies, tools stay offline.

    Raises like ``site_files``.
    """
    return _files(project, folder / "sealed", addresses.without_credentials(), {}, offline=True, without=without)


def _files(
    project: ProjectFile,
    site: Path,
    addresses: Addresses,
    known: dict[str, str],
    offline: bool,
    without: Collection[str],
) -> SiteSettings:
    pem = ca_bundle(project.network)
    network = SiteNetwork(addresses, known, offline=offline)
    settings = tool_settings(network, without=without)
    _write(site, {name: text.encode() for name, text in settings.files.items()})
    _write(site, {"ca.pem": pem.read_bytes(), "cacerts": java_truststore(certificates(pem))})
    return SiteSettings(
        mounts={site: [SITE], site / "ca.pem": list(PEM_PLACES), site / "cacerts": list(JAVA_PLACES)},
        home_links={home: f"{SITE}/{name}" for home, name in settings.links.items()},
        environment={
            **dict.fromkeys(CA_VARIABLES, CA),
            **proxy_variables(known),
            **settings.environment,
            **network.variables,
        },
        secrets=network.secrets,
    )


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Write files that the container's user can read; the folder above keeps everybody else out."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    for name, data in files.items():
        path = folder / name
        path.write_bytes(data)
        path.chmod(0o644)


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder for ``site_files`` that only this user may enter, in memory if there is /dev/shm, and remove it.

    Folders of killed processes are removed too: a living one holds a lock on its folder.
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
        # Another process may remove the folder as a leftover before it is locked.
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
            f"{home} is not a folder that only you may enter", hint="Remove it; another user may have made it."
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
