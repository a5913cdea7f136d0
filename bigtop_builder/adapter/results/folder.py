"""Shared results in a folder: an NFS mount, or the folder that a web server serves."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from bigtop_builder.adapter.results.place import NAME, ResultStoreError, UntrustedResultError, fetched
from bigtop_builder.adapter.sources.download_store import WrongDigestError, claim
from bigtop_builder.model.errors import InterruptedRunError

CHUNK = 1 << 20


class FolderPlace:
    """See ``Place``. Files are renamed into place, so that readers on other machines never see half of one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.address = str(root)

    def read(self, name: str, limit: int) -> bytes | None:
        """See ``Place.read``. A record that is read counts as used now."""
        self._require()
        try:
            with (self.root / name).open("rb") as stream:
                data = stream.read(limit + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(error) from error
        if len(data) > limit:
            raise ResultStoreError(f"the result store {self.address}: {name} has more than {limit} bytes")
        with contextlib.suppress(OSError):
            os.utime(self.root / name)
        return data

    def has(self, name: str) -> bool:
        """See ``Place.has``."""
        self._require()
        return (self.root / name).is_file()

    def fetch(self, sha256: str, size: int, store: Path, cancelled: threading.Event) -> Path:
        """See ``Place.fetch``."""
        source = self.root / "cas" / sha256
        with claim(store, f"sha256:{sha256}", cancelled, lambda: None) as part:
            if part is not None:
                part.clear()
                try:
                    with source.open("rb") as stream:
                        while data := stream.read(CHUNK):
                            if cancelled.is_set():
                                raise InterruptedRunError("stopped during a copy from the result store")
                            if part.size + len(data) > size:
                                break
                            part.write(data)
                    part.accept({"sha256": sha256})
                except FileNotFoundError as error:
                    raise ResultStoreError(f"the result store {self.address} lacks cas/{sha256}") from error
                except OSError as error:
                    raise self._failed(error) from error
                except WrongDigestError as error:
                    part.clear()
                    raise UntrustedResultError(f"the result store {self.address}: cas/{sha256}: {error}") from error
        return fetched(store, sha256, self.address)

    def put(self, name: str, content: Path | bytes) -> None:
        """See ``Place.put``."""
        self._require()
        target = self.root / name
        temporary = target.with_name(f".{secrets.token_hex(8)}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as stream:
                if isinstance(content, bytes):
                    stream.write(content)
                else:
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, stream, CHUNK)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.rename(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise self._failed(error) from error

    def remove(self, name: str) -> None:
        """See ``Place.remove``."""
        try:
            (self.root / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from error

    def names(self) -> Iterator[tuple[str, int, float]]:
        """See ``ListedPlace.names``."""
        self._require()
        for folder in ("ac", "cas"):
            with contextlib.suppress(FileNotFoundError), os.scandir(self.root / folder) as entries:
                for entry in entries:
                    if not NAME.fullmatch(f"{folder}/{entry.name}"):
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat()
                        yield f"{folder}/{entry.name}", status.st_size, status.st_mtime

    def _require(self) -> None:
        # A mount that is missing is an empty folder or none: creating one there would hide that.
        try:
            there = self.root.is_dir()
        except OSError as error:
            raise self._failed(error) from error
        if not there:
            raise ResultStoreError(
                f"the result store {self.address} is not a folder",
                hint="Mount it, or create it: mkdir -p " + self.address,
            )

    def _failed(self, error: OSError) -> ResultStoreError:
        return ResultStoreError(f"the result store {self.address}: {error.strerror or error}")
