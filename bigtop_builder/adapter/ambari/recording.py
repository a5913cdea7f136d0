"""Record exchanges with a server as files, so that somebody else can replay them.

One JSON file for each exchange, numbered in their order: ``request`` (method, uri, headers, body), ``response``
(status, reason, headers, body), ``recorded_at``, ``elapsed_s``; without a response ``error`` says why. Passwords,
values of properties with such names, references to Ambari's secrets, credentials and sessions are replaced. Names and
addresses of hosts stay.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http.client import responses
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bigtop_builder.adapter.ambari.http import Reply
from bigtop_builder.adapter.redact import MASK, disguises
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationError
from bigtop_builder.model.json_text import parse_json

CONFIDENTIAL = re.compile(r"passw|secret|credential|private|^key$|token", re.IGNORECASE)
"""Names of properties whose values nobody else may see."""
PASSWORD = re.compile(r"passw|secret", re.IGNORECASE)
SHIPPED = "admin"
"""The password that Ambari is shipped with: no secret, and part of many words."""
AUTHORIZATION = "Basic YWRtaW46YWRtaW4="
"""Instead of the real user and password: the shipped ones."""
COOKIE = "AMBARISESSIONID=node0recorded.node0;Path=/;HttpOnly"
NO_SECRETS = frozenset({"true", "false", "null", "none"})
_SLUG = re.compile(r"[^a-z0-9]+")
_REFERENCE = re.compile(r"SECRET:[^\s\"',;]+")
_NUMBERED = re.compile(r"(\d+)-.*\.json")


class Recorder:
    """Writes exchanges with the server at ``url`` to a folder; ``known`` returns the secrets so far. Thread-safe."""

    def __init__(self, folder: Path, url: str, known: Callable[[], Iterable[str]]) -> None:
        """Raises ConfigurationError if the folder cannot be made. Numbers go on after those of files in it."""
        self._folder = folder
        self._host = urlsplit(url).netloc
        self._known = known
        self._found: set[str] = set()
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            numbers = [int(match[1]) for file in folder.iterdir() if (match := _NUMBERED.fullmatch(file.name))]
        except OSError as error:
            raise ConfigurationError(
                f"--record: {folder}: {error.strerror}", hint="name a folder to write to"
            ) from error
        self._number = max(numbers, default=0)

    def record(
        self, method: str, address: str, headers: Mapping[str, str], body: bytes | None, exchange: Callable[[], Reply]
    ) -> Reply:
        """Carry out an exchange and write what was said. Raises what it raises; a full disk loses the record only."""
        from requests.utils import requote_uri

        began, at = time.monotonic(), datetime.now(UTC)
        reply, failure = None, None
        try:
            reply = exchange()
        except BigtopBuilderError as error:
            failure = error
            raise
        finally:
            sent = {"Host": self._host, **headers, "Authorization": AUTHORIZATION}
            document = {
                "name": "",
                "recorded_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "elapsed_s": round(time.monotonic() - began, 3),
                "request": {
                    "method": method,
                    "uri": requote_uri(f"/api/v1/{address}"),
                    "headers": sent,
                    "body": _parsed(body),
                },
                "response": None if reply is None else _response(reply),
            }
            if failure is not None:
                document["error"] = {"type": type(failure).__name__, "message": failure.message}
            with suppress(OSError), self._lock:
                self._write(f"{method} {address.partition('?')[0]}", document)
        return reply

    def _write(self, call: str, document: dict[str, Any]) -> None:
        self._number += 1
        document["name"] = _SLUG.sub("-", call.lower()).strip("-")[:60]
        hidden = {part: self._hidden(one) for part, one in document.items()}
        text = json.dumps(hidden, indent=1, ensure_ascii=False)
        for secret in sorted({*self._known(), *self._found} - {SHIPPED}, key=len, reverse=True):
            for form in (secret, *disguises(secret)):
                text = text.replace(json.dumps(form, ensure_ascii=False)[1:-1], MASK.decode())
        file = self._folder / f"{self._number:03d}-{document['name']}.json"
        file.write_text(_REFERENCE.sub(f"SECRET:{MASK.decode()}", text) + "\n", encoding="utf-8")

    def _hidden(self, value: Any, name: str = "") -> Any:
        """Return a document with confidential values masked. Passwords are masked in other texts too from then on."""
        if isinstance(value, dict):
            # The value of a stack's property stands beside its name.
            beside = str(value.get("property_name", ""))
            return {
                key: self._hidden(one, f"{name} {key} {beside if key == 'property_value' else ''}")
                for key, one in value.items()
            }
        if isinstance(value, list):
            return [self._hidden(one, name) for one in value]
        if not (isinstance(value, str) and len(value) > 3 and any(map(CONFIDENTIAL.search, name.split()))):
            return value
        if value.lower() in NO_SECRETS or value.isdecimal():
            return value
        if PASSWORD.search(name):
            self._found.add(value)
        return MASK.decode()


def _response(reply: Reply) -> dict[str, Any]:
    # The body is unpacked, and printed otherwise.
    dropped = ("content-encoding", "content-length")
    headers = [
        [name, COOKIE if name.lower() == "set-cookie" else value]
        for name, value in reply.headers.items()
        if name.lower() not in dropped
    ]
    return {
        "status": reply.status,
        "reason": responses.get(reply.status, ""),
        "headers": headers,
        "body": _parsed(reply.body),
    }


def _parsed(body: bytes | None) -> Any:
    """Return a body as JSON, or as text if it is something else; None if it is empty."""
    if not body:
        return None
    text = body.decode("utf-8", "replace")
    try:
        return parse_json(text)
    except ValueError:
        return text
