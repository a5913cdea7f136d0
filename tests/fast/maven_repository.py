"""A repository on this machine that answers as a test wants, and remembers what it was asked."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bigtop_builder.adapter.sources.web import Web
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.adapter.tools.repository_files import RepositoryFiles
from bigtop_builder.model.mirrors import Mirrors
from bigtop_builder.model.project import Network


@dataclass
class Repository:
    """Files by path, as they are served; ``status`` answers everything with an error."""

    files: dict[str, bytes] = field(default_factory=dict)
    status: int | None = None
    dribbles: bool = False
    asked: list[str] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    url: str = ""

    def publish(self, path: str, content: str | bytes, *algorithms: str) -> None:
        """Publish a file with its checksums: SHA-1 unless named."""
        data = content.encode() if isinstance(content, str) else content
        self.files[path] = data
        for algorithm in algorithms or ("sha1",):
            self.files[f"{path}.{algorithm}"] = hashlib.new(algorithm, data).hexdigest().encode()

    @property
    def book(self) -> Addresses:
        """The addresses of a project whose only mirror this is."""
        return Addresses(Mirrors.model_validate({"maven": [{"url": self.url}], "gradle": self.url}))


@contextmanager
def repository() -> Iterator[Repository]:
    """Serve a repository."""
    served = Repository()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append(self.path.lstrip("/"))
            served.connections.add(self.client_address[1])
            content = served.files.get(self.path.lstrip("/"))
            status = served.status or (200 if content is not None else 404)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            for byte in content or b"":
                if served.dribbles:
                    time.sleep(0.2)
                self.wfile.write(bytes([byte]))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def repository_files(seconds: float = 20) -> RepositoryFiles:
    """Ask without a proxy, for so long at most."""
    return RepositoryFiles(Web(Network()), seconds, threading.Event())
