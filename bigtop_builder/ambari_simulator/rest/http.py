"""The HTTP side of the simulated server: filters, headers, unusual methods. One ``Site`` serves many connections."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

from bigtop_builder.ambari_simulator.engine.state import User, World
from bigtop_builder.ambari_simulator.rest.authentication import (
    COOKIE,
    Sessions,
    SignInRefused,
    acceptable,
    check_forgery,
    filtered,
    is_agent,
    is_known,
    sign_in,
)
from bigtop_builder.ambari_simulator.rest.control import registered_host
from bigtop_builder.ambari_simulator.rest.dispatch import PREFIX, body_text, refused, respond
from bigtop_builder.ambari_simulator.rest.json_body import parse_json
from bigtop_builder.ambari_simulator.rest.registry import Registry
from bigtop_builder.ambari_simulator.rest.replies import Refusal, Reply

SECURITY = (("X-Frame-Options", "DENY"), ("X-XSS-Protection", "1; mode=block"), ("X-Content-Type-Options", "nosniff"))
FILTER_TYPE = "text/plain;charset=iso-8859-1"
RESOURCE_TYPE = "text/plain;charset=utf-8"


@dataclass(frozen=True)
class Asked:
    """One request as received: ``target`` is path and query; header names in any case."""

    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes = b""
    scheme: str = "http"

    @property
    def path(self) -> str:
        """Return the path without the query string."""
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int
    reason: str | None
    headers: tuple[tuple[str, str], ...]
    content: bytes = b""


class Dropped(Exception):  # noqa: N818 - failure injection, not a fault
    """The connection is cut without an answer."""


@dataclass
class Site:
    """The server without its socket. ``faults`` may answer in its place: a reply, or raise ``Dropped``."""

    world: World
    registry: Registry
    sessions: Sessions = field(default_factory=Sessions)
    faults: list[Callable[[Asked], Reply | None]] = field(default_factory=list)
    keep: Callable[[], None] | None = None
    """Called before the answer to a change is sent."""

    def answer(self, asked: Asked) -> Answer:
        """Answer one request. Raises ``Dropped``."""
        answer = self._answer(asked)
        if self.keep is not None and asked.method not in {"GET", "HEAD", "OPTIONS"}:
            self.keep()
        return answer

    def _answer(self, asked: Asked) -> Answer:
        if not self._may_ask(asked):
            return self._refuse(asked)
        for fault in self.faults:
            reply = fault(asked)
            if reply is not None:
                return _answer(reply, [], RESOURCE_TYPE)
        with self.world.lock:
            try:
                user, cookie = sign_in(asked.headers, self.sessions, self.world)
            except SignInRefused as error:
                # A fault has ended the session, or it has just expired.
                return _filter_answer(403, str(error), [])
        session: list[tuple[str, str]] = []
        if cookie is not None:
            secure = ";Secure" if asked.scheme == "https" else ""
            session.append(("Set-Cookie", f"{COOKIE}={cookie};Path=/{secure};HttpOnly"))
        if not (asked.path + "/").startswith(PREFIX + "/"):
            return _filter_answer(404, "Not Found", [*session, ("User", user.name)])
        if filtered(user, asked.method, asked.path):
            challenge = ("WWW-Authenticate", 'Basic realm="null"')
            return _filter_answer(403, "You do not have permissions to access this resource.", [*session, challenge])
        if cookie is not None:
            session.append(("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"))
        return self._resource(asked, user, [*session, ("User", user.name)])

    def _may_ask(self, asked: Asked) -> bool:
        with self.world.lock:
            if is_known(asked.headers, self.sessions, self.world):
                return True
            host = registered_host(asked.method, asked.path)
            return host is not None and is_agent(asked.headers, host, self.world)

    def _refuse(self, asked: Asked) -> Answer:
        """Answer a stranger, whatever the call."""
        with self.world.lock:
            try:
                sign_in(asked.headers, self.sessions, self.world)
            except SignInRefused as error:
                return _filter_answer(403, str(error), [])
        return _filter_answer(403, "Missing authentication token", [])

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether a call with these headers comes from a user."""
        with self.world.lock:
            return is_known(headers, self.sessions, self.world)

    def _resource(self, asked: Asked, user: User, headers: list[tuple[str, str]]) -> Answer:
        headers.append(("Cache-Control", "no-store"))
        kind = "application/json;charset=utf-8" if _says_json(asked) else RESOURCE_TYPE
        try:
            check_forgery(asked.method, asked.headers)
            reply = self._reply(asked, user)
        except Refusal as refusal:
            reply = refused(refusal)
        if asked.path.removeprefix(PREFIX).strip("/") == "logout":
            self.sessions.close(asked.headers.get("Cookie", ""))
        return _answer(reply, headers, kind)

    def _reply(self, asked: Asked, user: User) -> Reply:
        method, target = asked.method, asked.target
        override = asked.headers.get("X-Http-Method-Override")
        content = asked.content.decode("utf-8", "replace")
        if method == "POST" and override:
            if override.upper() != "GET":
                raise Refusal(400, f"Invalid Request: Method override {override} is not supported")
            method, target, content = "GET", _overridden_target(target, content), ""
        if not acceptable(asked.headers.get("Accept")):
            raise Refusal(406, None)
        place = self.registry.find(self.registry.segments(asked.path.removeprefix(PREFIX)))
        if method == "OPTIONS":
            return _options(place is not None, single=place is not None and place.single)
        reply = respond(
            self.registry,
            self.world,
            user,
            "GET" if method == "HEAD" else method,
            target,
            host=asked.headers.get("Host", "localhost"),
            scheme=asked.scheme,
            content=content,
            content_type=asked.headers.get("Content-Type", ""),
        )
        return Reply(reply.status) if method == "HEAD" else reply


def _says_json(asked: Asked) -> bool:
    return asked.headers.get("Content-Type", "").lower().startswith("application/json")


def _overridden_target(target: str, content: str) -> str:
    """A POST in place of a long GET carries the query string in its body."""
    try:
        query = parse_json(content)["RequestInfo"]["query"]
    except (ValueError, KeyError, TypeError):
        return target
    return f"{target}{'&' if '?' in target else '?'}{query}"


def _options(known: bool, *, single: bool) -> Reply:
    if not known:
        raise Refusal(404, None)
    allow = "OPTIONS,DELETE,HEAD,GET,POST,PUT" if single else "OPTIONS,HEAD,GET"
    return Reply(200, headers=(("Allow", allow), ("Content-Type", "application/vnd.sun.wadl+xml;charset=utf-8")))


def _answer(reply: Reply, headers: list[tuple[str, str]], kind: str) -> Answer:
    if reply.uncaught:
        message = (reply.document or {}).get("message", "")
        kept = [header for header in headers if header[0] == "Set-Cookie"]
        return _filter_answer(500, message, kept, reason="Server Error")
    # A text of JSON may have half of a pair of surrogates.
    content = body_text(reply).encode(errors="replace")
    own = dict(reply.headers)
    bare = not content and reply.status >= 400
    typed = [] if bare or "Content-Type" in own else [("Content-Type", kind)]
    return Answer(reply.status, None, _all([*headers, *reply.headers, *typed]), content)


def refuse_body(status: HTTPStatus) -> Answer:
    """Answer a call whose body is not read."""
    return _filter_answer(status, status.phrase, [("Connection", "close")])


def _filter_answer(status: int, message: str, headers: list[tuple[str, str]], reason: str | None = None) -> Answer:
    """Filters and the servlet container print the same shape with different whitespace."""
    content = json.dumps({"status": status, "message": message}, indent=2, ensure_ascii=False).encode()
    return Answer(status, reason or message, _all([*headers, ("Content-Type", FILTER_TYPE)]), content)


def _all(headers: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return (("Date", formatdate(usegmt=True)), *SECURITY, ("Pragma", "no-cache"), *headers)
