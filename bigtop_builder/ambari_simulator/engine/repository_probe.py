"""What the simulated server fetches from elsewhere: repository metadata, definitions by URL."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException

TIMEOUT = 10.0
"""Seconds."""

LARGEST = 1 << 20
ADDRESS = re.compile(r"https?://[^\s\x00-\x1f]+", re.IGNORECASE)

Fetch = Callable[[str], tuple[int, str]]
"""GETs a URL; see ``fetch``."""


def fetch(url: str) -> tuple[int, str]:
    """Return status and text of a GET; status 0 and the reason when the server does not answer."""
    if not is_address(url):
        return 0, "only http and https are known"
    try:
        with _opener().open(url, timeout=TIMEOUT) as answer:
            return answer.status, answer.read(LARGEST).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(LARGEST).decode("utf-8", "replace")
    except (OSError, ValueError, HTTPException) as error:
        return 0, str(error)


def is_address(url: str) -> bool:
    """Whether a text is an address of HTTP, which is all that the server fetches and gives to hosts."""
    return ADDRESS.fullmatch(url) is not None


def _opener() -> urllib.request.OpenerDirector:
    """Return what opens HTTP alone, also after a redirect: urllib's own opens files and FTP too."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def refusal(fetch: Fetch, url: str, known: Callable[[str], bool] = is_address) -> str | None:
    """Why the server refuses a base URL: there is no repository metadata below it (092, 094). None if it takes it."""
    if not known(url):
        return f"Could not access base url '{url}', only http and https are known"
    if "$" in url:
        return None
    status, text = fetch(f"{url.rstrip('/')}/repodata/repomd.xml")
    if status == 0:
        return f"Could not access base url '{url}', {text}"
    if status != 200:
        return f"Could not access base url '{url}', code: '{status}', response: '{text}'"
    return None
