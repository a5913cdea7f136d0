"""What the simulated server fetches from elsewhere: repository metadata that it looks at, definitions by URL."""

from __future__ import annotations

import urllib.error
import urllib.request

TIMEOUT = 10.0


def fetch(url: str) -> tuple[int, str]:
    """Status and text of a GET; status 0 and the reason when there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        return 0, str(error)
