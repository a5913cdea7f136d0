"""Calls to Ambari's REST API: authentication, headers, retries, and how to read responses."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from bigtop_builder.adapter.ambari.errors import (
    NO_RESOURCE,
    NoAnswerError,
    NotFoundError,
    UnexpectedAnswerError,
    UnreachableError,
    message_of,
    refusal,
    title_of,
)
from bigtop_builder.adapter.ambari.http import Http, Reply
from bigtop_builder.adapter.ambari.query import all_of, encode
from bigtop_builder.adapter.ambari.recording import CONFIDENTIAL, Recorder
from bigtop_builder.adapter.redact import MASK, disguises
from bigtop_builder.model.errors import ConfigurationError, InterruptedRunError
from bigtop_builder.model.json_text import parse_json

Json = dict[str, Any]

PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each retry: there is one more try than pauses."""
LONGEST_QUERY = 4000
"""Characters of a query in a URL; Ambari's own limit for all headers together is 64 KiB, that of proxies 8 KiB."""
PAGE_SIZE = 2000
"""Items of a page. It is large because the server computes the whole collection for each page."""


@dataclass(frozen=True)
class Answer:
    """A response of Ambari.

    ``data`` is None for an empty body; ``request`` is the id of the request that was started, or None if there was
    nothing to do.
    """

    status: int
    data: Json | list[Any] | None
    request: int | None


class Connection:
    """A connection to one Ambari server. Thread-safe; a context manager."""

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        *,
        ca: Path | None = None,
        timeout: float = 60,
        cancelled: threading.Event | None = None,
        pauses: Sequence[float] = PAUSES,
        recorder: Recorder | None = None,
    ) -> None:
        """Raises ConfigurationError for an invalid URL or PEM file.

        ``url`` is ``https://ambari.example.com:8443``; ``timeout`` is the time limit of one response in seconds; ``ca``
        is a PEM file to trust, by default that of the environment or the machine. ``cancelled`` ends every wait with
        InterruptedRunError. ``recorder`` gets every exchange, failed ones included.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{parts.hostname or 'ambari.url'}: not a URL", hint="https://NAME:8443")
        if "@" in parts.netloc:
            raise ConfigurationError(
                "ambari.url contains a user or password", hint="use ambari.user and ambari.password"
            )
        self.url = f"{parts.scheme}://{parts.netloc}"
        self.user = user
        self.calls = 0
        self.cancelled = cancelled or threading.Event()
        self.timeout = timeout
        self._password = password
        self._pauses = tuple(pauses)
        self._recorder = recorder
        self._http = Http(f"{self.url}/api/v1", ca=ca, timeout=timeout, cancelled=self.cancelled)
        self._count = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r}, {self.user!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections; the next call opens new ones."""
        self._http.close()

    def get(self, path: str, *, fields: str = "", query: str = "", minimal: bool = False) -> Json:
        """Return the resource or collection at ``path`` below ``/api/v1``.

        ``query`` is a predicate, not encoded; ``minimal`` omits ``href``.

        Raises RefusedError (NotFoundError …), UnreachableError, UnexpectedAnswerError and InterruptedRunError.
        """
        requested = all_of(query, f"fields={fields}" if fields else "", "minimal_response=true" if minimal else "")
        if len(encode(requested)) > LONGEST_QUERY:
            body = {"RequestInfo": {"query": requested}}
            data = self._call("GET", path, body=body, override=True).data
        else:
            data = self._call("GET", path, query=requested).data
        if not isinstance(data, dict):
            raise UnexpectedAnswerError(f"the response to GET {path} is not an object", hint=_OTHER)
        return data

    def find(self, path: str, *, fields: str = "", query: str = "") -> Json | None:
        """Like ``get``, but return None if the resource does not exist."""
        try:
            return self.get(path, fields=fields, query=query, minimal=True)
        except NotFoundError as error:
            # Ambari says what is missing; another server, or an unknown URL, does not.
            if error.answer in NO_RESOURCE:
                raise
            return None

    def items(self, path: str, *, fields: str = "", query: str = "", page_size: int = PAGE_SIZE) -> Iterator[Json]:
        """Yield the items of a collection, with one page in memory at a time.

        Items that are added or removed meanwhile may be missed or repeated, because the server pages by position.
        """
        start = 0
        while True:
            page = self.get(
                path, fields=fields, query=all_of(query, f"page_size={page_size}&from={start}"), minimal=True
            )
            found = listed(required(page, "items"))
            yield from found
            start += len(found)
            # Without ``itemTotal`` the server did not page, so this was everything.
            total = int(page.get("itemTotal") or 0)
            if not found or start >= total:
                return

    def put(self, path: str, body: Json | list[Any] | None = None, *, query: str = "") -> Answer:
        """Change a resource. Raises as ``get``; after an UnreachableError with ``sent`` the change may be made."""
        return self._call("PUT", path, body=body, query=query)

    def post(self, path: str, body: Json | list[Any] | None = None, *, query: str = "") -> Answer:
        """Create a resource or start a request. Raises as ``put``."""
        return self._call("POST", path, body=body, query=query)

    def delete(self, path: str, body: Json | None = None, *, query: str = "") -> Answer:
        """Remove resources. Raises as ``put``, and RefusedError if one of several could not be removed."""
        answer = self._call("DELETE", path, body=body, query=query)
        if isinstance(answer.data, dict):
            for result in listed(answer.data.get("deleteResult")):
                if error := result.get("error"):
                    message = f"{error.get('key')}: {error.get('message')}"
                    raise refusal(f"DELETE {path}", int(error.get("code") or 500), message)
        return answer

    def answers_to(self, user: str, password: str, path: str) -> Json:
        """Return what ``user`` gets from ``path``: to check other credentials."""
        data = self._call("GET", path, credentials=(user, password)).data
        return data if isinstance(data, dict) else {}

    def renew(self, password: str) -> None:
        """Set the password for the calls that follow."""
        self._password = password

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Json | list[Any] | None = None,
        query: str = "",
        override: bool = False,
        credentials: tuple[str, str] | None = None,
    ) -> Answer:
        user, password = credentials or (self.user, self._password)
        headers = {
            "Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode(),
            "X-Requested-By": "bigtop-builder",
            # Ambari responds to anything narrower with 406.
            "Accept": "*/*",
            "User-Agent": "bigtop-builder",
        }
        data = None
        if body is not None:
            headers["Content-Type"] = "text/plain"
            data = json.dumps(body).encode()
        if override:
            headers["X-Http-Method-Override"] = "GET"
        address = f"{path}?{encode(query)}" if query else path
        reply = self._tried("POST" if override else method, address, headers, data, reading=method == "GET")
        secrets = [
            *disguises(password, user=user),
            *disguises(self._password, user=self.user),
            *_confidential(body),
        ]
        return self._understood(f"{method} {path}", reply, secrets)

    def _tried(
        self, method: str, address: str, headers: Mapping[str, str], data: bytes | None, *, reading: bool
    ) -> Reply:
        """Retry what is safe to retry: a reading call, and any call that certainly did not reach the server."""
        slow = 0
        for pause in (*self._pauses, None):
            with self._count:
                self.calls += 1
            try:
                reply = self._exchange(method, address, headers, data)
            except UnreachableError as error:
                slow += isinstance(error, NoAnswerError)
                if error.sent and not reading:
                    error.hint = f"{error.hint}; {method} may have been carried out: check before a retry"
                    raise
                if pause is None or not error.again or slow > 1:
                    raise
            else:
                if pause is None or not reading or reply.status not in (502, 503, 504):
                    return reply
            if self.cancelled.wait(pause):
                raise InterruptedRunError(f"stopped before {method} {address} was retried")
        raise AssertionError("the last try returns or raises")

    def _exchange(self, method: str, address: str, headers: Mapping[str, str], data: bytes | None) -> Reply:
        if self._recorder is None:
            return self._http.exchange(method, address, headers, data)
        return self._recorder.record(
            method, address, headers, data, lambda: self._http.exchange(method, address, headers, data)
        )

    def _understood(self, call: str, reply: Reply, confidential: Sequence[str]) -> Answer:
        text = reply.body.decode("utf-8", "replace")
        if 300 <= reply.status < 400:
            target = urlsplit(reply.headers.get("Location", ""))._replace(query="", fragment="")
            place = target.netloc.rpartition("@")[2]
            raise UnexpectedAnswerError(
                f"{self.url} answered {call} with a redirect to {target.scheme}://{place}{target.path}",
                hint="set ambari.url to the Ambari server itself, and to https:// if that is what it speaks",
            )
        if reply.status >= 400:
            said, page = (_masked(found, confidential) for found in (message_of(text), title_of(text)))
            raise refusal(call, reply.status, said, page)
        if not text.strip():
            return Answer(reply.status, None, None)
        try:
            data = parse_json(text)
        except ValueError:
            data = None
        if not isinstance(data, dict | list):
            raise UnexpectedAnswerError(
                f"{self.url} answered {call} with something else than Ambari's JSON", hint=_OTHER
            )
        return Answer(reply.status, data, _request_id(data))


_OTHER = "is ambari.url the URL of the Ambari server itself?"
_LACKING = "Has this server a version of Ambari that is not known here?"


def listed(value: Any) -> list[Json]:
    """Return a list of objects; the server may render a list of one as the object itself, and an empty one as null."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def required(about: Json, name: str) -> Any:
    """Return a property that was requested. Raises UnexpectedAnswerError if the answer lacks it.

    A missing property is not an empty one: what could not be read must be neither judged nor written back.
    """
    if name not in about:
        known = ", ".join(f"{key} {about[key]}" for key in about if key.endswith(("name", "id", "type", "tag")))
        raise UnexpectedAnswerError(f"Ambari's answer has no {name}{f' of {known}' if known else ''}", hint=_LACKING)
    return about[name]


def _request_id(data: Json | list[Any]) -> int | None:
    """Return the id of a started request: ``{"href": …, "Requests": {"id": 7, "status": "Accepted"}}`` → 7."""
    for item in data if isinstance(data, list) else [data]:
        request = item.get("Requests") if isinstance(item, dict) else None
        if isinstance(request, dict) and "id" in request:
            with suppress(TypeError, ValueError):
                return int(request["id"])
    return None


def _confidential(body: Any, *, inside: bool = False) -> list[str]:
    """Return the values of a body that no message may show."""
    if isinstance(body, dict):
        found = []
        for name, value in body.items():
            found += _confidential(value, inside=inside or CONFIDENTIAL.search(str(name)) is not None)
        return found
    if isinstance(body, list):
        return [value for item in body for value in _confidential(item, inside=inside)]
    return [body] if inside and isinstance(body, str) and len(body) > 3 else []


def _masked(text: str, confidential: Sequence[str]) -> str:
    for value in sorted(set(confidential), key=len, reverse=True):
        for form in (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
            text = text.replace(form, MASK.decode())
    return text
