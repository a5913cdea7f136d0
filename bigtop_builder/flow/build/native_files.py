"""The files that make rpmbuild refuse a noarch package: it says that there are some, not which."""

from __future__ import annotations

import contextlib
from pathlib import Path

from bigtop_builder.adapter.untrusted import walk
from bigtop_builder.flow.build.causes import NATIVE_IN_NOARCH
from bigtop_builder.flow.build.log_lines import log_end

ELF = b"\x7fELF"
SHOWN = 10


def refused_files(log: Path, box: Path, build_root: str) -> str:
    """Return ``: native files in a noarch package: /usr/lib/x.so, …`` if ``log`` ends with that refusal, else ``""``.

    ``build_root`` is rpmbuild's ``BUILDROOT`` in the box, which it keeps when it fails.
    """
    if not NATIVE_IN_NOARCH.search(log_end(log)):
        return ""
    found = native_files(box, build_root)
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f": native files in a noarch package: {', '.join(found[:SHOWN])}{more}" if found else ""


def native_files(box: Path, build_root: str) -> list[str]:
    """Return the paths of all ELF files as their packages would have them."""
    found = []
    for folder in walk(box, build_root, skip_deeper=True):
        for entry in folder.files:
            with contextlib.suppress(OSError), open(folder.place(entry.name), "rb") as file:  # noqa: PTH123
                if file.read(len(ELF)) == ELF:
                    # The first folder is named after the package: ambari-server-3.0.0.0-1.x86_64/usr/lib/…
                    found.append("/" + folder.inside(entry.name).partition("/")[2])
    return sorted(found)
