"""A caching proxy such as a site runs: repositories by name, behind basic authentication."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urljoin, urlsplit

import requests

from bigtop_builder.adapter.sources.web import ca_bundle
from bigtop_builder.model.project import Network

TIMEOUT = 60
LINK = re.compile(rb"""(?<=["'])https?://[^"'\s]+""")


@dataclass
class Site:
    """What was asked of a proxy: paths with credentials, without, and addresses of requests that went by it."""

    login: tuple[str, str]
    upstreams: Mapping[str, str]
    """The name of a repository → the address that it proxies."""
    told: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    """Other hosts that an index names: their files lie below ``<repository>/-/<number>/``."""
    kept: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    session: requests.Session = field(default_factory=requests.Session)
    url: str = ""

    def asked(self, name: str) -> list[str]:
        """The paths that were asked of a repository, with credentials."""
        return [path for path in self.told if path.startswith(f"/repository/{name}/")]


class _Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site = self.site
        if not self.path.startswith("/"):
            self._stray()
            return
        expected = base64.b64encode(":".join(site.login).encode()).decode()
        if self.headers.get("Authorization") != f"Basic {expected}":
            with site.lock:
                site.untold.append(self.path)
            self._answer(401, "text/plain", b"who are you?", **{"WWW-Authenticate": 'Basic realm="site"'})
            return
        with site.lock:
            site.told.append(self.path)
        self._answer(*self._fetched())

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        self._stray()

    def _stray(self) -> None:
        with self.site.lock:
            self.site.stray.append(self.path)
        self.close_connection = True
        self._answer(403, "text/plain", b"not through here")

    def _fetched(self) -> tuple[int, str, bytes]:
        accept = self.headers.get("Accept", "*/*")
        key = f"{accept} {self.path}"
        if key not in self.site.kept:
            address = self._upstream()
            if address is None:
                return 404, "text/plain", b"no such repository"
            answer = self.site.session.get(address, headers={"Accept": accept}, timeout=TIMEOUT)
            kind = answer.headers.get("Content-Type", "application/octet-stream")
            body = self._turned(answer.content, address) if "json" in kind or "html" in kind else answer.content
            self.site.kept[key] = answer.status_code, kind, body
        return self.site.kept[key]

    def _upstream(self) -> str | None:
        name, _, rest = self.path.removeprefix("/repository/").partition("/")
        if rest.startswith("-/") and rest.split("/")[1].isdigit():
            _, number, path = rest.split("/", 2)
            return f"{self.site.hosts[int(number)]}/{path}"
        base = self.site.upstreams.get(name)
        return None if base is None else f"{base.rstrip('/')}/{rest}"

    def _turned(self, body: bytes, address: str) -> bytes:
        """Links to other places made links to here."""
        name = self.path.split("/")[2]
        base = self.site.upstreams[name].rstrip("/")
        here = f"{self.site.url}/repository/{name}"

        def turned(match: re.Match[bytes]) -> bytes:
            link = urljoin(address, match[0].decode())
            if link.startswith(base + "/"):
                return (here + link.removeprefix(base)).encode()
            parts = urlsplit(link)
            host = f"{parts.scheme}://{parts.netloc}"
            with self.site.lock:
                if host not in self.site.hosts:
                    self.site.hosts.append(host)
            return f"{here}/-/{self.site.hosts.index(host)}{link.removeprefix(host)}".encode()

        return LINK.sub(turned, body)

    def _answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the screen."""


@contextmanager
def caching_proxy(address: str, login: tuple[str, str], upstreams: Mapping[str, str]) -> Iterator[Site]:
    """A proxy that listens on ``address`` alone."""
    site = Site(login, upstreams)
    site.session.verify = str(ca_bundle(Network()))
    handler = type("Handler", (_Handler,), {"site": site})
    with site.session, ThreadingHTTPServer((address, 0), handler) as server:
        site.url = f"http://{address}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
