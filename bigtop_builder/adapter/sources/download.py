"""Download one file from one address into a partial file, resuming it, with a bounded number of tries."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from bigtop_builder.adapter.sources.download_store import Part
from bigtop_builder.adapter.sources.errors import TransferError, public
from bigtop_builder.adapter.sources.web import Answer, Auth, Web
from bigtop_builder.model.errors import InterruptedRunError

Progress = Callable[[int, int | None, str], None]
"""Bytes done, total bytes if known, and a note (the server)."""

PAUSE = 0.5
LONGEST_PAUSE = 10.0
WORTHWHILE = 1 << 20
"""A try that received this many bytes does not count against the number of retries."""
LARGEST = 20 << 30
REPORT_EVERY = 0.1
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


def download(
    web: Web,
    address: str,
    part: Part,
    *,
    retries: int,
    progress: Progress,
    cancelled: threading.Event,
    auth: Auth | None = None,
) -> bool:
    """Fill ``part`` from ``address``; return whether its bytes may come from more than one response.

    Raises TransferError (the bytes so far are kept for the next try) and InterruptedRunError.
    """
    failures = 0
    while True:
        before = part.size
        try:
            return _transfer(web, address, part, progress, cancelled, auth)
        except TransferError as error:
            failures = 1 if part.size - before >= WORTHWHILE else failures + 1
            if not error.again or failures > retries:
                raise
            if cancelled.wait(min(PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)):
                raise InterruptedRunError("stopped during a download") from error


def _transfer(
    web: Web, address: str, part: Part, progress: Progress, cancelled: threading.Event, auth: Auth | None
) -> bool:
    headers = {}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if validator := part.validator(public(address)):
            headers["If-Range"] = validator
    with web.get(address, cancelled=cancelled, headers=headers, auth=auth) as answer:
        if answer.status == 416 and part.size:
            if _content_range(answer) == (None, part.size):
                return True
            part.clear()
            raise TransferError("the file on the server has changed", again=True)
        if answer.status == 206:
            start, total = _content_range(answer)
            if start != part.size:
                part.clear()
                raise TransferError("the server resumed at the wrong position", again=True)
        elif answer.status == 200:
            part.clear()
            length = answer.headers.get("content-length", "")
            total = int(length) if length.isdigit() else None
        else:
            raise TransferError(answer.status_text, again=answer.status in PASSING)
        part.remember(public(address), _validator(answer))
        _receive(answer, part, total, urlsplit(address).hostname or "", progress)
        return answer.status == 206


def _receive(answer: Answer, part: Part, total: int | None, host: str, progress: Progress) -> None:
    progress(part.size, total, host)
    next_report = time.monotonic() + REPORT_EVERY
    for data in answer.body:
        part.write(data)
        if time.monotonic() >= next_report:
            progress(part.size, total, host)
            next_report = time.monotonic() + REPORT_EVERY
        if part.size > LARGEST:
            part.clear()
            raise TransferError(f"more than {LARGEST >> 30} GiB")
    progress(part.size, total, host)


def _validator(answer: Answer) -> str | None:
    """Return a strong ETag, else the date: the values that If-Range accepts (RFC 9110, section 13.1.5)."""
    etag = answer.headers.get("etag", "")
    return etag if etag.startswith('"') else answer.headers.get("last-modified")


def _content_range(answer: Answer) -> tuple[int | None, int | None]:
    """Return start and total of ``Content-Range`` (RFC 9110, section 14.4)."""
    match = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)$", answer.headers.get("content-range", ""))
    if match is None:
        return None, None
    start, total = match.groups()
    return int(start) if start else None, int(total) if total != "*" else None
