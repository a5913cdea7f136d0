"""The container that compiles: the toolchain image with download caches and the settings of the site's network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount, Session
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.tools.cache import Seeded, merge, seed
from bigtop_builder.adapter.tools.cache_use import CacheUse, content, used
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.build_tools.registry import CacheName
from bigtop_builder.model.errors import BuildError, EngineError
from bigtop_builder.model.event import CacheFigures, CacheUsed


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
    home = bench.make("home")
    owner = (worker.user.uid, worker.user.gid)
    seeded = {kind: seed(kind, bench.store.root, home, owner=owner, built=built) for kind in order.caches}
    for name, inside in worker.site.home_links.items():
        link = home / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(inside)
        bench.hand_over(link.parent, recursive=False)
    prepare(home)
    mounts = [
        *(Mount(host, inside) for host, places in worker.site.mounts.items() for inside in places),
        *mounts,
    ]
    environment = {
        **environment,
        "SOURCE_DATE_EPOCH": str(order.epoch),
        **worker.site.environment,
        **order.environment,
    }
    network = order.network and not worker.offline
    box = bench.sandbox("compile", mounts, environment, limits=order.build_limits, network=network)
    downloads = Downloads({}, {})
    ended = True
    try:
        with bench.session(box, cwd) as session:
            work(session)
    except EngineError:
        ended = False
        raise
    finally:
        # Downloads of a failed build are kept too. But merging needs the container to have ended, and after an
        # engine error it may still be running.
        if ended:
            downloads = _keep_downloads(bench, home, seeded)
    return downloads


def _keep_downloads(bench: Workbench, home: Path, seeded: Mapping[CacheName, Seeded]) -> Downloads:
    """Merge what was downloaded into the shared caches."""
    counts: dict[str, dict[str, int]] = {}
    uses: dict[str, CacheUse] = {}
    for kind, before in seeded.items():
        uses[kind] = use = used(kind, home, before)
        hit, new = content(kind, use.hit), content(kind, use.new)
        merged = merge(kind, bench.store.root, home)
        figures = CacheFigures(asked=hit.files + new.files, hit=hit.files, hit_bytes=hit.size, new_bytes=new.size)
        bench.worker.emit(CacheUsed(task=bench.order.task, cache=kind, figures=figures))
        counts[kind] = {
            "reused_files": before.traffic.files,
            "reused_bytes": before.traffic.size,
            "new_files": merged.files,
            "new_bytes": merged.size,
        }
    return Downloads(counts, uses)


def run_build(bench: Workbench, session: Session, log: LogWriter, command: list[str], *, cwd: str, what: str) -> None:
    """Run upstream's build within the component's time limit. Raises BuildError that says how ``what`` ended."""
    code = session.call(
        command,
        cwd=cwd,
        log=log,
        timeout=bench.order.build_limits.seconds,
        cancelled=bench.worker.cancelled,
    )
    if code != 0:
        raise BuildError("the container ran out of memory" if session.out_of_memory else f"{what} exited with {code}")
