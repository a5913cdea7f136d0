"""Opens zip archives with bounds: Python's ``zipfile`` holds their whole directory in memory and believes it."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from typing import IO, cast

from bigtop_builder.adapter.archives.compression import DamagedArchiveError
from bigtop_builder.model.archive_limits import DEFAULT

ENTRY_SIZE = 128
"""The bytes of an average entry in the directory: 46, the path, and times of some tools."""
ENTRY_MAGIC = b"PK\x01\x02"
LOCAL_HEADER = 30
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    struct.error,
)
"""Everything that ``zipfile`` and this module raise for broken, encrypted or unknown archives."""


def open_zip(file: IO[bytes], members: int = DEFAULT.members) -> zipfile.ZipFile:
    """Open an archive for reading; reading an entry of it takes little memory.

    Raises DamagedArchiveError for more than ``members`` entries, for overlapping ones (which unpack the same bytes
    again and again) and for a compression other than deflate; besides, what ``DAMAGE`` lists.
    """
    bounded = _Bounded(file, members)
    archive = zipfile.ZipFile(cast(IO[bytes], bounded))
    bounded.opened = True
    entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    starts = [entry.header_offset for entry in entries] + [archive.start_dir]
    for entry, end in zip(entries, starts[1:], strict=True):
        if not entry.filename:
            raise DamagedArchiveError("an entry has no name")
        if entry.header_offset < 0 or entry.header_offset + LOCAL_HEADER + entry.compress_size > end:
            raise DamagedArchiveError(f"the entry {entry.filename[:200]!r} overlaps another one")
        if entry.compress_type not in METHODS:
            raise DamagedArchiveError(f"the entry {entry.filename[:200]!r} is not compressed with deflate")
    return archive


class _Bounded:
    """A file of which nobody reads a large directory: ``zipfile`` reads it as a whole, wherever the file says it is."""

    def __init__(self, file: IO[bytes], members: int) -> None:
        self.opened = False
        self._file = file
        self._members = members

    def read(self, size: int = -1) -> bytes:
        """Read from the file; while the archive is being opened, no more than a directory may have."""
        if self.opened:
            return self._file.read(size)
        # Its end with a comment has up to 64 KiB.
        most = (1 << 17) + self._members * ENTRY_SIZE
        if size < 0:
            start = self._file.tell()
            size = self._file.seek(0, os.SEEK_END) - start
            self._file.seek(start)
        if size > most:
            raise DamagedArchiveError("its directory is too large")
        data = self._file.read(size)
        if data.count(ENTRY_MAGIC) > self._members:
            raise DamagedArchiveError(f"it has more than {self._members} entries")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Whether the file can be moved in: always."""
        return True

    def close(self) -> None:
        """Leave the file to whoever opened it."""
