"""The packages of all publications under one root: each stored once, signed once, described once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.adapter.repository.metadata import Chunks, package_chunks
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.adapter.rpm.signing import sign_package, verify_package
from bigtop_builder.adapter.store import write_atomically
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.evr import EVR

SBOM, SBOM_SIGNATURE = ".cdx.json", ".cdx.json.asc"
STATEMENT, STATEMENT_SIGNATURE = ".intoto.json", ".intoto.json.asc"
ENVELOPE = ".intoto.dsse.json"
"""The statement once more, as a DSSE envelope."""
DOCUMENTS = (ENVELOPE, STATEMENT, STATEMENT_SIGNATURE, SBOM_SIGNATURE, SBOM)
"""Suffixes of the documents beside a package. The SBOM is written last: if it exists, all exist."""


@dataclass(frozen=True)
class PooledPackage:
    """A package of a publication.

    ``content`` is the SHA-256 of its header, which does not cover the signature and holds the digests of everything
    else; ``sha256`` and ``size`` (bytes) are those of the signed file; ``build_time`` is in seconds since the epoch.
    """

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    content: str
    key: str
    sha256: str
    size: int
    build_time: int

    @property
    def file_name(self) -> str:
        """Its file name in the repository, unique there."""
        return f"{self.name}-{self.version}-{self.release}.{self.arch}.rpm"

    @property
    def evr(self) -> EVR:
        """Epoch, version and release, for comparisons."""
        return self.epoch, self.version, self.release

    @property
    def stem(self) -> str:
        """Its name in the pool, from its content and signing key."""
        return _stem(self.content, self.key)


def _stem(content: str, fingerprint: str) -> str:
    return f"{content}-{fingerprint[-16:].lower()}"


def _belongs(target: Path, header: RpmHeader, keyring: Path) -> bool:
    """Whether a file of the pool that nothing is recorded of is this package, signed by this key."""
    try:
        return read_header(target).sha256 == header.sha256 and not verify_package(target, keyring)
    except PublishError:
        return False


class Pool:
    """The folders of a root that publications share.

    ``<root>/.pool`` holds the signed packages, ``<root>/.metadata`` their pieces of repodata, ``<root>/.provenance``
    their SBOMs and attestations with signatures.
    """

    def __init__(self, root: Path) -> None:
        self.files = root / ".pool"
        self.metadata = root / ".metadata"
        self.provenance = root / ".provenance"

    def path(self, package: PooledPackage) -> Path:
        """The file of a package."""
        return self.files / f"{package.stem}.rpm"

    def take(self, source: Path, header: RpmHeader, signer: Signer, keyring: Path) -> PooledPackage:
        """Sign a package into the pool; one that is already there with this key is only measured.

        One in the pool that is not what was recorded of it, or that came there otherwise and does not verify, is signed
        again. Raises PublishError if the package is damaged, OSError if the pool cannot be written.
        """
        stem = _stem(header.sha256, signer.fingerprint)
        target = self.files / f"{stem}.rpm"
        described = self.metadata / f"{stem}.json"
        package = self._measured(target, described)
        if package is not None:
            return package
        for folder in (self.files, self.metadata):
            folder.mkdir(parents=True, exist_ok=True)
        if not _belongs(target, header, keyring):
            target.unlink(missing_ok=True)
            # An attestation covers the signed file, and a new signature makes a new file.
            self._forget_documents(stem)
            self._sign(source, target, header, signer, keyring)
        chunks = package_chunks(target, header.file_name)
        package = PooledPackage(
            name=header.name,
            epoch=header.epoch or 0,
            version=header.version,
            release=header.release,
            arch=header.arch,
            content=header.sha256,
            key=signer.fingerprint,
            sha256=chunks.sha256,
            size=target.stat().st_size,
            build_time=header.build_time,
        )
        write_atomically(described, json.dumps({"package": vars(package), "chunks": vars(chunks)}))
        return package

    def _measured(self, target: Path, described: Path) -> PooledPackage | None:
        """The recorded package, if it is there and has the recorded bytes."""
        try:
            package = PooledPackage(**json.loads(described.read_text(encoding="utf-8"))["package"])
            return package if of_file(target) == package.sha256 else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _sign(self, source: Path, target: Path, header: RpmHeader, signer: Signer, keyring: Path) -> None:
        incoming = target.with_name(f".incoming-{target.name}")
        try:
            sign_package(signer, source, incoming)
            problems = verify_package(incoming, keyring)
            if problems:
                raise PublishError(f"{source} is not published: {', '.join(problems)}", hint="Build it again.")
            # The package time in the metadata must not depend on when the package was published.
            os.utime(incoming, (header.build_time, header.build_time))
            incoming.chmod(0o644)
            incoming.rename(target)
        finally:
            incoming.unlink(missing_ok=True)

    def chunks(self, package: PooledPackage) -> Chunks:
        """Return the package's metadata, recreated if it was lost."""
        described = self.metadata / f"{package.stem}.json"
        try:
            return Chunks(**json.loads(described.read_text(encoding="utf-8"))["chunks"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            chunks = package_chunks(self.path(package), package.file_name)
            write_atomically(described, json.dumps({"package": vars(package), "chunks": vars(chunks)}))
            return chunks

    def documents(self, packages: Iterable[PooledPackage]) -> dict[PooledPackage, dict[str, Path]]:
        """Return the documents of each package, by suffix; none for a package whose documents are incomplete."""
        try:
            there = {path.name for path in self.provenance.iterdir()}
        except FileNotFoundError:
            there = set()
        return {
            package: {
                suffix: self.provenance / f"{package.stem}{suffix}"
                for suffix in DOCUMENTS
                if f"{package.stem}{SBOM}" in there and f"{package.stem}{suffix}" in there
            }
            for package in packages
        }

    def document(self, package: PooledPackage, documents: Mapping[str, bytes]) -> None:
        """Store a package's documents, by suffix. Raises OSError if the pool cannot be written."""
        self.provenance.mkdir(parents=True, exist_ok=True)
        self._forget_documents(package.stem)
        self._write_documents(package, documents)

    def add_envelope(self, package: PooledPackage, envelope: bytes) -> None:
        """Add the envelope to the documents of a package. Raises OSError if the pool cannot be written."""
        self._write_documents(package, {ENVELOPE: envelope})

    def _write_documents(self, package: PooledPackage, documents: Mapping[str, bytes]) -> None:
        for suffix in DOCUMENTS:
            if suffix in documents:
                path = self.provenance / f"{package.stem}{suffix}"
                write_atomically(path, documents[suffix].decode())
                # Mirrors compare times, which must not depend on when the package was published.
                os.utime(path, (package.build_time, package.build_time))

    def _forget_documents(self, stem: str) -> None:
        for suffix in reversed(DOCUMENTS):
            (self.provenance / f"{stem}{suffix}").unlink(missing_ok=True)

    def clear_unfinished(self) -> None:
        """Remove what a killed publication was writing: hidden files of the pool's folders."""
        for folder in (self.files, self.metadata, self.provenance):
            for path in folder.glob(".*"):
                path.unlink()

    def sweep(self) -> int:
        """Remove packages that no snapshot links to any more; return how many."""
        removed = 0
        for path in self.files.iterdir():
            if path.stat().st_nlink == 1:
                (self.metadata / f"{path.stem}.json").unlink(missing_ok=True)
                self._forget_documents(path.stem)
                path.unlink()
                removed += 1
        return removed
