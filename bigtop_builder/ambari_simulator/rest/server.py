"""The simulated server as an object: a local socket, threads for its connections, a clean shutdown.

with Simulation(World(), registry()) as simulation:
    requests.get(simulation.url + "/api/v1/clusters", auth=("admin", "admin"))
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Sequence
from http import HTTPStatus
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Any, Self

from bigtop_builder.adapter.http_server import BoundedHandler, BoundedServer
from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.rest.http import Answer, Asked, Dropped, Site, refuse_body
from bigtop_builder.ambari_simulator.rest.registry import Registry

IDLE_LIMIT = 60.0
"""Seconds until an idle connection is closed."""
BODY_LIMIT = 60.0
"""Seconds that a body may take."""
MAX_BODY, MAX_OF_STRANGER = 16 << 20, 64 << 10
CHUNK_LINE, MOST_TRAILERS = 1 << 10, 32
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Simulation:
    """Serves a world. ``certificate`` and ``key`` (PEM files) enable TLS; port 0 picks a free one.

    ``allowed`` are the networks whose callers are heard, besides those of this machine; by default all.

    Raises ``OSError`` when the address cannot be bound.
    """

    def __init__(
        self,
        world: World,
        registry: Registry,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        certificate: Path | None = None,
        key: Path | None = None,
        allowed: Sequence[IPv4Network] = (),
    ) -> None:
        self.world = world
        self.site = Site(world, registry)
        self._scheme = "https" if certificate else "http"
        self._server = _Server((address, port), self.site, self._scheme, allowed)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Return the port in use."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Return ``http://ADDRESS:PORT``."""
        return f"{self._scheme}://{self._server.server_address[0]!s}:{self.port}"

    def start(self) -> None:
        """Start serving in a thread of its own."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="simulation", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop: no new connections, open ones are cut."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join(10)
            self._thread = None
        self._server.cut()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(BoundedServer):
    block_on_close = True
    # A deployer keeps dozens of connections open.
    most_of_client = 192

    def __init__(self, address: tuple[str, int], site: Site, scheme: str, allowed: Sequence[IPv4Network]) -> None:
        self.site = site
        self.scheme = scheme
        self._allowed = allowed
        super().__init__(address, _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether the caller's address is one that is heard."""
        if not self._allowed or any(ip_address(client_address[0]) in network for network in self._allowed):
            return True
        return _is_own(client_address[0])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore callers who went away or did not speak TLS."""


def _is_own(address: str) -> bool:
    """Whether an address is one of this machine: only such a one is reached from itself.

    Which of them its own calls come from depends on the container engine, which may translate them.
    """
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
        except OSError:
            return False
        return bool(probe.getsockname()[0] == address)


class _BodyError(Exception):
    """A body that is not read: the status to answer."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class _Handler(BoundedHandler):
    idle_seconds = IDLE_LIMIT
    server: _Server
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        try:
            content = self._body()
        except _BodyError as error:
            self.close_connection = True
            known = self.server.site.knows(self.headers)  # type: ignore[arg-type]
            self._send(refuse_body(error.status if known else HTTPStatus.FORBIDDEN))
            return
        asked = Asked(self.command, self.path, self.headers, content, self.server.scheme)  # type: ignore[arg-type]
        try:
            answer = self.server.site.answer(asked)
        except Dropped:
            self.close_connection = True
            return
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers:
            # A user's name is among them.
            self.send_header(name, CONTROL.sub("?", value).encode("latin-1", "replace").decode("latin-1"))
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = _serve  # noqa: N815

    def _body(self) -> bytes:
        """Read the body. Raises _BodyError if it is too large, or nobody can say where it ends."""
        lengths = set(self.headers.get_all("Content-Length") or ())
        coding = self.headers.get_all("Transfer-Encoding")
        known = self.server.site.knows(self.headers)  # type: ignore[arg-type]
        largest = MAX_BODY if known else MAX_OF_STRANGER
        if coding:
            if lengths or [one.strip().lower() for one in coding] != ["chunked"]:
                raise _BodyError(HTTPStatus.BAD_REQUEST)
            return self._chunks(largest)
        if not lengths:
            return b""
        length = lengths.pop()
        if lengths or not re.fullmatch("[0-9]{1,18}", length):
            raise _BodyError(HTTPStatus.BAD_REQUEST)
        if int(length) > largest:
            raise _BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self.expect_body(int(length), BODY_LIMIT)
        content = self.rfile.read(int(length))
        if len(content) < int(length):
            raise ConnectionError
        return content

    def _chunks(self, largest: int) -> bytes:
        self.expect_body(2 * largest + CHUNK_LINE, BODY_LIMIT)
        content = bytearray()
        while True:
            head = re.fullmatch(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n", self.rfile.readline(CHUNK_LINE))
            if head is None:
                raise _BodyError(HTTPStatus.BAD_REQUEST)
            size = int(head[1], 16)
            if len(content) + size > largest:
                raise _BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            if not size:
                break
            content += self.rfile.read(size)
            if self.rfile.readline(3) not in (b"\r\n", b"\n"):
                raise _BodyError(HTTPStatus.BAD_REQUEST)
        for _ in range(MOST_TRAILERS):
            if self.rfile.readline(CHUNK_LINE) in (b"\r\n", b"\n"):
                return bytes(content)
        raise _BodyError(HTTPStatus.BAD_REQUEST)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the caller's own log has the request."""
