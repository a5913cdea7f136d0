"""A client of ZooKeeper that writes all the time, as an application does: it reconnects and tries again by itself."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.retry import KazooRetry

PATH = "/bigtop-builder-trial"
EVERY = 0.05
LIMIT = 30.0
"""Seconds after which a write that has not succeeded is a failure."""


@dataclass
class Writer:
    """What became of the writes. ``addresses``: ``ip:port`` of the servers."""

    addresses: Sequence[str]
    writes: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Write until the block ends; then every server must have the last value."""
        client = KazooClient(hosts=",".join(self.addresses), timeout=10)
        client.start(timeout=60)
        client.ensure_path(PATH)
        stop = threading.Event()
        thread = threading.Thread(target=self._write, args=(client, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            client.stop()
            client.close()

    def _write(self, client: KazooClient, stop: threading.Event) -> None:
        while not stop.wait(EVERY):
            begin = time.monotonic()
            retry = KazooRetry(max_tries=-1, delay=0.1, max_delay=1.0, deadline=LIMIT)
            try:
                retry(client.set, PATH, str(self.writes + 1).encode())
            except KazooException as error:
                self.failures.append(repr(error))
                continue
            self.writes += 1
            self.slowest = max(self.slowest, time.monotonic() - begin)

    def read(self, address: str) -> int:
        """Return the value that one server has, once it has caught up."""
        client = KazooClient(hosts=address, timeout=10)
        client.start(timeout=60)
        try:
            client.sync(PATH)
            return int(client.get(PATH)[0])
        finally:
            client.stop()
            client.close()

    def __str__(self) -> str:
        return f"writes {self.writes}, failures {len(self.failures)}, slowest {self.slowest:.1f} s"
