"""Reads tar archives as a stream, member by member.

Python's ``tarfile`` holds an extended header of any size, all members and all parts of a sparse file in memory, and
calls itself for each header that extends a header. Here only the header block is parsed by ``tarfile``; what extends
it (GNU's long names, pax records) is bounded, and nothing of a member stays after it.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator

from bigtop_builder.adapter.archives.compression import DamagedArchiveError, Unpacked
from bigtop_builder.model.archive_limits import DEFAULT

EXTENSION_LIMIT = 1 << 20
"""The most bytes of everything that extends one member's header, and of all global headers together."""
LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_RECORD_LENGTH = re.compile(rb"([0-9]{1,7}) ")


class Content:
    """The bytes of one member, to be read before the next one is requested."""

    def __init__(self, stream: Unpacked, size: int) -> None:
        self.left = size
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes, the rest when negative; empty at the end. Raises DamagedArchiveError."""
        wanted = self.left if size < 0 else min(size, self.left)
        data = self._stream.read(wanted)
        if len(data) < wanted:
            raise DamagedArchiveError("it ends too early")
        self.left -= wanted
        return data

    def skip(self) -> None:
        """Pass over the rest and the padding behind it."""
        self._stream.skip(self.left)
        self.left = 0


def read_tar(stream: Unpacked, members: int = DEFAULT.members) -> Iterator[tuple[tarfile.TarInfo, Content]]:
    """Yield each member and its content, which is empty for anything but regular files.

    ``offset_data`` of a member counts decompressed bytes. Raises DamagedArchiveError for an archive that is damaged,
    has more than ``members`` members, a sparse file or an oversized header.
    """
    shared: dict[str, str] = {}
    shared_left = EXTENSION_LIMIT
    own: dict[str, str] = {}
    own_left = EXTENSION_LIMIT
    while (info := _header(stream)) is not None:
        if info.type in LONG or info.type in PAX or info.type == tarfile.XGLTYPE:
            own_left -= info.size + tarfile.BLOCKSIZE
            shared_left -= (info.size + tarfile.BLOCKSIZE) if info.type == tarfile.XGLTYPE else 0
            if min(own_left, shared_left) < 0:
                raise DamagedArchiveError(f"a member has an extended header of more than {EXTENSION_LIMIT} bytes")
            data = _content(stream, info)
            if info.type in LONG:
                own.setdefault(LONG[info.type], _text(data.partition(b"\0")[0]))
            else:
                (shared if info.type == tarfile.XGLTYPE else own).update(_records(data))
            continue
        members -= 1
        if members < 0:
            raise DamagedArchiveError("it has more members than the allowed number")
        _apply(info, {**shared, **own})
        own, own_left = {}, EXTENSION_LIMIT
        info.offset_data = stream.offset
        has_data = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
        content = Content(stream, info.size if has_data else 0)
        padding = -content.left % tarfile.BLOCKSIZE
        yield info, content
        content.skip()
        stream.skip(padding)
    if own:
        raise DamagedArchiveError("it ends behind an extended header")


def _header(stream: Unpacked) -> tarfile.TarInfo | None:
    """Return the next header block; None at the end, with or without the empty blocks that mark it."""
    start = stream.offset
    block = stream.read(tarfile.BLOCKSIZE)
    if (not block and start) or block.count(0) == tarfile.BLOCKSIZE:
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError) as error:
        raise DamagedArchiveError(str(error) if start else "it is not a tar archive") from error
    _check(info)
    return info


def _check(info: tarfile.TarInfo) -> None:
    if info.size < 0:
        raise DamagedArchiveError("a member has a negative size")
    if info.type == tarfile.GNUTYPE_SPARSE:
        raise DamagedArchiveError(f"{info.name[:200]!r} is a sparse file; pack the archive without them")


def _content(stream: Unpacked, info: tarfile.TarInfo) -> bytes:
    data = stream.read(info.size)
    if len(data) < info.size:
        raise DamagedArchiveError("it ends too early")
    stream.skip(-info.size % tarfile.BLOCKSIZE)
    return data


def _records(data: bytes) -> dict[str, str]:
    """Parse pax records: ``LENGTH KEYWORD=VALUE`` and a newline, the length being that of the whole record."""
    found: dict[str, str] = {}
    position = 0
    while position < len(data) and data[position]:
        match = _RECORD_LENGTH.match(data, position)
        end = position + int(match[1]) if match else 0
        if match is None or end > len(data) or end <= match.end() or data[end - 1 : end] != b"\n":
            raise DamagedArchiveError("an extended header is damaged")
        keyword, separator, value = data[match.end() : end - 1].partition(b"=")
        if not separator:
            raise DamagedArchiveError("an extended header is damaged")
        found[_text(keyword)] = _text(value)
        position = end
    return {key: value for key, value in found.items() if key in _USED or key.startswith("GNU.sparse")}


_USED = frozenset({"path", "linkpath", "size", "mtime"})


def _apply(info: tarfile.TarInfo, records: dict[str, str]) -> None:
    if any(key.startswith("GNU.sparse") for key in records):
        raise DamagedArchiveError(f"{info.name[:200]!r} is a sparse file; pack the archive without them")
    info.name = records.get("path", info.name)
    info.linkname = records.get("linkpath", info.linkname)
    if info.isdir():
        info.name = info.name.rstrip("/")
    try:
        info.size = int(records.get("size", info.size))
        info.mtime = float(records["mtime"]) if "mtime" in records else info.mtime
    except ValueError as error:
        raise DamagedArchiveError("an extended header has a number that is none") from error
    _check(info)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
