"""Shared results on an HTTP server that knows GET, HEAD and PUT: nginx, Nexus, Artifactory, bazel-remote."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

from bigtop_builder.adapter.results.place import ResultStoreError, UntrustedResultError, fetched
from bigtop_builder.adapter.sources.download import download
from bigtop_builder.adapter.sources.download_store import WrongDigestError, claim
from bigtop_builder.adapter.sources.errors import TransferError, explain, public
from bigtop_builder.adapter.sources.web import Auth, Web

if TYPE_CHECKING:
    import requests

RETRIES = 2
STATUS_HINTS: Mapping[int, str] = {
    401: "Set results.credentials: {user: env:NAME, password: env:NAME}, and export both.",
    403: "The user of results.credentials lacks permission.",
    405: "The server takes no uploads: permit PUT there (nginx: dav_methods PUT), or set results.push: no.",
    409: "The server does not create folders: create ac/ and cas/ there (nginx: create_full_put_path on).",
    411: "The server wants a length: turn off whatever sends uploads in chunks.",
    413: "The server takes no file of that size: raise its limit (nginx: client_max_body_size 0).",
    507: "The server is full: remove old results there.",
}


class HttpPlace:
    """See ``Place``."""

    def __init__(self, url: str, web: Web, auth: Auth | None = None) -> None:
        self._url = url.rstrip("/")
        self._web = web
        self._auth = auth
        self._local = threading.local()
        self.address = public(self._url)

    def read(self, name: str, limit: int) -> bytes | None:
        """See ``Place.read``."""
        with self._sent("GET", name, stream=True) as response:
            if response.status_code == 404:
                return None
            self._expect(response, name, {200})
            try:
                data = response.raw.read(limit + 1, decode_content=True)
            except Exception as error:
                raise self._failed(name, error) from error
        if len(data) > limit:
            raise ResultStoreError(f"the result store {self.address}: {name} has more than {limit} bytes")
        expected = response.headers.get("content-length", "")
        if expected.isdigit() and not response.headers.get("content-encoding") and len(data) < int(expected):
            raise ResultStoreError(f"the result store {self.address}: {name} was cut off after {len(data)} bytes")
        return bytes(data)

    def has(self, name: str) -> bool:
        """See ``Place.has``."""
        with self._sent("HEAD", name) as response:
            if response.status_code == 404:
                return False
            self._expect(response, name, {200, 204})
            return True

    def fetch(self, sha256: str, size: int, store: Path, cancelled: threading.Event) -> Path:
        """See ``Place.fetch``."""
        name = f"cas/{sha256}"
        with claim(store, f"sha256:{sha256}", cancelled, lambda: None) as part:
            if part is not None:
                try:
                    download(
                        self._web,
                        f"{self._url}/{name}",
                        part,
                        retries=RETRIES,
                        largest=size,
                        progress=lambda done, total, note: None,
                        cancelled=cancelled,
                        auth=self._auth,
                    )
                    part.accept({"sha256": sha256})
                except TransferError as error:
                    raise ResultStoreError(
                        f"the result store {self.address}: {name}: {error.reason}", hint=error.hint
                    ) from error
                except WrongDigestError as error:
                    part.clear()
                    raise UntrustedResultError(f"the result store {self.address}: {name}: {error}") from error
        return fetched(store, sha256, self.address)

    def put(self, name: str, content: Path | bytes) -> None:
        """See ``Place.put``."""
        with (
            io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream,
            self._sent("PUT", name, data=stream) as response,
        ):
            self._expect(response, name, {200, 201, 202, 204})

    def remove(self, name: str) -> None:
        """See ``Place.remove``: few servers permit that, and nothing depends on it."""
        with self._sent("DELETE", name) as response:
            if response.status_code not in (404, 405):
                self._expect(response, name, {200, 202, 204})

    def _sent(
        self, method: str, name: str, data: IO[bytes] | None = None, *, stream: bool = False
    ) -> requests.Response:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._web.session()
        try:
            return self._web.send(session, method, f"{self._url}/{name}", self._auth, data=data, stream=stream)
        except Exception as error:
            raise self._failed(name, error) from error

    def _expect(self, response: requests.Response, name: str, statuses: set[int]) -> None:
        if response.status_code not in statuses:
            self._refuse(response, name)

    def _refuse(self, response: requests.Response, name: str) -> NoReturn:
        status = response.status_code
        raise ResultStoreError(
            f"the result store {self.address}: {name}: {status} {response.reason}".rstrip(),
            hint=STATUS_HINTS.get(status),
        )

    def _failed(self, name: str, error: Exception) -> ResultStoreError:
        known = explain(error)
        return ResultStoreError(f"the result store {self.address}: {name}: {known.reason}", hint=known.hint)
