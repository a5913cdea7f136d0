"""Authentication: Basic credentials, session cookies, CSRF, what users without roles may do (001-009, 448-505)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from bigtop_builder.ambari_simulator.engine.state import User, World
from bigtop_builder.ambari_simulator.rest.replies import Refusal

COOKIE = "AMBARISESSIONID"
INACTIVE_LIMIT = 1800.0
"""Seconds after which an unused session expires (the server's default)."""

MOST_SESSIONS = 10_000
"""Each call without a cookie opens one."""

NOT_TO_BE_READ = "The authenticated user does not have the appropriate authorizations to get the requested resource(s)"

_NEEDS_ROLE = re.compile(r"/api/v1/(blueprints|version_definitions|stacks|users|mpacks)(/|$)")


class SignInRefused(Exception):  # noqa: N818 - an answer, not a fault
    """The caller is rejected: always 403, with ``message`` as text."""


@dataclass
class Session:
    """A signed-in user and when the session was last used (seconds since the epoch)."""

    user: str
    used: float


@dataclass
class Sessions:
    """The server's sessions by cookie value."""

    known: dict[str, Session] = field(default_factory=dict)

    def open(self, user: User, now: float) -> str:
        """Create a session; return its cookie value."""
        if len(self.known) >= MOST_SESSIONS:
            live = {value: one for value, one in self.known.items() if now - one.used <= INACTIVE_LIMIT}
            oldest = sorted(live, key=lambda value: live[value].used)[: len(live) // 2]
            self.known = {value: one for value, one in live.items() if value not in set(oldest)}
        value = f"node0{secrets.token_hex(12)}.node0"
        self.known[value] = Session(user.name, now)
        return value

    def find(self, cookies: str, world: World) -> User | None:
        """Return the user of a live session among the cookies sent."""
        for part in cookies.split(";"):
            name, _, value = part.strip().partition("=")
            session = self.known.get(value) if name == COOKIE else None
            if session is None:
                continue
            if world.now() - session.used > INACTIVE_LIMIT:
                del self.known[value]
                continue
            session.used = world.now()
            return world.users.get(session.user)
        return None

    def close(self, cookies: str) -> None:
        """Drop the session among the cookies sent."""
        for part in cookies.split(";"):
            self.known.pop(part.strip().partition("=")[2], None)


def is_known(headers: Mapping[str, str], sessions: Sessions, world: World) -> bool:
    """Whether a call comes from a user, as ``sign_in`` decides it; changes nothing but the time of the session."""
    if sessions.find(headers.get("Cookie", ""), world) is not None:
        return True
    given = _credentials(headers)
    user = world.users.get(given[0].lower()) if given else None
    return given is not None and user is not None and user.active and _same(user.password, given[1])


def agent_secret(key: str, host: str) -> str:
    """Return the password with which the agent of one host, and of no other, registers."""
    return hmac.new(key.encode(), host.encode(), hashlib.sha256).hexdigest()


def is_agent(headers: Mapping[str, str], host: str, world: World) -> bool:
    """Whether a call comes from the agent of ``host``."""
    given = _credentials(headers)
    return given is not None and given[0] == host and _same(agent_secret(world.agent_key, host), given[1])


def _credentials(headers: Mapping[str, str]) -> tuple[str, str] | None:
    kind, _, token = headers.get("Authorization", "").partition(" ")
    try:
        name, separator, password = base64.b64decode(token, validate=True).decode("utf-8").partition(":")
    except ValueError:
        return None
    return (name, password) if kind.lower() == "basic" and separator else None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def sign_in(headers: Mapping[str, str], sessions: Sessions, world: World) -> tuple[User, str | None]:
    """Return the calling user and, for a call without a session, the cookie of a new one.

    A live cookie wins over credentials, even wrong ones (461). Raises ``SignInRefused``.
    """
    user = sessions.find(headers.get("Cookie", ""), world)
    if user is not None:
        return user, None
    kind, _, token = headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        raise SignInRefused("Missing authentication token")
    try:
        name, separator, password = base64.b64decode(token, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise SignInRefused("Failed to decode basic authentication token") from None
    found = world.users.get(name.lower())
    if not separator or found is None or not found.active or not _same(found.password, password):
        if found is not None:
            found.failures += 1
        raise SignInRefused("Unable to sign in. Invalid username/password combination.")
    found.failures = 0
    return found, sessions.open(found, world.now())


def check_forgery(method: str, headers: Mapping[str, str]) -> None:
    """Refuse writes without ``X-Requested-By``."""
    if method not in {"GET", "HEAD", "OPTIONS"} and "X-Requested-By" not in headers:
        raise Refusal(400, "CSRF protection is turned on. X-Requested-By HTTP header is required.")


def filtered(user: User, method: str, path: str) -> bool:
    """Whether the filter before all resources refuses a user without roles; resources refuse more themselves."""
    own = f"/api/v1/users/{user.name}"
    return not user.admin and method not in {"GET", "HEAD", "OPTIONS"} and path != own and bool(_NEEDS_ROLE.match(path))


def check_role(user: User, method: str, path: tuple[str, ...]) -> None:
    """Refuse a user without roles anything below a cluster; the list of clusters is merely empty for such a user."""
    if user.admin or not path or path[0] != "clusters":
        return
    if method == "GET" and len(path) > 1:
        raise Refusal(403, NOT_TO_BE_READ)
    if method != "GET":
        raise Refusal(403, "The authenticated user does not have authorization to create/store user persisted data.")


def acceptable(accept: str | None) -> bool:
    """Whether the caller accepts ``text/plain``, the only type that the resources produce (454-459)."""
    if not accept:
        return True
    types = {part.split(";")[0].strip() for part in accept.split(",")}
    return bool(types & {"*/*", "text/*", "text/plain", "*"})
