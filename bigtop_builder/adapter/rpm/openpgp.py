"""Parses just enough OpenPGP to tell who signed something (RFC 4880 sections 4, 5.2 and 6)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

SIGNATURE_PACKET = 2
CREATION_TIME, ISSUER_KEY_ID, ISSUER_FINGERPRINT = 2, 16, 33
PUBLIC_KEY_ALGORITHMS = {1: "RSA", 3: "RSA", 17: "DSA", 19: "ECDSA", 22: "EdDSA"}


@dataclass(frozen=True)
class Signature:
    """Who signed.

    ``key_id`` is 16, ``fingerprint`` 40 upper-case hexadecimal digits (empty when the signature lacks it);
    ``created`` is in seconds since the epoch.
    """

    key_id: str
    fingerprint: str
    algorithm: str
    digest_algorithm: int
    created: int


def parse_signature(packet: bytes) -> Signature:
    """Parse the signature packet at the start of ``packet``. Raises ValueError when there is none."""
    try:
        kind, body = _packet(packet)
        if kind != SIGNATURE_PACKET:
            raise ValueError("not an OpenPGP signature")
        if body[0] == 3:
            algorithm = PUBLIC_KEY_ALGORITHMS.get(body[15], str(body[15]))
            return Signature(body[7:15].hex().upper(), "", algorithm, body[16], _number(body[3:7]))
        if body[0] != 4:
            raise ValueError(f"OpenPGP signature of version {body[0]}")
        hashed_end = 6 + _number(body[4:6])
        unhashed = body[hashed_end + 2 : hashed_end + 2 + _number(body[hashed_end : hashed_end + 2])]
        parts = {**_subpackets(unhashed), **_subpackets(body[6:hashed_end])}
        fingerprint = parts.get(ISSUER_FINGERPRINT, b"")[1:].hex().upper()
        key_id = parts.get(ISSUER_KEY_ID, b"").hex().upper() or fingerprint[-16:]
        algorithm = PUBLIC_KEY_ALGORITHMS.get(body[2], str(body[2]))
        return Signature(key_id, fingerprint, algorithm, body[3], _number(parts.get(CREATION_TIME, b"")))
    except IndexError as error:
        raise ValueError("truncated OpenPGP signature") from error


def dearmor(text: bytes) -> bytes:
    """Return the bytes inside an ASCII armour; ``text`` itself when it has none. Raises ValueError."""
    if not text.lstrip().startswith(b"-----BEGIN PGP"):
        return text
    lines = [line.strip() for line in text.strip().splitlines()]
    start = lines.index(b"") + 1 if b"" in lines else 1
    body = [line for line in lines[start:] if line and not line.startswith((b"-----", b"="))]
    try:
        return base64.b64decode(b"".join(body), validate=True)
    except binascii.Error as error:
        raise ValueError("damaged ASCII armour") from error


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _packet(data: bytes) -> tuple[int, bytes]:
    first = data[0]
    if not first & 0x80:
        raise ValueError("not an OpenPGP packet")
    if first & 0x40:
        length, start = _new_length(data, 1)
        return first & 0x3F, data[start : start + length]
    width = 1 << (first & 3)
    if width == 8:
        return first >> 2 & 0xF, data[1:]
    return first >> 2 & 0xF, data[1 + width : 1 + width + _number(data[1 : 1 + width])]


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """Return the length in the new format at ``at``, and where the measured bytes begin."""
    first = data[at]
    if first < 192:
        return first, at + 1
    if first < 255:
        return ((first - 192) << 8) + data[at + 1] + 192, at + 2
    return _number(data[at + 1 : at + 5]), at + 5


def _subpackets(area: bytes) -> dict[int, bytes]:
    parts: dict[int, bytes] = {}
    at = 0
    while at < len(area):
        length, start = _new_length(area, at)
        if length < 1:
            raise ValueError("damaged OpenPGP subpacket")
        parts[area[start] & 0x7F] = area[start + 1 : start + length]
        at = start + length
    return parts
