"""The pages of ``repo serve``: that of the root, those of repositories, and the lists of other folders."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from bigtop_builder.adapter.repository.metadata import PACKAGES
from bigtop_builder.adapter.repository.snapshot import MANIFEST
from bigtop_builder.flow.publish.index_page import IndexedPackage, IndexedRepository, repository_page, root_page
from bigtop_builder.flow.publish.repo_file import local_address
from bigtop_builder.flow.publish.served_repo_files import Published, publications


def folder_page(root: Path, folder: Path, title: str, names: Sequence[str], address: str) -> bytes:
    """Return the page of a folder; ``names`` are those of its entries, ``address`` is that of the root."""
    published = publications(root)
    if folder == root and published:
        rows = [
            IndexedRepository(one.stack, one.platform, f"{one.stack}/{one.platform}/", len(_packages(one)))
            for one in published
        ]
        return root_page(rows, repos=[_repo(one, address) for one in published], entries=names)
    for one in published:
        # What hosts see is a link to a snapshot.
        if one.folder.resolve() == folder:
            return repository_page(
                one.stack,
                one.platform,
                _packages(one),
                repo=_repo(one, address),
                published=_published(one),
                keys=[name for name in names if name.startswith("RPM-GPG-KEY-")],
                entries=names,
            )
    links = "".join(f'<li><a href="./{quote(os.fsencode(name))}">{html.escape(name)}</a></li>\n' for name in names)
    text = html.escape(title)
    return f"<!DOCTYPE html>\n<title>{text}</title>\n<h1>{text}</h1>\n<ul>\n{links}</ul>\n".encode(errors="replace")


def _repo(one: Published, address: str) -> str:
    """Return where hosts find the ``.repo`` file: the published one, unless that leads them to themselves."""
    try:
        own = local_address((one.folder / one.repo_file).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        own = None
    return f"{address}/{one.repo_file}" if own else f"{address}/{one.stack}/{one.platform}/{one.repo_file}"


def _packages(one: Published) -> list[IndexedPackage]:
    found = []
    for path in (one.folder / PACKAGES).glob("*.rpm"):
        try:
            found.append(IndexedPackage(path.name, f"{PACKAGES}/{path.name}", path.stat().st_size))
        except OSError:
            continue
    return found


def _published(one: Published) -> int | None:
    try:
        # The revision in the manifest is no time: for the same packages it is the same on every machine.
        return int((one.folder / MANIFEST).stat().st_mtime)
    except OSError:
        return None
