"""Access to a cluster: its address and certificates, checked before anything is sent; and Dask's library itself.

Dask workers run whatever the scheduler sends them, so ``tls://`` with certificates of the cluster's own is the rule,
and ``tcp://`` only leads to this machine unless somebody says otherwise.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.adapter.dask_cluster.certificates import AUTHORITY, Part, certificate, key
from bigtop_builder.model.errors import ConfigurationError, EngineError, Location

if TYPE_CHECKING:
    from distributed.security import Security

LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application", "asyncio")
KNOCK_SECONDS = 10.0
MAKE = "Make certificates with: bigtop-builder worker certificates FOLDER"


@dataclass(frozen=True)
class Access:
    """How one part reaches the scheduler of a cluster. ``place`` is where the address is written, for messages."""

    address: str
    part: Part
    certificates: Path | None = None
    insecure: bool = False
    place: Location | None = None

    def check(self) -> None:
        """Raise ConfigurationError for an address that is not safe, and for certificates that do not fit together."""
        if self.address.startswith("tls://"):
            self._check_certificates()
        elif not (self.insecure or is_loopback(self.address)):
            raise ConfigurationError(
                f"{self.address} is not encrypted and leads to another machine: whoever reaches that scheduler runs "
                "programs on its workers",
                hint=f"Use tls://. {MAKE}. Or allow it with executor.insecure.",
                location=self.place,
            )

    def knock(self) -> None:
        """Raise EngineError when nothing listens there: Dask would try for long."""
        host, _, port = self.address.partition("://")[2].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()
        except OSError as error:
            raise EngineError(
                f"no Dask scheduler responds at {self.address}: {error.strerror or error}",
                hint="Start one with: dask scheduler, or check the address." + self._otherwise(),
            ) from error

    def _otherwise(self) -> str:
        return " --executor local builds on this machine." if self.part == "client" else ""

    def security(self) -> Security:
        """Return the same for Dask."""
        load_dask()
        from distributed.security import Security

        if self.certificates is None or not self.address.startswith("tls://"):
            return Security()
        files = {
            f"tls_{self.part}_cert": str(certificate(self.certificates, self.part)),
            f"tls_{self.part}_key": str(key(self.certificates, self.part)),
        }
        return Security(tls_ca_file=str(certificate(self.certificates, AUTHORITY)), require_encryption=True, **files)

    def _check_certificates(self) -> None:
        folder = self.certificates
        if folder is None:
            raise ConfigurationError(
                f"{self.address} needs certificates",
                hint=f"Name them as executor.certificates. {MAKE}.",
                location=self.place,
            )
        files = [certificate(folder, AUTHORITY), certificate(folder, self.part), key(folder, self.part)]
        for path in files:
            try:
                path.read_bytes()
            except OSError as error:
                raise ConfigurationError(
                    f"{path} cannot be read: {error.strerror}", hint=f"{MAKE}.", location=self.place
                ) from None
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(files[0])
            context.load_cert_chain(files[1], files[2])
        except (ssl.SSLError, ValueError) as error:
            raise ConfigurationError(
                f"the certificates in {folder} are not usable: {error}", hint=f"{MAKE}.", location=self.place
            ) from None


def is_loopback(address: str) -> bool:
    """Whether an address of a scheduler leads to this machine."""
    host = address.partition("://")[2].rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_dask() -> None:
    """Load Dask's library, which then logs nothing of its own. Raises ConfigurationError if it is missing."""
    try:
        import dask.config
    except ImportError:
        raise missing_library() from None
    # Loading distributed sets up its loggers as the configuration says at that time.
    dask.config.set({"logging": dict.fromkeys(LOGGERS, "critical")})
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise missing_library() from None


def missing_library() -> ConfigurationError:
    """Return the error of a program that was installed without what clusters need."""
    return ConfigurationError(
        "Dask's distributed library is not installed, which builds on several machines need",
        hint="Install bigtop-builder[distributed] on every machine that takes part.",
    )


def unreachable(access: Access, error: BaseException) -> EngineError | ConfigurationError:
    """Return the error to show when the scheduler cannot be reached; Dask hides the cause in a chain."""
    causes = " ".join(f"{type(one).__name__} {one}" for one in _chain(error))
    if "certificate" in causes.lower() or "SSL" in causes:
        return ConfigurationError(
            f"the scheduler at {access.address} and this machine do not accept each other's certificates",
            hint=f"All parts of a cluster need certificates of one authority: compare {AUTHORITY}.pem on both sides. "
            "Certificates also expire.",
            location=access.place,
        )
    return EngineError(
        f"no Dask scheduler responds at {access.address}",
        hint="Start one with: dask scheduler, or check the address; a scheduler with certificates has tls://.",
    )


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
