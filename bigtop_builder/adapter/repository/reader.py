"""Read a repository as its users see it: in a folder, or at an address."""

from __future__ import annotations

import contextlib
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from bigtop_builder.adapter.repository.unpacked_size import check_metadata
from bigtop_builder.model.base import size_in_bytes
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.project import Limits, Network

SMALL = 16 << 20
"""Bytes that no ``repomd.xml``, signature or key has."""
SAFE_NAME = re.compile(r"[A-Za-z0-9][\w.+~^-]{0,200}", re.ASCII)


Login = tuple[str, str]
"""User and password."""


class MissingError(PublishError):
    """A file of the repository does not exist."""


class Reader(Protocol):
    """Access to the files of a repository by their path in it."""

    def file(self, location: str, largest: int | None = None) -> contextlib.AbstractContextManager[Path]:
        """A local copy of the file, valid within the context. Raises MissingError or PublishError.

        ``largest``: the bytes of the largest file that is downloaded; by default the limit for downloads.
        """

    def metadata(self, location: str) -> contextlib.AbstractContextManager[Path]:
        """The same for a metadata file, which is safe to parse and unpacks to a bounded size."""

    def public_key(self) -> bytes:
        """The public key beside the repository. Raises PublishError if there is none."""


class FolderReader:
    """A repository in a folder."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self._folder = folder.resolve()
        self._limits = limits or Limits()

    @contextlib.contextmanager
    def file(self, location: str, largest: int | None = None) -> Iterator[Path]:
        """The file itself. Raises PublishError if the path leads out of the folder."""
        try:
            path = (self._folder / location).resolve()
            found = path.is_file()
        except (OSError, ValueError) as error:
            raise PublishError(f"{location[:200]!r} is no path in the repository {self._folder}") from error
        if not path.is_relative_to(self._folder):
            raise PublishError(f"{location} leads out of the repository {self._folder}")
        if not found:
            raise MissingError(f"{location} is not in {self._folder}")
        yield path

    @contextlib.contextmanager
    def metadata(self, location: str) -> Iterator[Path]:
        """The file itself. Raises PublishError if it is too large or not plain XML."""
        with self.file(location) as path:
            check_metadata(path, location, size_in_bytes(self._limits.metadata_size))
            yield path

    def public_key(self) -> bytes:
        """The first key file in the folder."""
        keys = sorted(self._folder.glob("RPM-GPG-KEY-*"))
        if not keys:
            raise PublishError(f"no public key in {self._folder}", hint="Give the key to trust: --key FILE.")
        return keys[0].read_bytes()


class AddressReader:
    """A repository at an ``http`` or ``https`` address; files are downloaded on demand and not kept."""

    def __init__(
        self, address: str, network: Network | None = None, limits: Limits | None = None, login: Login | None = None
    ) -> None:
        self._login = login
        self._address = address.rstrip("/")
        self._network = network or Network()
        self._limits = limits or Limits()

    @contextlib.contextmanager
    def file(self, location: str, largest: int | None = None) -> Iterator[Path]:
        """A temporary copy of the file."""
        from bigtop_builder.adapter.sources.errors import TransferError, public

        url = f"{self._address}/{quote(location)}"
        name = location.rpartition("/")[2]
        with tempfile.TemporaryDirectory(prefix="fetch-") as folder:
            # The metadata choose the name, whose suffix says how the file is compressed.
            path = Path(folder) / (name if SAFE_NAME.fullmatch(name) else "file")
            try:
                self._fetch(url, path, largest or size_in_bytes(self._limits.download_size))
            except TransferError as error:
                raise PublishError(f"cannot fetch {public(url)}: {error.reason}", hint=error.hint) from error
            yield path

    def _fetch(self, url: str, path: Path, largest: int) -> None:
        from bigtop_builder.adapter.sources.errors import TransferError, public
        from bigtop_builder.adapter.sources.web import Web

        received = 0
        with (
            Web(self._network).get(url, cancelled=threading.Event(), auth=self._login) as answer,
            path.open("wb") as stream,
        ):
            if answer.status in (404, 410):
                raise MissingError(f"{public(url)} does not exist")
            if answer.status != 200:
                raise TransferError(answer.status_text)
            for data in answer.body:
                received += len(data)
                if received > largest:
                    raise TransferError(f"more than {largest} bytes")
                stream.write(data)

    @contextlib.contextmanager
    def metadata(self, location: str) -> Iterator[Path]:
        """A temporary copy. Raises PublishError if it is too large or not plain XML."""
        largest = size_in_bytes(self._limits.metadata_size)
        with self.file(location, largest) as path:
            check_metadata(path, location, largest)
            yield path

    def public_key(self) -> bytes:
        """The key, which is named after the stack, the last folder but one of the address (see publisher)."""
        stack = urlsplit(self._address).path.rpartition("/")[0].rpartition("/")[2]
        if not stack:
            raise PublishError(
                f"{self._address} is not the address of a repository", hint="Such an address ends in STACK/PLATFORM."
            )
        try:
            with self.file(f"RPM-GPG-KEY-{stack}", SMALL) as path:
                return path.read_bytes()
        except MissingError as error:
            raise PublishError(
                f"no public key for {self._address}", hint="Give the key to trust: --key FILE."
            ) from error


def open_repository(
    place: str, network: Network | None = None, limits: Limits | None = None, login: Login | None = None
) -> Reader:
    """The reader for a folder or an ``http(s)`` address. Raises PublishError if the folder is not a repository."""
    if place.startswith(("http://", "https://")):
        return AddressReader(place, network, limits, login)
    folder = Path(place)
    if not folder.is_dir():
        raise PublishError(f"no repository at {place}", hint="Publish one first: bigtop-builder repo publish")
    return FolderReader(folder, limits)
