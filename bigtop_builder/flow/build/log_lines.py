"""Lines of a step's log, read in bounded memory whatever its size: all of them in turn, or the last ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

WINDOW = 16 << 20
"""The bytes at the end of a log that are searched, which takes seconds. Builds of whole components write 1 to 4 MiB."""

TAIL_BYTES = 256 << 10
LONGEST_LINE = 1000
PIECE = 64 << 10

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def lines_of(log: Path, begin: int = 0) -> Iterator[tuple[int, str]]:
    """Yield the lines from the byte ``begin`` on, but none before the last WINDOW, each with its place in bytes.

    Lines have no colours, and at most LONGEST_LINE characters: of longer ones the middle is left out, since patterns
    that meet one endless word would search for minutes. A log that cannot be read has no lines.
    """
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, 2)
            place = stream.seek(max(begin, size - WINDOW))
            while piece := stream.readline(PIECE):
                line = piece.decode("utf-8", errors="replace")
                yield place, shortened((_COLOURS.sub("", line) if "\x1b" in line else line).rstrip())
                place += len(piece) + _skip_rest(stream, piece)
    except OSError:
        return


def _skip_rest(stream: BinaryIO, piece: bytes) -> int:
    """Skip the rest of a line of which ``piece`` was read; return its length."""
    skipped = 0
    while piece and not piece.endswith(b"\n"):
        piece = stream.readline(PIECE)
        skipped += len(piece)
    return skipped


def shortened(line: str, limit: int = LONGEST_LINE) -> str:
    """Return a line of at most ``limit`` characters: its beginning and its end."""
    if len(line) <= limit:
        return line
    half = (limit - 3) // 2
    return f"{line[:half]} … {line[-half:]}"


def log_end(log: Path) -> str:
    """Return the last TAIL_BYTES of a log as text, lines as in ``lines_of``; empty if it cannot be read."""
    try:
        begin = max(0, log.stat().st_size - TAIL_BYTES)
    except OSError:
        return ""
    return "\n".join(line for _, line in lines_of(log, begin))
