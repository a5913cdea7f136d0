"""The ``.repo`` files that a server hands out: they name the address by which the client has found it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.flow.publish.repo_file import repo_file, repo_file_name

HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
KEY_LIMIT = 1 << 20


@dataclass(frozen=True)
class Published:
    """A publication below a root."""

    stack: str
    platform: str
    folder: Path

    @property
    def repo_file(self) -> str:
        """The name of its ``.repo`` file."""
        return repo_file_name(self.stack, self.platform)


def publications(root: Path) -> list[Published]:
    """Return what is published below a root: each ``STACK/PLATFORM`` with metadata."""
    found = sorted(path.parent.parent for path in root.glob("[!.]*/[!.]*/repodata/repomd.xml"))
    return [Published(folder.parent.name, folder.name, folder) for folder in found]


def generated(root: Path, requested: tuple[str, ...], address: str) -> bytes | None:
    """Return the ``.repo`` file at a path of the server: in the root or beside its repository. None if it is not one.

    ``address`` is that of the root.
    """
    if not requested or not requested[-1].endswith(".repo"):
        return None
    for one in publications(root):
        if requested in ((one.repo_file,), (one.stack, one.platform, one.repo_file)):
            keys = list(_keys(one))
            return repo_file(one.stack, one.platform, f"{address}/{one.stack}/{one.platform}", keys).encode()
    return None


def _keys(published: Published) -> Iterator[str]:
    """Yield the names of the keys: the signing key's file, which also has a copy named after the key, and others."""
    own = published.folder / f"RPM-GPG-KEY-{published.stack}"
    if own.is_file():
        yield own.name
        text = own.read_bytes()[:KEY_LIMIT]
        for other in sorted(published.folder.glob(f"{own.name}-*")):
            if other.read_bytes()[:KEY_LIMIT] != text:
                yield other.name


def valid_host(header: str | None) -> str | None:
    """Return the host of a request if it is one: a client could write anything there."""
    return header if header and HOST.fullmatch(header) else None


def reachable(host: str) -> str:
    """Return by which address others reach a server that listens on ``host``: for "all", that of the outward route."""
    if host not in ("0.0.0.0", "::", ""):
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: connecting a datagram socket only chooses the route (the address is for documentation).
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
