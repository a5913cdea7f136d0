"""A server on 127.0.0.1 that answers as told: a recorded exchange byte for byte, or any misbehaviour."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from tests.transcripts import Transcript


class Call(BaseHTTPRequestHandler):
    """One request, for a test's function to answer."""

    protocol_version = "HTTP/1.1"
    server: Server
    sent: bytes

    def answer(self) -> None:
        self.sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.calls.append(self)
        self.server.respond(self)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 (names of http.server)

    def log_message(self, format: str, *args: object) -> None:
        pass

    @property
    def place(self) -> str:
        """The path, decoded, without ``/api/v1/``."""
        return unquote(urlsplit(self.path).path).removeprefix("/api/v1").removeprefix("/")

    @property
    def query(self) -> str:
        return unquote(urlsplit(self.path).query)

    def reply(self, status: int, body: bytes | str = b"", **headers: str) -> None:
        """An ordinary answer; ``content_encoding="gzip"`` is a header."""
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def replay(self, exchange: Transcript) -> None:
        """The recorded answer: status, headers in their order, body."""
        data = exchange.body.encode(exchange.encoding)
        self.send_response_only(exchange.status, exchange.reason)
        names = {name.lower() for name, _ in exchange.headers}
        for name, value in exchange.headers:
            # A recorded length may be that of a body which was published shortened.
            self.send_header(name, str(len(data)) if name.lower() == "content-length" else value)
        chunked = "transfer-encoding" in names
        if not chunked and "content-length" not in names and exchange.status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if chunked:
            data = (b"%x\r\n%s\r\n" % (len(data), data) if data else b"") + b"0\r\n\r\n"
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    """Runs as a context; ``calls`` are those that came, in order. Given a ``context`` it speaks TLS."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, respond: Callable[[Call], None], context: ssl.SSLContext | None = None, *, port: int = 0
    ) -> None:
        super().__init__(("127.0.0.1", port), Call)
        self.respond = respond
        self.calls: list[Call] = []
        self._context = context

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._context is None:
            return connection, address
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what some tests are about."""

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()
