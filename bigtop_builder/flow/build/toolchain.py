"""The container that compiles: the toolchain image with download caches and the settings of the site's network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount, Session
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.tools.cache import Cache, Checked, Seeded
from bigtop_builder.adapter.tools.cache_use import CacheUse, content, used
from bigtop_builder.adapter.tools.locked_cache import provide, seed_locked
from bigtop_builder.adapter.tools.repository_files import RepositoryFiles
from bigtop_builder.adapter.untrusted import Budget
from bigtop_builder.flow.build.missing_downloads import missing_download, overlooked_download
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.build_tools.tool import AddressBook
from bigtop_builder.model.errors import BigtopBuilderError, BuildError, ConfigurationError, EngineError
from bigtop_builder.model.event import CacheUsed, Notice
from bigtop_builder.model.outcome import CacheFigures

HOME = "home"
"""The folder of the task's box that is ``$HOME``."""
SHOWN = 3
"""How many files one notice names."""


@dataclass(frozen=True)
class Downloads:
    """What a compile step took from download caches, by kind: figures for the manifest, and the files themselves."""

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    uses: Mapping[str, CacheUse] = field(default_factory=dict)


def in_toolchain(
    bench: Workbench,
    work: Callable[[Session], None],
    cwd: str,
    mounts: Sequence[Mount],
    environment: Mapping[str, str],
    *,
    built: frozenset[str] = frozenset(),
    prepare: Callable[[Path], None] = lambda home: None,
) -> Downloads:
    """Run ``work`` in a container of the component's toolchain image.

    ``built`` are the artifacts that it makes itself and may install over those in its own cache.
    ``prepare`` is called with the container's home before the container starts. Raises EngineError, and whatever
    ``work`` raises.
    """
    order, worker = bench.order, bench.worker
    home = bench.make(HOME)
    seeded = _seed(bench, home, built)
    site = worker.sites.of(order)
    for name, inside in site.home_links.items():
        link = home / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(inside)
        bench.hand_over(link.parent, recursive=False)
    prepare(home)
    mounts = [
        *(Mount(host, inside) for host, places in site.mounts.items() for inside in places),
        *mounts,
    ]
    environment = {
        **environment,
        "SOURCE_DATE_EPOCH": str(order.epoch),
        **site.environment,
        **order.environment,
    }
    network = order.network and not worker.offline and order.lock is None
    box = bench.sandbox("compile", mounts, environment, limits=order.build_limits, network=network)
    try:
        with bench.session(box, cwd) as session:
            work(session)
    except EngineError:
        # Taking over needs the container to have ended, and it may still be running.
        raise
    except BaseException:
        # Downloads of a failed build are kept too, but of two errors the user must see the build's own.
        if order.lock is None:
            with suppress(BigtopBuilderError):
                _keep_downloads(bench, seeded)
        raise
    if order.lock is not None:
        return _locked_downloads(bench, seeded)
    with bench.after("compile"):
        return _keep_downloads(bench, seeded)


def _seed(bench: Workbench, home: Path, built: frozenset[str]) -> dict[Cache, Seeded]:
    """Fill the home's caches: with the locked files alone, if there is a lock."""
    order, account = bench.order, bench.worker.account
    owner, links = account.owner, account.apart
    seeded = {}
    for kind in order.caches if order.lock is None else order.lock.downloads:
        cache = Cache(kind, bench.store.root, order.component)
        if order.lock is not None:
            files, book = order.lock.downloads[kind], bench.worker.addresses
            seeded[cache] = seed_locked(cache, files, book, home, owner=owner, links=links, built=built)
        else:
            _adopt(bench, cache)
            seeded[cache] = cache.seed(home, owner=owner, links=links, built=built)
    return seeded


def provide_locked(bench: Workbench, log: LogWriter) -> None:
    """Have everything in the store that the order's lock lists. Raises SourceError, StoreError, ConfigurationError."""
    worker, lock = bench.worker, bench.order.lock
    for kind, files in lock.downloads.items() if lock else ():
        cache = Cache(kind, bench.store.root, bench.order.component)
        new = provide(cache, files, worker.addresses, None if worker.offline else worker.repositories)
        log.note(f"{kind}: {len(files)} locked downloads, {new} of them downloaded now")


def _locked_downloads(bench: Workbench, seeded: Mapping[Cache, Seeded]) -> Downloads:
    """Count what was seeded. Without a network nothing was downloaded, so nothing that the build left is looked at."""
    uses = {cache.name: CacheUse(before.files) for cache, before in seeded.items()}
    for cache, before in seeded.items():
        hit = before.traffic
        figures = CacheFigures(asked=hit.files, hit=hit.files, hit_bytes=hit.size)
        bench.worker.emit(CacheUsed(task=bench.order.task, cache=cache.name, figures=figures))
    return Downloads({}, uses)


def _keep_downloads(bench: Workbench, seeded: Mapping[Cache, Seeded]) -> Downloads:
    """Take over what was downloaded, and share what the remote really gave."""
    counts: dict[str, dict[str, int]] = {}
    uses: dict[str, CacheUse] = {}
    budget = Budget(bench.order.result_files, bench.order.result_size)
    for cache, before in seeded.items():
        uses[cache.name] = use = used(cache.name, bench.box, HOME, before)
        hit, new = content(cache.name, use.hit), content(cache.name, use.new)
        taken = cache.take(bench.box, HOME, budget)
        figures = CacheFigures(asked=hit.files + new.files, hit=hit.files, hit_bytes=hit.size, new_bytes=new.size)
        bench.worker.emit(CacheUsed(task=bench.order.task, cache=cache.name, figures=figures))
        counts[cache.name] = {
            "reused_files": before.traffic.files,
            "reused_bytes": before.traffic.size,
            "new_files": taken.files,
            "new_bytes": taken.size,
        }
        _report(bench, cache, _asking(bench, cache.check))
    return Downloads(counts, uses)


def _adopt(bench: Workbench, cache: Cache) -> None:
    """Prove what an older version shared without proof."""
    if bench.worker.offline or not (former := sum(1 for _ in cache.former())):
        return
    text = f"{cache.name}: {former} downloads of an older version are compared with what repositories publish"
    bench.worker.emit(Notice(text=text, task=bench.order.task))
    _report(bench, cache, _asking(bench, cache.adopt))


def _asking(bench: Workbench, check: Callable[[AddressBook, RepositoryFiles], Checked]) -> Checked:
    """Ask repositories, unless this run is offline or does not know where they are."""
    worker = bench.worker
    if worker.offline:
        return Checked()
    try:
        return check(worker.addresses, worker.repositories)
    except ConfigurationError as error:
        worker.emit(Notice(text=f"no download is shared with other components: {error.message}", task=bench.order.task))
        return Checked()


def _report(bench: Workbench, cache: Cache, checked: Checked) -> None:
    if checked.differing:
        more = len(checked.differing) - SHOWN
        bench.note(
            f"{cache.name}: not what a repository publishes, and so not shared with other components: "
            + ", ".join(checked.differing[:SHOWN])
            + (f", and {more} more" if more > 0 else "")
        )
    if checked.unanswered:
        text = (
            f"{cache.name}: {checked.unanswered} downloads are not shared with other components yet, "
            "because repositories gave no checksum in time"
        )
        bench.worker.emit(Notice(text=text, task=bench.order.task))


def run_build(bench: Workbench, session: Session, log: LogWriter, command: list[str], *, cwd: str, what: str) -> None:
    """Run upstream's build within the component's time limit. Raises BuildError that says how ``what`` ended."""
    code = session.call(
        command,
        cwd=cwd,
        log=log,
        timeout=bench.order.build_limits.seconds,
        cancelled=bench.worker.cancelled,
    )
    if code != 0 and session.out_of_memory:
        raise BuildError("the container ran out of memory")
    if (asked := _not_locked(bench, log.path, failed=code != 0)) is not None:
        raise BuildError(
            f"{what} asks for {asked}, which is not in the lock",
            hint=f"If that is right, make the lock again: bigtop-builder lock {bench.order.component}. "
            "To compile with a network: --locks ignore",
        )
    if code != 0:
        raise BuildError(f"{what} exited with {code}")


def _not_locked(bench: Workbench, log: Path, *, failed: bool) -> str | None:
    """Return what a locked build asked for and did not get."""
    lock = bench.order.lock
    if lock is None:
        return None
    return missing_download(log) if failed else overlooked_download(log, lock.downloads.get("maven", {}))
