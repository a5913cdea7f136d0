"""A web server on this machine that does wrong what a server can do wrong, when told so."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

Behaviour = Callable[["Handler"], None]


@dataclass
class Seen:
    """A request as it came."""

    path: str
    headers: dict[str, str]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server  # type: ignore[assignment]

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            self.server.seen.append(Seen(self.path, headers))
        behaviour = self.server.routes.get(self.path)
        if behaviour is None:
            self.answer(404, b"no such file")
        else:
            behaviour(self)

    def answer(self, status: int, body: bytes, *, length: int | None = None, **headers: str) -> None:
        """Sends ``body``; with a greater ``length`` the connection is cut short of it."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = length is not None and length > len(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class File:
    """A file with ranges. ``cuts`` are the numbers of bytes after which the next answers end too early."""

    content: bytes
    etag: str | None = '"v1"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)

    def __call__(self, handler: Handler) -> None:
        headers = {"ETag": self.etag} if self.etag else {}
        start, status = 0, 200
        wanted = handler.headers.get("Range")
        condition = handler.headers.get("If-Range")
        if wanted and self.ranges and condition in (None, self.etag):
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(self.content):
                handler.answer(416, b"", Content_Range=f"bytes */{len(self.content)}")
                return
            headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        body = self.content[start:]
        sent = body[: self.cuts.pop(0)] if self.cuts else body
        handler.answer(status, sent, length=len(body), **headers)


class Server(ThreadingHTTPServer):
    """``routes`` maps paths to behaviours; ``seen`` are the requests; ``release`` ends every stall."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, certificate: tuple[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        self.routes: dict[str, Behaviour] = {}
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.release = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def url(self, path: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}{path}"

    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news here."""

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


def stalling(content: bytes, sent: int) -> Behaviour:
    """Promises ``content``, sends the first bytes and then nothing until released."""

    def behave(handler: Handler) -> None:
        handler.answer(200, content[:sent], length=len(content), ETag='"v1"')
        handler.server.release.wait(60)

    return behave


def silent(handler: Handler) -> None:
    """Never answers."""
    handler.close_connection = True
    handler.server.release.wait(60)


def trickling(handler: Handler) -> None:
    """A byte now and then, for ever."""
    handler.answer(200, b"", length=1 << 30)
    while not handler.server.release.wait(0.1):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def redirecting(target: str) -> Behaviour:
    def behave(handler: Handler) -> None:
        handler.answer(302, b"", Location=target)

    return behave


def failing_first(status: int, times: int, then: Behaviour) -> Behaviour:
    """Answers ``status`` so many times, then behaves."""
    left = [times]

    def behave(handler: Handler) -> None:
        if left[0] > 0:
            left[0] -= 1
            handler.answer(status, b"")
        else:
            then(handler)

    return behave


def raw(head: bytes, *, then: bytes = b"", times: int = 1) -> Behaviour:
    """Sends bytes as they are, ``then`` so many times, and closes; ``then`` repeats until released if 0."""

    def behave(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        sent = 0
        while not handler.server.release.is_set() and (times == 0 or sent < times):
            handler.wfile.write(then)
            sent += 1
        handler.wfile.flush()

    return behave


def dripping(head: bytes, drop: bytes) -> Behaviour:
    """Sends ``head``, then ``drop`` again and again, a few times a second."""

    def behave(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        while not handler.server.release.wait(0.05):
            handler.wfile.write(drop)
            handler.wfile.flush()

    return behave


def always(status: int, body: bytes, *, length: int | None = None, **headers: str) -> Behaviour:
    """The same answer to every request."""

    def behave(handler: Handler) -> None:
        handler.answer(status, body, length=length, **headers)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One behaviour after the other, then the last one for ever."""
    left = list(behaviours)

    def behave(handler: Handler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return behave
