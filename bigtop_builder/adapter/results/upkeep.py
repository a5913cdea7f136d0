"""What is in a place of shared results, whether it is sound, and what nobody needs any more."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bigtop_builder.adapter.results.folder import FolderPlace
from bigtop_builder.adapter.results.place import BLOBS, RECORD_LIMIT, RECORDS, ResultStoreError
from bigtop_builder.adapter.results.shared_results import SharedResults
from bigtop_builder.model.digest import of_file
from bigtop_builder.plan.task import Kind

UNFINISHED = 86_400.0
"""Seconds for which a file that no record names is kept: its record comes after it."""


@dataclass(frozen=True)
class Contents:
    """What a folder of shared results has; sizes in bytes."""

    records: int
    files: int
    size: int
    oldest: float | None
    """When the record was used last that was not used for longest, in seconds since the epoch."""


@dataclass(frozen=True)
class Unsound:
    """A result, or a file by itself, that nobody would take."""

    name: str
    why: str


def contents(place: FolderPlace) -> Contents:
    """Count what is there."""
    records, files, size, oldest = 0, 0, 0, None
    for name, one, used in place.names():
        size += one
        if name.startswith(RECORDS):
            records, oldest = records + 1, min(used, oldest or used)
        else:
            files += 1
    return Contents(records, files, size, oldest)


def unsound_files(place: FolderPlace) -> Iterator[Unsound | None]:
    """Measure every file; yield None for each that has the digest of its name."""
    for name, _, _ in place.names():
        if name.startswith(BLOBS):
            expected = name.partition("/")[2]
            found = _digest(place, name)
            yield None if found == expected else Unsound(name, f"its SHA-256 is {found}")


def unsound_records(results: SharedResults, place: FolderPlace) -> Iterator[Unsound | None]:
    """Check the signature of every record and that its files exist; yield None for each that is sound."""
    for name, _, _ in place.names():
        if name.startswith(RECORDS):
            named = _claims(place.read(name, RECORD_LIMIT))
            if named is None:
                continue
            kind, key, _ = named
            yield unsound(results, kind, key, name.partition("/")[2])


def unsound(results: SharedResults, kind: str, key: str, name: str | None = None) -> Unsound | None:
    """Return what is wrong with one result; None if it is sound. Its files must exist, and are not measured."""
    try:
        record = results.record(kind, key, name)
        if record is None:
            return Unsound(f"{RECORDS}/{key}", "it does not exist")
        lost = [one.sha256 for one in record.files.values() if not results.place.has(f"{BLOBS}/{one.sha256}")]
    except ResultStoreError as error:
        return Unsound(f"{RECORDS}/{name or key}", error.message)
    return Unsound(f"{RECORDS}/{name or key}", f"it lacks {', '.join(lost)}") if lost else None


def missing(results: SharedResults, keys: Sequence[tuple[Kind, str]]) -> list[tuple[Kind, str]]:
    """Return those of some results that have no record."""
    found = results.present([key for _, key in keys])
    return [(kind, key) for kind, key in keys if key not in found]


def collect(place: FolderPlace, max_age: float, *, dry_run: bool = False) -> list[tuple[str, int]]:
    """Remove results that nobody used for ``max_age`` seconds, then files that no result names; return name and size.

    A record that was read or written counts as used then.
    """
    now, removed = time.time(), []
    needed: set[str] = set()
    for name, size, used in place.names():
        if not name.startswith(RECORDS):
            continue
        if now - used > max_age:
            removed.append((name, size))
        else:
            named = _claims((place.root / name).read_bytes())
            needed |= named[2] if named else set()
    for name, size, used in place.names():
        if name.startswith(BLOBS) and name.partition("/")[2] not in needed and now - used > min(UNFINISHED, max_age):
            removed.append((name, size))
    if not dry_run:
        # Records first: whoever finds one must find its files.
        for name, _ in removed:
            place.remove(name)
    return removed


def _claims(envelope: bytes | None) -> tuple[str, str, set[str]] | None:
    """Return kind, key and the digests of files of a record, whoever signed it; None for what is none, as leases."""
    try:
        content = json.loads(base64.b64decode(json.loads(envelope or b"")["payload"]))
        return str(content["kind"]), str(content["key"]), {str(one["sha256"]) for one in content["files"].values()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _digest(place: FolderPlace, name: str) -> str:
    try:
        return of_file(place.root / name)
    except OSError as error:
        return f"unknown: {error.strerror}"
