"""The dates of a server's certificate: OpenSSL says that it has expired, not when."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

TIMEOUT = 5.0


def dates(url: str) -> tuple[datetime, datetime] | None:
    """Return from when until when the server's own certificate is valid; None if it cannot be read.

    The certificate is not verified: nothing but the handshake is sent.
    """
    from cryptography import x509

    place = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        address = (place.hostname or "", place.port or 443)
        with (
            socket.create_connection(address, TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=place.hostname) as connection,
        ):
            found = connection.getpeercert(binary_form=True)
        known = x509.load_der_x509_certificate(found or b"")
        return known.not_valid_before_utc, known.not_valid_after_utc
    except (OSError, ValueError):
        return None


def untimely(url: str) -> str:
    """Return ``expired on 2026-01-31``, ``is valid from 2027-01-01``, or what is wrong if it is neither."""
    found, now = dates(url), datetime.now(UTC)
    if found is None:
        return "is not valid today"
    first, last = found
    if last < now:
        return f"expired on {last:%Y-%m-%d}"
    if first > now:
        return f"is only valid from {first:%Y-%m-%d}"
    return "was signed by an authority whose own certificate is not valid today"
