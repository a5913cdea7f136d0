"""How component files compile: unpack, patch and run the compile script. What it leaves in ``$STAGE`` is the result."""

from __future__ import annotations

import os
import re
import shutil
import time
from itertools import islice
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount, Session
from bigtop_builder.adapter.sources import Fetched, copy_tree, unpack
from bigtop_builder.adapter.tools.cache import built_artifacts
from bigtop_builder.adapter.tools.normalise import Report, normalise
from bigtop_builder.adapter.untrusted import is_folder, shown, take_folder, walk
from bigtop_builder.flow.build.steps import Compiled
from bigtop_builder.flow.build.toolchain import Downloads, in_toolchain, run_build
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.errors import BuildError, ConfigurationError, RecipeError, StoreError
from bigtop_builder.recipe.source_version import check_version

SRC = "/work/src"
RESULT = "result"
STAGE = "stage"

_FAILED_HUNK = re.compile(r"Hunk #(\d+) FAILED at (\d+)")
_PATCHED_FILE = re.compile(r"(?:patching|checking) file '?([^'\n]+)'?")


def compile_script(bench: Workbench, fetched: list[Fetched]) -> Compiled:
    """Compile the sources into ``result/stage``. Raises StepFailedError."""
    started = time.time()
    tree = _unpack(bench, fetched)
    if "compile" not in bench.order.images:
        stage = bench.private("result") / STAGE
        with bench.after("unpack"):
            take_folder(bench.box, tree.name, stage, bench.budget)
        return Compiled(normalise(stage, started, bench.order.epoch), Downloads())
    bench.make(STAGE)
    downloads = _patch_and_compile(bench, tree)
    with bench.after("compile"):
        report = take_staged_tree(bench, started)
    return Compiled(report, downloads)


def take_staged_tree(bench: Workbench, started: float) -> Report:
    """Take over what is in ``$STAGE``, and normalise it. A tree finished by hand stays: it may be taken again."""
    by_hand = bench.finished is not None
    stage = bench.private("result") / STAGE
    _check_places(bench)
    take_folder(bench.box, STAGE, stage, bench.budget, keep=by_hand)
    if not any(stage.iterdir()):
        raise BuildError(
            f"there is nothing in $STAGE of {bench.order.task}"
            if by_hand
            else f"the compile script of {bench.order.component} left nothing in $STAGE",
            hint="Finish the build in the shell; /work/compile.sh ends with what copies its result to $STAGE."
            if by_hand
            else "Copy the result of the build to $STAGE at the end of build.script.",
        )
    return normalise(stage, started, bench.order.epoch)


def _unpack(bench: Workbench, fetched: list[Fetched]) -> Path:
    order = bench.order
    with bench.step("unpack") as log:
        tree = bench.make("src")
        if order.local_source is not None:
            local, here = Path(order.local_source), Path(order.local_copy or order.local_source)
            if here.is_dir():
                copy_tree(here, tree)
            else:
                unpack(here, tree, strip=1, name=local.name, limits=order.archive_limits)
            log.note(f"{local} → {tree.name}")
            if note := other_version(order, local, tree):
                bench.note(note)
        for source, one in zip(order.sources, fetched, strict=True):
            into = (tree / source.into).resolve()
            if not into.is_relative_to(tree.resolve()):
                raise RecipeError(f"source {source.name}: 'into: {source.into}' leads out of the source tree")
            if source.unpack == "no":
                into.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(one.path, into / one.name)
            else:
                unpack(one.path, into, strip=source.strip, name=one.name, limits=order.archive_limits)
            log.note(f"{one.name} → {source.into}")
        bench.hand_over(tree)
        return tree


def other_version(order: WorkOrder, local: Path, tree: Path) -> str | None:
    """Return a note for the user's source, unpacked in ``tree``, if it is of another version than they chose.

    Raises ConfigurationError if they chose none, before an hour is spent on it.
    """
    try:
        check_version(tree, order.component, order.version, order.script, shown=local)
    except ConfigurationError as error:
        if not order.version_chosen:
            raise
        return f"{error.location}: {error.message}, which was chosen"
    return None


def _patch_and_compile(bench: Workbench, tree: Path) -> Downloads:
    """Run both steps in one container, so the patch step has the network whenever the compile step has it."""
    files = bench.write_files(bench.order.files)
    mounts = [Mount(files, "/files"), *_dependencies(bench)]
    environment = {"STAGE": "/work/stage", "FILES": "/files"}
    _write_input(bench)

    def work(session: Session) -> None:
        if bench.order.patches:
            _patch(bench, session)
        with bench.step("compile") as log:
            run_build(bench, session, log, ["bash", "/work/compile.sh"], cwd=SRC, what="the compile script")

    built = built_artifacts(bench.order.caches, tree)
    return in_toolchain(bench, work, SRC, mounts, environment, built=built)


def _write_input(bench: Workbench) -> None:
    """Write what the container runs. It must be there before it starts: what it could write is not written again."""
    script = bench.order.script
    if not script.strip():
        script = 'cp -a . "$STAGE/"'
    bench.make()
    (bench.box / "compile.sh").write_text("set -euo pipefail\n" + script, encoding="utf-8")
    folder = bench.make("patches")
    for number, patch in enumerate(bench.order.patches):
        (folder / f"{number:04}").write_bytes(patch.content)


def _check_places(bench: Workbench) -> None:
    """Raise BuildError when a build reaches for a place that is not its own, instead of ignoring that it tried."""
    for folder in islice(walk(bench.box), 1):
        for entry in folder.entries:
            if entry.is_symlink():
                target = os.readlink(entry.name, dir_fd=folder.handle)
                raise BuildError(f"the build put a link to {shown(target)} at /work/{shown(entry.name)}")
    if is_folder(bench.box, RESULT):
        raise BuildError(f"the build made the folder /work/{RESULT}", hint="Its result is what it leaves in $STAGE.")


def _dependencies(bench: Workbench) -> list[Mount]:
    mounts: list[Mount] = []
    for name, key in bench.order.dependency_keys.items():
        stage = bench.store.stage(key)
        if not stage.is_dir():
            raise StoreError(
                f"{bench.order.component} builds on {name}, whose staged tree is not in the store",
                hint=f"Build it first: bigtop-builder build {name}",
            )
        mounts.append(Mount(stage, f"/deps/{name}"))
    return mounts


def _patch(bench: Workbench, session: Session) -> None:
    order = bench.order
    with bench.step("patch") as log:
        for number, patch in enumerate(order.patches):
            log.note(f"applying {patch.name}")
            before = log.written
            code = session.call(
                ["patch", "--batch", "--forward", "-p1", "-F0", "-i", f"/work/patches/{number:04}"],
                cwd=SRC,
                log=log,
                timeout=order.limits.seconds,
                cancelled=bench.worker.cancelled,
            )
            if code != 0:
                raise BuildError(
                    f"the patch {patch.name} does not apply: {_rejected_hunks(log.path, before)}",
                    hint=f"Refresh {patch.place} against {order.component} {order.version}; "
                    "patches are applied without fuzz.",
                )


def _rejected_hunks(log: Path, offset: int) -> str:
    """Say which hunk of which file failed, from what ``patch`` printed after ``offset``."""
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
        return "it changes a file that does not exist"
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("==>")]
    return lines[-1] if lines else "patch gave no reason"
