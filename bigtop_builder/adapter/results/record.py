"""The record of a shared result: what the result consists of, signed by whoever made it.

It is an envelope like those of attestations (DSSE 1.0), whose payload is JSON: ``kind`` and ``key`` of the result, its
``manifest`` as the store has it, and the files that it needs, by name, with SHA-256 and size in bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bigtop_builder.adapter.provenance.dsse import AttestationKey, open_envelope
from bigtop_builder.model.safe_text import file_name

PAYLOAD_TYPE = "application/vnd.bigtop-builder.result+json"
FORMAT = 1
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class File:
    """A file of a result. ``size`` is in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Record:
    """What the result of a key consists of. ``kind`` is that of a task, or says what else the key is of: ``image``."""

    kind: str
    key: str
    manifest: Mapping[str, Any]
    files: Mapping[str, File]
    """File name → content: the packages, or ``tree.tar.zst``."""

    def signed(self, signer: AttestationKey) -> bytes:
        """Return the record as a signed envelope."""
        content = {
            "format": FORMAT,
            "kind": self.kind,
            "key": self.key,
            "manifest": dict(self.manifest),
            "files": {name: {"sha256": one.sha256, "size": one.size} for name, one in sorted(self.files.items())},
        }
        return signer.envelope(json.dumps(content, sort_keys=True).encode(), PAYLOAD_TYPE)


def read_record(envelope: bytes, trusted: Sequence[bytes], kind: str, key: str) -> Record:
    """Return the record in an envelope that one of the ``trusted`` public keys (PEM) signed for this result.

    Raises ValueError with what is wrong with it.
    """
    problem = "no key is trusted"
    for public in trusted:
        try:
            statement = open_envelope(envelope, public, PAYLOAD_TYPE)
        except ValueError as error:
            problem = str(error)
            continue
        return _parsed(statement, kind, key)
    raise ValueError(problem)


def _parsed(statement: bytes, kind: str, key: str) -> Record:
    try:
        content = json.loads(statement)
        if content["format"] != FORMAT:
            raise ValueError(f"it has format {content['format']!r}, this program reads {FORMAT}")
        if (content["kind"], content["key"]) != (kind, key):
            raise ValueError("it was signed for another result")
        manifest, files = content["manifest"], {}
        if not isinstance(manifest, dict):
            raise TypeError
        for name, one in content["files"].items():
            if not SHA256.fullmatch(one["sha256"]) or not isinstance(one["size"], int) or one["size"] < 0:
                raise TypeError
            files[file_name(name)] = File(one["sha256"], one["size"])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("its content is damaged") from error
    return Record(kind, key, manifest, files)
