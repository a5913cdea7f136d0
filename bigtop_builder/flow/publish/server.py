"""Serve repositories over HTTP/1.1: read-only, with ranges and conditional requests, for closed networks and trials.

This uses the standard library's server: of the small libraries, waitress supports neither files nor ranges, and the
others bring an event loop or a process model that a folder of packages does not need.
"""

from __future__ import annotations

import contextlib
import html
import os
import re
import socket
import threading
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit

from bigtop_builder.model.errors import PublishError

IDLE_SECONDS = 30
"""Seconds after which an idle client is disconnected."""
MAX_CONNECTIONS = 256
RANGE = re.compile(r"bytes=(\d*)-(\d*)$", re.ASCII)
TYPES = {
    ".rpm": "application/x-rpm",
    ".xml": "text/xml",
    ".gz": "application/gzip",
    ".json": "application/json",
    ".repo": "text/plain; charset=utf-8",
    ".asc": "text/plain; charset=utf-8",
}
Log = Callable[[str], None]


class Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    server: RepositoryServer
    protocol_version = "HTTP/1.1"
    server_version = "bigtop-builder"
    sys_version = ""
    timeout = IDLE_SECONDS

    def handle(self) -> None:
        """Handle requests; a client that disconnects or stalls ends its own connection and nothing else."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def finish(self) -> None:
        """Like ``handle``, for output that is still buffered."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().finish()

    def do_GET(self) -> None:
        """Answer with the file or folder, or a range of it."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer like ``do_GET``, without the body."""
        self._answer(with_body=False)

    def _refuse(self) -> None:
        self.close_connection = True
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD", "Connection": "close"})

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _refuse  # noqa: N815

    def log_message(self, format: str, *arguments: Any) -> None:
        """Write a line for the request, without its control characters, which could control a terminal."""
        line = (format % arguments).encode("ascii", "backslashreplace").decode()
        self.server.log(f"{self.client_address[0]} {''.join(c if c.isprintable() else '?' for c in line)}")

    def _answer(self, *, with_body: bool) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            # An unread body would be parsed as the next request.
            self.close_connection = True
        path = self.server.locate(urlsplit(self.path).path)
        if path is None:
            self._send(HTTPStatus.NOT_FOUND, {}, b"not found\n", with_body=with_body)
        elif path.is_dir():
            self._send_folder(path, with_body=with_body)
        elif not path.is_file():
            self._send(HTTPStatus.NOT_FOUND, {}, b"not found\n", with_body=with_body)
        else:
            try:
                file = path.open("rb")
            except OSError:
                self._send(HTTPStatus.NOT_FOUND, {}, b"not found\n", with_body=with_body)
                return
            with file:
                self._send_file(path, file, with_body=with_body)

    def _send_folder(self, folder: Path, *, with_body: bool) -> None:
        requested = urlsplit(self.path).path
        if not requested.endswith("/"):
            # One slash at the start: two would send the client to another host.
            target = "/" + requested.lstrip("/") + "/"
            self._send(HTTPStatus.MOVED_PERMANENTLY, {"Location": target}, with_body=with_body)
            return
        names = sorted(
            entry.name + ("/" if entry.is_dir() else "") for entry in folder.iterdir() if entry.name[0] != "."
        )
        links = "".join(f'<li><a href="./{quote(os.fsencode(name))}">{html.escape(name)}</a></li>\n' for name in names)
        title = html.escape(unquote(requested))
        page = f"<!DOCTYPE html>\n<title>{title}</title>\n<h1>{title}</h1>\n<ul>\n{links}</ul>\n"
        headers = {"Content-Type": "text/html; charset=utf-8"}
        self._send(HTTPStatus.OK, headers, page.encode(errors="replace"), with_body=with_body)

    def _send_file(self, path: Path, file: BinaryIO, *, with_body: bool) -> None:
        status = os.fstat(file.fileno())
        etag = f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
        headers = {
            "ETag": etag,
            "Last-Modified": formatdate(status.st_mtime, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Type": TYPES.get(path.suffix, "application/octet-stream"),
        }
        if self._is_known(etag, int(status.st_mtime)):
            self._send(HTTPStatus.NOT_MODIFIED, headers, with_body=False, length=None)
            return
        start, end = 0, status.st_size
        code = HTTPStatus.OK
        wanted = self._wanted_range(status.st_size, etag, headers["Last-Modified"])
        if wanted is not None:
            start, end = wanted
            if start >= end:
                headers["Content-Range"] = f"bytes */{status.st_size}"
                self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers, with_body=with_body)
                return
            code = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{status.st_size}"
        self._send(code, headers, with_body=False, length=end - start)
        if with_body and end > start:
            sent = self.connection.sendfile(file, start, end - start)
            self.close_connection |= sent < end - start

    def _is_known(self, etag: str, modified: int) -> bool:
        """Whether the client already has this version (RFC 9110 section 13)."""
        tags = self.headers.get("If-None-Match")
        if tags is not None:
            return tags.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        since = self.headers.get("If-Modified-Since")
        if since is None:
            return False
        try:
            return modified <= parsedate_to_datetime(since).timestamp()
        except (ValueError, OverflowError):
            return False

    def _wanted_range(self, size: int, etag: str, modified: str) -> tuple[int, int] | None:
        """Return the first byte and the one after the last; None for the whole body, and for several ranges at once.

        RFC 9110 section 14: a range that starts beyond the end is not satisfiable.
        """
        match = RANGE.match(self.headers.get("Range", "").strip())
        condition = self.headers.get("If-Range")
        if match is None or match[0] == "bytes=-" or condition not in (None, etag, modified):
            return None
        first, last = match.groups()
        if not first:
            return max(0, size - int(last)), size
        if last and int(last) < int(first):
            return None
        return int(first), min(size, int(last) + 1) if last else size

    def _send(
        self,
        code: HTTPStatus,
        headers: dict[str, str],
        body: bytes = b"",
        *,
        with_body: bool = True,
        length: int | None = -1,
    ) -> None:
        """Send status, headers and, if wanted, the body; ``length`` is that of the body unless given."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        if with_body and body:
            self.wfile.write(body)


class RepositoryServer(ThreadingHTTPServer):
    """Serves the files below ``root``, except hidden names and links that lead out of it.

    Raises PublishError if the folder does not exist or the port is unavailable.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, root: Path, host: str = "127.0.0.1", port: int = 8080, log: Log | None = None) -> None:
        if not root.is_dir():
            raise PublishError(f"no repository at {root}", hint="Publish one first: bigtop-builder repo publish")
        self.root = root.resolve()
        self.log: Log = log or (lambda line: None)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise PublishError(
                f"cannot listen on {host}:{port}: {error}", hint="Choose another --port or --host."
            ) from error

    @property
    def address(self) -> str:
        """The address of the root: ``http://127.0.0.1:8080``."""
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, (bytes, bytearray)) else str(host)
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def locate(self, requested: str) -> Path | None:
        """Return the file or folder at the path of a request; None if it is hidden or does not exist."""
        names = [name for name in unquote(requested, errors="surrogateescape").split("/") if name]
        if any(name[0] == "." or "\0" in name for name in names):
            return None
        try:
            path = self.root.joinpath(*names).resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        return path if path.is_relative_to(self.root) else None

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which can hang."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a connection in a thread of its own, or refuse it if there are too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.log("too many connections: refused one")
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle a connection, then free its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print one line, where the standard library prints a traceback."""
        self.log(f"{client_address[0]} the connection broke")


def serve(
    root: Path,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    log: Log | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted (Ctrl-C); ``ready`` is called with the address once the server listens."""
    with RepositoryServer(root, host, port, log) as server, contextlib.suppress(KeyboardInterrupt):
        if ready is not None:
            ready(server.address)
        server.serve_forever(poll_interval=0.2)
