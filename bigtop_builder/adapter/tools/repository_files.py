"""Files of download caches as repositories have them: the checksums that they publish, and downloads by digest.

This program asks, never a build, by the network settings of the project. Connections are few and stay open, since the
first build of a component asks for thousands of checksums; time and bytes are limited.
"""

from __future__ import annotations

import hashlib
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlsplit

from bigtop_builder.adapter.secret import read_secret
from bigtop_builder.adapter.sources.errors import TransferError, explain
from bigtop_builder.adapter.sources.web import Web
from bigtop_builder.model.build_tools.tool import Remote
from bigtop_builder.model.errors import InterruptedRunError

if TYPE_CHECKING:
    import requests

CONNECTIONS = 8
ALGORITHMS = ("sha1", "sha256", "sha512")
"""Of published checksums, in the order to ask: every repository has SHA-1, and few have more."""
LONGEST_CHECKSUM = 64 << 10
"""Bytes: also the page that a server sends with 404 is read, which keeps the connection open."""
FAILURES = 5
"""After so many failures in a row a server is asked no more."""
POLL = 0.1
ABSENT = frozenset({404, 410})
READ_SIZE = 1 << 18

Digest = tuple[str, str]
"""Algorithm and hexadecimal value."""
Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Wanted:
    """A file to download: what it must be, and where to put it."""

    path: str
    remotes: Sequence[Remote]
    size: int
    sha256: str
    target: Path


@dataclass
class _Outcome(Generic[Item, Value]):
    item: Item
    value: Value | None = None
    error: Exception | None = None


@dataclass
class RepositoryFiles:
    """Asks repositories. ``seconds`` is the limit for one call of a method."""

    web: Web
    seconds: float
    cancelled: threading.Event
    _failures: dict[str, int] = field(default_factory=dict)
    """Server → failures in a row."""

    def checksums(self, wanted: Mapping[str, Sequence[Remote]]) -> dict[str, list[Digest]]:
        """Return what repositories publish for each file: nothing when none has a checksum.

        Files are missing from the answer when a repository could not be asked, or not in time.
        """
        outcomes = self._each(list(wanted), lambda session, path: self._published(session, wanted[path]))
        return {one.item: one.value for one in outcomes if one.value is not None}

    def download(self, wanted: Sequence[Wanted]) -> dict[str, str]:
        """Download files; return for each that could not be had the reason. Raises InterruptedRunError."""
        failed = {one.path: "there was no time left for it" for one in wanted}
        for outcome in self._each(wanted, self._fetch):
            if outcome.error is None:
                del failed[outcome.item.path]
            else:
                failed[outcome.item.path] = explain(outcome.error).reason
        if self.cancelled.is_set():
            raise InterruptedRunError("stopped during downloads")
        return failed

    def _each(
        self, items: Sequence[Item], work: Callable[[requests.Session, Item], Value]
    ) -> Iterator[_Outcome[Item, Value]]:
        """Yield how ``work`` ended for each item, as far as there is time."""
        todo: queue.SimpleQueue[Item] = queue.SimpleQueue()
        done: queue.SimpleQueue[_Outcome[Item, Value]] = queue.SimpleQueue()
        stop = threading.Event()
        for item in items:
            todo.put(item)

        def serve() -> None:
            import requests

            with requests.Session() as session:
                session.trust_env = False
                while not stop.is_set():
                    try:
                        item = todo.get_nowait()
                    except queue.Empty:
                        return
                    try:
                        done.put(_Outcome(item, work(session, item)))
                    except Exception as error:
                        done.put(_Outcome(item, error=error))

        # Daemons: a server that dribbles holds a thread longer than anybody waits for it.
        for _ in range(min(CONNECTIONS, len(items))):
            threading.Thread(target=serve, name="repository", daemon=True).start()
        deadline, left = time.monotonic() + self.seconds, len(items)
        try:
            while left and not self.cancelled.is_set() and time.monotonic() < deadline:
                try:
                    outcome = done.get(timeout=POLL)
                except queue.Empty:
                    continue
                left -= 1
                yield outcome
        finally:
            stop.set()

    def _published(self, session: requests.Session, remotes: Sequence[Remote]) -> list[Digest]:
        found = []
        for remote in remotes:
            for algorithm in ALGORITHMS if remote.checksums else ():
                text = self._text(session, f"{remote.url}.{algorithm}", remote)
                if text is None:
                    continue
                match = re.search(rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{%d}(?![0-9A-Fa-f])" % _length(algorithm), text)
                if match is None:
                    raise TransferError("what should be a checksum is none")
                found.append((algorithm, match[0].decode().lower()))
                break
        return found

    def _text(self, session: requests.Session, address: str, remote: Remote) -> bytes | None:
        with self._counted(address), self._ask(session, address, remote) as response:
            text = response.raw.read(LONGEST_CHECKSUM, decode_content=False)
            if response.status_code in ABSENT:
                return None
            if response.status_code != 200:
                raise TransferError(f"{response.status_code} {response.reason}")
            return bytes(text)

    def _fetch(self, session: requests.Session, wanted: Wanted) -> bool:
        reason = "no repository that this project names has it"
        for remote in wanted.remotes:
            try:
                with self._counted(remote.url), self._ask(session, remote.url, remote) as response:
                    if response.status_code == 200:
                        _receive(response, wanted)
                        return True
                    reason = f"{response.status_code} {response.reason}"
                    if response.status_code not in ABSENT:
                        raise TransferError(reason)
            except Exception as error:
                wanted.target.unlink(missing_ok=True)
                reason = explain(error).reason
        raise TransferError(reason)

    def _ask(self, session: requests.Session, address: str, remote: Remote) -> requests.Response:
        login = remote.credentials
        auth = (read_secret(login.user, "mirrors"), read_secret(login.password, "mirrors")) if login else None
        return self.web.follow(session, address, {"Accept-Encoding": "identity"}, auth)

    def _counted(self, address: str) -> _Counted:
        return _Counted(self._failures, urlsplit(address).netloc)


class _Counted:
    """Counts the failures in a row of a server. Raises TransferError when there have been too many."""

    def __init__(self, failures: dict[str, int], server: str) -> None:
        self._failures, self._server = failures, server

    def __enter__(self) -> None:
        if self._failures.get(self._server, 0) >= FAILURES:
            raise TransferError("the server failed several times in a row, and is asked no more")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._failures[self._server] = self._failures.get(self._server, 0) + 1 if error is not None else 0


def _receive(response: requests.Response, wanted: Wanted) -> None:
    """Write the body, as far as it is not larger than it must be. Raises TransferError for other bytes."""
    digest, size = hashlib.sha256(), 0
    with wanted.target.open("xb") as stream:
        while data := response.raw.read(READ_SIZE, decode_content=False):
            size += len(data)
            if size > wanted.size:
                break
            digest.update(data)
            stream.write(data)
    if size != wanted.size or digest.hexdigest() != wanted.sha256:
        raise TransferError("the server has another file: its digest is not that of the lock")


def _length(algorithm: str) -> int:
    return hashlib.new(algorithm).digest_size * 2
