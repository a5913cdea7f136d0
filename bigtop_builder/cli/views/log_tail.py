"""The end of a log that grows: its last lines, and how far the tool says that it is."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path

from bigtop_builder.cli.text_format import clean

READ = 1 << 16
"""The most bytes that are read at once: of a log that grows faster only the end is looked at."""
KEPT = 20

COUNTERS: tuple[re.Pattern[str], ...] = (
    # Maven: [INFO] Building Apache Tez :: Runtime 0.10.1   [7/31]
    re.compile(r"^\[INFO\] Building .*\[(?P<n>\d+)/(?P<m>\d+)\]\s*$"),
    # Gradle's rich console: <=====--------> 45% EXECUTING [1m 2s]
    re.compile(r"^<[=-]+> (?P<percent>\d+)% (?:CONFIGURING|EXECUTING|WAITING|INITIALIZING)"),
    # npm and yarn: [3/5] Linking dependencies...   Ninja: [12/345] Building C object
    re.compile(r"^\[(?P<n>\d+)/(?P<m>\d+)\] \S"),
    # npm's progress: (12/345)
    re.compile(r"^npm .*\((?P<n>\d+)/(?P<m>\d+)\)"),
    # CMake's make: [ 45%] Building CXX object
    re.compile(r"^\[ *(?P<percent>\d+)%\] "),
)


def counted(line: str) -> str | None:
    """Return how far a tool is, from a line of its output: ``7 of 31``, ``45%``; None if the line does not say."""
    for counter in COUNTERS:
        if found := counter.match(line):
            parts = found.groupdict()
            if "percent" in parts:
                return f"{int(parts['percent'])}%"
            if int(parts["m"]) > 0 and int(parts["n"]) <= int(parts["m"]):
                return f"{int(parts['n'])} of {int(parts['m'])}"
    return None


class LogTail:
    """Follows a log. ``look`` reads what is new; ``lines`` and ``counted`` then say what its end says."""

    def __init__(self, path: Path) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT)
        self.counted = ""
        self._path = path
        self._newer = path.with_name(path.name + ".newer")
        self._place: tuple[Path, int] = (path, 0)
        self._rest = b""

    def look(self) -> None:
        """Read what has been written since the last look. A log that cannot be read has no new lines."""
        # The end of a log that has reached its limit goes to another file.
        path = self._newer if self._newer.is_file() else self._path
        offset = self._place[1] if self._place[0] == path else 0
        try:
            with path.open("rb") as log:
                size = log.seek(0, 2)
                # A file that has become smaller was begun again.
                start = max(offset if offset <= size else 0, size - READ)
                log.seek(start)
                data = log.read(READ)
        except OSError:
            return
        self._place = path, start + len(data)
        *whole, self._rest = ((self._rest if start == offset else b"") + data).split(b"\n")
        self._rest = self._rest[-READ:]
        for raw in whole:
            line = clean(raw.decode(errors="replace").rpartition("\r")[2] or raw.decode(errors="replace")).rstrip()
            if line:
                self.lines.append(line)
                self.counted = counted(line) or self.counted
