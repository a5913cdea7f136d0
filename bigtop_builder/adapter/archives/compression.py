"""Decompresses gzip, bzip2, xz and zstd as a stream of bounded size, with bounded memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from typing import IO, Any, cast

from bigtop_builder.model.archive_limits import DEFAULT

CHUNK = 1 << 18
MAGICS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
XZ_PADDING = b"\0"
WINDOWS = (1 << 10, 1 << 31)
"""The window sizes that zstd takes as a limit."""


class DamagedArchiveError(ValueError):
    """An archive is damaged or exceeds a limit. Whoever knows its name turns this into an error for users."""


def compression_of(start: bytes) -> str:
    """Return the compression of a file that starts with these bytes; empty for none."""
    return next((kind for magic, kind in MAGICS.items() if start.startswith(magic)), "")


class Unpacked:
    """The decompressed bytes of ``raw``.

    ``compression`` is one of ``gzip``, ``bzip2``, ``xz``, ``lzma``, ``zstd``, empty for none. ``limit`` bounds the size
    of what was compressed, ``memory`` what the decompressor uses, both in bytes. Every method raises
    DamagedArchiveError when the data is damaged or exceeds a limit.
    """

    def __init__(self, raw: IO[bytes], compression: str, *, limit: int | None = None, memory: int = DEFAULT.memory):
        self.offset = 0
        """How many decompressed bytes have been read or skipped."""
        self._limit = limit if compression else None
        self._raw = raw
        self._seekable = not compression and raw.seekable()
        self._damage: tuple[type[Exception], ...] = (EOFError, zlib.error, lzma.LZMAError, OSError)
        if compression == "zstd":
            from zstandard import ZstdError

            self._damage = (*self._damage, ZstdError)
        self._stream = _stream(raw, compression, memory)

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes; fewer at the end only."""
        pieces = []
        while size > 0 and (piece := self._piece(min(size, CHUNK))):
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes; a plain file is not read for it."""
        if self._seekable and size:
            self._raw.seek(size - 1, io.SEEK_CUR)
            self.offset += size - 1
            size = 1
        while size > 0:
            piece = self._piece(min(size, CHUNK))
            if not piece:
                raise DamagedArchiveError("it ends too early")
            size -= len(piece)

    def _piece(self, size: int) -> bytes:
        try:
            piece = self._stream.read(size)
        except self._damage as error:
            # Decompressors use OSError for damaged data, but give no number.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DamagedArchiveError(str(error) or "it ends too early") from error
        self.offset += len(piece)
        if self._limit is not None and self.offset > self._limit:
            raise DamagedArchiveError(f"it unpacks to more than {self._limit} bytes")
        return piece


def _stream(raw: IO[bytes], compression: str, memory: int) -> IO[bytes]:
    if not compression:
        return raw
    if compression == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if compression == "bzip2":
        return cast(IO[bytes], bz2.BZ2File(raw))
    if compression in ("xz", "lzma"):
        return cast(IO[bytes], _Xz(raw, memory))
    if compression == "zstd":
        import zstandard

        smallest, largest = WINDOWS
        decoder = zstandard.ZstdDecompressor(max_window_size=min(max(memory, smallest), largest))
        return cast(IO[bytes], decoder.stream_reader(raw, read_across_frames=True, closefd=False))
    raise DamagedArchiveError(f"unknown compression {compression!r}")


class _Xz:
    """Reads xz and lzma with a limit on memory, which ``lzma.LZMAFile`` does not take."""

    def __init__(self, raw: IO[bytes], memory: int) -> None:
        self._raw = raw
        self._memory = memory
        self._decoder = self._new()
        self._input = b""
        self._first = True

    def _new(self) -> Any:
        return lzma.LZMADecompressor(memlimit=self._memory)

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; empty at the end."""
        while True:
            if self._decoder.eof and not self._next_stream():
                return b""
            if self._decoder.needs_input and not self._input:
                self._input = self._raw.read(CHUNK)
                if not self._input:
                    raise EOFError("it ends too early")
            try:
                data: bytes = self._decoder.decompress(self._input, size)
            except lzma.LZMAError:
                if self._first:
                    raise
                # What follows the last stream is not another one; the xz program ignores it, too.
                return b""
            self._input = b""
            if data:
                self._first = self._first and not self._decoder.eof
                return data

    def _next_stream(self) -> bool:
        """Whether another stream follows, perhaps after padding."""
        rest = self._decoder.unused_data.lstrip(XZ_PADDING)
        while not rest:
            more = self._raw.read(CHUNK)
            if not more:
                return False
            rest = more.lstrip(XZ_PADDING)
        self._decoder, self._input, self._first = self._new(), rest, False
        return True
