"""A server for HTTP/1.1 that no client can shut others out of: bounded connections, threads, heads and waits.

The standard library's server bounds a single read at most, so that a client that sends a byte now and then keeps a
thread for ever.
"""

from __future__ import annotations

import contextlib
import io
import ipaddress
import os
import select
import socket
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO

CHUNK = 1 << 20


class _HeadTooLargeError(Exception):
    """The request line and the headers are too long together."""


class _Incoming(io.RawIOBase):
    """What a client sends: at most ``left`` bytes, until ``end``."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection
        self.left = 0
        self.end = 0.0
        self.once_begun: float | None = None
        """Seconds from the first byte to the end, which replace ``end`` then."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        rest = self.end - time.monotonic()
        if rest <= 0:
            raise TimeoutError
        if self.left <= 0:
            raise _HeadTooLargeError
        self._connection.settimeout(rest)
        received = self._connection.recv_into(memoryview(buffer)[: self.left])
        self.left -= received
        if received and self.once_begun is not None:
            self.end, self.once_begun = time.monotonic() + self.once_begun, None
        return received


class BoundedHandler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    server: BoundedServer
    protocol_version = "HTTP/1.1"
    idle_seconds = 30.0
    """How long a connection may wait for a request."""
    head_seconds = 20.0
    """How long a client may take for the request line and all headers."""
    head_size = 64 << 10
    send_seconds = 60.0
    """How long a client may take to receive an answer that is not a file."""
    window_seconds = 30.0
    slowest = 1024
    """Bytes per second, over a window, that a client must take of a file."""

    def setup(self) -> None:
        """Bound what is read from the connection."""
        super().setup()
        self.rfile.close()
        self._incoming = _Incoming(self.connection)
        self.rfile = io.BufferedReader(self._incoming)

    def handle(self) -> None:
        """Handle requests; a client that disconnects or stalls ends its own connection and nothing else."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def finish(self) -> None:
        """Like ``handle``, for output that is still buffered."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().finish()

    def handle_one_request(self) -> None:
        """Wait for a request within the limits, and handle it."""
        self._incoming.end = time.monotonic() + self.idle_seconds
        self._incoming.once_begun = self.head_seconds
        self._incoming.left = self.head_size
        self.server.waits(self.connection, True)
        try:
            super().handle_one_request()
        except _HeadTooLargeError:
            self.requestline = self.request_version = self.command = ""
            self.close_connection = True
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def parse_request(self) -> bool:
        """Parse the head, after which the connection no longer waits for a request."""
        known = super().parse_request()
        self.server.waits(self.connection, False)
        self.connection.settimeout(self.send_seconds)
        return known

    def expect_body(self, size: int, within: float) -> None:
        """Allow ``size`` more bytes to be read from ``rfile``."""
        self._incoming.left = size
        self._incoming.end = time.monotonic() + within
        self._incoming.once_begun = None

    def send_file(self, file: BinaryIO, start: int, count: int) -> None:
        """Send a part of a file; close the connection if the client takes it too slowly or the file is shorter."""
        out = self.connection.fileno()
        self.connection.settimeout(self.window_seconds)
        ready = select.poll()
        ready.register(out, select.POLLOUT)
        end, taken = time.monotonic() + self.window_seconds, 0
        while count:
            try:
                sent = os.sendfile(out, file.fileno(), start, min(count, CHUNK))
            except BlockingIOError:
                ready.poll(max(0.0, end - time.monotonic()) * 1000)
                sent = None
            if sent == 0:
                self.close_connection = True
                return
            start, count, taken = start + (sent or 0), count - (sent or 0), taken + (sent or 0)
            if time.monotonic() >= end:
                if taken < self.slowest * self.window_seconds:
                    raise TimeoutError
                end, taken = time.monotonic() + self.window_seconds, 0


@dataclass
class _Place:
    """A connection: whose it is, and since when it waits for a request; None while one is answered."""

    client: str
    waiting: float | None


class BoundedServer(ThreadingHTTPServer):
    """Gives a thread to each of a bounded number of connections.

    When there are too many, of one client or of all, the one that has waited longest for a request makes place.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    most_connections = 256
    most_of_client = 64

    def __init__(self, address: tuple[str, int], handler: type[BoundedHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._places: dict[socket.socket, _Place] = {}
        self._guard = threading.Lock()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which can hang."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def refused(self, client: str) -> None:
        """Called for a connection that found no place."""

    def waits(self, connection: socket.socket, waiting: bool) -> None:
        """Note whether a connection waits for a request."""
        with self._guard:
            if place := self._places.get(connection):
                place.waiting = time.monotonic() if waiting else None

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a connection in a thread of its own, or refuse it if no other makes place."""
        client = _client(client_address[0])
        if self._make_place(request, client):
            super().process_request(request, client_address)
        else:
            self.refused(client)
            self.shutdown_request(request)

    def _make_place(self, request: socket.socket, client: str) -> bool:
        with self._guard:
            of_client = [place.client for place in self._places.values()]
            if of_client.count(client) >= self.most_of_client:
                greedy: str | None = client
            elif len(of_client) >= self.most_connections:
                greedy = max(set(of_client), key=of_client.count)
            else:
                greedy = None
            if greedy is not None:
                waiting = [
                    (place.waiting, number, connection)
                    for number, (connection, place) in enumerate(self._places.items())
                    if place.client == greedy and place.waiting is not None
                ]
                if not waiting:
                    return False
                oldest = min(waiting)[2]
                del self._places[oldest]
                # Its thread is woken and ends.
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            self._places[request] = _Place(client, time.monotonic())
        return True

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and free its place."""
        with self._guard:
            self._places.pop(request, None)
        super().shutdown_request(request)

    def cut(self) -> None:
        """End the connections that are still open, so that their threads end."""
        with self._guard:
            open_ones = list(self._places)
        for connection in open_ones:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _client(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or a network of IPv6, of which one host has all addresses."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
