"""One HTTP exchange with the Ambari server: trust, proxies, time limit, cancellation.

An exchange runs in a thread of its own, so that neither a silent server nor a slow name service blocks a caller that
was cancelled.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bigtop_builder.adapter.ambari.errors import NoAnswerError, UnexpectedAnswerError
from bigtop_builder.adapter.ambari.transport_errors import explain
from bigtop_builder.model.errors import ConfigurationError, InterruptedRunError

if TYPE_CHECKING:
    import requests

    from bigtop_builder.adapter.http_sockets import Line

CONNECT_TIMEOUT = 10.0
POLL = 0.1
READ_SIZE = 1 << 16
MOST_THREADS = 64
MAX_BODY = 256 << 20
"""Largest response in bytes; Ambari's largest, unpaged, is far smaller."""
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
LOOPBACK = ("localhost", "127.", "::1", "[::1]")


@dataclass(frozen=True)
class Reply:
    """A response, decoded from gzip."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """Exchanges with one server. Thread-safe. ``timeout`` is the time limit of a whole exchange in seconds."""

    def __init__(self, url: str, *, ca: Path | None, timeout: float, cancelled: threading.Event) -> None:
        self.url = url
        self._verify = _trusted(ca)
        self._timeout = timeout
        self._cancelled = cancelled
        self._kept: requests.Session | None = None
        self._lock = threading.Lock()

    def exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """Return the response, whatever its status. A GET may use a connection that was kept open.

        Raises UnreachableError, UnexpectedAnswerError and InterruptedRunError.
        """
        work = _Exchange(self, method, path, headers, body)
        if self._cancelled.is_set():
            raise InterruptedRunError(f"stopped before {work.call}")
        threading.Thread(target=work.run, name=f"ambari {method}", daemon=True).start()
        deadline = time.monotonic() + self._timeout
        try:
            while not self._cancelled.is_set():
                with suppress(queue.Empty):
                    result = work.result.get(timeout=POLL)
                    if isinstance(result, Exception):
                        raise result
                    return result
                if time.monotonic() > deadline:
                    raise NoAnswerError(
                        f"{self.url} did not respond to {work.call} within {self._timeout:g} s",
                        hint="raise ambari.timeout if the server is slow",
                        sent=True,
                        again=True,
                    )
            raise InterruptedRunError(f"stopped while waiting for the response to {work.call}")
        finally:
            work.abandon()

    def session(self, method: str) -> requests.Session:
        """Return the session that keeps its connections for a GET, a new one for other calls.

        If the server had closed a kept connection meanwhile, it would be unknown whether the call was received.
        """
        if method != "GET":
            return self._new_session()
        with self._lock:
            if self._kept is None:
                self._kept = self._new_session()
            return self._kept

    def send(self, session: requests.Session, work: _Exchange) -> requests.Response:
        """Send the call of an exchange. Raises what requests raises."""
        limits = (min(CONNECT_TIMEOUT, self._timeout), self._timeout)
        return session.request(
            work.method,
            f"{self.url}/{work.path}",
            headers=dict(work.headers),
            data=work.body,
            stream=True,
            allow_redirects=False,
            timeout=limits,
            verify=self._verify,
        )

    def _new_session(self) -> requests.Session:
        from http.cookiejar import DefaultCookiePolicy

        import requests
        from requests.utils import get_environ_proxies

        from bigtop_builder.adapter.http_sockets import CuttableAdapter

        session = requests.Session()
        # With more threads than this urllib3 would print warnings to the terminal.
        for scheme in ("http://", "https://"):
            session.mount(scheme, CuttableAdapter(pool_connections=1, pool_maxsize=MOST_THREADS))
        # Otherwise .netrc and the proxies of the environment would apply to a server on this machine too.
        session.trust_env = False
        host = urlsplit(self.url).hostname or ""
        if not host.startswith(LOOPBACK):
            session.proxies = get_environ_proxies(self.url)
        # With a session cookie a wrong password would be accepted.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            if self._kept is not None:
                self._kept.close()
                self._kept = None


class _Exchange:
    """The state that the caller and the thread share."""

    def __init__(self, http: Http, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.result: queue.SimpleQueue[Reply | Exception] = queue.SimpleQueue()
        self.call = f"{method} {path.partition('?')[0]}"
        self._http = http
        self._abandoned = threading.Event()
        self._finished = False
        self._line: Line | None = None

    def run(self) -> None:
        """Carry the exchange out, in its thread, and queue its result."""
        from bigtop_builder.adapter.http_sockets import Line

        self._line = Line()
        self._line.use()
        result = self._result()
        self._finished = True
        self._line.release()
        self.result.put(result)

    def _result(self) -> Reply | Exception:
        try:
            session = self._http.session(self.method)
            try:
                return self._exchange(session)
            finally:
                if self.method != "GET":
                    session.close()
        except (UnexpectedAnswerError, InterruptedRunError) as error:
            return error
        except Exception as error:
            return explain(error, self._http.url, self.call)

    def _exchange(self, session: requests.Session) -> Reply:
        with self._http.send(session, self) as response:
            parts = []
            length = 0
            for part in response.iter_content(READ_SIZE):
                parts.append(part)
                length += len(part)
                if length > MAX_BODY:
                    raise UnexpectedAnswerError(f"the response to {self.call} exceeds {MAX_BODY} bytes")
                if self._abandoned.is_set():
                    raise InterruptedRunError("nobody is waiting for this response any more")
            return Reply(response.status_code, response.headers, b"".join(parts))

    def abandon(self) -> None:
        """Wake the thread from its read: nobody is waiting any more."""
        self._abandoned.set()
        if self._line is not None and not self._finished:
            self._line.cut()


def _trusted(ca: Path | None) -> str:
    """Return the PEM file to trust: the given one, the environment's, the machine's, or certifi's.

    Raises ConfigurationError if the given one does not exist or has no certificate.
    """
    if ca is not None:
        import ssl

        try:
            ssl.create_default_context(cafile=str(ca))
        except OSError as error:
            reason = "it contains no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigurationError(f"ambari.ca: {ca}: {reason}", hint="name a PEM file") from error
        return str(ca)
    named = [os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")]
    for place in [*filter(None, named), *BUNDLES]:
        if Path(place).is_file():
            return place
    import certifi

    return certifi.where()
