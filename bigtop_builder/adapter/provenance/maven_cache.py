"""Look up artifacts in the shared Maven cache by content: their path there is group, artifact and version."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path

from bigtop_builder.adapter.provenance.identity import Coordinates
from bigtop_builder.model.digest import of_file

SUFFIXES = (".jar", ".war")


class MavenCache:
    """The cache in a folder of Maven's repository layout, if it exists. Safe to call from many threads.

    The same bytes are the same artifact, whichever build downloaded them, so it does not matter who filled the cache.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._digests: dict[Path, str] = {}
        self._lock = threading.Lock()

    @cached_property
    def _by_size(self) -> dict[int, list[Path]]:
        found: dict[int, list[Path]] = {}
        for path in sorted(self._root.rglob("*.?ar")) if self._root else ():
            if path.suffix in SUFFIXES and len(self._inside(path).parts) > 3:
                found.setdefault(path.stat().st_size, []).append(path)
        return found

    def find(self, size: int, sha256: str) -> tuple[Coordinates, str] | None:
        """Return the artifact with this size in bytes and digest, and its path in the cache."""
        with self._lock:
            for path in self._by_size.get(size, ()):
                if path not in self._digests:
                    self._digests[path] = of_file(path)
                if self._digests[path] == sha256:
                    inside = self._inside(path)
                    return _coordinates(inside), inside.as_posix()
        return None

    def _inside(self, path: Path) -> Path:
        assert self._root is not None
        return path.relative_to(self._root)


def _coordinates(path: Path) -> Coordinates:
    *group, artifact, version, _ = path.parts
    classifier = path.stem.removeprefix(f"{artifact}-{version}").removeprefix("-")
    return Coordinates("maven", ".".join(group), artifact, version, classifier, path.suffix.removeprefix("."))
