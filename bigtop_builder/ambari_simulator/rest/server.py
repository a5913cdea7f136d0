"""The simulated server as an object: a local socket, threads for its connections, a clean shutdown.

with Simulation(World(), registry()) as simulation:
    requests.get(simulation.url + "/api/v1/clusters", auth=("admin", "admin"))
"""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.rest.http import Asked, Dropped, Site
from bigtop_builder.ambari_simulator.rest.registry import Registry

IDLE_LIMIT = 60.0
"""Seconds until an idle connection is closed."""


class Simulation:
    """Serves a world. ``certificate`` and ``key`` (PEM files) enable TLS; port 0 picks a free one.

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
    ) -> None:
        self.world = world
        self.site = Site(world, registry)
        self._scheme = "https" if certificate else "http"
        self._server = _Server((address, port), self.site, self._scheme)
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], site: Site, scheme: str) -> None:
        self.site = site
        self.scheme = scheme
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore callers who went away or did not speak TLS."""

    def cut(self) -> None:
        """Close the connections that are still open, so that their threads end."""
        with self._guard:
            remaining = list(self._open)
        for connection in remaining:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_LIMIT
    server: _Server
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        asked = Asked(self.command, self.path, self.headers, self.rfile.read(length), self.server.scheme)  # type: ignore[arg-type]
        try:
            answer = self.server.site.answer(asked)
        except Dropped:
            self.close_connection = True
            return
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = _serve  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the caller's own log has the request."""
