"""Who may read and act: a token or the user that a proxy names; what every answer says to browsers."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "bigtop_builder_session"
SHORTEST = 16
"""A token has at least so many characters."""
LARGEST_FORM = 64 << 10
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OPEN = ("/login", "/static/")
"""What is shown to everybody: nothing of it is about runs."""


@dataclass(frozen=True)
class Access:
    """Who may do what.

    Without ``token`` and ``user_header`` everybody who reaches the server may read; then only requests that name one of
    ``hosts`` are answered, so that no page of another site can read through the browser of somebody here.
    """

    token: str | None = None
    user_header: str | None = None
    proxies: frozenset[str] = frozenset({"127.0.0.1", "::1"})
    """The addresses whose ``user_header`` is believed."""
    actions: bool = False
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "[::1]"})
    root: str = ""
    _secret: str = field(default_factory=lambda: secrets.token_hex(32))

    @property
    def closed(self) -> bool:
        """Whether one must say who one is."""
        return self.token is not None or self.user_header is not None

    @property
    def session(self) -> str:
        """The value of the cookie of whoever gave the token."""
        return hmac.new((self.token or self._secret).encode(), b"session", hashlib.sha256).hexdigest()

    def csrf(self, user: str) -> str:
        """The secret that forms on our own pages carry, for one user."""
        return hmac.new(self._secret.encode(), b"csrf " + user.encode(), hashlib.sha256).hexdigest()

    def is_token(self, given: str) -> bool:
        """Whether a text is the token."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def user(self, request: HTTPConnection) -> str | None:
        """Return who asks, or None for somebody who may not read. Whoever gave the token has the name ``token``."""
        if not self.closed:
            return ""
        client = request.client.host if request.client else ""
        named = request.headers.get(self.user_header) if self.user_header else None
        if named and client in self.proxies:
            return named
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return "token"
        cookie = request.cookies.get(COOKIE, "")
        return "token" if self.token and hmac.compare_digest(cookie.encode(), self.session.encode()) else None

    async def form(self, request: Request, user: str) -> dict[str, list[str]] | None:
        """Return the fields of a form of ours; None for a request that another site caused."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return None
        given = await read_form(request)
        token = given.get("csrf", [""])[0]
        return given if hmac.compare_digest(token.encode(), self.csrf(user).encode()) else None


async def read_form(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form; of a body that is too large, none."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            return {}
    return parse_qs(body.decode("utf-8", "replace"), max_num_fields=1000)


def is_loopback(host: str) -> bool:
    """Whether a server that listens there is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Answers requests only to those who may read, and says to browsers what pages may load."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        request = HTTPConnection(scope)
        if not self.access.closed and _host(request.headers) not in self.access.hosts:
            refusal = PlainTextResponse("this server is reached by another name\n", 421)
            await refusal(scope, receive, guarded)
            return
        user = self.access.user(request)
        path = scope["path"].removeprefix(self.access.root)
        if user is None and not path.startswith(OPEN):
            await self._refuse(request, path)(scope, receive, guarded)
            return
        scope["user"] = user
        await self.app(scope, receive, guarded)

    def _refuse(self, request: HTTPConnection, path: str) -> ASGIApp:
        wants_page = "text/html" in request.headers.get("accept", "")
        if wants_page and self.access.token:
            return RedirectResponse(f"{self.access.root}/login?back={quote(path)}", 303)
        headers = {"WWW-Authenticate": "Bearer"} if self.access.token else {}
        return PlainTextResponse("a token is required\n" if self.access.token else "no user\n", 401, headers)


def _host(headers: Headers) -> str:
    host = headers.get("host", "")
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
