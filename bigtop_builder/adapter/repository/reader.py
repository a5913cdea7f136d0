"""Read a repository as its users see it: in a folder, or at an address."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from bigtop_builder.model.errors import PublishError

TIMEOUT = (20, 60)
"""Seconds to connect, and to wait for the next bytes."""
CHUNK = 1 << 18


class MissingError(PublishError):
    """A file of the repository does not exist."""


class Reader(Protocol):
    """Access to the files of a repository by their path in it."""

    def file(self, location: str) -> contextlib.AbstractContextManager[Path]:
        """A local copy of the file, valid within the context. Raises MissingError or PublishError."""

    def public_key(self) -> bytes:
        """The public key beside the repository. Raises PublishError if there is none."""


class FolderReader:
    """A repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    @contextlib.contextmanager
    def file(self, location: str) -> Iterator[Path]:
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

    def public_key(self) -> bytes:
        """The first key file in the folder."""
        keys = sorted(self._folder.glob("RPM-GPG-KEY-*"))
        if not keys:
            raise PublishError(f"no public key in {self._folder}", hint="Give the key to trust: --key FILE.")
        return keys[0].read_bytes()


class AddressReader:
    """A repository at an ``http`` or ``https`` address; files are downloaded on demand and not kept."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")

    @contextlib.contextmanager
    def file(self, location: str) -> Iterator[Path]:
        """A temporary copy of the file."""
        import requests

        from bigtop_builder.adapter.sources.errors import explain

        url = f"{self._address}/{quote(location)}"
        with tempfile.TemporaryDirectory(prefix="fetch-") as folder:
            path = Path(folder) / Path(location).name
            try:
                with requests.get(url, stream=True, timeout=TIMEOUT) as answer, path.open("wb") as stream:
                    if answer.status_code in (404, 410):
                        raise MissingError(f"{url} does not exist")
                    if not answer.ok:
                        raise PublishError(f"cannot fetch {url}: {answer.status_code} {answer.reason}")
                    for chunk in answer.iter_content(CHUNK):
                        stream.write(chunk)
            except requests.RequestException as error:
                why = explain(error)
                raise PublishError(f"cannot fetch {url}: {why.reason}", hint=why.hint) from error
            yield path

    def public_key(self) -> bytes:
        """The key, which is named after the stack, the last folder but one of the address (see publisher)."""
        stack = urlsplit(self._address).path.rpartition("/")[0].rpartition("/")[2]
        if not stack:
            raise PublishError(
                f"{self._address} is not the address of a repository", hint="Such an address ends in STACK/PLATFORM."
            )
        try:
            with self.file(f"RPM-GPG-KEY-{stack}") as path:
                return path.read_bytes()
        except MissingError as error:
            raise PublishError(
                f"no public key for {self._address}", hint="Give the key to trust: --key FILE."
            ) from error


def open_repository(place: str) -> Reader:
    """The reader for a folder or an ``http(s)`` address. Raises PublishError if the folder is not a repository."""
    if place.startswith(("http://", "https://")):
        return AddressReader(place)
    folder = Path(place)
    if not folder.is_dir():
        raise PublishError(f"no repository at {place}", hint="Publish one first: bigtop-builder repo publish")
    return FolderReader(folder)
