"""Where shared results are kept: files by name, over HTTP or in a folder.

The names are those of Bazel's HTTP caches, so that bazel-remote answers them as well as a plain web server does:
``cas/<SHA-256>`` is a file of that digest, ``ac/<key>`` is the signed record of the result of that key.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from bigtop_builder.adapter.sources.download_store import stored
from bigtop_builder.model.errors import StoreError

RECORDS, BLOBS = "ac", "cas"
RECORD_LIMIT = 8 << 20
"""The most bytes of a record. The longest ones list the files of thousands of downloads."""
NAME = re.compile(r"(ac|cas)/[0-9a-f]{64}")


class ResultStoreError(StoreError):
    """The shared result store does not respond, or not as one does. A build goes on without it."""


class UntrustedResultError(ResultStoreError):
    """What the shared result store sent is not what one of the trusted keys signed. Nothing of it is used."""


class Place(Protocol):
    """Files by name. Methods raise ResultStoreError when the place fails; a missing file is no failure."""

    address: str
    """For messages, without credentials."""

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a small file; None if there is none. Raises ResultStoreError if it has more than ``limit`` bytes."""
        ...

    def has(self, name: str) -> bool:
        """Return whether a file exists."""
        ...

    def fetch(self, sha256: str, size: int, store: Path, cancelled: threading.Event) -> Path:
        """Put the file of a digest among the sources of the store at ``store``, verified, and return its path.

        A transfer that was cut off goes on where it ended. Raises UntrustedResultError for other bytes,
        InterruptedRunError, StoreError.
        """
        ...

    def put(self, name: str, content: Path | bytes) -> None:
        """Write a file, which readers see complete or not at all as far as the server allows that."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, where the place permits that."""
        ...


class ListedPlace(Place, Protocol):
    """A place that can say what it has, which plain HTTP cannot."""

    def names(self) -> Iterator[tuple[str, int, float]]:
        """Yield the name, size and time of last use (seconds since the epoch) of each file."""
        ...


def fetched(store: Path, sha256: str, address: str) -> Path:
    """Return a file that was fetched. Raises ResultStoreError if another result of the same bytes took it away."""
    path = stored(store, f"sha256:{sha256}")
    if path is None:
        raise ResultStoreError(f"the result store {address}: cas/{sha256} was taken by another result meanwhile")
    return path
