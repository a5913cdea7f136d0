"""Publish packages: check, sign and describe them, and switch the new snapshot in."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from bigtop_builder.adapter.provenance.dsse import AttestationKey
from bigtop_builder.adapter.repository.metadata import (
    ALL_KEYS,
    ATTESTATION_KEY,
    PACKAGES,
    PROVENANCE,
    require_createrepo,
)
from bigtop_builder.adapter.repository.pool import STATEMENT, Pool, PooledPackage
from bigtop_builder.adapter.repository.seen import Seen, State
from bigtop_builder.adapter.repository.snapshot import REPOMD, Contents, Publications, writing
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.adapter.rpm.signing import open_keyring
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.publish.key_rotation import KeyChange, published_keys, sign_again
from bigtop_builder.flow.publish.package_origin import check_origin
from bigtop_builder.flow.publish.provenance import complete
from bigtop_builder.flow.publish.repo_file import local_address, repo_file, repo_file_name
from bigtop_builder.flow.publish.rpm_rules import check_key, check_package
from bigtop_builder.flow.publish.verifier import is_whole
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.evr import evr_key
from bigtop_builder.model.platform import Platform
from bigtop_builder.model.stack import Stack

MIN_SNAPSHOTS = 2


@dataclass(frozen=True)
class Rules:
    """How a publication treats existing packages and the given ones."""

    base_url: str | None = None
    """The address at which hosts see the root; by default that of the publication before. Without any there is no
    ``.repo`` file: the path on this machine would be of no use to another."""
    stack: Stack | None = None
    """Refuse packages of another stack than this."""
    keep_snapshots: int = 3
    """How many snapshots to keep, including the visible one: at least 2."""
    keep_versions: int | None = None
    """How many versions of each package to keep, the newest first; None keeps all."""
    replace: bool = False
    """Replace a package of the same name, version, release and architecture but different content."""
    allow_foreign: bool = False
    """Accept packages with another platform's dist tag or architecture, or of another stack."""
    only_these: bool = False
    """Drop packages that were published before and are not given now."""
    valid_for: int | None = None
    """After how many seconds ``repo verify`` reports the publication as expired; None for never."""
    keys: KeyChange | None = None
    """How the keys change; then no packages need to be given."""
    attestor: AttestationKey | None = None
    """Puts the attestations into DSSE envelopes too."""


@dataclass(frozen=True)
class Publication:
    """The result of a publication.

    ``added`` and ``removed`` are file names; ``changed`` is False if the visible snapshot already had exactly these
    packages, complete.
    """

    folder: Path
    snapshot: Path
    repo_file: Path | None
    """None if it is not known at which address hosts see the repository."""
    key_file: Path
    packages: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: bool
    revision: int = 0
    expires: int | None = None
    """When it expires, in seconds since the epoch."""
    signed_again: tuple[str, ...] = ()
    """Published packages that got a signature of this key instead of another's."""
    keys: tuple[str, ...] = ()
    """The files of the public keys that the ``.repo`` file lists, the signing key's first."""
    not_attested: tuple[str, ...] = ()
    """The given packages that come from no result of the store: they have an SBOM and no attestation."""
    local_address: str | None = None
    """The address in the ``.repo`` file, if other hosts do not reach it: ``file:///srv/rpm/…``."""


def publish(
    packages: Sequence[Path],
    root: Path,
    stack: str,
    platform: Platform,
    signer: Signer,
    rules: Rules | None = None,
    store: Store | None = None,
) -> Publication:
    """Add packages to a stack's repository for a platform: sign them and switch in a new snapshot as a whole.

    Each package gets an SBOM, and an attestation if a result of ``store`` records where it came from. What was
    published before is not read again, unless with another key: then it is signed again. Raises PublishError if there
    are no packages, if one is damaged, foreign, or conflicts with another of the same name and version, if the
    platform's rpm could not read the key or a package, or if the root cannot be written.
    """
    rules = rules or Rules()
    if not packages and rules.keys is None:
        raise PublishError("no packages to publish", hint="Build some first, or give their files.")
    if rules.keep_snapshots < MIN_SNAPSHOTS:
        raise PublishError(f"keep_snapshots must be {MIN_SNAPSHOTS} or more: the previous snapshot is always kept")
    require_createrepo()
    given = [(path, read_header(path)) for path in sorted(set(packages))]
    check_key(signer, platform)
    for path, header in given:
        check_package(path, header, platform)
        check_origin(path, header, platform, rules.stack, allow_foreign=rules.allow_foreign)
    publications = Publications(root, stack, platform.name)
    with writing(root), open_keyring(signer.public_key()) as keyring:
        current = publications.current()
        if current is None and not packages:
            raise PublishError(f"nothing is published at {publications.visible}", hint="Publish packages first.")
        former = publications.read(current) if current else Contents((), {}, 0)
        _check_conflicts(given, former.packages, rules)
        pool = Pool(publications.root)
        pool.clear_unfinished()
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            unique = {header.sha256: (path, header) for path, header in given}.values()
            taken = dict.fromkeys(threads.map(lambda item: pool.take(item[0], item[1], signer, keyring), unique))
        selected = _select(taken, former.packages, rules)
        foreign = [package for package in selected if package.key != signer.fingerprint]
        again = sign_again(foreign, pool, signer, store) if foreign else {}
        selected = tuple(again.get(package, package) for package in selected)
        documents = complete(pool, selected, signer, store, rules.attestor)
        files = _files(stack, platform, signer, rules, former.files)
        contents = Contents(selected, files, _epoch(publications, former, selected, store), _expires(rules))
        same = current is not None and contents.digest == former.digest and contents.expires == former.expires
        changed = not (same and is_whole(publications.visible, keyring, _sizes(documents)))
        if current is None or changed:
            current = publications.write(pool, contents, signer.sign_armored)
            publications.switch(current)
        else:
            contents = former
        if store is not None:
            state = State(contents.epoch, of_file(current / REPOMD))
            Seen(store.root).record(str(publications.visible), state)
        if publications.prune(rules.keep_snapshots):
            pool.sweep()
    before = {package.file_name: package.content for package in former.packages}
    after = {package.file_name: package.content for package in selected}
    repo_name = repo_file_name(stack, platform.name)
    key_names = [name for name in files if name not in (ATTESTATION_KEY, ALL_KEYS, repo_name)]
    return Publication(
        folder=publications.visible,
        snapshot=current,
        repo_file=publications.visible / repo_name if repo_name in files else None,
        key_file=publications.visible / key_names[0],
        packages=len(selected),
        added=tuple(sorted(name for name, content in after.items() if before.get(name) != content)),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=changed,
        revision=contents.epoch,
        expires=contents.expires,
        signed_again=tuple(sorted(package.file_name for package in again)),
        keys=(key_names[0], *(name for name in key_names if files[name] != files[key_names[0]])),
        not_attested=tuple(
            package.file_name for package in selected if package in taken and STATEMENT not in documents[package]
        ),
        local_address=local_address(files.get(repo_name, "")),
    )


def _epoch(publications: Publications, former: Contents, selected: Sequence[PooledPackage], store: Store | None) -> int:
    """Return the time and revision of a new snapshot: greater than all before, whatever the clock says."""
    seen = Seen(store.root).last(str(publications.visible)) if store is not None else None
    before = max(former.epoch, publications.newest_epoch(), seen.revision if seen else 0)
    return max(before + 1, *(package.build_time for package in selected), 1)


def _expires(rules: Rules) -> int | None:
    return None if rules.valid_for is None else int(time.time()) + rules.valid_for


def _sizes(documents: Mapping[PooledPackage, Mapping[str, Path]]) -> dict[str, int]:
    """The files that must be in the folder, with their sizes."""
    sizes = {f"{PACKAGES}/{package.file_name}": package.size for package in documents}
    for package, paths in documents.items():
        for suffix, path in paths.items():
            sizes[f"{PROVENANCE}/{package.file_name}{suffix}"] = path.stat().st_size
    return sizes


def _check_conflicts(given: Sequence[tuple[Path, RpmHeader]], former: Iterable[PooledPackage], rules: Rules) -> None:
    seen: dict[str, tuple[Path, str]] = {}
    published = {package.file_name: package.content for package in former}
    for path, header in given:
        other = seen.setdefault(header.file_name, (path, header.sha256))
        if other[1] != header.sha256:
            raise PublishError(f"{other[0]} and {path} are both {header.nevra}, with different content")
        taken = published.get(header.file_name, header.sha256) != header.sha256
        if taken and not rules.replace:
            raise PublishError(
                f"{header.nevra} is already published with different content: {path}",
                hint="Increase its release number, or replace it if no host has installed it yet.",
            )


def _select(taken: Iterable[PooledPackage], former: Iterable[PooledPackage], rules: Rules) -> tuple[PooledPackage, ...]:
    chosen = {} if rules.only_these else {package.file_name: package for package in former}
    chosen |= {package.file_name: package for package in taken}
    by_name = sorted(chosen.values(), key=lambda package: (package.name, package.arch))
    selected: list[PooledPackage] = []
    for _, versions in groupby(by_name, key=lambda package: (package.name, package.arch)):
        ordered = sorted(versions, key=lambda package: evr_key(package.evr))
        selected += ordered[-rules.keep_versions :] if rules.keep_versions else ordered
    return tuple(selected)


def _files(
    stack: str,
    platform: Platform,
    signer: Signer,
    rules: Rules,
    former: Mapping[str, str],
) -> dict[str, str]:
    """Return the public keys and, if the address is known, the ``.repo`` file, by name."""
    keys = published_keys(signer, f"RPM-GPG-KEY-{stack}", former, rules.keys or KeyChange())
    # Without an attestor now, the envelopes of earlier publications stay, and so does their key.
    attestor = rules.attestor.public if rules.attestor else former.get(ATTESTATION_KEY)
    extra = {ATTESTATION_KEY: attestor} if attestor else {}
    address = _address(rules, former.get(repo_file_name(stack, platform.name), ""), stack, platform.name)
    if address is not None:
        folder = f"{address}/{stack}/{platform.name}"
        extra[repo_file_name(stack, platform.name)] = repo_file(
            stack, platform.name, folder, keys.listed, platform.title
        )
    return {**keys.files, ALL_KEYS: keys.all_in_one, **extra}


def _address(rules: Rules, former: str, stack: str, platform: str) -> str | None:
    """Return the address of the root: the given one, else that of the publication before."""
    if rules.base_url is not None:
        return rules.base_url.rstrip("/")
    found = re.search(rf"^baseurl=(.+)/{re.escape(f'{stack}/{platform}')}$", former, re.M)
    return found[1] if found and not found[1].startswith("file:") else None
