"""Results that machines share: taken from there into the store of this machine, and put there from it."""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.archives.compression import DamagedArchiveError
from bigtop_builder.adapter.provenance.dsse import AttestationKey
from bigtop_builder.adapter.results.archive import pack, unpack
from bigtop_builder.adapter.results.place import (
    BLOBS,
    RECORD_LIMIT,
    RECORDS,
    Place,
    ResultStoreError,
    UntrustedResultError,
)
from bigtop_builder.adapter.results.record import File, Record, read_record
from bigtop_builder.adapter.sources.download_store import discard_source, name_source, stored
from bigtop_builder.adapter.store import MANIFEST, TREE, Store, remove_tree, translated
from bigtop_builder.adapter.store import RECORDS as NOT_MEASURED
from bigtop_builder.adapter.tree_digest import tree_digest
from bigtop_builder.model.archive_limits import DEFAULT, ArchiveLimits
from bigtop_builder.model.digest import of_file, of_text
from bigtop_builder.plan.task import Kind

ARCHIVE = "tree.tar.zst"
SOURCE = "source"
LEASE_SECONDS = 120.0
"""How long a lease is valid unless it is renewed, which happens four times in that span."""
LEASE_SETTLES, SLOWER = 0.1, 10
"""A lease that was written is read again after so many seconds, or after so many times as long as it took to look for
one and to write it, whichever is longer: plain HTTP has no way to create a file only once, and others who saw no lease
either have written theirs by then."""
LEASE_LIMIT = 4096
ASKING, PART = 16, 1024
"""Requests at the same time when many keys are looked up, and the keys that are taken in hand at once."""


class SharedResults:
    """The results at one place. Methods raise ResultStoreError when the place does not respond as it should.

    ``trusted`` are the public keys (PEM) whose records are believed, ``signer`` signs what is put there. Thread-safe.
    """

    def __init__(
        self,
        place: Place,
        trusted: Sequence[bytes],
        signer: AttestationKey | None = None,
        *,
        limits: ArchiveLimits = DEFAULT,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.place = place
        self.signer = signer
        self._trusted = [*trusted, *([signer.public.encode()] if signer else [])]
        self._limits = limits
        self._cancelled = cancelled or threading.Event()

    def record(self, kind: str, key: str, name: str | None = None) -> Record | None:
        """Return the record of a result; None if there is none. Raises UntrustedResultError."""
        envelope = self.place.read(f"{RECORDS}/{name or key}", RECORD_LIMIT)
        if envelope is None:
            return None
        if not envelope.lstrip().startswith(b"{"):
            raise ResultStoreError(
                f"the result store {self.place.address} sends something else than results: {envelope[:40]!r}…",
                hint="Check results.url: a login page or the page of a proxy looks like that.",
            )
        try:
            return read_record(envelope, self._trusted, kind, key)
        except ValueError as error:
            raise UntrustedResultError(
                f"the result store {self.place.address}: the record of {kind} {key[:12]} is not used: {error}",
                hint="List the public key of whoever puts results there in results.trust.",
            ) from error

    def has(self, kind: Kind, key: str) -> bool:
        """Return whether there is a result whose record one of the trusted keys signed."""
        return self.record(kind, key) is not None

    def data(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """Return what was said of something that has no files, such as an image; None if nothing was.

        Raises UntrustedResultError.
        """
        record = self.record(kind, key, _data_name(kind, key))
        return record.manifest if record else None

    def push_data(self, kind: str, key: str, data: Mapping[str, Any]) -> None:
        """Say something of what has no files, unless somebody has."""
        name = _data_name(kind, key)
        if self.signer is not None and not self.place.has(f"{RECORDS}/{name}"):
            self.place.put(f"{RECORDS}/{name}", Record(kind, key, data, {}).signed(self.signer))

    def present(self, keys: Iterable[str]) -> set[str]:
        """Return those of many keys that have a record, signed by whomever."""
        waiting, present = iter(keys), set[str]()
        with ThreadPoolExecutor(ASKING, thread_name_prefix="results") as pool:
            # A pool remembers all that it was ever given, so it is given a part at a time.
            while part := list(islice(waiting, PART)):
                found = pool.map(self.place.has, (f"{RECORDS}/{key}" for key in part))
                present |= {key for key, there in zip(part, found, strict=True) if there}
        return present

    def fetch(self, kind: Kind, key: str, store: Store) -> bool:
        """Put a result into a machine's own store, verified; return False if there is none."""
        with store.locked(f"{kind}-{key}"):
            if store.has(kind, key):
                return True
            record = self.record(kind, key)
            if record is None:
                return False
            folder = store.root / "cache" / "results" / f"{kind}-{key}"
            with translated(store.root):
                remove_tree(folder)
                folder.mkdir(parents=True)
            try:
                if kind == "compile":
                    self._fetch_tree(record, folder, store)
                else:
                    self._fetch_packages(record, folder, store)
                store.commit(kind, key, folder, record.manifest)
            finally:
                remove_tree(folder)
        return True

    def _fetch_tree(self, record: Record, folder: Path, store: Store) -> None:
        archive = self._file(record, ARCHIVE, store)
        try:
            with translated(store.root):
                unpack(archive, folder, self._limits)
        except DamagedArchiveError as error:
            raise self._untrusted(record, f"its archive is damaged: {error}") from error
        finally:
            discard_source(store.root, f"sha256:{record.files[ARCHIVE].sha256}")
        if tree_digest(folder, NOT_MEASURED) != record.manifest.get(TREE):
            raise self._untrusted(record, "the digest of its tree is not the recorded one")

    def _fetch_packages(self, record: Record, folder: Path, store: Store) -> None:
        packages = record.manifest.get("rpms")
        if packages != {name: one.sha256 for name, one in record.files.items()}:
            raise self._untrusted(record, "its packages are not those of its manifest")
        with translated(store.root):
            (folder / "rpms").mkdir()
        for name in sorted(record.files):
            path = self._file(record, name, store)
            with translated(store.root):
                path.rename(folder / "rpms" / name)
                (folder / "rpms" / name).chmod(0o644)

    def _file(self, record: Record, name: str, store: Store) -> Path:
        one = record.files.get(name)
        if one is None:
            raise self._untrusted(record, f"it lacks {name}")
        return self.place.fetch(one.sha256, one.size, store.root, self._cancelled)

    def _untrusted(self, record: Record, why: str) -> UntrustedResultError:
        return UntrustedResultError(
            f"the result store {self.place.address}: the result of {record.kind} {record.key[:12]} is not used: {why}"
        )

    def push(self, kind: Kind, key: str, store: Store) -> None:
        """Put a result of a machine's own store into the shared one, unless it is there.

        Its files come first and its record last, so that whoever finds the record finds them all.
        """
        if self.signer is None:
            raise ResultStoreError(
                "results are pushed with a signature, and there is no key for it",
                hint="Set signing.attestation_key: env:NAME or file:PATH.",
            )
        if self.place.has(f"{RECORDS}/{key}"):
            return
        manifest = store.manifest(kind, key)
        files = {}
        with tempfile.TemporaryDirectory(prefix="push-", dir=_scratch(store)) as scratch:
            if kind == "compile":
                archive = Path(scratch) / ARCHIVE
                with translated(store.root):
                    pack(store.folder(kind, key), archive, frozenset({MANIFEST}))
                files[ARCHIVE] = self._put(archive)
            else:
                for path in store.packages(key):
                    files[path.name] = self._put(path)
        self.place.put(f"{RECORDS}/{key}", Record(kind, key, manifest, files).signed(self.signer))

    def _put(self, path: Path) -> File:
        sha256, size = of_file(path), path.stat().st_size
        if not self.place.has(f"{BLOBS}/{sha256}"):
            self.place.put(f"{BLOBS}/{sha256}", path)
        return File(sha256, size)

    def push_source(self, digest: str, store: Store) -> bool:
        """Put a source of a machine's own store (``sha256:…``, ``sha512:…``, ``git:…``) there, unless it is.

        Return False if this machine has no key to sign it with, or does not have it.
        """
        path, name = stored(store.root, digest), _data_name(SOURCE, digest)
        if self.signer is None or path is None:
            return False
        if not self.place.has(f"{RECORDS}/{name}"):
            record = Record(SOURCE, digest, {}, {SOURCE: self._put(path)})
            self.place.put(f"{RECORDS}/{name}", record.signed(self.signer))
        return True

    def fetch_source(self, digest: str, store: Store) -> bool:
        """Put a source into a machine's own store, verified; return False if there is none."""
        record = self.record(SOURCE, digest, _data_name(SOURCE, digest))
        if record is None:
            return False
        path = self._file(record, SOURCE, store)
        algorithm, _, value = digest.partition(":")
        # A commit has no digest of an archive to compare with: whoever signed the record has made that archive of it.
        if algorithm != "git" and of_file(path, algorithm) != value:
            raise self._untrusted(record, f"its {algorithm} differs")
        with translated(store.root):
            name_source(store.root, digest, path.name)
        return True

    @contextmanager
    def lease(self, kind: Kind, key: str, holder: str | None = None) -> Iterator[bool]:
        """Say to others that this key is being built; yield False if another says so already.

        Whoever comes again under the name of a ``holder`` takes its lease over, which may have died with its machine.

        Two that begin in the same moment may both be told True by a slow server: the key is then built twice, which
        wastes time and harms nothing. Clocks of machines that share results may differ by a minute.
        """
        name = f"{RECORDS}/{of_text(f'lease {kind} {key}')}"
        holder = holder or secrets.token_hex(16)
        began = time.monotonic()
        other = self._holder(name)
        if other is not None and other != holder:
            yield False
            return
        self._write_lease(name, holder)
        time.sleep(max(LEASE_SETTLES, SLOWER * (time.monotonic() - began)))
        if self._holder(name) != holder:
            yield False
            return
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(name, holder, ended), name="lease", daemon=True)
        renewal.start()
        try:
            yield True
        finally:
            ended.set()
            renewal.join()
            with contextlib.suppress(ResultStoreError):
                self._write_lease(name, holder, seconds=0)
                self.place.remove(name)

    def _renew(self, name: str, holder: str, ended: threading.Event) -> None:
        while not ended.wait(LEASE_SECONDS / 4):
            with contextlib.suppress(ResultStoreError):
                self._write_lease(name, holder)

    def _write_lease(self, name: str, holder: str, seconds: float = LEASE_SECONDS) -> None:
        self.place.put(name, json.dumps({"holder": holder, "until": time.time() + seconds}).encode())

    def _holder(self, name: str) -> str | None:
        """Return who holds a lease that is valid."""
        text = self.place.read(name, LEASE_LIMIT)
        try:
            lease = json.loads(text or b"{}")
            return str(lease["holder"]) if float(lease["until"]) > time.time() else None
        except (ValueError, KeyError, TypeError):
            return None


def _data_name(kind: str, key: str) -> str:
    return of_text(f"{kind} {key}")


def _scratch(store: Store) -> Path:
    folder = store.root / "cache" / "results"
    with translated(store.root):
        folder.mkdir(parents=True, exist_ok=True)
    return folder
