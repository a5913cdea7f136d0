"""Where one package came from: from the documents beside it in a repository, otherwise from the store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.provenance.cyclonedx import sbom
from bigtop_builder.adapter.repository.metadata import PACKAGES
from bigtop_builder.adapter.repository.pool import SBOM, STATEMENT
from bigtop_builder.adapter.repository.reader import FolderReader, MissingError
from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.adapter.rpm.signing import open_keyring
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.publish.attestation import Origins, statement
from bigtop_builder.flow.publish.provenance import maven_cache, signed
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import NothingSelectedError, PublishError
from bigtop_builder.model.evr import evr_key
from bigtop_builder.recipe.document import near


@dataclass(frozen=True)
class Provenance:
    """What is known about a package; ``sbom`` is a CycloneDX document, ``statement`` an in-toto statement.

    ``attested`` is True if the statement was beside the package with a valid signature of the repository's key, False
    if it was assembled just now from the store's records. ``statement`` is None if nothing is known.
    """

    path: Path
    header: RpmHeader
    statement: dict[str, Any] | None
    attested: bool
    sbom: dict[str, Any]


def find_package(text: str, cwd: Path, repositories: Iterable[Path], store: Store) -> Path:
    """Find a package by path, file name or package name.

    A name means the newest package in the repositories, otherwise in the store. Raises NothingSelectedError.
    """
    if (cwd / text).is_file():
        return cwd / text
    published = [path for folder in repositories for path in (folder / PACKAGES).glob("*.rpm")]
    origins = Origins(store)
    found = [path for path in published if text in (path.name, _name(path))]
    if found:
        return max(found, key=lambda path: _order(read_header(path)))
    stored = origins.named(text)
    if stored:
        return stored[-1]
    raise NothingSelectedError(
        f"{text} is neither a file nor the name of a package in the project's repositories or the store",
        hint=near(text, {_name(path) for path in published} | origins.names()) or None,
    )


def _name(path: Path) -> str:
    return path.name.rsplit("-", 2)[0]


def _order(header: RpmHeader) -> Any:
    return evr_key((header.epoch or 0, header.version, header.release))


def read_provenance(path: Path, store: Store) -> Provenance:
    """Collect what is known about the package at ``path``.

    Raises PublishError if the package, or a document beside it, is damaged.
    """
    header = read_header(path)
    folder = path.absolute().parent.parent
    if path.absolute().parent.name == PACKAGES:
        reader = FolderReader(folder)
        try:
            with open_keyring(reader.public_key()) as keyring:
                bill_beside = signed(reader, f"{path.name}{SBOM}", keyring)
                said = signed(reader, f"{path.name}{STATEMENT}", keyring)
            if said["subject"][0]["digest"]["sha256"] != of_file(path):
                raise PublishError(
                    f"the attestation beside {path} describes another file",
                    hint="Run: bigtop-builder repo verify",
                )
            return Provenance(path, header, said, True, bill_beside)
        except MissingError:
            pass
    origin = Origins(store).find(header)
    bill = json.loads(sbom(path, header, maven_cache(store)))
    if origin is None:
        return Provenance(path, header, None, False, bill)
    recorded = json.loads(statement(origin, header, path.name, of_file(path), {}))
    return Provenance(path, header, recorded, False, bill)
