"""The pages for people that go with an upload: that of the repository, and that of all repositories of the place."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bigtop_builder.adapter.repository.metadata import PACKAGES
from bigtop_builder.adapter.repository.snapshot import MANIFEST
from bigtop_builder.flow.publish.index_page import (
    GENERATOR,
    INDEX,
    IndexedPackage,
    IndexedRepository,
    repository_page,
    root_page,
)
from bigtop_builder.flow.publish.repo_file import repo_file_name

LISTED = re.compile(
    r'<tr><td><a href="([\w.+-]+)/([\w.+-]+)/">[^<]*</a></td><td>[^<]*</td><td class="number">(\d{1,9})</td></tr>'
)
"""A repository on the page of a root: stack, platform, number of packages."""


def write_page(place: Path, stack: str, platform: str, address: str | None) -> Path:
    """Write the page beside the metadata. The same publication has the same page, as old as its manifest.

    ``address`` is that of the root as hosts reach it.
    """
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in place.iterdir())
    packages = [
        IndexedPackage(path.name, f"{PACKAGES}/{path.name}", path.stat().st_size)
        for path in (place / PACKAGES).glob("*.rpm")
    ]
    published = int((place / MANIFEST).stat().st_mtime)
    keys = [name for name in names if name.startswith("RPM-GPG-KEY-")]
    repo = _repo(address, stack, platform) if address else None
    page = place / INDEX
    page.write_bytes(
        repository_page(stack, platform, packages, repo=repo, published=published, keys=keys, entries=names)
    )
    os.utime(page, (published, published))
    return page


def write_root_page(
    page: Path, former: bytes | None, stack: str, platform: str, packages: int, address: str | None
) -> bool:
    """Write the page of the root: this repository, and those that the former page there lists.

    Return False if that needs no change, or is somebody else's page.
    """
    text = (former or b"").decode("utf-8", "replace")
    if former is not None and GENERATOR not in text:
        return False
    listed = {(one[1], one[2]): int(one[3]) for one in LISTED.finditer(text)} | {(stack, platform): packages}
    rows = [IndexedRepository(*name, f"{'/'.join(name)}/", number) for name, number in sorted(listed.items())]
    repos = [_repo(address, *name) for name in sorted(listed)] if address else []
    page.write_bytes(root_page(rows, repos=repos))
    return page.read_bytes() != former


def _repo(address: str, stack: str, platform: str) -> str:
    return f"{address.rstrip('/')}/{stack}/{platform}/{repo_file_name(stack, platform)}"
