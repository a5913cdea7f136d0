"""Signs packages and verifies signatures, without rpm on the host.

Like rpmsign of rpm 4.14 and later by default, the signature covers only the main header. That is enough: the header
holds the digests of the payload and of every file, so every byte of the content is covered. The older signature over
header and payload (tags PGP and GPG) is omitted: it would require reading every payload once more, and rpm 4.11 of
EL 7, the oldest supported, does not need it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bigtop_builder.adapter.rpm.block import Block, Entry, RpmBlocks, read_blocks, with_signature
from bigtop_builder.adapter.rpm.gnupg import INSTALL_HINT, TIMEOUT, Signer
from bigtop_builder.adapter.rpm.openpgp import dearmor, parse_signature
from bigtop_builder.adapter.rpm.tags import DIGEST_ALGORITHMS, SignatureTag, Tag, Type
from bigtop_builder.model.errors import PublishError

SIGNATURES = (SignatureTag.RSA, SignatureTag.DSA, SignatureTag.PGP, SignatureTag.GPG)
TAG_OF_ALGORITHM = {"RSA": SignatureTag.RSA, "DSA": SignatureTag.DSA, "EdDSA": SignatureTag.DSA}
CHUNK = 1 << 20


def sign_package(signer: Signer, source: Path, target: Path) -> bool:
    """Write ``source``, signed, to ``target``; return False when it was signed with this key before and only copied.

    ``target`` appears complete or not at all. Header and payload stay byte-identical; an older signature is dropped.
    Raises PublishError when the source is damaged or gpg fails.
    """
    blocks = read_blocks(source)
    signed = _key_ids(blocks.signature) & {fingerprint[-16:] for fingerprint in signer.fingerprints}
    if signed:
        start = blocks.lead + blocks.signature.raw + bytes(-len(blocks.signature.raw) % 8)
    else:
        packet = signer.sign(blocks.header.raw)
        algorithm = parse_signature(packet).algorithm
        if algorithm not in TAG_OF_ALGORITHM:
            raise PublishError(f"rpm cannot verify {algorithm} signatures", hint="Use an RSA key.")
        entry = Entry(TAG_OF_ALGORITHM[algorithm], Type.BINARY, len(packet), packet)
        start = with_signature(blocks, [entry], [*SIGNATURES, SignatureTag.RESERVED_SPACE])
    with _whole(target) as temporary:
        with source.open("rb") as old, temporary.open("wb") as new:
            old.seek(blocks.header_offset)
            new.write(start)
            shutil.copyfileobj(old, new, CHUNK)
            new.flush()
            os.fsync(new.fileno())
        temporary.rename(target)
    return not signed


@contextlib.contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``target``. Raises PublishError for an error of the file system."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
    except OSError as error:
        raise PublishError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _key_ids(signature: Block) -> set[str]:
    ids = set()
    for tag in (SignatureTag.RSA, SignatureTag.DSA):
        packet = signature.binary(tag)
        if packet:
            with contextlib.suppress(ValueError):
                ids.add(parse_signature(packet).key_id)
    return ids


@contextlib.contextmanager
def open_keyring(public_key: bytes) -> Iterator[Path]:
    """Yield a keyring file for verify_package and verify_detached, with one public key, armoured or not.

    Raises PublishError when the key cannot be read.
    """
    try:
        binary = dearmor(public_key)
    except ValueError as error:
        raise PublishError(f"the public key cannot be read: {error}") from error
    with tempfile.TemporaryDirectory(prefix="keyring-") as folder:
        keyring = Path(folder) / "keyring.gpg"
        keyring.write_bytes(binary)
        yield keyring


def verify_detached(data: bytes, signature: bytes, keyring: Path) -> str | None:
    """Return None when a key of the keyring made this signature over ``data``, else the problem.

    Raises PublishError when gpgv is missing or does not answer.
    """
    with tempfile.NamedTemporaryFile(prefix="signature-") as file:
        try:
            file.write(dearmor(signature))
        except ValueError as error:
            return str(error)
        file.flush()
        command = ["gpgv", "--keyring", str(keyring), "--status-fd", "1", file.name, "-"]
        try:
            answer = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT)
        except FileNotFoundError as error:
            raise PublishError("gpgv is not installed, so nothing can be verified", hint=INSTALL_HINT) from error
        except subprocess.TimeoutExpired as error:
            raise PublishError(f"gpgv did not answer within {TIMEOUT} s") from error
    status = {line.split()[1] for line in answer.stdout.decode(errors="replace").splitlines() if "[GNUPG:]" in line}
    if answer.returncode == 0 and "GOODSIG" in status:
        return None
    reasons = {
        "BADSIG": "the signature does not match the content",
        "NO_PUBKEY": "signed with another key",
        "EXPKEYSIG": "the key has expired",
        "REVKEYSIG": "the key was revoked",
    }
    return next((text for word, text in reasons.items() if word in status), "the signature cannot be read")


def verify_package(path: Path, keyring: Path) -> list[str]:
    """Return the problems of a package's digests and signature; empty when it is valid.

    Raises PublishError when the file is not an RPM, or gpgv is not installed.
    """
    blocks = read_blocks(path)
    problems = verify_digests(path, blocks)
    packet = blocks.signature.binary(SignatureTag.RSA) or blocks.signature.binary(SignatureTag.DSA)
    if packet is None:
        return [*problems, "not signed"]
    wrong = verify_detached(blocks.header.raw, packet, keyring)
    return [*problems, wrong] if wrong else problems


def verify_digests(path: Path, blocks: RpmBlocks) -> list[str]:
    """Return one message for each recorded digest of header or payload that does not match."""
    header, signature = blocks.header, blocks.signature
    problems = []
    for tag, name in ((SignatureTag.SHA1, "sha1"), (SignatureTag.SHA256, "sha256")):
        recorded = signature.text(tag)
        if recorded and recorded != hashlib.new(name, header.raw, usedforsecurity=False).hexdigest():
            problems.append(f"the header's {name} is wrong")
    payload_digest = header.text(Tag.PAYLOAD_DIGEST)
    number = next(iter(header.numbers(Tag.PAYLOAD_DIGEST_ALGORITHM)), 8)
    payload = hashlib.new(DIGEST_ALGORITHMS.get(number, "sha256"), usedforsecurity=False)
    everything = hashlib.md5(header.raw, usedforsecurity=False)
    with path.open("rb") as stream:
        stream.seek(blocks.payload_offset)
        while chunk := stream.read(CHUNK):
            everything.update(chunk)
            if payload_digest:
                payload.update(chunk)
    if payload_digest and payload.hexdigest() != payload_digest:
        problems.append("the payload's digest is wrong")
    recorded_md5 = signature.binary(SignatureTag.MD5)
    if recorded_md5 and recorded_md5 != everything.digest():
        problems.append("the MD5 of header and payload is wrong")
    return problems
