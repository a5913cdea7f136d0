"""The compile task: fetch, unpack, patch, compile. Its result is a staged tree in the store."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount, Session
from bigtop_builder.adapter.sources import Fetched, copy_tree, unpack
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import remove_tree
from bigtop_builder.adapter.tools.cache import Seeded, built_artifacts, merge, seed
from bigtop_builder.adapter.tools.cache_use import CacheUse, content, used
from bigtop_builder.adapter.tools.normalise import Report, normalise
from bigtop_builder.flow.build.build_facts import compile_facts
from bigtop_builder.flow.build.workbench import PROGRESS_SECONDS, Workbench
from bigtop_builder.model.build_tools.registry import CacheName
from bigtop_builder.model.errors import BuildError, EngineError, RecipeError, StoreError
from bigtop_builder.model.event import CacheFigures, CacheUsed, StepProgress
from bigtop_builder.model.source import Source

SRC = "/work/src"
CACHES = "caches.json"
"""In the result of a task that used download caches: for each kind the files that it asked for, by their paths below
the shared cache: ``{"maven": ["org/…/a-1.jar", …]}``."""

_FAILED_HUNK = re.compile(r"Hunk #(\d+) FAILED at (\d+)")
_PATCHED_FILE = re.compile(r"(?:patching|checking) file '?([^'\n]+)'?")


def compile_component(bench: Workbench) -> None:
    """Run the compile steps and put the staged tree into the store. Raises StepFailedError."""
    evaluated = bench.evaluated
    started, clock = time.time(), time.monotonic()
    fetched = fetch_sources(bench)
    source = _unpack(bench, fetched)
    stage = bench.make("stage")
    downloads = Downloads({}, {})
    if evaluated.compile_step == "container":
        downloads = _patch_and_compile(bench, source)
    else:
        remove_tree(stage)
        source.rename(stage)
    report = normalise(stage, started, evaluated.stack.epoch)
    stage.rename(bench.make("result") / "stage")
    keep_compiled(bench, fetched, report, downloads, started, time.monotonic() - clock)


@dataclass(frozen=True)
class Downloads:
    """What a compile step had from download caches: figures for the manifest, and what was asked, by kind."""

    counts: Mapping[str, Mapping[str, int]]
    uses: Mapping[str, CacheUse]


def keep_compiled(
    bench: Workbench,
    fetched: list[tuple[Source, Fetched]],
    report: Report,
    downloads: Downloads,
    started: float,
    seconds: float,
) -> None:
    """Put the scratch's folder ``result`` into the store under the task's key, with its manifest."""
    evaluated, task = bench.evaluated, bench.task
    result = bench.make("result")
    if downloads.uses:
        asked = {kind: use.asked for kind, use in downloads.uses.items()}
        (result / CACHES).write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
    manifest = {
        "task": task.id,
        "component": evaluated.name,
        "version": evaluated.version,
        "key": task.key,
        "ingredients": dict(task.ingredients),
        **compile_facts(bench, fetched),
        "local_source": str(evaluated.local_source) if evaluated.local_source else None,
        "normalised": {"archives": report.archives, "files": report.files, "left_alone": report.left_alone},
        "caches": downloads.counts,
        "built": started,
        "seconds": round(seconds, 3),
    }
    bench.store.commit("compile", task.key, result, manifest)


def fetch_sources(bench: Workbench) -> list[tuple[Source, Fetched]]:
    """Run the fetch step. Raises StepFailedError."""
    with bench.step("fetch") as log:
        fetched: list[tuple[Source, Fetched]] = []
        if bench.evaluated.local_source is not None:
            log.note(f"the source is {bench.evaluated.local_source}")
        for source in bench.evaluated.sources:
            told = 0.0

            def progress(done: int, total: int | None, note: str) -> None:
                nonlocal told
                now = time.monotonic()
                if now - told >= PROGRESS_SECONDS:
                    told = now
                    bench.shared.emit(StepProgress(task=bench.task.id, step="fetch", done=done, total=total, note=note))

            one = bench.shared.fetcher.fetch(
                source, base=bench.evaluated.source_base, progress=progress, cancelled=bench.shared.cancelled
            )
            for note in one.notes:
                log.note(note)
            log.note(f"{source.name}: {one.alternative} ({one.digest})")
            fetched.append((source, one))
        _tell_sources(bench, [one for _, one in fetched])
        return fetched


def _tell_sources(bench: Workbench, fetched: list[Fetched]) -> None:
    hits = [one.path.stat().st_size for one in fetched if one.stored]
    new = [one.path.stat().st_size for one in fetched if not one.stored]
    if fetched:
        figures = CacheFigures(asked=len(fetched), hit=len(hits), hit_bytes=sum(hits), new_bytes=sum(new))
        bench.shared.emit(CacheUsed(task=bench.task.id, cache="sources", figures=figures))


def _unpack(bench: Workbench, fetched: list[tuple[Source, Fetched]]) -> Path:
    with bench.step("unpack") as log:
        tree = bench.make("src")
        local = bench.evaluated.local_source
        if local is not None:
            if local.is_dir():
                copy_tree(local, tree)
            else:
                unpack(local, tree, strip=1, name=local.name)
            log.note(f"{local} → {tree.name}")
        for source, one in fetched:
            into = (tree / source.into).resolve()
            if not into.is_relative_to(tree.resolve()):
                raise RecipeError(f"source {source.name}: 'into: {source.into}' leads out of the source tree")
            if source.unpack == "no":
                into.mkdir(parents=True, exist_ok=True)
                (into / one.name).write_bytes(one.path.read_bytes())
            else:
                unpack(one.path, into, strip=source.strip, name=one.name)
            log.note(f"{one.name} → {source.into}")
        bench.hand_over(tree)
        return tree


def _patch_and_compile(bench: Workbench, tree: Path) -> Downloads:
    """Both steps in one container; the network is there only if the component compiles with it."""
    files = bench.lay_files(bench.evaluated.build_files)
    mounts = [Mount(files, "/files"), *_dependencies(bench)]
    environment = {"STAGE": "/work/stage", "FILES": "/files"}

    def work(session: Session) -> None:
        if bench.evaluated.patches:
            _patch(bench, session)
        with bench.step("compile") as log:
            _compile(bench, session, log)

    built = built_artifacts(bench.evaluated.build.caches, tree)
    return in_toolchain(bench, work, SRC, mounts, environment, built=built)


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
    """Run ``work`` in a container of the component's toolchain image, with download caches and the site's settings.

    ``built`` are the artifacts that it makes itself and may install over those in its own cache.
    ``prepare`` is given the container's home before it starts.
    """
    build, shared = bench.evaluated.build, bench.shared
    home = bench.make("home")
    owner = (shared.user.uid, shared.user.gid)
    seeded = {kind: seed(kind, bench.store.root, home, owner=owner, built=built) for kind in build.caches}
    for name, inside in shared.site.home_links.items():
        link = home / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(inside)
        bench.hand_over(link.parent, recursive=False)
    prepare(home)
    mounts = [
        *(Mount(host, inside) for host, places in shared.site.mounts.items() for inside in places),
        *mounts,
    ]
    environment = {
        **environment,
        "SOURCE_DATE_EPOCH": str(bench.evaluated.stack.epoch),
        **shared.site.environment,
        **build.environment,
    }
    network = build.network and not shared.offline
    box = bench.sandbox(bench.image_id("compile"), mounts, environment, network=network, build=build)
    counts: dict[str, dict[str, int]] = {}
    uses: dict[str, CacheUse] = {}
    over = True
    try:
        with bench.session(box, cwd) as session:
            work(session)
    except EngineError:
        over = False
        raise
    finally:
        # What a failed build downloaded is worth as much: only the container must have ended, which it may not
        # have when the engine went away.
        for kind in build.caches if over else ():
            uses[kind], counts[kind] = _keep_downloads(bench, kind, home, seeded[kind])
    return Downloads(counts, uses)


def _keep_downloads(bench: Workbench, kind: CacheName, home: Path, seeded: Seeded) -> tuple[CacheUse, dict[str, int]]:
    use = used(kind, home, seeded)
    hit, new = content(kind, use.hit), content(kind, use.new)
    merged = merge(kind, bench.store.root, home)
    figures = CacheFigures(asked=hit.files + new.files, hit=hit.files, hit_bytes=hit.size, new_bytes=new.size)
    bench.shared.emit(CacheUsed(task=bench.task.id, cache=kind, figures=figures))
    return use, {
        "reused_files": seeded.traffic.files,
        "reused_bytes": seeded.traffic.size,
        "new_files": merged.files,
        "new_bytes": merged.size,
    }


def _dependencies(bench: Workbench) -> list[Mount]:
    mounts: list[Mount] = []
    for name, key in bench.task.dependency_keys.items():
        stage = bench.store.stage(key)
        if not stage.is_dir():
            raise StoreError(
                f"the staged tree of {name}, which {bench.evaluated.name} builds on, is not in the store",
                hint=f"Build it first: bigtop-builder build {name}",
            )
        mounts.append(Mount(stage, f"/deps/{name}"))
    return mounts


def _patch(bench: Workbench, session: Session) -> None:
    folder = bench.make("patches")
    with bench.step("patch") as log:
        for number, patch in enumerate(bench.evaluated.patches):
            (folder / f"{number:04}").write_bytes(patch.path.read_bytes())
            log.note(f"applying {patch.name}")
            before = log.written
            code = session.call(
                ["patch", "--batch", "--forward", "-p1", "-F0", "-i", f"/work/patches/{number:04}"],
                cwd=SRC,
                log=log,
                timeout=bench.time_limit(),
                cancelled=bench.shared.cancelled,
            )
            if code != 0:
                raise BuildError(
                    f"the patch {patch.name} does not apply: {_what_failed(log.path, before)}",
                    hint=f"Refresh {patch.path} against {bench.evaluated.name} {bench.evaluated.version}; "
                    "patches are applied without fuzz.",
                )


def _what_failed(log: Path, offset: int) -> str:
    """Which hunk of which file, from what ``patch`` printed behind ``offset``."""
    with log.open("rb") as stream:
        stream.seek(offset)
        text = stream.read(1 << 20).decode("utf-8", errors="replace")
    file = "a file"
    failed: list[str] = []
    for line in text.splitlines():
        if found := _PATCHED_FILE.search(line):
            file = found[1]
        if found := _FAILED_HUNK.search(line):
            failed.append(f"hunk {found[1]} fails at line {found[2]} of {file}")
    if failed:
        return "; ".join(failed)
    if "No file to patch" in text:
        return "it changes a file that is not there"
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("==>")]
    return lines[-1] if lines else "patch gave no reason"


def _compile(bench: Workbench, session: Session, log: LogWriter) -> None:
    evaluated = bench.evaluated
    script = evaluated.build.script
    if not script.strip():
        script = 'cp -a . "$STAGE/"'
    (bench.folder / "compile.sh").write_text("set -euo pipefail\n" + script, encoding="utf-8")
    run_build(bench, session, log, ["bash", "/work/compile.sh"], cwd=SRC, what="the compile script")
    if not any((bench.folder / "stage").iterdir()):
        raise BuildError(
            f"the compile script of {evaluated.name} left nothing below $STAGE",
            hint="Copy what the build made to $STAGE at the end of build.script.",
        )


def run_build(bench: Workbench, session: Session, log: LogWriter, command: list[str], *, cwd: str, what: str) -> None:
    """Run what compiles, within the component's time. Raises BuildError that says how ``what`` ended."""
    code = session.call(
        command,
        cwd=cwd,
        log=log,
        timeout=bench.time_limit(bench.evaluated.build),
        cancelled=bench.shared.cancelled,
    )
    if code != 0:
        raise BuildError("the container ran out of memory" if session.out_of_memory else f"{what} exited with {code}")
