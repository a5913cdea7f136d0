"""The keys of a publication when they change: which ones hosts are given, and packages signed again with a new one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bigtop_builder.adapter.repository.pool import Pool, PooledPackage
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.adapter.rpm.openpgp import dearmor, parse_key
from bigtop_builder.adapter.rpm.signing import open_keyring
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.publish.attestation import Origins
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import PublishError

SHOWN = 10


@dataclass(frozen=True)
class KeyChange:
    """What a publication changes about the keys that its ``.repo`` file names, besides the one that signs."""

    announce: tuple[bytes, ...] = ()
    """Public keys to add: hosts get to know them before anything is signed with them."""
    keep_former: bool = False
    """Go on naming the key that signed the former publication."""
    only_signing: bool = False
    """Name the signing key alone."""


@dataclass(frozen=True)
class PublishedKeys:
    """The public keys of a publication: the ``files``, and the names of those that its ``.repo`` file lists.

    The signing key's file is the first of them, and always has the same name; each key also has a file that is named
    after it. A ``.repo`` file that named a key before it signed can so be used unchanged when it does.
    """

    files: dict[str, str]
    listed: tuple[str, ...]

    @property
    def all_in_one(self) -> str:
        """The listed keys in one file."""
        return "".join(self.files[name] for name in self.listed)


def published_keys(signer: Signer, key_file: str, former: Mapping[str, str], change: KeyChange) -> PublishedKeys:
    """Return the public keys of a publication; ``key_file`` is the name of the signing key's.

    ``former`` are the files of the publication before; its announced and former keys stay unless ``change`` drops
    them. Raises PublishError for a key that cannot be read.
    """
    own, signed_before = signer.public_key().decode(), former.get(key_file, "")
    texts = [text for name, text in former.items() if name.startswith(f"{key_file}-") and text != signed_before]
    texts += [signed_before] if change.keep_former and signed_before else []
    texts += [key.decode(errors="replace") for key in change.announce]
    by_id = {fingerprint_of(text): text for text in texts if not change.only_signing}
    by_id.pop(signer.fingerprint, None)
    others = {_named(key_file, fingerprint): text for fingerprint, text in sorted(by_id.items())}
    files = {key_file: own, _named(key_file, signer.fingerprint): own, **others}
    return PublishedKeys(files, (key_file, *others))


def _named(key_file: str, fingerprint: str) -> str:
    return f"{key_file}-{fingerprint[-16:].lower()}"


def fingerprint_of(armoured: str) -> str:
    """Return the fingerprint of a public key. Raises PublishError if it cannot be read."""
    try:
        return parse_key(dearmor(armoured.encode()))[0].fingerprint
    except ValueError as error:
        raise PublishError(
            f"a public key cannot be read: {error}", hint="Export it: gpg --armor --export KEY"
        ) from error


def sign_again(
    packages: Iterable[PooledPackage], pool: Pool, signer: Signer, store: Store | None
) -> dict[PooledPackage, PooledPackage]:
    """Sign published packages with this key instead of their own; return the new one of each.

    They are made from the unsigned bytes in ``store``, measured first: a signature of another key, which may have been
    lost, vouches for nothing. Raises PublishError, and names them, if some are not there.
    """
    origins, found, lost = Origins(store), {}, []
    for package in packages:
        origin = origins.holding(package.file_name, package.content)
        if origin is None or of_file(origin.path) != origin.sha256:
            lost.append(f"{package.file_name} (signed by {package.key[-16:]})")
        else:
            found[package] = origin.path
    if lost:
        more = f" and {len(lost) - SHOWN} more" if lost[SHOWN:] else ""
        raise PublishError(
            f"published packages have another key than {signer.fingerprint}, and the store does not have them "
            f"unsigned: {', '.join(lost[:SHOWN])}{more}",
            hint="Build them again or give their files, or drop them with --only-these; or sign with the former key.",
        )
    with open_keyring(signer.public_key()) as keyring, ThreadPoolExecutor(os.cpu_count()) as threads:
        taken = threads.map(lambda path: pool.take(path, read_header(path), signer, keyring), found.values())
        return dict(zip(found, taken, strict=True))
