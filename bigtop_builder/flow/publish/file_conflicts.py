"""Find packages that rpm would not install together, because both have the same file with different content."""

from __future__ import annotations

import stat
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

from bigtop_builder.adapter.repository.listing import ListedPackage
from bigtop_builder.adapter.rpm.header import PackagedFile, RpmHeader
from bigtop_builder.adapter.rpm.tags import FileFlag
from bigtop_builder.flow.publish.closure import NOARCH
from bigtop_builder.model.capability import Capability
from bigtop_builder.model.evr import evr_key


class FileOwners:
    """Collects the owners of paths that several packages have.

    Of several versions of a package the newest counts: they are never installed together. Neither are packages of two
    architectures.
    """

    def __init__(self, packages: Iterable[ListedPackage]) -> None:
        packages = list(packages)
        natives = {package.arch for package in packages} - {NOARCH}
        self._together = [
            _newest(package for package in packages if package.arch in (arch, NOARCH)) for arch in natives or {NOARCH}
        ]
        """By NEVRA, what a host of one architecture may have, for each architecture."""
        names: dict[str, set[str]] = defaultdict(set)
        for package in (one for host in self._together for one in host.values()):
            for path in package.files:
                names[path].add(package.name)
        self._owners: dict[str, list[tuple[str, PackagedFile]]] = {
            path: [] for path, owners in names.items() if len(owners) > 1
        }
        self._headers: dict[str, tuple[frozenset[str], tuple[Capability, ...]]] = {}

    def add(self, nevra: str, header: RpmHeader) -> None:
        """Add the files of a package."""
        if not any(nevra in host for host in self._together):
            return
        excluded = frozenset(Capability.parse(text).name for text in (*header.conflicts, *header.obsoletes))
        self._headers[nevra] = (excluded, tuple(map(Capability.parse, header.provides)))
        for file in header.files:
            if file.path in self._owners:
                self._owners[file.path].append((nevra, file))

    def conflicts(self) -> list[tuple[str, str, list[str]]]:
        """Return pairs of packages with the paths that they do not share, sorted."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for path, owners in sorted(self._owners.items()):
            for (one, file), (other, its) in combinations(sorted(owners, key=lambda owner: owner[0]), 2):
                beside = any(one in host and other in host for host in self._together)
                if beside and _differ(file, its) and not self._excluded(one, other):
                    found[one, other].append(path)
        return [(*pair, paths) for pair, paths in sorted(found.items())]

    def _excluded(self, one: str, other: str) -> bool:
        """Whether one says itself that it is not installed beside the other."""
        return any(
            capability.name in self._headers[asking][0]
            for asking, asked in ((one, other), (other, one))
            for capability in self._headers[asked][1]
        )


def _newest(packages: Iterable[ListedPackage]) -> dict[str, ListedPackage]:
    newest: dict[str, ListedPackage] = {}
    for package in packages:
        other = newest.setdefault(package.name, package)
        if evr_key(package.evr) > evr_key(other.evr):
            newest[package.name] = package
    return {package.nevra: package for package in newest.values()}


def _differ(one: PackagedFile, other: PackagedFile) -> bool:
    """Whether rpm sees a conflict (rpmfilesCompare): type, mode, owner, content; ghosts never are one."""
    if (one.flags | other.flags) & FileFlag.GHOST:
        return False
    links = stat.S_ISLNK(one.mode) and stat.S_ISLNK(other.mode)
    if not links and one.mode != other.mode:
        return True
    if (one.owner, one.group) != (other.owner, other.group):
        return True
    if links:
        return one.link != other.link
    return stat.S_ISREG(one.mode) and (one.size, one.digest) != (other.size, other.digest)
