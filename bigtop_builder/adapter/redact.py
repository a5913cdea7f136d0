"""Remove secret values from a stream of bytes before anyone sees it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote
from xml.sax.saxutils import escape

MASK = b"***"


def disguises(secret: str, *, user: str | None = None) -> list[str]:
    """Return the forms of ``secret``: plain, in a URL, XML and JSON, and with ``user`` in a Basic header."""
    forms = [secret, quote(secret, safe=""), escape(secret)]
    forms += [json.dumps(secret, ensure_ascii=ascii)[1:-1] for ascii in (True, False)]
    if user is not None:
        forms.append(base64.b64encode(f"{user}:{secret}".encode()).decode())
    return list(dict.fromkeys(form for form in forms if form))


class Redactor:
    """Replaces every secret in a stream, including one that spans two chunks.

    The end of a chunk that may be the start of a secret is held back until the next chunk or ``flush``.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        found = sorted({secret.encode() for secret in secrets if secret}, key=lambda secret: (-len(secret), secret))
        self._pattern = re.compile(b"|".join(map(re.escape, found))) if found else None
        self._beginnings = {secret[:length] for secret in found for length in range(1, len(secret))}
        self._longest = max(map(len, found), default=0)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what is safe to show so far."""
        if self._pattern is None:
            return data
        data = self._held + data
        cut = self._safe_until(data)
        for match in self._pattern.finditer(data):
            if match.start() < cut < match.end():
                cut = match.start()
        self._held = data[cut:]
        return self._pattern.sub(MASK, data[:cut])

    def flush(self) -> bytes:
        """Return the rest at the end of the stream."""
        rest, self._held = self._held, b""
        return self._pattern.sub(MASK, rest) if self._pattern is not None else rest

    def _safe_until(self, data: bytes) -> int:
        """Return where the longest suffix starts that is the start of a secret."""
        for length in range(min(self._longest - 1, len(data)), 0, -1):
            if data[-length:] in self._beginnings:
                return len(data) - length
        return len(data)
