"""Look through a metadata file before a parser gets it: a few kilobytes can unpack to terabytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import IO, Any

from bigtop_builder.model.errors import PublishError

CHUNK = 1 << 20
DOCTYPE = b"<!DOCTYPE"
"""Begins the declaration of entities, which can expand to any size, and which no repository has."""
HINT = "raise limits.metadata_size in bigtop-builder.yaml if the repository is that large"


def check_metadata(path: Path, location: str, largest: int) -> None:
    """Raise PublishError if the XML in ``path`` is longer than ``largest`` bytes, damaged, or declares entities."""
    size, end = 0, b""
    try:
        with path.open("rb") as file, unpacked(file) as stream:
            while data := stream.read(CHUNK):
                size += len(data)
                if size > largest:
                    raise PublishError(f"{location} unpacks to more than {largest} bytes", hint=HINT)
                # Text in UTF-16 and UTF-32, which could hide a declaration, has zeros.
                if DOCTYPE in end + data or b"\0" in data:
                    raise PublishError(
                        f"the repository's metadata cannot be read: {location} declares entities or is not UTF-8"
                    )
                end = data[-len(DOCTYPE) :]
    except (OSError, EOFError, zlib.error, lzma.LZMAError, _zstd_error()) as error:
        raise PublishError(f"the repository's metadata cannot be read: {location}: {error}") from error


def unpacked(file: IO[bytes]) -> Any:
    """Return the decompressed content of a metadata file as a stream."""
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(file)
    if magic.startswith(b"BZh"):
        return bz2.open(file)
    if magic == b"\xfd7zXZ\0":
        return lzma.LZMAFile(file)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        import zstandard

        return zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(file, read_across_frames=True)
    return file


def _zstd_error() -> type[Exception]:
    import zstandard

    return zstandard.ZstdError
