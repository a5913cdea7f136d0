"""Logs of steps, however long: a window of one, what a search finds in it, and what it gains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bigtop_builder.cli.text_format import LogText
from bigtop_builder.flow.build.line_kinds import ERROR, TRACEBACK
from bigtop_builder.flow.run.records import log_files

WINDOW = 128 << 10
BLOCK = 1 << 20
LONGEST = 4000
"""The most characters of a line that are shown."""
HITS = 200
NEEDLE = 200


@dataclass(frozen=True)
class LogLine:
    """A line: its number, its text, and whether it looks like an error."""

    number: int
    text: str
    bad: bool


@dataclass(frozen=True)
class Hit:
    """A line that a search found, and where in the log it begins."""

    number: int
    offset: int
    text: str


@dataclass(frozen=True)
class Window:
    """Lines of a log from ``start`` to ``end``, in bytes of ``size``."""

    start: int
    end: int
    size: int
    lines: tuple[LogLine, ...]


class LogReader:
    """A log of a run. Raises FileNotFoundError if it does not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parts = [(part, part.stat().st_size) for part in log_files(path)]
        if not self._parts:
            raise FileNotFoundError(path)

    @property
    def size(self) -> int:
        """Bytes of all its parts."""
        return sum(size for _, size in self._parts)

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes from an offset on."""
        found = []
        for path, size in self._parts:
            if offset < size and length > 0:
                with path.open("rb") as stream:
                    stream.seek(offset)
                    data = stream.read(min(length, size - offset))
                found.append(data)
                length -= len(data)
                offset = 0
            else:
                offset -= size
        return b"".join(found)

    def window(self, at: int | None = None) -> Window:
        """Return the lines around an offset, by default those at the end."""
        size = self.size
        start = max(0, size - WINDOW if at is None else min(at, size) - WINDOW // 4)
        data = self.read(start, WINDOW)
        if start:
            first = data.find(b"\n") + 1
            data, start = data[first:], start + first
        if start + len(data) < size:
            data = data[: data.rfind(b"\n") + 1] or data
        return Window(start, start + len(data), size, tuple(lines(data, self._lines_before(start) + 1)))

    def _lines_before(self, offset: int) -> int:
        number = 0
        for path, size in self._parts:
            number += lines_until(path, min(size, offset))
            offset -= min(size, offset)
        return number

    def find(self, text: str) -> tuple[list[Hit], bool]:
        """Return the lines that contain a text in whatever case, and whether there are more than are returned."""
        wanted = text[:NEEDLE].encode().lower()
        hits: list[Hit] = []
        base, number = 0, 1
        for path, size in self._parts:
            at = base
            for block in _blocks(path):
                for start, line in _matching(block, wanted):
                    if len(hits) == HITS:
                        return hits, True
                    line_number = number + block.count(b"\n", 0, start)
                    hits.append(Hit(line_number, at + start, shown(line[:LONGEST])[:400]))
                number += block.count(b"\n")
                at += len(block)
            base += size
        return hits, False


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file in blocks that end with a line."""
    rest = b""
    with path.open("rb") as stream:
        while data := stream.read(BLOCK):
            data = rest + data
            whole = data.rfind(b"\n") + 1 or (len(data) if len(data) > 4 * BLOCK else 0)
            if whole:
                yield data[:whole]
            rest = data[whole:]
    if rest:
        yield rest


def _matching(block: bytes, wanted: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield where each line with a text begins, and the line; ``wanted`` is in small letters."""
    small = block.lower()
    found = small.find(wanted)
    while found >= 0:
        start = block.rfind(b"\n", 0, found) + 1
        end = block.find(b"\n", found)
        end = len(block) if end < 0 else end
        yield start, block[start:end]
        found = small.find(wanted, end + 1)


def lines_until(path: Path, offset: int) -> int:
    """Return how many lines end before an offset. What was counted once is remembered: logs only grow."""
    inode, number = path.stat().st_ino, 0
    for place in range(offset // BLOCK):
        number += _lines_in(path, inode, place)
    with path.open("rb") as stream:
        stream.seek(offset - offset % BLOCK)
        return number + stream.read(offset % BLOCK).count(b"\n")


@lru_cache(maxsize=4096)
def _lines_in(path: Path, _inode: int, place: int) -> int:
    with path.open("rb") as stream:
        stream.seek(place * BLOCK)
        return stream.read(BLOCK).count(b"\n")


def shown(data: bytes) -> str:
    """Return bytes of a log as text, without what would control a terminal."""
    return LogText({}, colour=False).feed(data, last=True)


def lines(data: bytes, first: int) -> Iterator[LogLine]:
    """Yield lines of a log; ``first`` is the number of the first."""
    parts = data.split(b"\n")
    if parts and not parts[-1]:
        parts.pop()
    for number, part in enumerate(parts, first):
        text = shown(part[: 4 * LONGEST]).rstrip("\n")
        if len(text) > LONGEST:
            text = text[:LONGEST] + " …"
        yield LogLine(number, text, ERROR.search(text) is not None or TRACEBACK.search(text) is not None)


def find_log(folder: Path, place: str) -> Path | None:
    """Return a log of a run by its place below the run's logs; None if it is not there, or leads out of them."""
    logs = folder / "logs"
    try:
        path = (logs / place).resolve(strict=True)
        root = logs.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None
    return path if path.is_relative_to(root) and path.is_file() else None


class LogFollower:
    """What a log gains from an offset on. The end of a log that reached its limit goes to other files."""

    def __init__(self, path: Path, offset: int) -> None:
        self._path = path
        self._newer = path.with_name(path.name + ".newer")
        self._place: tuple[Path, int] = (path, offset)
        self.offset = offset
        if self._newer.is_file():
            self._place = (self._newer, self._newer.stat().st_size)

    def gained(self) -> bytes:
        """Return whole lines that are new; of much only the end."""
        path = self._newer if self._newer.is_file() else self._path
        at = self._place[1] if self._place[0] == path else 0
        try:
            with path.open("rb") as stream:
                size = stream.seek(0, 2)
                at = 0 if size < at else at
                at = max(at, size - WINDOW)
                stream.seek(at)
                data = stream.read(WINDOW)
        except OSError:
            return b""
        whole = data.rfind(b"\n") + 1
        self._place = (path, at + whole)
        self.offset = at + whole if path == self._path else self.offset
        return data[:whole]
