"""The files that make rpmbuild refuse a noarch package: it says that there are some, not which."""

from __future__ import annotations

import os
from pathlib import Path

from bigtop_builder.flow.build.diagnosis import NATIVE_IN_NOARCH, log_end

ELF = b"\x7fELF"
SHOWN = 10


def refused_files(log: Path, build_root: Path) -> str:
    """Return ``: native files in a noarch package: /usr/lib/x.so, …`` if ``log`` ends with that refusal, else ``""``.

    ``build_root`` is rpmbuild's ``BUILDROOT``, which it keeps when it fails.
    """
    if not NATIVE_IN_NOARCH.search(log_end(log)):
        return ""
    found = native_files(build_root)
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f": native files in a noarch package: {', '.join(found[:SHOWN])}{more}" if found else ""


def native_files(build_root: Path) -> list[str]:
    """Return the paths of all ELF files as their packages would have them."""
    found = []
    for folder, _, names in os.walk(build_root):
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink() and path.is_file() and _magic(path) == ELF:
                # The first folder is named after the package: BUILDROOT/ambari-server-3.0.0.0-1.x86_64/usr/lib/…
                found.append("/" + "/".join(path.relative_to(build_root).parts[1:]))
    return sorted(found)


def _magic(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(ELF))
    except OSError:
        return b""
