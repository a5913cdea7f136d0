"""The log file of one step: bounded, free of secrets, readable while it grows and after a crash."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

from bigtop_builder.adapter.store import store_error


class Redactor(Protocol):
    """Takes secrets out of a stream of bytes; may hold bytes back until it knows that they are none."""

    def feed(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class LogWriter:
    """Writes a log of at most ``limit`` bytes: its first half, and the last of what comes after that.

    The first half goes to ``path``. What follows goes to two files beside it in turn, so that a killed process
    leaves the end of its log behind too; ``close`` puts them together. ``progress`` is told the bytes written so
    far. Raises StoreError when the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        limit: int,
        *,
        redactor: Redactor | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.path = path
        self.written = 0
        self.left_out = 0
        self._redactor = redactor
        self._progress = progress
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
        """Appends the output of a command."""
        if self._redactor is not None:
            data = self._redactor.feed(data)
        self._store(data)

    def note(self, text: str) -> None:
        """Appends a line of our own."""
        self.write(f"==> {text}\n".encode())

    def close(self) -> None:
        """Writes what the redactor held back, says what was left out, and joins the parts."""
        if self._head.closed:
            return
        try:
            if self._redactor is not None:
                self._store(self._redactor.flush())
            if self._tail is not None:
                self._tail.close()
                if self.left_out:
                    self._head.write(f"\n==> {self.left_out} bytes of this log were left out here\n".encode())
                for part in (self._older, self._newer):
                    if part.exists():
                        with part.open("rb") as stream:
                            shutil.copyfileobj(stream, self._head)
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
                self._head.write(head)
                self._head_room -= len(head)
            while data:
                data = self._store_tail(data)
        except OSError as error:
            raise store_error(error, self.path) from error
        if self._progress is not None:
            self._progress(self.written)

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
