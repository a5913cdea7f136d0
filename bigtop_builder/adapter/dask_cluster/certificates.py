"""The certificates of a cluster: an authority of its own, and what it signed for each part.

Dask lets everybody in who shows a certificate of the cluster's authority, whatever name is in it. So the authority is
made for one cluster, and its key is needed only to make more certificates.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bigtop_builder.model.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

Part = Literal["scheduler", "worker", "client"]
PARTS: tuple[Part, ...] = ("scheduler", "worker", "client")
AUTHORITY = "ca"


def certificate(folder: Path, name: str) -> Path:
    """Return where the certificate of a part, or of the authority, is in such a folder."""
    return folder / f"{name}.pem"


def key(folder: Path, name: str) -> Path:
    """Return where the private key of a part, or of the authority, is in such a folder."""
    return folder / f"{name}-key.pem"


def make_certificates(folder: Path, days: int) -> list[Path]:
    """Make an authority and a certificate with key for each part, valid for some days; return the files.

    Raises ConfigurationError when there are certificates already, or the folder cannot be written.
    """
    if certificate(folder, AUTHORITY).exists():
        raise ConfigurationError(
            f"{folder} has certificates already",
            hint="Choose another folder, or remove this one: certificates of another authority do not fit together.",
        )
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = generate_private_key(SECP256R1())
        authority = _signed("bigtop-builder cluster authority", own, None, own, days)
        files = _write(folder, AUTHORITY, authority, own)
        for part in PARTS:
            secret = generate_private_key(SECP256R1())
            files += _write(folder, part, _signed(f"bigtop-builder {part}", secret, authority, own, days), secret)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}") from error
    return files


def _signed(
    name: str,
    own: EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: EllipticCurvePrivateKey,
    days: int,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    # Clocks of machines differ by minutes.
    begin = datetime.now(UTC) - timedelta(hours=1)
    usage = x509.KeyUsage(
        digital_signature=issuer is not None,
        key_cert_sign=issuer is None,
        crl_sign=issuer is None,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days, hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=0 if issuer is None else None), True)
        .add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
        .sign(issuer_key, SHA256())
    )


def _write(folder: Path, name: str, made: x509.Certificate, own: EllipticCurvePrivateKey) -> list[Path]:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    secret, public = key(folder, name), certificate(folder, name)
    with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(made.public_bytes(Encoding.PEM))
    return [public, secret]
