"""How much of an archive is read: archives come from strangers, and a few kilobytes can claim or unpack to anything."""

from __future__ import annotations

from dataclasses import dataclass

SMALLEST = 1 << 30
RATIO = 200


@dataclass(frozen=True)
class ArchiveLimits:
    """The bounds of one archive: sizes in bytes. ``limits.archive_…`` of the project file sets them."""

    size: int = 20 << 30
    """Unpacked."""
    members: int = 500_000
    memory: int = 256 << 20
    """What a decompressor may use: the dictionary of xz, the window of zstd."""

    def unpacked(self, packed: int) -> int:
        """Return the largest unpacked size of an archive of ``packed`` bytes: 200 times that, at least 1 GiB."""
        return min(self.size, max(SMALLEST, RATIO * packed))


DEFAULT = ArchiveLimits()
