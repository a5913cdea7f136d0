"""Which process holds a lock of the store, as the kernel lists them."""

from __future__ import annotations

import os
from pathlib import Path

LOCKS = Path("/proc/locks")


def lock_holder(path: Path, locks: Path = LOCKS) -> int | None:
    """Return the id of the process that holds the ``flock`` lock of a file; None if none on this machine does.

    A line of the kernel: ``1: FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF``.
    """
    try:
        status = path.stat()
        text = locks.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in text.splitlines():
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == place and words[4].isdigit() and int(words[4]) > 0:
            return int(words[4])
    return None
