"""A Java truststore made from a PEM bundle, for every JDK from 8 on."""

from __future__ import annotations

import hashlib
import re
import ssl
import struct
from pathlib import Path

from bigtop_builder.model.errors import ConfigurationError

MAGIC = 0xFEEDFEED
VERSION = 2
TRUSTED_CERTIFICATE = 2
PASSWORD = "changeit"
WHITENER = b"Mighty Aphrodite"
PEM_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def certificates(bundle: Path) -> list[bytes]:
    """Return the certificates of a PEM file in DER, in order, each once. Raises ConfigurationError when it has none."""
    try:
        text = bundle.read_text(encoding="ascii", errors="replace")
        found = [ssl.PEM_cert_to_DER_cert(block) for block in PEM_BLOCK.findall(text)]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the CA bundle {bundle} is unreadable: {error}") from error
    if not found:
        raise ConfigurationError(
            f"the CA bundle {bundle} has no certificates", hint="network.ca_bundle must be a file in PEM format."
        )
    return list(dict.fromkeys(found))


def java_truststore(der_certificates: list[bytes]) -> bytes:
    """Return the certificates in the JKS format, as OpenJDK's ``sun.security.provider.JavaKeyStore`` reads it.

    JKS, not PKCS12: the default trust manager opens ``cacerts`` without a password, which JDK 8 before 8u301
    cannot do with PKCS12. The digest at the end covers the usual password ``changeit``.
    """
    data = bytearray(struct.pack(">III", MAGIC, VERSION, len(der_certificates)))
    for number, der in enumerate(der_certificates, start=1):
        data += struct.pack(">I", TRUSTED_CERTIFICATE) + _text(f"ca-{number:04}")
        data += struct.pack(">Q", 0) + _text("X.509") + struct.pack(">I", len(der)) + der
    digest = hashlib.sha1(PASSWORD.encode("utf-16-be") + WHITENER + data, usedforsecurity=False).digest()
    return bytes(data) + digest


def _text(value: str) -> bytes:
    """Encode ASCII as ``DataOutput.writeUTF`` does."""
    return struct.pack(">H", len(value)) + value.encode()
