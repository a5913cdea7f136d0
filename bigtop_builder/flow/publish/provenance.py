"""SBOMs and attestations of packages: created once for each, stored beside it, read back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.provenance.cyclonedx import ATTESTATION, HEADER_PROPERTY, sbom
from bigtop_builder.adapter.provenance.dsse import AttestationKey, open_envelope, signing_key_id
from bigtop_builder.adapter.provenance.maven_cache import MavenCache
from bigtop_builder.adapter.repository.metadata import PROVENANCE
from bigtop_builder.adapter.repository.pool import (
    ENVELOPE,
    SBOM,
    SBOM_SIGNATURE,
    STATEMENT,
    STATEMENT_SIGNATURE,
    Pool,
    PooledPackage,
)
from bigtop_builder.adapter.repository.reader import MissingError, Reader
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.adapter.rpm.signing import verify_detached
from bigtop_builder.adapter.store import Store
from bigtop_builder.adapter.tools.cache import shared_part
from bigtop_builder.flow.publish.attestation import PREDICATE, Origins, statement
from bigtop_builder.model.digest import of_bytes
from bigtop_builder.model.errors import PublishError

LARGEST = 64 << 20
"""Bytes that no document beside a package has."""


def complete(
    pool: Pool,
    packages: Iterable[PooledPackage],
    signer: Signer,
    store: Store | None,
    attestor: AttestationKey | None = None,
) -> dict[PooledPackage, dict[str, Path]]:
    """Create the documents that packages of the pool lack; return those of all packages, by package and suffix.

    A package that no result of ``store`` holds gets only an SBOM; an ``attestor`` adds envelopes to the attestations.
    Raises PublishError if a package is damaged.
    """
    every = pool.documents(packages)
    lacking = [package for package, documents in every.items() if not documents]
    if lacking:
        _make(pool, lacking, signer, store)
        every = pool.documents(every)
    bare = [package for package, documents in every.items() if attestor and not _enveloped(documents, attestor)]
    for package in bare:
        assert attestor is not None
        pool.add_envelope(package, attestor.envelope(every[package][STATEMENT].read_bytes()))
    return pool.documents(every) if bare else every


def _enveloped(documents: Mapping[str, Path], attestor: AttestationKey) -> bool:
    """Whether there is nothing to put into an envelope, or this key has done so."""
    if STATEMENT not in documents:
        return True
    return ENVELOPE in documents and signing_key_id(documents[ENVELOPE].read_bytes()) == attestor.key_id


def _make(pool: Pool, lacking: Sequence[PooledPackage], signer: Signer, store: Store | None) -> None:
    origins, cache = Origins(store), maven_cache(store)

    def make(package: PooledPackage) -> None:
        pool.document(package, _documents(pool.path(package), package, signer, origins, cache))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(make, lacking))


def maven_cache(store: Store | None) -> MavenCache:
    """Open the part of the Maven cache whose files are what repositories published."""
    return MavenCache(shared_part("maven", store.root) if store else None)


def _documents(
    path: Path, package: PooledPackage, signer: Signer, origins: Origins, cache: MavenCache
) -> dict[str, bytes]:
    header = read_header(path)
    origin = origins.find(header)
    file = package.file_name
    bill = sbom(path, header, cache, f"{file}{STATEMENT}" if origin else None)
    documents = {SBOM: bill, SBOM_SIGNATURE: signer.sign_armored(bill)}
    if origin is not None:
        said = statement(origin, header, file, package.sha256, {f"{file}{SBOM}": of_bytes(bill)})
        documents |= {STATEMENT: said, STATEMENT_SIGNATURE: signer.sign_armored(said)}
    return documents


def problems(
    reader: Reader, file: str, sha256: str, header: str, keyring: Path, attestor: bytes | None = None
) -> list[str] | None:
    """Return what is wrong with the documents beside the package ``file`` of a repository; None if it has no SBOM.

    ``sha256`` is that of the package, ``header`` that of its header alone. ``attestor`` is the public key of the
    envelopes; None if the repository has none. Raises PublishError if the repository is unreachable.
    """
    bill_name, statement_name = f"{file}{SBOM}", f"{file}{STATEMENT}"
    try:
        component = signed(reader, bill_name, keyring)["metadata"]["component"]
        properties = {entry["name"]: entry["value"] for entry in component["properties"]}
        references = [entry["url"] for entry in component.get("externalReferences", ()) if entry["type"] == ATTESTATION]
    except MissingError:
        return None
    except DocumentError as error:
        return [error.message]
    except (KeyError, TypeError):
        return [f"{bill_name} is not an SBOM of bigtop-builder"]
    found = [] if properties.get(HEADER_PROPERTY) == header else [f"{bill_name} describes another package"]
    if not references:
        return found
    try:
        said = signed(reader, statement_name, keyring)
        if said["predicateType"] != PREDICATE or said["subject"][0]["digest"] != {"sha256": sha256}:
            found.append(f"{statement_name} describes another package")
        if attestor is not None:
            found += _envelope_problems(reader, f"{file}{ENVELOPE}", said, attestor)
    except MissingError:
        found.append(f"{statement_name}, which the SBOM names, is missing")
    except DocumentError as error:
        found.append(error.message)
    except (KeyError, TypeError, IndexError):
        found.append(f"{statement_name} is not an attestation of bigtop-builder")
    return found


def _envelope_problems(reader: Reader, name: str, statement: dict[str, Any], attestor: bytes) -> list[str]:
    try:
        with reader.file(f"{PROVENANCE}/{name}", LARGEST) as path:
            same = json.loads(open_envelope(path.read_bytes(), attestor)) == statement
    except MissingError:
        return [f"{name} is missing"]
    except ValueError as error:
        return [f"{name}: {error}"]
    return [] if same else [f"{name} holds another attestation"]


class DocumentError(PublishError):
    """A document beside a package is unsigned, signed by the wrong key, or not JSON."""


def signed(reader: Reader, name: str, keyring: Path | None) -> dict[str, Any]:
    """Read a document beside a package, and verify its signature if a keyring is given.

    Raises MissingError if it does not exist, DocumentError if it is not JSON or not signed by a key of the keyring.
    """
    with reader.file(f"{PROVENANCE}/{name}", LARGEST) as path:
        content = path.read_bytes()
    if keyring is not None:
        try:
            with reader.file(f"{PROVENANCE}/{name}.asc", LARGEST) as signature:
                wrong = verify_detached(content, signature.read_bytes(), keyring)
        except MissingError:
            wrong = "not signed"
        if wrong:
            raise DocumentError(f"{name}: {wrong}")
    try:
        data: dict[str, Any] = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{name} is not JSON: {error}") from error
    return data
