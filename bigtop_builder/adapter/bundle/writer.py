"""Write a bundle: a folder or one tar archive, which gets its name only when it is complete."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from bigtop_builder.adapter.store import remove_tree, store_error, sync_folder
from bigtop_builder.model.bundle import BundledFile
from bigtop_builder.model.digest import CHUNK
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationError, StoreError

UNFINISHED = ".unfinished"

Progress = Callable[[str, int], None]
"""Called with the file that is written or read, and the number of bytes since the last call."""


class BundleWriter:
    """Writes a bundle; as a context manager it leaves nothing behind unless ``finish`` was called.

    A bundle whose name ends in ``.tar`` is one archive, any other a folder. Leftovers of killed writers beside it are
    removed. Raises ConfigurationError when ``target`` exists, StoreError when it cannot be written.
    """

    def __init__(self, target: Path, progress: Progress = lambda name, size: None) -> None:
        self.target = target
        self._progress = progress
        self._place = target.with_name(f".{target.name}.{secrets.token_hex(4)}{UNFINISHED}")
        self._archive: IO[bytes] | None = None
        self._lock: int | None = None

    def __enter__(self) -> BundleWriter:
        if self.target.exists() or self.target.is_symlink():
            raise ConfigurationError(
                f"{self.target} already exists", hint="Remove it, or choose another place with --output."
            )
        with _bundle_errors(self.target):
            _clear_dead(self.target)
            if self.target.suffix == ".tar":
                self._archive = self._place.open("xb")
            else:
                self._place.mkdir()
            self._lock = os.open(self._place, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()
        with contextlib.suppress(OSError):
            remove_tree(self._place)
        if self._lock is not None:
            os.close(self._lock)

    def add(self, name: str, chunks: Iterable[bytes], *, executable: bool = False) -> BundledFile:
        """Write a file of any length and return its entry in the manifest."""
        with _bundle_errors(self.target):
            if self._archive is not None:
                return self._append(self._archive, name, chunks, executable)
            path = self._place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as stream:
                written = self._copy(stream, name, chunks, executable)
                stream.flush()
                os.fsync(stream.fileno())
            path.chmod(0o755 if executable else 0o644)
            return written

    def finish(self) -> int:
        """Give the bundle its name and return its size in bytes."""
        with _bundle_errors(self.target):
            if self._archive is not None:
                self._archive.write(bytes(2 * tarfile.BLOCKSIZE))
                size = self._archive.tell()
                self._archive.flush()
                os.fsync(self._archive.fileno())
            else:
                folders = [Path(folder) for folder, _, _ in os.walk(self._place)]
                for folder in folders:
                    sync_folder(folder)
                size = sum(path.stat().st_size for path in self._place.rglob("*") if path.is_file())
            self._place.rename(self.target)
            sync_folder(self.target.parent)
        return size

    def _append(self, archive: IO[bytes], name: str, chunks: Iterable[bytes], executable: bool) -> BundledFile:
        """Append a file. Its size is known only after its last byte, so its header is then written again."""
        start = archive.tell()
        archive.write(_header(name, 0, executable))
        written = self._copy(archive, name, chunks, executable)
        archive.write(bytes(-written.size % tarfile.BLOCKSIZE))
        end = archive.tell()
        archive.seek(start)
        archive.write(_header(name, written.size, executable))
        archive.seek(end)
        return written

    def _copy(self, stream: IO[bytes], name: str, chunks: Iterable[bytes], executable: bool) -> BundledFile:
        size, digest = 0, hashlib.sha256()
        for chunk in chunks:
            stream.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            self._progress(name, len(chunk))
        return BundledFile(path=name, size=size, sha256=digest.hexdigest(), executable=executable)


def file_chunks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file in chunks."""
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _header(name: str, size: int, executable: bool) -> bytes:
    info = tarfile.TarInfo(name)
    info.mode, info.size = 0o755 if executable else 0o644, size
    return info.tobuf(tarfile.GNU_FORMAT)


def _clear_dead(target: Path) -> None:
    for path in target.parent.glob(f".{target.name}.*{UNFINISHED}"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(path)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _bundle_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if not target.parent.is_dir():
            raise ConfigurationError(f"there is no folder {target.parent}", hint="Create it first.") from error
        raise StoreError(f"the bundle cannot be written: {error}") from error
    except BigtopBuilderError:
        raise
    except OSError as error:
        problem = store_error(error, target)
        hint = "Choose a place with more space with --output; no partial bundle is left behind."
        raise StoreError(problem.message.replace("the store ", "the bundle "), hint=hint) from error
