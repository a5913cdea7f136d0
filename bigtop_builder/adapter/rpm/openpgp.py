"""Parses just enough OpenPGP to tell who signed something, and with what kind of key (RFC 4880 sections 4 to 6, 12)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

BEGIN = b"-----BEGIN PGP"
SIGNATURE_PACKET, KEY_PACKET, USER_PACKET, SUBKEY_PACKET = 2, 6, 13, 14
CERTIFICATIONS = (0x10, 0x11, 0x12, 0x13)
SUBKEY_BINDING, DIRECT_KEY = 0x18, 0x1F
CREATION_TIME, ISSUER_KEY_ID, ISSUER_FINGERPRINT = 2, 16, 33
PUBLIC_KEY_ALGORITHMS = {1: "RSA", 3: "RSA", 17: "DSA", 19: "ECDSA", 22: "EdDSA", 27: "EdDSA"}
DIGESTS = {1: "MD5", 2: "SHA-1", 3: "RIPEMD-160", 8: "SHA-256", 9: "SHA-384", 10: "SHA-512", 11: "SHA-224"}


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
    kind: int = 0
    """0x00 is over a document, 0x10 to 0x13 over a user id, 0x18 over a subkey."""


@dataclass
class PublicKey:
    """A primary key or a subkey: ``bits`` is the length of an RSA or DSA key, 0 for others.

    ``self_signatures`` has a digest for each user id or, for a subkey, its binding: that of the newest signature by the
    primary key, which is the one that counts.
    """

    fingerprint: str
    algorithm: str
    bits: int
    self_signatures: dict[str, str]


def parse_signature(packet: bytes) -> Signature:
    """Parse the signature packet at the start of ``packet``. Raises ValueError when there is none."""
    try:
        kind, body = _packet(packet)
        if kind != SIGNATURE_PACKET:
            raise ValueError("not an OpenPGP signature")
        if body[0] == 3:
            algorithm = PUBLIC_KEY_ALGORITHMS.get(body[15], str(body[15]))
            return Signature(body[7:15].hex().upper(), "", algorithm, body[16], _number(body[3:7]), body[2])
        if body[0] != 4:
            raise ValueError(f"OpenPGP signature of version {body[0]}")
        hashed_end = 6 + _number(body[4:6])
        unhashed = body[hashed_end + 2 : hashed_end + 2 + _number(body[hashed_end : hashed_end + 2])]
        parts = {**_subpackets(unhashed), **_subpackets(body[6:hashed_end])}
        fingerprint = parts.get(ISSUER_FINGERPRINT, b"")[1:].hex().upper()
        key_id = parts.get(ISSUER_KEY_ID, b"").hex().upper() or fingerprint[-16:]
        algorithm = PUBLIC_KEY_ALGORITHMS.get(body[2], str(body[2]))
        return Signature(key_id, fingerprint, algorithm, body[3], _number(parts.get(CREATION_TIME, b"")), body[1])
    except IndexError as error:
        raise ValueError("truncated OpenPGP signature") from error


def parse_key(data: bytes) -> list[PublicKey]:
    """Parse an exported public key, not armoured: the primary key first, then its subkeys. Raises ValueError."""
    keys: list[PublicKey] = []
    newest: dict[tuple[int, str], int] = {}
    about = ""
    try:
        for kind, body, packet in _packets(data):
            if kind in (KEY_PACKET, SUBKEY_PACKET):
                keys.append(_public_key(body))
                about = "subkey" if kind == SUBKEY_PACKET else "key"
            elif kind == USER_PACKET:
                about = body.decode(errors="replace")
            elif kind == SIGNATURE_PACKET and keys:
                signature = parse_signature(packet)
                own = signature.key_id == keys[0].fingerprint[-16:]
                if not own or signature.kind not in (*CERTIFICATIONS, SUBKEY_BINDING, DIRECT_KEY):
                    continue
                where = len(keys) - 1, about
                if signature.created >= newest.get(where, 0):
                    newest[where] = signature.created
                    digest = DIGESTS.get(signature.digest_algorithm, str(signature.digest_algorithm))
                    keys[-1].self_signatures[about] = digest
    except IndexError as error:
        raise ValueError("truncated OpenPGP key") from error
    if not keys:
        raise ValueError("not an OpenPGP key")
    return keys


def _public_key(body: bytes) -> PublicKey:
    if body[0] != 4:
        raise ValueError(f"OpenPGP key of version {body[0]}")
    algorithm = PUBLIC_KEY_ALGORITHMS.get(body[5], str(body[5]))
    # Both begin with the number whose length is the key's: RSA's modulus, DSA's prime.
    bits = _number(body[6:8]) if algorithm in ("RSA", "DSA") else 0
    digest = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False)
    return PublicKey(digest.hexdigest().upper(), algorithm, bits, {})


def dearmor(text: bytes) -> bytes:
    """Return the bytes inside one or several ASCII armours; ``text`` itself when it has none. Raises ValueError."""
    if not text.lstrip().startswith(BEGIN):
        return text
    return b"".join(_dearmored(BEGIN + block) for block in text.split(BEGIN)[1:])


def _dearmored(text: bytes) -> bytes:
    lines = [line.strip() for line in text.strip().splitlines()]
    start = lines.index(b"") + 1 if b"" in lines else 1
    body = [line for line in lines[start:] if line and not line.startswith((b"-----", b"="))]
    try:
        return base64.b64decode(b"".join(body), validate=True)
    except binascii.Error as error:
        raise ValueError("damaged ASCII armour") from error


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _packets(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the kind and body of each packet, and the packet as a whole."""
    while data:
        kind, start, end = _extent(data)
        yield kind, data[start:end], data[:end]
        data = data[end:]


def _packet(data: bytes) -> tuple[int, bytes]:
    kind, start, end = _extent(data)
    return kind, data[start:end]


def _extent(data: bytes) -> tuple[int, int, int]:
    """Return the kind of the first packet, and where its body begins and ends."""
    first = data[0]
    if not first & 0x80:
        raise ValueError("not an OpenPGP packet")
    if first & 0x40:
        length, start = _new_length(data, 1)
        return first & 0x3F, start, start + length
    width = 1 << (first & 3)
    if width == 8:
        return first >> 2 & 0xF, 1, len(data)
    return first >> 2 & 0xF, 1 + width, 1 + width + _number(data[1 : 1 + width])


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
