"""What a platform's own rpm can read: keys and packages that it cannot are refused before anything is signed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.rpm.header import RpmHeader
from bigtop_builder.adapter.rpm.openpgp import PublicKey, dearmor, parse_key, parse_signature
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.platform import Platform
from bigtop_builder.model.version import compare_versions

FITTING_KEY = (
    "Make a fitting one in a GnuPG home of its own: gpg --homedir DIR --quick-generate-key 'NAME <MAIL>' rsa3072 sign "
    "never; then name both under signing in the project file. Or let repo publish --make-key do it in an empty home."
)
NEW_SELF_SIGNATURE = (
    "Have the key sign itself anew: gpg --cert-digest-algo SHA256 --quick-set-expire {} 0. "
    "Hosts that trust it already need it again."
)
RPMLIB, PAYLOAD_FEATURE = "rpmlib(", "PayloadIs"
FEATURES = {
    **dict.fromkeys(("VersionedDependencies", "CompressedFileNames", "PayloadFilesHavePrefix"), "4.0"),
    **dict.fromkeys(("ExplicitPackageProvide", "HeaderLoadSortsTags", "ScriptletInterpreterArgs"), "4.0.3"),
    "PartialHardlinkSets": "4.0.4",
    "ConcurrentAccess": "4.1",
    "BuiltinLuaScripts": "4.2.2",
    "FileDigests": "4.6",
    "FileCaps": "4.6.1",
    "ScriptletExpansion": "4.9",
    "TildeInVersions": "4.10",
    "LargeFiles": "4.12",
    "RichDependencies": "4.13",
    "CaretInVersions": "4.15",
    "DynamicBuildRequires": "4.15",
}
"""Features (``rpm --showrc``) and the version of rpm that brought them. Payloads are told by ``rpm.payloads``."""


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


def key_problems(keyring: bytes, used: Iterable[str], platform: Platform) -> Iterator[tuple[str, str]]:
    """Yield each key that signed (``used``: key ids) and that rpm of the platform would not take, with the reason."""
    ids = tuple(used)
    try:
        keys = parse_key(dearmor(keyring))
    except ValueError:
        return
    for key in keys:
        if key.fingerprint.endswith(ids):
            for problem, _ in _problems(key, platform):
                yield key.fingerprint, f"rpm of {platform.title} ({platform.name}) would not verify this key: {problem}"


def package_problems(header: RpmHeader, platform: Platform) -> Iterator[str]:
    """Yield why rpm of the platform could not install a package."""
    compressor, readable = header.payload_compressor, platform.readable_payloads
    if compressor not in readable:
        yield (
            f"has a payload that is compressed with {compressor}, which rpm of {platform.title} ({platform.name}) "
            f"cannot read: it reads {', '.join(readable)}"
        )
    version = platform.rpm.version
    for feature in _features(header):
        since = FEATURES.get(feature)
        if feature.startswith(PAYLOAD_FEATURE):
            continue
        if since is None:
            yield f"requires rpmlib({feature}), which no rpm is known to have"
        elif compare_versions(version, since) < 0:
            yield f"requires rpmlib({feature}), which rpm has from {since} on; {platform.name} has rpm {version}"


def _features(header: RpmHeader) -> list[str]:
    """Return the features of rpm that a package requires, stated or not."""
    stated = {text[len(RPMLIB) :].partition(")")[0] for text in header.requires if text.startswith(RPMLIB)}
    if any(text.startswith("(") for text in header.requires):
        stated.add("RichDependencies")
    return sorted(stated)


def check_package(path: Path, header: RpmHeader, platform: Platform) -> None:
    """Raise PublishError unless the platform's rpm can unpack and understand this package."""
    for problem in package_problems(header, platform):
        raise PublishError(
            f"{path} {problem}",
            hint=f"Build it for {platform.name}; if you know that rpm there reads it, say so under rpm of the platform "
            "(payloads, version) in an overlay.",
        )
