"""What a platform's own rpm can read: keys and packages that it cannot are refused before anything is signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.rpm.header import RpmHeader
from bigtop_builder.adapter.rpm.openpgp import PublicKey, dearmor, parse_key, parse_signature
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.platform import Platform

FITTING_KEY = (
    "Make a fitting one in a GnuPG home of its own: gpg --homedir DIR --quick-generate-key 'NAME <MAIL>' rsa3072 sign "
    "never; then name both under signing in the project file. Or let repo publish --make-key do it in an empty home."
)
NEW_SELF_SIGNATURE = (
    "Have the key sign itself anew: gpg --cert-digest-algo SHA256 --quick-set-expire {} 0. "
    "Hosts that trust it already need it again."
)


def check_key(signer: Signer, platform: Platform) -> None:
    """Raise PublishError, with a hint how to get a fitting key, unless the platform's rpm verifies this signer's."""
    try:
        keys = parse_key(dearmor(signer.public_key()))
        used = parse_signature(signer.sign(b"")).key_id
    except ValueError as error:
        raise PublishError(f"the key {signer.fingerprint} cannot be read: {error}", hint=FITTING_KEY) from error
    # rpm takes a signature only if it can read the primary key, which vouches for the subkey that signs.
    for key in keys[:1] + [key for key in keys[1:] if key.fingerprint.endswith(used)]:
        for problem, hint in _problems(key, platform):
            raise PublishError(
                f"{platform.title} ({platform.name}) would not verify the key {key.fingerprint}: {problem}", hint=hint
            )


def _problems(key: PublicKey, platform: Platform) -> Iterator[tuple[str, str]]:
    rules = platform.rpm
    if key.algorithm not in rules.keys:
        weak = ", which is too weak" if key.algorithm == "DSA" else ""
        yield f"it is {key.algorithm}{weak}, and rpm there reads {', '.join(rules.keys)}", FITTING_KEY
    elif key.algorithm == "RSA" and key.bits < rules.rsa_bits:
        yield f"it has {key.bits} bits, and fewer than {rules.rsa_bits} are too weak", FITTING_KEY
    for about, digest in key.self_signatures.items():
        if digest not in rules.key_digests:
            yield f"its signature on itself ({about}) uses {digest}", NEW_SELF_SIGNATURE.format(key.fingerprint)


def check_payload(path: Path, header: RpmHeader, platform: Platform) -> None:
    """Raise PublishError unless the platform's rpm can unpack this package."""
    compressor, readable = header.payload_compressor, platform.readable_payloads
    if compressor not in readable:
        raise PublishError(
            f"{path} has a payload that is compressed with {compressor}, which rpm of {platform.title} "
            f"({platform.name}) cannot read: it reads {', '.join(readable)}",
            hint=f"Build it for {platform.name}; if you know that rpm there reads it, add it to rpm.payloads of the "
            "platform in an overlay.",
        )
