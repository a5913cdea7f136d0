"""Download one file from one address into a partial file, resuming it, with a bounded number of tries."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn
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
"""A try that brought the file this many bytes further than before does not count against the number of retries."""
REPORT_EVERY = 0.1
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
SIZE_HINT = "raise limits.download_size in bigtop-builder.yaml if the file is that large"
ETAG = re.compile(r'"[\x21\x23-\x7e]{0,200}"')
DATE = re.compile(r"[A-Za-z0-9 ,:+-]{1,64}")
CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-([0-9]{1,18})|\*)/(?:([0-9]{1,18})|\*)")


def download(
    web: Web,
    address: str,
    part: Part,
    *,
    retries: int,
    largest: int,
    progress: Progress,
    cancelled: threading.Event,
    auth: Auth | None = None,
) -> bool:
    """Fill ``part`` from ``address``; return whether its bytes may come from more than one response.

    ``largest``: the bytes of the largest file that is accepted. Raises TransferError (the bytes so far are kept for
    the next try) and InterruptedRunError.
    """
    work = _Download(web, address, part, largest, progress, cancelled, auth)
    failures, furthest = 0, part.size
    end = time.monotonic() + web.longest
    while True:
        try:
            return work.transfer()
        except TransferError as error:
            # A server that gives the same first part again and again gets no further.
            failures = 1 if part.size - furthest >= WORTHWHILE else failures + 1
            furthest = max(furthest, part.size)
            if not error.again or failures > retries or time.monotonic() > end:
                raise
            if cancelled.wait(min(PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)):
                raise InterruptedRunError("stopped during a download") from error


@dataclass(frozen=True)
class _Download:
    web: Web
    address: str
    part: Part
    largest: int
    progress: Progress
    cancelled: threading.Event
    auth: Auth | None

    def transfer(self) -> bool:
        """Send one request; return whether the part is complete with bytes of an earlier one."""
        part, headers = self.part, {}
        validator = None
        if part.size:
            headers["Range"] = f"bytes={part.size}-"
            if validator := part.validator(public(self.address)):
                headers["If-Range"] = validator
        with self.web.get(self.address, cancelled=self.cancelled, headers=headers, auth=self.auth) as answer:
            if answer.status == 416 and part.size:
                if _content_range(answer) == (None, None, part.size):
                    return True
                self._drop("the file on the server has changed")
            if answer.status == 206:
                return self._resume(answer, validator)
            if answer.status != 200:
                raise TransferError(answer.status_text, again=answer.status in PASSING)
            part.clear()
            length = _number(answer.headers.get("content-length", ""))
            self._receive(answer, length, end=length)
            return False

    def _resume(self, answer: Answer, validator: str | None) -> bool:
        part = self.part
        if not part.size:
            raise TransferError("the server sent a part of the file although the whole was requested (206)")
        start, end, total = _content_range(answer)
        if start != part.size or end is None:
            self._drop("the server resumed at the wrong position")
        found = _validator(answer)
        if validator is not None and found is not None and found.startswith('"') and found != validator:
            self._drop("the file on the server has changed")
        self._receive(answer, total, end=end)
        if total is not None and part.size < total:
            raise TransferError("the server sent less than the rest of the file", again=True)
        return True

    def _drop(self, reason: str) -> NoReturn:
        self.part.clear()
        raise TransferError(reason, again=True)

    def _receive(self, answer: Answer, total: int | None, *, end: int | None) -> None:
        """Append the body; ``end`` is where it must end, ``total`` the size of the whole file, where known."""
        part, host = self.part, urlsplit(self.address).hostname or ""
        if total is not None and total > self.largest:
            part.clear()
            raise TransferError(f"its {total} bytes are more than {self.largest}", hint=SIZE_HINT)
        part.remember(public(self.address), _validator(answer))
        self.progress(part.size, total, host)
        next_report = time.monotonic() + REPORT_EVERY
        for data in answer.body:
            if part.size + len(data) > self.largest:
                part.clear()
                raise TransferError(f"more than {self.largest} bytes", hint=SIZE_HINT)
            if end is not None and part.size + len(data) > end:
                self._drop("the server sent more than it had announced")
            part.write(data)
            if time.monotonic() >= next_report:
                self.progress(part.size, total, host)
                next_report = time.monotonic() + REPORT_EVERY
        self.progress(part.size, total, host)


def _number(text: str) -> int | None:
    """Return the number of a header; None for anything else, such as one of a thousand digits."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _validator(answer: Answer) -> str | None:
    """Return a strong ETag, else the date: the values that If-Range accepts (RFC 9110, section 13.1.5).

    A value that cannot be sent back in a header is none.
    """
    etag = answer.headers.get("etag", "")
    if ETAG.fullmatch(etag):
        return etag
    date = answer.headers.get("last-modified", "")
    return date if DATE.fullmatch(date) else None


def _content_range(answer: Answer) -> tuple[int | None, int | None, int | None]:
    """Return the first byte, the one after the last, and the total of ``Content-Range`` (RFC 9110, section 14.4)."""
    match = CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    if match is None:
        return None, None, None
    start, last, total = (int(group) if group else None for group in match.groups())
    if start is not None and last is not None and (last < start or (total is not None and last >= total)):
        return None, None, None
    return start, None if last is None else last + 1, total
