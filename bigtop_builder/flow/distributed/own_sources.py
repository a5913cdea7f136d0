"""Sources that only the machine that builds has: they travel through the store of results, each by its digest.

A folder travels as an archive of what a local build would copy of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bigtop_builder.adapter.archives.compression import DamagedArchiveError
from bigtop_builder.adapter.results.archive import pack, unpack
from bigtop_builder.adapter.sources import Fetcher
from bigtop_builder.adapter.sources.download_store import discard_source, keep_source, stored
from bigtop_builder.adapter.sources.tree import copy_tree
from bigtop_builder.adapter.store import Run, Store, remove_tree, translated
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.result import defect
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.distributed.messages import SentSource
from bigtop_builder.flow.distributed.results import SharedResults
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationError, SourceError
from bigtop_builder.model.event import Failure
from bigtop_builder.model.source import FileSource, Source

LOCAL = "local-source"


def has_own_sources(order: WorkOrder) -> bool:
    """Whether an order is made from files of the machine that submits it."""
    return order.local_source is not None or any(_files(order))


def sent_or_failure(
    order: WorkOrder, results: SharedResults, project: Project, run: Run
) -> SentSource | Failure | None:
    """Return what ``send_sources`` returns, or why it failed: somebody waits for the result of the order."""
    try:
        return send_sources(order, results, project, run)
    except BigtopBuilderError as error:
        return Failure(step="fetch", message=error.message, hint=error.hint, exit_code=error.exit_code)
    except Exception as error:
        return defect(error)


def send_sources(order: WorkOrder, results: SharedResults, project: Project, run: Run) -> SentSource | None:
    """Put an order's own sources where workers get them; return what is in the place of ``local_source``.

    Raises SourceError for what cannot be read, StoreError, ConfigurationError without a key to sign them with.
    """
    store = project.store
    for source in _files(order):
        fetched = Fetcher(store.root, project.file, offline=True).fetch(source, base=Path(order.source_base or "/"))
        for one in source.alternatives:
            if stored(store.root, one.digest) == fetched.path:
                _send(one.digest, results, store, fetched.name)
    if order.local_source is None:
        return None
    path = Path(order.local_source)
    if not path.is_dir():
        digest = keep_source(store.root, path)
        _send(digest, results, store, path.name)
        return SentSource(digest, path.name)
    scratch = run.work / f"{LOCAL}-{order.component}"
    try:
        copy_tree(path, scratch / "tree")
        with translated(store.root):
            pack(scratch / "tree", scratch / "archive", frozenset())
        digest = keep_source(store.root, scratch / "archive")
    finally:
        remove_tree(scratch)
    try:
        _send(digest, results, store, path.name)
    finally:
        discard_source(store.root, digest)
    return SentSource(digest)


def receive_sources(
    order: WorkOrder, sent: SentSource | None, results: SharedResults, store: Store, scratch: Path
) -> WorkOrder:
    """Bring an order's own sources to the worker that carries it out. Raises SourceError, StoreError."""
    for source in _files(order):
        for one in source.alternatives:
            if stored(store.root, one.digest) is None:
                results.fetch_source(one.digest, store)
    if sent is None:
        return order
    path = stored(store.root, sent.digest)
    if path is None and results.fetch_source(sent.digest, store):
        path = stored(store.root, sent.digest)
    if path is None:
        raise SourceError(
            f"the store of results does not have {order.local_source}, which this is built from",
            hint="All machines of a cluster need the same store of results: compare results.url.",
        )
    place = scratch / LOCAL
    with translated(store.root):
        place.mkdir()
        if sent.name:
            place /= Path(sent.name).name
            place.symlink_to(path)
            return replace(order, local_copy=str(place))
    try:
        with translated(store.root):
            unpack(path, place, order.archive_limits)
    except DamagedArchiveError as error:
        raise SourceError(f"the archive of {order.local_source} is damaged: {error}") from error
    finally:
        discard_source(store.root, sent.digest)
    return replace(order, local_copy=str(place))


def _files(order: WorkOrder) -> Iterator[Source]:
    """Yield the sources that exist nowhere but in files."""
    for source in order.sources:
        files = [one for one in source.alternatives if isinstance(one, FileSource)]
        if files and len(files) == len(source.alternatives):
            yield source


def _send(digest: str, results: SharedResults, store: Store, name: str) -> None:
    if not results.push_source(digest, store):
        raise ConfigurationError(
            f"{name} is on this machine alone, and there is no key to sign it with for the workers of the cluster",
            hint="Set signing.attestation_key, whose public key the workers' results.trust has, or build it here with "
            "--executor local.",
        )
