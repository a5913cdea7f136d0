"""Downloaded files: each is stored once, under its SHA-256, and becomes visible only when complete and verified.

``sha256/<digest>`` is a file; ``sha512/<digest>`` and ``git/<commit>`` contain the SHA-256 of the file that they
name, ``origin/<digest>`` the address of its download; ``partial/`` contains unfinished downloads. Whoever fills a
partial file locks it with ``flock``, so that a killed process leaves its bytes but no lock.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bigtop_builder.model.digest import CHUNK, of_file
from bigtop_builder.model.errors import InterruptedRunError, SourceError, StoreError

LOCK_POLL = 0.1


class WrongDigestError(Exception):
    """The bytes do not match the digest; ``beginning`` is their first kilobyte."""

    def __init__(self, expected: str, got: str, size: int, beginning: bytes) -> None:
        super().__init__(f"wrong digest: expected {expected}, got {got} ({size} bytes)")
        self.beginning = beginning


def stored(store: Path, digest: str) -> Path | None:
    """Return the stored file of ``sha256:…``, ``sha512:…`` or ``git:<commit>``, or None; costs one or two stats."""
    algorithm, _, value = digest.partition(":")
    sources = store / "sources"
    if algorithm != "sha256":
        try:
            value = (sources / algorithm / value).read_text()
        except OSError:
            return None
    path = sources / "sha256" / value
    return path if value and path.is_file() else None


def name_source(store: Path, digest: str, sha256: str) -> None:
    """Let a stored file be found by another digest too: ``sha512:…`` or ``git:<commit>``."""
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256":
        _write_index(store / "sources" / algorithm, value, sha256)


def keep_source(store: Path, path: Path) -> str:
    """Put a file into the store, which keeps its own copy; return its ``sha256:…``.

    Raises SourceError if it cannot be read, StoreError, WrongDigestError if it changes meanwhile.
    """
    try:
        sha256 = of_file(path)
        with path.open("rb") as stream, claim(store, f"sha256:{sha256}", threading.Event(), lambda: None) as part:
            if part is not None:
                part.clear()
                while data := stream.read(CHUNK):
                    part.write(data)
                part.accept({"sha256": sha256})
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", hint="see --source") from error
    return f"sha256:{sha256}"


def origin(store: Path, sha256: str) -> str:
    """Return the address of a stored file's download, without credentials; empty if it is unknown."""
    try:
        return (store / "sources" / "origin" / sha256).read_text()
    except OSError:
        return ""


def altered_source(store: Path, digest: str) -> str | None:
    """Return how a stored file differs from its digest; None if it does not, or if nothing is stored. Reads it once.

    A commit has no digest that its archive could be compared with: there the SHA-256 under which it is stored counts.
    """
    path = stored(store, digest)
    if path is None:
        return None
    algorithm, _, value = digest.partition(":")
    sums = {"sha256": path.name, **({"sha512": value} if algorithm == "sha512" else {})}
    for name, expected in sums.items():
        try:
            found = of_file(path, name)
        except OSError as error:
            return f"{path} is unreadable: {error.strerror}"
        if found != expected:
            return f"the {name} of {path} is {found}"
    return None


def discard_source(store: Path, digest: str) -> None:
    """Remove a stored file, and the index entry by which it was found."""
    path = stored(store, digest)
    algorithm, _, value = digest.partition(":")
    if path is not None:
        path.unlink(missing_ok=True)
    if algorithm != "sha256":
        (store / "sources" / algorithm / value).unlink(missing_ok=True)


class Part:
    """A partial file that only this thread may write to. ``size`` is in bytes."""

    def __init__(self, sources: Path, path: Path, descriptor: int) -> None:
        self._sources = sources
        self._path = path
        self._note = path.with_suffix(".json")
        self._descriptor = descriptor
        self.size = os.lseek(descriptor, 0, os.SEEK_END)

    def write(self, data: bytes) -> None:
        """Append without a buffer, so that received bytes survive a kill."""
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            view = view[written:]
            self.size += written

    def clear(self) -> None:
        """Discard all bytes."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._note.unlink(missing_ok=True)
        self.size = 0

    def remember(self, address: str, validator: str | None) -> None:
        """Record from which version of which address the bytes come."""
        self._note.write_text(json.dumps({"address": address, "validator": validator}))

    def validator(self, address: str) -> str | None:
        """Return the ETag or date that ``address`` had at the download; None if the bytes came from elsewhere."""
        try:
            note = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return None
        same = isinstance(note, dict) and note.get("address") == address
        return note.get("validator") if same else None

    def accept(
        self, expected: dict[str, str], names: dict[str, str] | None = None, origin: str = ""
    ) -> tuple[Path, str]:
        """Verify the bytes and store them as a file; return its path and SHA-256.

        ``expected``: digests by ``sha256`` and ``sha512``. ``names``: further index entries (``git`` → commit).
        ``origin``: the address of the download. Raises WrongDigestError, and keeps the bytes then.
        """
        found = self._digests({"sha256", *expected})
        for algorithm, value in expected.items():
            if found[algorithm] != value:
                beginning = os.pread(self._descriptor, 1024, 0)
                raise WrongDigestError(f"{algorithm}:{value}", f"{algorithm}:{found[algorithm]}", self.size, beginning)
        sha256 = found["sha256"]
        os.fsync(self._descriptor)
        os.fchmod(self._descriptor, 0o444)
        for algorithm, value in {**expected, **(names or {})}.items():
            if algorithm != "sha256":
                _write_index(self._sources / algorithm, value, sha256)
        if origin:
            _write_index(self._sources / "origin", sha256, origin)
        final = self._sources / "sha256" / sha256
        final.parent.mkdir(parents=True, exist_ok=True)
        self._path.rename(final)
        _sync_folder(final.parent)
        self._note.unlink(missing_ok=True)
        return final, sha256

    def _digests(self, algorithms: set[str]) -> dict[str, str]:
        sums = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
        position = 0
        while data := os.pread(self._descriptor, CHUNK, position):
            position += len(data)
            for digest in sums.values():
                digest.update(data)
        return {algorithm: digest.hexdigest() for algorithm, digest in sums.items()}


@contextmanager
def claim(store: Path, digest: str, cancelled: threading.Event, waiting: Callable[[], None]) -> Iterator[Part | None]:
    """Lock the partial file of ``digest`` and yield it; yield None if somebody else has finished it meanwhile.

    ``waiting`` is called once if another thread or process holds the lock. Raises InterruptedRunError, and StoreError
    if the store cannot be written.
    """
    sources = store / "sources"
    path = sources / "partial" / (digest.replace(":", "-") + ".part")
    with store_errors(sources):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _lock(store, digest, path, cancelled, waiting)
        if descriptor is None:
            yield None
            return
        try:
            part = Part(sources, path, descriptor)
            yield part
        finally:
            if os.fstat(descriptor).st_size == 0 and _is_at(descriptor, path):
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)
            os.close(descriptor)


def _lock(store: Path, digest: str, path: Path, cancelled: threading.Event, waiting: Callable[[], None]) -> int | None:
    waited = False
    while stored(store, digest) is None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder may have renamed or removed the file between our open and our lock.
            if _is_at(descriptor, path):
                return descriptor
            os.close(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            if not waited:
                waiting()
                waited = True
            if cancelled.wait(LOCK_POLL):
                raise InterruptedRunError("stopped while waiting for another download of the same file") from None
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _write_index(folder: Path, name: str, sha256: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.{os.getpid()}.{threading.get_ident()}"
    temporary.write_text(sha256)
    temporary.rename(folder / name)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def store_errors(place: Path) -> Iterator[None]:
    """Turn the error of a full, read-only or forbidden store into a StoreError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some with 'bigtop-builder gc', or set store in bigtop-builder.yaml to another folder"
            raise StoreError(f"no space left below {place}", hint=hint) from error
        raise StoreError(
            f"cannot write below {place}: {error.strerror or error}",
            hint="set store in bigtop-builder.yaml to a writable folder",
        ) from error
