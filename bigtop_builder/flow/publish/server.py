"""Serve repositories over HTTP/1.1: read-only, with ranges and conditional requests, for closed networks and trials.

This uses the standard library's server: of the small libraries, waitress supports neither files nor ranges, and the
others bring an event loop or a process model that a folder of packages does not need.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from bigtop_builder.adapter.http_server import BoundedHandler, BoundedServer
from bigtop_builder.flow.publish.byte_ranges import Range, parse_ranges
from bigtop_builder.flow.publish.served_pages import folder_page
from bigtop_builder.flow.publish.served_repo_files import generated, reachable, valid_host
from bigtop_builder.model.errors import PublishError

TYPES = {
    ".rpm": "application/x-rpm",
    ".xml": "text/xml",
    ".gz": "application/gzip",
    ".json": "application/json",
    ".repo": "text/plain; charset=utf-8",
    ".asc": "text/plain; charset=utf-8",
}
SNAPSHOTS = ".snapshots"
Log = Callable[[str], None]


class Handler(BoundedHandler):
    """Handles the requests of one connection."""

    server: RepositoryServer
    server_version = "bigtop-builder"
    sys_version = ""

    def do_GET(self) -> None:  # noqa: N802
        """Answer with the file or folder, or a range of it."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:  # noqa: N802
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
        if path is not None and path.is_dir():
            self._send_folder(path, with_body=with_body)
            return
        file = _open_file(path) if path is not None else None
        if (path is None or file is None) and (text := self._repo_file()) is not None:
            self._send(HTTPStatus.OK, {"Content-Type": TYPES[".repo"]}, text, with_body=with_body)
            return
        if path is None or file is None:
            self._send(HTTPStatus.NOT_FOUND, {}, b"not found\n", with_body=with_body)
            return
        with file:
            self._send_file(path, file, with_body=with_body)

    def _repo_file(self) -> bytes | None:
        """Return the ``.repo`` file that is requested, with the address that this client uses."""
        names = tuple(name for name in unquote(urlsplit(self.path).path).split("/") if name)
        return generated(self.server.root, names, self._address())

    def _address(self) -> str:
        """Return the address of the root as this client reaches it."""
        host = valid_host(self.headers.get("Host"))
        return f"http://{host}" if host else self.server.address

    def _send_folder(self, folder: Path, *, with_body: bool) -> None:
        requested = urlsplit(self.path).path
        if not requested.endswith("/"):
            # One slash at the start: two would send the client to another host.
            target = "/" + requested.lstrip("/") + "/"
            self._send(HTTPStatus.MOVED_PERMANENTLY, {"Location": target}, with_body=with_body)
            return
        try:
            entries = [entry for entry in folder.iterdir() if entry.name[0] != "." and self.server.serves(entry)]
        except OSError:
            self._send(HTTPStatus.NOT_FOUND, {}, b"not found\n", with_body=with_body)
            return
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in entries)
        page = folder_page(self.server.root, folder, unquote(requested), names, self._address())
        headers = {"Content-Type": "text/html; charset=utf-8"}
        self._send(HTTPStatus.OK, headers, page, with_body=with_body)

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
        # A range is defined for GET alone.
        condition = self.headers.get("If-Range")
        header = self.headers.get("Range") if with_body else None
        ranges = None
        if header is not None and condition in (None, etag, headers["Last-Modified"]):
            ranges = parse_ranges(header, status.st_size)
        if ranges is None:
            self._send(HTTPStatus.OK, headers, with_body=False, length=status.st_size)
            if with_body:
                self.send_file(file, 0, status.st_size)
        elif not ranges:
            headers["Content-Range"] = f"bytes */{status.st_size}"
            self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers)
        else:
            self._send_ranges(file, headers, ranges, status.st_size)

    def _send_ranges(self, file: BinaryIO, headers: dict[str, str], ranges: list[Range], size: int) -> None:
        if len(ranges) == 1:
            start, end = ranges[0]
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            self._send(HTTPStatus.PARTIAL_CONTENT, headers, with_body=False, length=end - start)
            self.send_file(file, start, end - start)
            return
        boundary = secrets.token_hex(16)
        opening = f"\r\n--{boundary}\r\nContent-Type: {headers['Content-Type']}\r\nContent-Range: bytes "
        heads = [f"{opening}{start}-{end - 1}/{size}\r\n\r\n".encode() for start, end in ranges]
        tail = f"\r\n--{boundary}--\r\n".encode()
        length = sum(len(head) + end - start for head, (start, end) in zip(heads, ranges, strict=True)) + len(tail)
        headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
        self._send(HTTPStatus.PARTIAL_CONTENT, headers, with_body=False, length=length)
        for head, (start, end) in zip(heads, ranges, strict=True):
            self.wfile.write(head)
            self.send_file(file, start, end - start)
            if self.close_connection:
                return
        self.wfile.write(tail)

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


def _open_file(path: Path) -> BinaryIO | None:
    """Open a file, and nothing else: ``path`` has no links, and one that is put there now is not followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


class RepositoryServer(BoundedServer):
    """Serves the files below ``root``, except hidden names and links that lead out of it or to what is hidden.

    Raises PublishError if the folder does not exist or the port is unavailable.
    """

    def __init__(self, root: Path, host: str = "127.0.0.1", port: int = 8080, log: Log | None = None) -> None:
        if not root.is_dir():
            raise PublishError(f"no repository at {root}", hint="Publish one first: bigtop-builder repo publish")
        self.root = root.resolve()
        self.log: Log = log or (lambda line: None)
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise PublishError(
                f"cannot listen on {host}:{port}: {error}", hint="Choose another --port or --host."
            ) from error

    @property
    def address(self) -> str:
        """The address of the root, by which others reach it: ``http://127.0.0.1:8080``."""
        host, port = self.server_address[:2]
        name = reachable(host.decode() if isinstance(host, (bytes, bytearray)) else str(host))
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def locate(self, requested: str) -> Path | None:
        """Return the file or folder at the path of a request; None if it is hidden or does not exist."""
        names = [name for name in unquote(requested, errors="surrogateescape").split("/") if name]
        if any(name[0] == "." or "\0" in name for name in names):
            return None
        try:
            path = self.root.joinpath(*names).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return None
        return path if self._is_published(path) else None

    def serves(self, path: Path) -> bool:
        """Whether the target of a path is served: that of a link may not be."""
        try:
            return self._is_published(path.resolve(strict=True))
        except (OSError, RuntimeError):
            return False

    def _is_published(self, path: Path) -> bool:
        if not path.is_relative_to(self.root):
            return False
        names = path.relative_to(self.root).parts
        # The publisher's own links lead to its snapshots.
        return not any(name[0] == "." for name in names[names[:1] == (SNAPSHOTS,) :])

    def refused(self, client: str) -> None:
        """Print a line for a connection that is refused."""
        self.log(f"{client} too many connections: refused one")

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
