"""Streams the files inside a package: nothing is unpacked to disk or held in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from bigtop_builder.adapter.archives.compression import DamagedArchiveError, Unpacked, compression_of
from bigtop_builder.adapter.rpm.block import MalformedError, unreadable
from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.model.archive_limits import DEFAULT, ArchiveLimits

CPIO_HEADER = 110
NEWC_MAGICS = (b"070701", b"070702")
STRIPPED_MAGIC = b"07070X"
"""RPM's own format for files too large for newc's 32-bit sizes: only the file's index in the header follows."""
TRAILER = "TRAILER!!!"
CHUNK = 1 << 18
LONGEST_NAME = 4096 + 2
"""The longest path that Linux opens, with the dot before it and the zero behind it."""


class _Payload:
    """The decompressed payload. Any damage becomes a PublishError that names the package."""

    def __init__(self, package: Path, stream: Unpacked) -> None:
        self._package = package
        self._stream = stream

    def exactly(self, size: int) -> bytes:
        """Return exactly ``size`` bytes."""
        try:
            data = self._stream.read(size)
        except (DamagedArchiveError, OSError) as error:
            raise unreadable(self._package, f"damaged payload: {error}") from error
        if len(data) < size:
            raise unreadable(self._package, "damaged payload: it ends too early")
        return data


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


def payload_files(path: Path, limits: ArchiveLimits = DEFAULT) -> Iterator[Member]:
    """Yield every file of the payload in its order; folders are empty, a link's bytes are its target.

    Raises PublishError when the package is damaged, unpacks to more than the limit or its compression is unknown.
    """
    header = read_header(path)
    with path.open("rb") as raw:
        raw.seek(header.payload_offset)
        compression, size = header.payload_compressor, limits.unpacked(path.stat().st_size)
        if compression == "gzip":
            # rpm also names gzip as the compressor of an uncompressed payload.
            compression = compression_of(raw.read(2))
            raw.seek(header.payload_offset)
        try:
            stream = Unpacked(raw, compression, limit=size, memory=limits.memory)
            yield from _members(_Payload(path, stream), header, limits.members)
        except (ValueError, IndexError) as error:
            raise unreadable(path, f"damaged payload: {error}") from error


def find_in_payload(path: Path, forbidden: Sequence[bytes], limits: ArchiveLimits = DEFAULT) -> list[tuple[str, bytes]]:
    """Return which files contain one of the ``forbidden`` byte strings: unique pairs of path and string.

    Compressed content inside a file, as in a jar, is not searched. Raises PublishError as payload_files does.
    """
    overlap = max((len(text) for text in forbidden), default=1) - 1
    found: list[tuple[str, bytes]] = []
    for member in payload_files(path, limits):
        missing = list(forbidden)
        window = b""
        while missing and (chunk := member.read(CHUNK)):
            window = window[len(window) - min(overlap, len(window)) :] + chunk
            hits = [text for text in missing if text in window]
            found += [(member.path, text) for text in hits]
            missing = [text for text in missing if text not in hits]
    return found


def _members(payload: _Payload, header: RpmHeader, members: int) -> Iterator[Member]:
    for _ in range(members + 1):
        magic = payload.exactly(6)
        if magic in NEWC_MAGICS:
            fields = payload.exactly(CPIO_HEADER - 6)
            size, name_size = int(fields[48:56], 16), int(fields[88:96], 16)
            if not 0 < name_size <= LONGEST_NAME:
                raise MalformedError(f"a name has {name_size} bytes")
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
    raise MalformedError(f"it has more than {members} files")
