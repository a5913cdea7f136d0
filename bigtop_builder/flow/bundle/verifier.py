"""``bundle verify``: check every byte of a bundle against its manifest, and the manifest against a key."""

from __future__ import annotations

from dataclasses import dataclass, field

from bigtop_builder.adapter.bundle.reader import BundleReader
from bigtop_builder.adapter.bundle.writer import Progress
from bigtop_builder.model.bundle import Manifest
from bigtop_builder.model.errors import PublishError, SourceError

GOOD, NONE, UNCHECKED = "good", "none", "not checked"


@dataclass
class Verdict:
    """The result: names of files that differ from the manifest, and the state of its signature.

    ``size`` is in bytes; ``signed_by`` is the id of the key named in the signature.
    """

    files: int
    size: int
    signature: str
    signed_by: str | None
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    altered: dict[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether every file is present and unchanged."""
        return not (self.missing or self.extra or self.altered)


def verify_bundle(reader: BundleReader, key: bytes | None, progress: Progress) -> Verdict:
    """Read all of a bundle. Raises PublishError when a given key is unusable."""
    missing, extra, resized = reader.differences()
    altered = dict.fromkeys(resized, "another size")
    files = reader.manifest.files
    for file in files:
        if file.path not in reader.members or file.path in altered:
            continue
        try:
            for _ in reader.verified(file, progress):
                pass
        except SourceError as error:
            altered[file.path] = error.message
    signature, signed_by = _signature(reader, key)
    size = sum(file.size for file in files)
    return Verdict(len(files), size, signature, signed_by, missing, extra, altered)


def require_signature(reader: BundleReader, key: bytes | None, *, accept_unsigned: bool = False) -> list[str]:
    """Raise PublishError unless ``key``, which the user trusts, signed the manifest; return what is not verified.

    Without a key nothing says who made a bundle, whatever signature it has: ``accept_unsigned`` accepts that. It does
    not accept a signature that the given key has not made.
    """
    signature, signed_by = _signature(reader, key)
    if key is not None:
        if signature != GOOD:
            problem = "is not signed" if signature == NONE else f"is not signed by this key: {signature}"
            raise PublishError(
                f"{reader.place} {problem}", hint="Get the right key, or bundle, from whoever created it."
            )
        return []
    by = "it is not signed" if signature == NONE else f"its signature, of the key {signed_by}, is not checked"
    if not accept_unsigned:
        raise PublishError(
            f"nothing proves who made {reader.place}: {by}",
            hint="Name the public key of whoever created it: --key FILE, from them and not from the bundle. "
            "--accept-unsigned loads it whoever made it: its builds, packages and settings then are whatever they are.",
        )
    return [f"nothing proves who made this bundle, because {by}", *_unproven(reader.manifest)]


def _unproven(manifest: Manifest) -> list[str]:
    """Say what of a bundle is taken as it is when its manifest proves nothing."""
    parts = {
        "the project file, overlays and inventories, which decide what is built and run": any(
            file.path.startswith("project/") for file in manifest.files
        ),
        f"{len(manifest.sources)} sources (those with a digest in a component file are checked when it is built)": bool(
            manifest.sources
        ),
        f"the download caches of {', '.join(cache.kind for cache in manifest.caches)}": bool(manifest.caches),
        "the images that builds run in": manifest.images is not None,
        "the repositories and their keys": bool(manifest.repositories),
        "the wheels of bigtop-builder": manifest.python is not None,
    }
    return [f"not verified: {what}" for what, there in parts.items() if there]


def _signature(reader: BundleReader, key: bytes | None) -> tuple[str, str | None]:
    from bigtop_builder.adapter.rpm.openpgp import dearmor, parse_signature
    from bigtop_builder.adapter.rpm.signing import open_keyring, verify_detached

    if reader.signature is None:
        return NONE, None
    try:
        signed_by: str | None = parse_signature(dearmor(reader.signature)).key_id
    except ValueError:
        signed_by = None
    if key is None:
        return UNCHECKED, signed_by
    with open_keyring(key) as keyring:
        return verify_detached(reader.manifest_bytes, reader.signature, keyring) or GOOD, signed_by
