"""Fetch a source with an unknown digest once, and record what came."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.adapter.sources.download_store import claim
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.model import digest
from bigtop_builder.model.base import size_in_bytes
from bigtop_builder.model.build_tools.apache import releases
from bigtop_builder.model.errors import SourceError
from bigtop_builder.model.project import ProjectFile


@dataclass(frozen=True)
class FirstUse:
    """The address that a source was fetched from, and the digest or commit of what came."""

    address: str
    sha512: str | None = None
    commit: str | None = None


def fetch_first(store: Path, project: ProjectFile, addresses: list[str], cancelled: threading.Event) -> FirstUse:
    """Fetch a source from the first address that works, into the store, and return its digest.

    Raises SourceError, which lists every address with its reason, StoreError and InterruptedRunError.
    """
    from bigtop_builder.adapter.sources.download import download
    from bigtop_builder.adapter.sources.errors import TransferError, public
    from bigtop_builder.adapter.sources.web import Web

    web = Web(project.network)
    misses: list[str] = []
    for address in addresses:
        name = f"first:{digest.of_text(public(address))}"
        with claim(store, name, cancelled, lambda: None) as part:
            assert part is not None
            try:
                download(
                    web,
                    address,
                    part,
                    retries=project.network.retries,
                    largest=size_in_bytes(project.limits.download_size),
                    progress=lambda done, total, note: None,
                    cancelled=cancelled,
                )
            except TransferError as error:
                misses.append(f"{public(address)}: {error.reason}")
                continue
            path, _ = part.accept({})
        sha512 = digest.of_file(path, "sha512")
        index = store / "sources" / "sha512" / sha512
        index.parent.mkdir(parents=True, exist_ok=True)
        index.write_text(path.name, encoding="utf-8")
        return FirstUse(public(address), sha512=sha512)
    raise SourceError("the source is unavailable:\n" + "\n".join(f"  - {miss}" for miss in misses))


def commit_of(project: ProjectFile, repository: str, reference: str, cancelled: threading.Event) -> FirstUse:
    """Return the commit that a tag or branch points to now. Raises SourceError."""
    from bigtop_builder.adapter.sources.errors import TransferError, public
    from bigtop_builder.adapter.sources.git import resolve

    try:
        return FirstUse(public(repository), commit=resolve(repository, reference, project.network, cancelled))
    except TransferError as error:
        raise SourceError(f"{public(repository)}: {error.reason}", hint=error.hint) from error


def places(project: ProjectFile, apache: str | None, others: tuple[str, ...]) -> list[str]:
    """Return the addresses to try: for a path at Apache the site's mirrors and the archive, else ``others``."""
    return [f"{base}/{apache}" for base in releases(Addresses(project.mirrors))] if apache else list(others)
