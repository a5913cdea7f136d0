"""Upload to a web server by PUT: WebDAV (nginx, Apache), raw and yum repositories of Nexus, Artifactory."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from bigtop_builder.adapter.repository.destination import SMALL, PushedFile, PushError, Sent
from bigtop_builder.adapter.sources.errors import TransferError, explain, public
from bigtop_builder.adapter.sources.web import Auth, Web

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

CONNECTIONS = 4
TRIES = 3
PAUSE = 1.0
WRITTEN = (200, 201, 202, 204)
MISSING = (404, 410)
HINTS: Mapping[int, str] = {
    400: "The server does not take this kind of file there. For a Nexus yum repository: publish.push.metadata: server.",
    401: "Set publish.push.credentials: {user: env:NAME, password: env:NAME}, and export both.",
    403: "The user of publish.push.credentials may not upload there.",
    405: "The server takes no uploads there: check publish.push.url, and permit PUT (nginx: dav_methods PUT MKCOL).",
    409: "The server does not create folders: create the folder of publish.push.url there.",
    411: "The server wants a length: look for a proxy that sends uploads in chunks.",
    413: "The server takes no file of that size: raise its limit (nginx: client_max_body_size 0).",
    507: "The server is full: free space there.",
}
RESUME = "Run it again to continue: what is there already is not sent again."


class WebDestination:
    """See ``Destination``. Files appear whole or not at all: servers of this kind rename them into place."""

    def __init__(self, url: str, web: Web, auth: Auth | None = None) -> None:
        self._url = url.rstrip("/")
        self._web = web
        self._auth = auth
        self._local = threading.local()
        self._stopped = threading.Event()
        self.address = public(self._url)

    def read(self, name: str) -> bytes | None:
        """See ``Destination.read``."""
        content = bytearray()

        def take(data: bytes) -> None:
            content.extend(data)
            if len(content) > SMALL:
                raise PushError(f"{self._shown(name)} has more than {SMALL} bytes")

        content_type = self._again(name, lambda: self._get(name, content, take))
        return None if content_type is None else bytes(content)

    def send(self, files: Sequence[PushedFile]) -> Sent:
        """See ``Destination.send``."""
        threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="push")
        try:
            sent = Sent()
            for one in threads.map(self._send, files):
                sent += one
            return sent
        finally:
            self._stopped.set()
            threads.shutdown(cancel_futures=True)
            self._stopped.clear()

    def _send(self, file: PushedFile) -> Sent:
        if self._stopped.is_set():
            return Sent()
        size = self._again(file.name, lambda: self._size(file.name))
        if size == file.size or size == -1:
            if file.known and size == file.size:
                return Sent()
            if self._digest(file.name)[0] == file.sha256:
                return Sent()
        self._again(file.name, lambda: self._put(file))
        digest, content_type = self._digest(file.name)
        if digest != file.sha256:
            what = "is missing" if digest is None else f"has another SHA-256 (it is {content_type or 'of no type'})"
            raise PushError(
                f"{self._shown(file.name)} {what} after its upload",
                hint="Check that publish.push.url is the address of the repository, and that the file here is whole: "
                "bigtop-builder repo verify",
            )
        return Sent(1, file.size)

    def _size(self, name: str) -> int | None:
        """Return the size of what is there; None if nothing is, and -1 if the server does not say."""
        with self._request("HEAD", name) as response:
            if response.status_code in MISSING:
                return None
            if response.is_redirect:
                return -1
            if response.status_code not in (200, 204):
                raise self._refused(response, name)
            length = response.headers.get("content-length", "")
            return int(length) if length.isdecimal() else -1

    def _digest(self, name: str) -> tuple[str | None, str]:
        """Return the SHA-256 of what is there, None if nothing is, and its type."""
        digest = hashlib.sha256()

        def once() -> str | None:
            nonlocal digest
            digest = hashlib.sha256()
            return self._get(name, None, digest.update)

        content_type = self._again(name, once)
        return (None, "") if content_type is None else (digest.hexdigest(), content_type)

    def _get(self, name: str, content: bytearray | None, take: Callable[[bytes], None]) -> str | None:
        """Pass on the content of a file, and return its type; None if there is no file."""
        if content is not None:
            content.clear()
        with self._web.get(self._at(name), cancelled=self._stopped, auth=self._auth) as answer:
            if answer.status in MISSING:
                return None
            if answer.status != 200:
                raise PushError(f"{self._shown(name)}: {answer.status_text}", hint=HINTS.get(answer.status))
            received = 0
            for data in answer.body:
                received += len(data)
                take(data)
            length = answer.headers.get("content-length", "")
            if length.isdecimal() and received < int(length):
                raise TransferError(f"cut off after {received} of {length} bytes", again=True)
            return answer.headers.get("content-type", "")

    def _put(self, file: PushedFile) -> None:
        for made_folders in (False, True):
            with file.path.open("rb") as stream, self._request("PUT", file.name, stream) as response:
                if response.status_code in WRITTEN:
                    return
                # Apache creates no folders by itself, and answers so if one is missing.
                if response.status_code != 409 or made_folders:
                    raise self._refused(response, file.name)
            self._make_folders(file.name)

    def _make_folders(self, name: str) -> None:
        parts = name.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            folder = "/".join(parts[:count]) + "/"
            with self._request("MKCOL", folder) as response:
                # 405: it exists.
                if response.status_code not in (*WRITTEN, 405):
                    raise self._refused(response, folder)

    def _request(self, method: str, name: str, data: object = None) -> requests.Response:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._web.session()
        return self._web.send(session, method, self._at(name), self._auth, data=data)  # type: ignore[arg-type]

    def _again(self, name: str, action: Callable[[], T]) -> T:
        """Do something that a lost connection may fail, and try again then."""
        for attempt in range(1, TRIES + 1):
            try:
                return action()
            except PushError:
                raise
            except OSError as error:
                failed = explain(error)
            except TransferError as error:
                failed = error
            if not failed.again or attempt == TRIES or self._stopped.wait(PAUSE * attempt):
                raise PushError(f"{self._shown(name)}: {failed.reason}", hint=failed.hint or RESUME)
        raise AssertionError("unreachable")

    def _refused(self, response: requests.Response, name: str) -> PushError:
        status = f"{response.status_code} {response.reason}".rstrip()
        return PushError(f"{self._shown(name)}: the server answers {status}", hint=HINTS.get(response.status_code))

    def _at(self, name: str) -> str:
        return f"{self._url}/{quote(name)}"

    def _shown(self, name: str) -> str:
        return f"{self.address}/{name}"
