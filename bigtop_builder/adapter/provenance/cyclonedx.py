"""The SBOM of a package: CycloneDX 1.6 as JSON, the same bytes for the same package.

Serial number and time come from the contents, nothing from the machine or the clock. The package is identified by the
SHA-256 of its header, which does not cover the signature and holds the digests of everything else: so a package has one
SBOM, whoever signs it and whenever.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bigtop_builder import __version__
from bigtop_builder.adapter.provenance.contents import Library, libraries
from bigtop_builder.adapter.provenance.maven_cache import MavenCache
from bigtop_builder.adapter.rpm.header import RpmHeader
from bigtop_builder.model.purl import package_url

HEADER_PROPERTY = "bigtop-builder:rpm:header-sha256"
ATTESTATION = "attestation"
"""The type of the reference to the attestation beside the package."""
DAMAGE_PROPERTY = "bigtop-builder:damaged"
SPDX = {
    "ASL 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "http://www.apache.org/licenses/LICENSE-2.0": "Apache-2.0",
    "http://www.apache.org/licenses/LICENSE-2.0.txt": "Apache-2.0",
    "https://www.apache.org/licenses/LICENSE-2.0": "Apache-2.0",
    "https://www.apache.org/licenses/LICENSE-2.0.txt": "Apache-2.0",
    "MIT": "MIT",
    "MIT License": "MIT",
    "BSD-3-Clause": "BSD-3-Clause",
    "BSD-2-Clause": "BSD-2-Clause",
    "ISC": "ISC",
}
"""SPDX identifiers of common spellings of licences; any other spelling is kept as a name."""


def package_purl(header: RpmHeader) -> str:
    """The package URL: ``pkg:rpm/zookeeper_3_2_0@3.5.9-2.el8?arch=noarch``."""
    epoch = str(header.epoch) if header.epoch else ""
    return package_url("rpm", header.name, f"{header.version}-{header.release}", arch=header.arch, epoch=epoch)


def sbom(path: Path, header: RpmHeader, cache: MavenCache, attestation: str | None = None) -> bytes:
    """Return the SBOM of the package at ``path``; ``attestation`` is the address of its attestation, beside it.

    Memory is bounded by the largest directory of an archive inside. Raises PublishError if the package is damaged.
    """
    return document(header, libraries(path, header, cache), attestation)


def document(header: RpmHeader, found: tuple[Library, ...], attestation: str | None = None) -> bytes:
    """Return the SBOM of a package with these libraries."""
    references = [{"type": "website", "url": header.url}] if header.url else []
    if attestation:
        references.append({"type": ATTESTATION, "url": attestation})
    content: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(header.build_time, UTC).isoformat().replace("+00:00", "Z"),
            "tools": {"components": [{"type": "application", "name": "bigtop-builder", "version": __version__}]},
            "component": {
                "type": "application",
                "bom-ref": package_purl(header),
                "name": header.name,
                "version": header.evr,
                "description": header.summary,
                **_licences(header.license),
                "purl": package_purl(header),
                **({"externalReferences": references} if references else {}),
                "properties": [{"name": HEADER_PROPERTY, "value": header.sha256}],
            },
        },
        "components": [_component(library, top=True) for library in found],
    }
    digest = hashlib.sha256(_json(content)).digest()
    return _json({"serialNumber": uuid.UUID(bytes=digest[:16], version=5).urn, **content}) + b"\n"


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, indent=1, ensure_ascii=False).encode("utf-8", errors="replace")


def _component(library: Library, *, top: bool) -> dict[str, Any]:
    identity, own = library.identity, library.identity.coordinates
    purl = own.purl
    hashes = {"SHA-256": library.sha256, "SHA-1": library.sha1}
    method = {"technique": identity.technique, "confidence": identity.confidence}
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": library.sha256 or library.locations[0] if top else "",
        "group": own.group,
        "name": own.name,
        "version": own.version,
        "hashes": [{"alg": name, "content": value} for name, value in hashes.items() if value],
        **_licences(library.licence),
        "purl": purl,
        "components": [_component(inner, top=False) for inner in library.inside],
        "evidence": {
            "identity": [
                {
                    "field": "purl" if purl else "name",
                    "confidence": identity.confidence,
                    "methods": [{**method, "value": identity.source} if identity.source else method],
                }
            ],
            "occurrences": [{"location": location} for location in library.locations],
        },
        "properties": [{"name": DAMAGE_PROPERTY, "value": library.damage}] if library.damage else [],
    }
    return {name: value for name, value in component.items() if value}


def _licences(text: str) -> dict[str, Any]:
    if not text:
        return {}
    known = SPDX.get(text)
    return {"licenses": [{"license": {"id": known} if known else {"name": text}}]}
