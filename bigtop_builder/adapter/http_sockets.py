"""Sessions of requests whose connections another thread can cut, in whatever state they are.

A time-out of a socket bounds one read. A server that sends a byte now and then, or one ``100 Continue`` after the
other, never runs into it, and its thread would read for ever.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_local = threading.local()


class Line:
    """The connections that one thread uses."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._cut = False
        self._lock = threading.Lock()

    def use(self) -> None:
        """Note the connections that the calling thread opens or uses from now on."""
        _local.line = self

    def add(self, used: socket.socket | None) -> None:
        """Note a connection; it is cut at once if the line is."""
        if used is None:
            return
        # A second descriptor of the same connection: TLS takes the first one away, and its sockets have no dup().
        with suppress(OSError), self._lock:
            own = socket.socket(fileno=os.dup(used.fileno()))
            if self._cut:
                _shut(own)
            else:
                self._sockets.append(own)

    def cut(self) -> None:
        """End every connection noted, which wakes a thread that reads from it."""
        with self._lock:
            self._cut = True
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            _shut(one)

    def release(self) -> None:
        """Forget the connections, which stay as they are."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            one.close()


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def _note(used: socket.socket | None) -> None:
    line: Line | None = getattr(_local, "line", None)
    if line is not None:
        line.add(used)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        _note(made)
        return made

    def request(self, *arguments: Any, **options: Any) -> None:
        _note(self.sock)
        super().request(*arguments, **options)


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class CuttableAdapter(HTTPAdapter):
    """Connects for a thread that uses a ``Line``."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager
