"""The exchanges that were recorded from a live Ambari server.

They lie where BIGTOP_AMBARI_TRANSCRIPTS says, else with the tests, else beside the checkout
(``../shared/ambari/transcripts``); tests that need them are skipped where they are not.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

VARIABLE = "BIGTOP_AMBARI_TRANSCRIPTS"


@dataclass(frozen=True)
class Transcript:
    """One exchange. ``body`` and ``sent`` are texts, ``sent`` None when the call had no body; ``headers`` keep their
    order; ``path`` and ``query`` are decoded, ``path`` without ``/api/v1/``."""

    name: str
    method: str
    uri: str
    sent_headers: dict[str, str]
    sent: str | None
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: str

    @property
    def number(self) -> int:
        return int(self.name.partition("-")[0])

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.uri).path).removeprefix("/api/v1").removeprefix("/")

    @property
    def query(self) -> str:
        return unquote(urlsplit(self.uri).query)

    @property
    def json(self) -> Any:
        """The body as JSON; None when it is empty or something else."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def encoding(self) -> str:
        """The charset that the answer names."""
        kind = next((value for name, value in self.headers if name.lower() == "content-type"), "")
        return kind.partition("charset=")[2] or "utf-8"


def folder() -> Path:
    """Where the exchanges lie, or should."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    tests = Path(__file__).parent
    inside = tests / "fast" / "data" / "ambari" / "transcripts"
    return inside if inside.is_dir() else tests.parents[1] / "shared" / "ambari" / "transcripts"


@cache
def transcripts() -> tuple[Transcript, ...]:
    """All of them by number; none when the folder is absent."""
    return tuple(read(file) for file in sorted(folder().glob("[0-9]*.json")))


def transcript(number: int) -> Transcript:
    """The one with this number."""
    return next(one for one in transcripts() if one.number == number)


def read(file: Path) -> Transcript:
    """Read one exchange; what was not answered has status 0."""
    content = json.loads(file.read_text(encoding="utf-8"))
    request = content["request"]
    response = content["response"] or {"status": 0, "reason": "", "headers": [], "body": None}
    return Transcript(
        name=file.stem,
        method=request["method"],
        uri=request["uri"],
        sent_headers=request["headers"],
        sent=_text(request["body"]),
        status=response["status"],
        reason=response["reason"],
        headers=tuple((name, value) for name, value in response["headers"]),
        body=_text(response["body"]) or "",
    )


def _text(body: Any) -> str | None:
    """A body as it was sent; recordings from 600 on hold the parsed JSON."""
    return body if body is None or isinstance(body, str) else json.dumps(body, indent=2)


needs_transcripts = pytest.mark.skipif(
    not transcripts(), reason=f"the recorded exchanges are not in {folder()}; set {VARIABLE} to their folder"
)
