"""Reads files in a process that cannot have more than 1 GiB: ``python -m tests.bounded archive|package|bundle FILE…``.

Prints the outcome of each as a line of JSON: the error that users would see, or what else happened.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from pathlib import Path

from bigtop_builder.adapter.bundle.reader import BundleReader
from bigtop_builder.adapter.rpm.payload import find_in_payload
from bigtop_builder.adapter.sources import unpack
from bigtop_builder.model.archive_limits import ArchiveLimits
from bigtop_builder.model.errors import BigtopBuilderError

LIMIT = 1 << 30
LIMITS = ArchiveLimits(size=128 << 20)
"""A small size saves time; everything else is as by default."""


def read(kind: str, path: Path) -> None:
    if kind == "archive":
        with tempfile.TemporaryDirectory() as folder:
            unpack(path, Path(folder) / "tree", strip=1, name=path.name, limits=LIMITS)
    elif kind == "package":
        find_in_payload(path, [b"forbidden"], LIMITS)
    else:
        BundleReader(path)


def outcome(kind: str, path: Path) -> str:
    try:
        read(kind, path)
    except BigtopBuilderError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "it was read"


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    for name in sys.argv[2:]:
        print(json.dumps([name, outcome(sys.argv[1], Path(name))]), flush=True)
