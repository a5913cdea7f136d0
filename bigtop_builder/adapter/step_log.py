"""The log file of one step: bounded, free of secrets, readable while it grows and after a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

from bigtop_builder.adapter.store import store_error


class Redactor(Protocol):
    """Removes secrets from a stream of bytes; may hold bytes back until they are known to be harmless."""

    def feed(self, data: bytes) -> bytes:
        """Return what is safe to show so far."""

    def flush(self) -> bytes:
        """Return the rest at the end of the stream."""


class LogWriter:
    """Writes a log of at most ``limit`` bytes: its beginning (half of the limit) and its end.

    The beginning goes to ``path``. The rest goes to two files next to it in turn, so that a killed process also leaves
    the end of its log; ``close`` joins them. ``progress`` is called with the number of bytes received so far, ``tee``
    with what the finished log consists of: its beginning as it arrives, its end when it is closed.
    Raises StoreError if the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        limit: int,
        *,
        redactor: Redactor | None = None,
        progress: Callable[[int], None] | None = None,
        tee: Callable[[bytes], None] | None = None,
    ) -> None:
        self.path = path
        self.written = 0
        self.left_out = 0
        self._redactor = redactor
        self._progress = progress
        self._tee = tee
        self._head_room = limit // 2
        self._segment = max(limit // 4, 1)
        self._older = path.with_name(path.name + ".older")
        self._newer = path.with_name(path.name + ".newer")
        self._segment_size = 0
        self._older_size = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._head: IO[bytes] = path.open("wb", buffering=0)
        except OSError as error:
            raise store_error(error, path) from error
        self._tail: IO[bytes] | None = None

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Append the output of a command."""
        if self._redactor is not None:
            data = self._redactor.feed(data)
        self._store(data)

    def note(self, text: str) -> None:
        """Append a line of our own."""
        self.write(f"==> {text}\n".encode())

    @property
    def end(self) -> Path:
        """The file with the end of the log, as long as it is not closed."""
        return self.path if self._tail is None else self._newer

    def close(self) -> None:
        """Write what the redactor held back, state how much was left out, and join the parts."""
        if self._head.closed:
            return
        try:
            if self._redactor is not None:
                self._store(self._redactor.flush())
            if self._tail is not None:
                self._tail.close()
                if self.left_out:
                    self._append(f"\n==> {self.left_out} bytes of this log were left out here\n".encode())
                for part in (self._older, self._newer):
                    if part.exists():
                        with part.open("rb") as stream:
                            while chunk := stream.read(1 << 16):
                                self._append(chunk)
                        part.unlink()
        except OSError as error:
            raise store_error(error, self.path) from error
        finally:
            self._head.close()

    def _store(self, data: bytes) -> None:
        if not data:
            return
        self.written += len(data)
        try:
            if self._head_room:
                head, data = data[: self._head_room], data[self._head_room :]
                self._append(head)
                self._head_room -= len(head)
            while data:
                data = self._store_tail(data)
        except OSError as error:
            raise store_error(error, self.path) from error
        if self._progress is not None:
            self._progress(self.written)

    def _append(self, data: bytes) -> None:
        self._head.write(data)
        if self._tee is not None:
            self._tee(data)

    def _store_tail(self, data: bytes) -> bytes:
        if self._tail is not None and self._segment_size >= self._segment:
            self._tail.close()
            self.left_out += self._older_size
            self._newer.replace(self._older)
            self._older_size, self._segment_size = self._segment_size, 0
            self._tail = None
        if self._tail is None:
            self._tail = self._newer.open("wb", buffering=0)
        part = data[: self._segment - self._segment_size]
        self._tail.write(part)
        self._segment_size += len(part)
        return data[len(part) :]
