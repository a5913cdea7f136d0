"""Streams the files inside a package: nothing is unpacked to disk or held in memory as a whole."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from bigtop_builder.adapter.rpm.block import MalformedError, unreadable
from bigtop_builder.adapter.rpm.header import RpmHeader, read_header

CPIO_HEADER = 110
NEWC_MAGICS = (b"070701", b"070702")
STRIPPED_MAGIC = b"07070X"
"""RPM's own format for files too large for newc's 32-bit sizes: only the file's index in the header follows."""
TRAILER = "TRAILER!!!"
CHUNK = 1 << 18


class _Payload:
    """The decompressed payload. Any damage becomes a PublishError that names the package."""

    def __init__(self, package: Path, stream: IO[bytes]) -> None:
        from zstandard import ZstdError

        self._package = package
        self._stream = stream
        self._damage = (EOFError, zlib.error, lzma.LZMAError, ZstdError, OSError)

    def exactly(self, size: int) -> bytes:
        """Return exactly ``size`` bytes; decompressors may return fewer at a time."""
        pieces = []
        while size > 0:
            try:
                piece = self._stream.read(min(size, CHUNK))
            except self._damage as error:
                raise unreadable(self._package, f"damaged payload: {error}") from error
            if not piece:
                raise unreadable(self._package, "damaged payload: it ends too early")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


class Member:
    """One file's bytes, to be read before requesting the next file. ``left`` is the number of unread bytes."""

    def __init__(self, path: str, payload: _Payload, size: int) -> None:
        self.path = path
        self.left = size
        self._payload = payload

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes, the rest when negative; empty at the end of the file.

        Raises PublishError when the package is damaged.
        """
        wanted = self.left if size < 0 else min(size, self.left)
        data = self._payload.exactly(wanted)
        self.left -= wanted
        return data


def payload_files(path: Path) -> Iterator[Member]:
    """Yield every file of the payload in its order; folders are empty, a link's bytes are its target.

    Raises PublishError when the package is damaged or its compression is unknown.
    """
    header = read_header(path)
    with path.open("rb") as raw:
        raw.seek(header.payload_offset)
        try:
            with _decompressed(raw, header.payload_compressor) as stream:
                yield from _members(_Payload(path, stream), header)
        except (ValueError, IndexError) as error:
            raise unreadable(path, f"damaged payload: {error}") from error


def find_in_payload(path: Path, forbidden: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """Return which files contain one of the ``forbidden`` byte strings: unique pairs of path and string.

    Compressed content inside a file, as in a jar, is not searched. Raises PublishError as payload_files does.
    """
    overlap = max((len(text) for text in forbidden), default=1) - 1
    found: list[tuple[str, bytes]] = []
    for member in payload_files(path):
        missing = list(forbidden)
        window = b""
        while missing and (chunk := member.read(CHUNK)):
            window = window[len(window) - min(overlap, len(window)) :] + chunk
            hits = [text for text in missing if text in window]
            found += [(member.path, text) for text in hits]
            missing = [text for text in missing if text not in hits]
    return found


def _decompressed(raw: BinaryIO, compressor: str) -> IO[bytes]:
    if compressor == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    if compressor in ("xz", "lzma"):
        return lzma.LZMAFile(raw)
    if compressor == "bzip2":
        return bz2.BZ2File(raw)
    if compressor != "gzip":
        raise MalformedError(f"unknown compression {compressor!r}")
    start = raw.read(2)
    raw.seek(-len(start), 1)
    # rpm also names gzip as the compressor of an uncompressed payload.
    return cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if start == b"\x1f\x8b" else raw


def _members(payload: _Payload, header: RpmHeader) -> Iterator[Member]:
    while True:
        magic = payload.exactly(6)
        if magic in NEWC_MAGICS:
            fields = payload.exactly(CPIO_HEADER - 6)
            size, name_size = int(fields[48:56], 16), int(fields[88:96], 16)
            name = payload.exactly(name_size)[:-1].decode(errors="replace")
            payload.exactly(-(CPIO_HEADER + name_size) % 4)
            if name == TRAILER:
                return
        elif magic == STRIPPED_MAGIC:
            described = header.files[int(payload.exactly(8), 16)]
            payload.exactly(2)
            size, name = described.size, described.path
        else:
            raise MalformedError("expected a cpio entry")
        member = Member(str(PurePosixPath("/", name)), payload, size)
        yield member
        while member.left:
            member.read(CHUNK)
        payload.exactly(-size % 4)
