"""Attestations as DSSE envelopes, which cosign and other verifiers of in-toto read, with a raw key from a PEM file.

The format is DSSE 1.0 (github.com/secure-systems-lab/dsse): the signature covers the type of the payload and its bytes,
which the envelope holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigtop_builder.adapter.secret import read_secret
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.project import Signing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
HINT = "Make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out attestation.pem"


@dataclass(frozen=True)
class AttestationKey:
    """A private key that signs attestations; ``public`` is its public half in PEM, ``key_id`` the latter's SHA-256."""

    private: EllipticCurvePrivateKey | Ed25519PrivateKey
    public: str
    key_id: str

    def envelope(self, statement: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
        """Return the envelope of a statement, by default an in-toto statement."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        data = encoded(statement, payload_type)
        if isinstance(self.private, Ed25519PrivateKey):
            signature = self.private.sign(data)
        else:
            signature = self.private.sign(data, _ecdsa())
        content = {
            "payloadType": payload_type,
            "payload": base64.b64encode(statement).decode(),
            "signatures": [{"keyid": self.key_id, "sig": base64.b64encode(signature).decode()}],
        }
        return json.dumps(content).encode() + b"\n"


def encoded(statement: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding of type and payload."""
    return b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type.encode(), len(statement), statement)


def attestation_key(signing: Signing) -> AttestationKey | None:
    """Read the key that a project signs attestations with; None if it has none. Raises ConfigurationError."""
    place, passphrase = "signing.attestation_key", signing.attestation_passphrase
    if signing.attestation_key is None:
        return None
    return load_attestation_key(
        read_secret(signing.attestation_key, place),
        read_secret(passphrase, "signing.attestation_passphrase") if passphrase else None,
        place,
    )


def load_attestation_key(pem: str, passphrase: str | None, place: str) -> AttestationKey:
    """Read a private key, ECDSA P-256 or Ed25519. Raises ConfigurationError; ``place`` is its place in the settings."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), passphrase.encode() if passphrase else None)
    except TypeError as error:
        raise ConfigurationError(
            f"{place}: its passphrase does not fit: {error}", hint="Set signing.attestation_passphrase as it needs."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"{place}: is not a private key in PEM, or its passphrase is wrong", hint=HINT
        ) from error
    ecdsa = isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)
    if not ecdsa and not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{place}: the key is neither ECDSA P-256 nor Ed25519", hint=HINT)
    assert isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey)
    public, key_id = _public(key.public_key())
    return AttestationKey(key, public, key_id)


def _public(key: EllipticCurvePublicKey | Ed25519PublicKey) -> tuple[str, str]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return pem, hashlib.sha256(der).hexdigest()


def signing_key_id(envelope: bytes) -> str:
    """Return the id of the key that an envelope names; empty if it names none."""
    try:
        return str(json.loads(envelope)["signatures"][0]["keyid"])
    except (ValueError, KeyError, IndexError, TypeError):
        return ""


def open_envelope(envelope: bytes, public: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return the statement of a type in an envelope that this public key, in PEM, signed.

    Raises ValueError with the problem.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        content = json.loads(envelope)
        if content["payloadType"] != payload_type:
            expected = "an in-toto statement" if payload_type == PAYLOAD_TYPE else payload_type
            raise ValueError(f"its payload is not {expected}")
        statement = base64.b64decode(content["payload"], validate=True)
        signatures = [base64.b64decode(one["sig"], validate=True) for one in content["signatures"]]
    except (KeyError, TypeError, binascii.Error, json.JSONDecodeError, RecursionError) as error:
        raise ValueError("it is not a DSSE envelope") from error
    try:
        key = load_pem_public_key(public)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("the public key of the attestations cannot be read") from error
    for signature in signatures:
        try:
            if isinstance(key, Ed25519PublicKey):
                key.verify(signature, encoded(statement, payload_type))
            elif isinstance(key, EllipticCurvePublicKey):
                key.verify(signature, encoded(statement, payload_type), _ecdsa())
            else:
                raise ValueError("the public key of the attestations is neither ECDSA nor Ed25519")
        except InvalidSignature:
            continue
        return statement
    raise ValueError("no signature is by the key of the attestations")


def _ecdsa() -> ECDSA:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    return ECDSA(SHA256())
