"""Folders of a test at an address: the server of Ambari takes HTTP alone, also for repositories."""

from __future__ import annotations

import functools
import http.server
import tempfile
import threading
from pathlib import Path


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@functools.cache
def _port() -> int:
    """Start one server for all tests of this process, which ends with it."""
    handler = functools.partial(_Handler, directory=tempfile.gettempdir())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, name="served", daemon=True).start()
    return int(server.server_address[1])


def address(folder: Path) -> str:
    """Return where a folder below the system's temporary folder is served."""
    return f"http://127.0.0.1:{_port()}/{folder.resolve().relative_to(Path(tempfile.gettempdir()).resolve())}"
