"""What the simulated server fetches from elsewhere: repository metadata, definitions by URL."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable

TIMEOUT = 10.0
"""Seconds."""

Fetch = Callable[[str], tuple[int, str]]
"""GETs a URL; see ``fetch``."""


def fetch(url: str) -> tuple[int, str]:
    """Return status and text of a GET; status 0 and the reason when the server does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        return 0, str(error)


def refusal(fetch: Fetch, url: str) -> str | None:
    """Why the server refuses a base URL: there is no repository metadata below it (092, 094). None if it takes it."""
    if "$" in url:
        return None
    status, text = fetch(f"{url.rstrip('/')}/repodata/repomd.xml")
    if status == 0:
        return f"Could not access base url '{url}', {text}"
    if status != 200:
        return f"Could not access base url '{url}', code: '{status}', response: '{text}'"
    return None
