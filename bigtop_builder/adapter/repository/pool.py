"""The packages of all publications under one root: each kept once, signed once, described once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.adapter.repository.metadata import Chunks, package_chunks
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.rpm.header import RpmHeader
from bigtop_builder.adapter.rpm.signing import sign_package, verify_package
from bigtop_builder.adapter.rpm.version import EVR
from bigtop_builder.adapter.store import write_atomically
from bigtop_builder.model.errors import PublishError

SBOM, SBOM_SIGNATURE = ".cdx.json", ".cdx.json.asc"
STATEMENT, STATEMENT_SIGNATURE = ".intoto.json", ".intoto.json.asc"
DOCUMENTS = (STATEMENT, STATEMENT_SIGNATURE, SBOM_SIGNATURE, SBOM)
"""What lies beside a package, by what is put behind its file name. The SBOM is written last: with it all are there."""


@dataclass(frozen=True)
class PooledPackage:
    """A package of a publication.

    ``content`` is the SHA-256 of its header, which the signature does not touch and which holds the digests of all
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
        """Its name in the repository, which no two packages may share."""
        return f"{self.name}-{self.version}-{self.release}.{self.arch}.rpm"

    @property
    def evr(self) -> EVR:
        return self.epoch, self.version, self.release

    @property
    def stem(self) -> str:
        """Its name in the pool: the content and who signed it."""
        return _stem(self.content, self.key)


def _stem(content: str, fingerprint: str) -> str:
    return f"{content}-{fingerprint[-16:].lower()}"


class Pool:
    """``<root>/.pool`` holds the signed packages, ``<root>/.metadata`` what repodata says of each,
    ``<root>/.provenance`` their SBOMs and attestations with signatures."""

    def __init__(self, root: Path) -> None:
        self.files = root / ".pool"
        self.metadata = root / ".metadata"
        self.provenance = root / ".provenance"

    def path(self, package: PooledPackage) -> Path:
        return self.files / f"{package.stem}.rpm"

    def take(self, source: Path, header: RpmHeader, signer: Signer, keyring: Path) -> PooledPackage:
        """Sign a package into the pool, unless it is there with this key already: then it is not read again.

        Raises PublishError when it is damaged; OSError when the pool cannot be written.
        """
        stem = _stem(header.sha256, signer.fingerprint)
        target = self.files / f"{stem}.rpm"
        described = self.metadata / f"{stem}.json"
        if target.is_file() and described.is_file():
            package = PooledPackage(**json.loads(described.read_text(encoding="utf-8"))["package"])
            if target.stat().st_size == package.size:
                return package
            target.unlink()
        for folder in (self.files, self.metadata):
            folder.mkdir(parents=True, exist_ok=True)
        if not target.is_file():
            # An attestation names the signed file, and another signature makes another file.
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

    def _sign(self, source: Path, target: Path, header: RpmHeader, signer: Signer, keyring: Path) -> None:
        incoming = target.with_name(f".incoming-{target.name}")
        try:
            sign_package(signer, source, incoming)
            problems = verify_package(incoming, keyring)
            if problems:
                raise PublishError(f"{source} is not published: {', '.join(problems)}", hint="Build it again.")
            # What yum is told as a package's time must not depend on when it was published.
            os.utime(incoming, (header.build_time, header.build_time))
            incoming.chmod(0o644)
            incoming.rename(target)
        finally:
            incoming.unlink(missing_ok=True)

    def chunks(self, package: PooledPackage) -> Chunks:
        """The package's metadata, made again when it was lost."""
        described = self.metadata / f"{package.stem}.json"
        try:
            return Chunks(**json.loads(described.read_text(encoding="utf-8"))["chunks"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            chunks = package_chunks(self.path(package), package.file_name)
            write_atomically(described, json.dumps({"package": vars(package), "chunks": vars(chunks)}))
            return chunks

    def documents(self, packages: Iterable[PooledPackage]) -> dict[PooledPackage, dict[str, Path]]:
        """What lies beside each of the packages, by suffix; nothing of one whose documents are not complete."""
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
        """Put a package's documents beside it, by suffix. Raises OSError when the pool cannot be written."""
        self.provenance.mkdir(parents=True, exist_ok=True)
        self._forget_documents(package.stem)
        for suffix in DOCUMENTS:
            if suffix in documents:
                path = self.provenance / f"{package.stem}{suffix}"
                write_atomically(path, documents[suffix].decode())
                # What yum's mirrors compare must not depend on when it was published.
                os.utime(path, (package.build_time, package.build_time))

    def _forget_documents(self, stem: str) -> None:
        for suffix in reversed(DOCUMENTS):
            (self.provenance / f"{stem}{suffix}").unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what no snapshot links to any more; how many packages that were."""
        removed = 0
        for path in self.files.iterdir():
            if path.stat().st_nlink == 1:
                (self.metadata / f"{path.stem}.json").unlink(missing_ok=True)
                self._forget_documents(path.stem)
                path.unlink()
                removed += 1
        return removed
