"""HTTP for downloads: every wait is bounded and ends at once when the run is stopped.

A request runs in its own thread and passes bytes on through a queue, so that neither a slow name server, nor an endless
header, nor a silent connection can block the caller.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from bigtop_builder.adapter.secret import read_secret
from bigtop_builder.adapter.sources.errors import TransferError, explain
from bigtop_builder.model.base import seconds, size_in_bytes
from bigtop_builder.model.errors import ConfigurationError, InterruptedRunError
from bigtop_builder.model.home import expand_home
from bigtop_builder.model.project import Network

if TYPE_CHECKING:
    import requests
    from requests.auth import HTTPBasicAuth

    from bigtop_builder.adapter.http_sockets import Line

MAX_REDIRECTS = 10
READ_SIZE = 1 << 18
QUEUE_LENGTH = 32
POLL = 0.1
TIME_HINT = "raise network.transfer_timeout in bigtop-builder.yaml if the connection is that slow"
HOST_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")

Auth = tuple[str, str]


def ca_bundle(network: Network) -> Path:
    """Return the PEM file to trust: the configured one, the environment's, the host's, else certifi's.

    Raises ConfigurationError if the configured one is missing.
    """
    if network.ca_bundle:
        path = expand_home(network.ca_bundle)
        if not path.is_file():
            raise ConfigurationError(f"network.ca_bundle: there is no file {path}", hint="set it to a PEM file")
        return path
    named = [os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")]
    for place in [*filter(None, named), *HOST_BUNDLES]:
        if Path(place).is_file():
            return Path(place)
    import certifi

    return Path(certifi.where())


def proxies(network: Network) -> dict[str, str]:
    """Return ``http``, ``https`` and ``no_proxy`` (comma-separated) of the project, else of the environment."""
    proxy = network.proxy
    if proxy.http is None and proxy.https is None:
        from urllib.request import getproxies

        found = getproxies()
        known = {"http": found.get("http"), "https": found.get("https"), "no_proxy": found.get("no")}
    else:
        http = proxy.http or proxy.https
        known = {"http": http, "https": proxy.https or http, "no_proxy": ",".join(proxy.no_proxy)}
        if proxy.credentials is not None:
            user = read_secret(proxy.credentials.user, "network.proxy.credentials.user")
            password = read_secret(proxy.credentials.password, "network.proxy.credentials.password")
            for scheme in ("http", "https"):
                known[scheme] = _with_credentials(known[scheme] or "", user, password)
    return {name: value for name, value in known.items() if value}


def _with_credentials(address: str, user: str, password: str) -> str:
    parts = urlsplit(address)
    place = parts.netloc.rpartition("@")[2]
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{place}"
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))


@dataclass
class Answer:
    """The head of an HTTP response, and its body as it arrives. ``address``: the final one, after redirects."""

    status: int
    headers: Mapping[str, str]
    address: str
    body: Iterator[bytes]

    @property
    def status_text(self) -> str:
        """Status and reason: ``404 Not Found``."""
        with suppress(ValueError):
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        return str(self.status)


@dataclass
class _Request:
    """The state that the caller and the thread share."""

    address: str
    headers: dict[str, str]
    auth: Auth | None
    answers: queue.Queue[Answer | bytes | Exception | None] = field(default_factory=lambda: queue.Queue(QUEUE_LENGTH))
    abandoned: threading.Event = field(default_factory=threading.Event)
    line: Line | None = None

    def put(self, item: Answer | bytes | Exception | None) -> None:
        """Pass an item to the caller, unless the caller has given up."""
        while not self.abandoned.is_set():
            with suppress(queue.Full):
                self.answers.put(item, timeout=POLL)
                return

    def abandon(self) -> None:
        """End the request without waiting for the thread."""
        self.abandoned.set()
        if self.line is not None:
            self.line.cut()


class Web:
    """Sends requests according to the project's network settings: trust, proxy, time-outs."""

    def __init__(self, network: Network) -> None:
        self.stall = seconds(network.stall_timeout)
        self.longest = seconds(network.transfer_timeout)
        self._slowest = size_in_bytes(network.minimum_rate)
        self._connect = seconds(network.connect_timeout)
        self._bundle = str(ca_bundle(network))
        self._proxies = proxies(network)

    @contextmanager
    def get(
        self,
        address: str,
        *,
        cancelled: threading.Event,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
    ) -> Iterator[Answer]:
        """Send a GET, follow redirects and yield the response. Raises TransferError and InterruptedRunError."""
        from bigtop_builder.adapter.http_sockets import Line

        request = _Request(address, {"Accept-Encoding": "identity", **(headers or {})}, auth, line=Line())
        worker = threading.Thread(target=self._serve, args=(request,), name="download", daemon=True)
        worker.start()
        try:
            limit = (self._connect + self.stall) * 2
            head = _take(request, limit, cancelled, f"no answer within {limit} s")
            if not isinstance(head, Answer):
                raise TransferError("the server did not answer", again=True)
            head.body = self._body(request, cancelled)
            yield head
        finally:
            request.abandon()

    def _body(self, request: _Request, cancelled: threading.Event) -> Iterator[bytes]:
        end = time.monotonic() + self.longest
        window_end = time.monotonic() + self.stall
        received = 0
        while True:
            data = _take(request, self.stall, cancelled, f"stalled: no bytes for {self.stall} s")
            if not isinstance(data, bytes):
                return
            yield data
            received += len(data)
            if time.monotonic() > end:
                raise TransferError(f"not complete after {self.longest} s", hint=TIME_HINT)
            if time.monotonic() > window_end:
                if received < self._slowest * self.stall:
                    text = f"stalled: only {received} bytes in {self.stall} s"
                    raise TransferError(text, again=True)
                window_end, received = time.monotonic() + self.stall, 0

    def _serve(self, request: _Request) -> None:
        import requests

        from bigtop_builder.adapter.http_sockets import CuttableAdapter

        assert request.line is not None
        request.line.use()
        try:
            with requests.Session() as session:
                session.trust_env = False
                for scheme in ("http://", "https://"):
                    session.mount(scheme, CuttableAdapter())
                with self.follow(session, request.address, request.headers, request.auth) as response:
                    request.put(Answer(response.status_code, response.headers, response.url, iter(())))
                    while not request.abandoned.is_set():
                        data = response.raw.read1(READ_SIZE, decode_content=False)
                        request.put(data or None)
                        if not data:
                            return
        except Exception as error:
            request.put(error)
        finally:
            request.line.release()

    def session(self) -> requests.Session:
        """Return a session for ``send``, which keeps its connections; for one thread."""
        import requests

        session = requests.Session()
        session.trust_env = False
        return session

    def send(
        self,
        session: requests.Session,
        method: str,
        address: str,
        login: Auth | None = None,
        *,
        data: IO[bytes] | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """Send a request that is short, or whose body is ours, and return the response. Redirects are not followed.

        Each read and write waits no longer than the network settings say. Raises whatever requests raises.
        """
        return session.request(
            method,
            address,
            data=data,
            headers={"Accept-Encoding": "identity"},
            auth=_basic(login),
            stream=stream,
            allow_redirects=False,
            timeout=(self._connect, self.stall),
            verify=self._bundle,
            proxies=self._proxies_for(address),
        )

    def _proxies_for(self, address: str) -> dict[str, str]:
        from requests.utils import select_proxy, should_bypass_proxies

        proxy = select_proxy(address, self._proxies)
        if not proxy or should_bypass_proxies(address, self._proxies.get("no_proxy", "")):
            return {}
        return {"http": proxy, "https": proxy}

    def follow(
        self, session: requests.Session, address: str, headers: Mapping[str, str], login: Auth | None
    ) -> requests.Response:
        """Send a GET and return the response, whose body has not been read.

        Redirects are followed here, since each hop has its own proxy, and credentials are sent only to their host.
        Blocks as long as the server likes to dribble: ``get`` does not. Raises whatever requests raises.
        """
        auth = _basic(login)
        seen: list[str] = []
        while address not in seen and len(seen) <= MAX_REDIRECTS:
            seen.append(address)
            response = session.get(
                address,
                headers=headers,
                auth=auth,
                stream=True,
                allow_redirects=False,
                timeout=(self._connect, self.stall),
                verify=self._bundle,
                proxies=self._proxies_for(address),
            )
            if not response.is_redirect:
                return response
            response.close()
            target = _allowed(address, urljoin(address, response.headers["location"]))
            if urlsplit(target)[:2] != urlsplit(address)[:2]:
                auth = None
            address = target
        if address in seen:
            raise TransferError(f"circular redirects over {len(seen)} addresses")
        raise TransferError(f"more than {MAX_REDIRECTS} redirects")


def _basic(login: Auth | None) -> HTTPBasicAuth | None:
    from requests.auth import HTTPBasicAuth

    # As bytes, because requests encodes text as Latin-1.
    return HTTPBasicAuth(*(part.encode() for part in login)) if login else None


def _allowed(address: str, target: str) -> str:
    """Return the target of a redirect, which may neither give up TLS nor leave HTTP. Raises TransferError."""
    former, scheme = urlsplit(address).scheme, urlsplit(target).scheme
    if scheme not in ("http", "https") or (former == "https" and scheme == "http"):
        raise TransferError(f"a redirect from {former} to {scheme or 'nowhere'}, which is not followed")
    return target


def _take(request: _Request, limit: float, cancelled: threading.Event, late: str) -> Answer | bytes | None:
    """Return the next item from the thread. ``late``: the reason if it takes longer than ``limit`` seconds."""
    deadline = time.monotonic() + limit
    while not cancelled.is_set():
        try:
            item = request.answers.get(timeout=POLL)
        except queue.Empty:
            if time.monotonic() > deadline:
                raise TransferError(late, again=True) from None
            continue
        if isinstance(item, Exception):
            raise explain(item) from item
        return item
    raise InterruptedRunError("stopped during a download")
