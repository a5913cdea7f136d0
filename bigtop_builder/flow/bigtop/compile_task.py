"""How Bigtop's specs compile: make the seed, run rpmbuild up to ``%install``. The installed tree is the result."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
from pathlib import Path

from bigtop_builder.adapter.containers.container import Session
from bigtop_builder.adapter.sources import Fetched
from bigtop_builder.adapter.tools.normalise import Report, normalise
from bigtop_builder.adapter.untrusted import BLOCK, Budget, Folder, Modes, is_folder, matching, take, take_folder, walk
from bigtop_builder.flow.bigtop.maven_seed import artifacts_in, make_seed
from bigtop_builder.flow.bigtop.payload import payload_of, spec_of
from bigtop_builder.flow.bigtop.rpmbuild import ENVIRONMENT, inside_box, rpmbuild, write_topdir
from bigtop_builder.flow.build.steps import Compiled
from bigtop_builder.flow.build.toolchain import in_toolchain, run_build
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.build_tools.maven import TRACKING
from bigtop_builder.model.errors import BuildError
from bigtop_builder.recipe.bigtop.spec import documents

INSTALLED = "maven"
"""In a compile result: what ``mvn install`` put into the local repository, for the components built after it."""

DOCUMENTS = "documents"
"""In a compile result: what the spec's file lists take from the build folder."""

MODES = "modes.json"
"""In a compile result: the unusual modes that ``%install`` gave to files and folders, ``{"var/lib/x": 448}``. The tree
itself has none of them: the account that builds can read it, and nobody can write it or find a setuid program in it."""

REPOSITORY = ".m2/repository"
LONGEST_TRACKING = 1 << 20
"""How much of a tracking file is read, in characters: one has a line for each file of an artifact."""

LOCAL_METADATA = "maven-metadata-local.xml"


def compile_bigtop(bench: Workbench, fetched: list[Fetched]) -> Compiled:
    """Compile into ``result``: the installed tree, documents, and Maven artifacts. Raises StepFailedError."""
    started = time.time()
    order, payload = bench.order, payload_of(bench.order)
    with bench.step("unpack") as log:
        top = write_topdir(bench, payload)
        local = Path(order.local_copy or order.local_source) if order.local_source else None
        seed = top / "SOURCES" / payload.seed
        log.note(make_seed(payload, local or (fetched[0] if fetched else None), seed, bench.folder, order.epoch))
        bench.hand_over(seed)
        built = artifacts_in(seed)
        bench.make()
        (bench.box / "compile.sh").write_text(f"{shlex.join(rpmbuild(payload, '-bi'))}\n", encoding="utf-8")

    def work(session: Session) -> None:
        with bench.step("compile") as log:
            # A script, so that whoever finishes a failed build in a shell can repeat it.
            run_build(bench, session, log, ["bash", "/work/compile.sh"], cwd="/work", what="rpmbuild")

    def prepare(home: Path) -> None:
        for key in order.dependency_keys.values():
            for path in hand_on(bench.store.folder("compile", key) / INSTALLED, home / REPOSITORY):
                bench.hand_over(path, recursive=False)

    downloads = in_toolchain(bench, work, payload.topdir, [], ENVIRONMENT, built=built, prepare=prepare)
    with bench.after("compile"):
        report = take_installed(bench, started)
    return Compiled(report, downloads)


def take_installed(bench: Workbench, started: float) -> Report:
    """Take over what ``%install`` left: tree, documents and Maven artifacts. What was finished by hand stays."""
    order, result, by_hand = bench.order, bench.private("result"), bench.finished is not None
    below = inside_box(payload_of(order))
    modes: Modes = {}
    root = _built_root(bench.box, below, order.component)
    take_folder(bench.box, root, result / "stage", bench.budget, modes, keep=by_hand)
    (result / MODES).write_text(json.dumps(modes, indent=1) + "\n", encoding="utf-8")
    _keep_documents(bench, below, documents(spec_of(order)), result / DOCUMENTS, keep=by_hand)
    keep_installed(bench.box, result / INSTALLED, bench.budget)
    report = normalise(result / "stage", started, order.epoch)
    normalise(result / INSTALLED, started, order.epoch)
    return report


def _built_root(box: Path, below: str, name: str) -> str:
    """Return where ``%install`` put the tree: a folder inside the build's own in rpm 4.20, in ``BUILDROOT`` before."""
    places = (*matching(box, below, "BUILD/*/BUILDROOT"), *matching(box, below, "BUILDROOT/*"))
    found = [path for path in places if matching(box, path, "*")]
    if len(found) != 1:
        raise BuildError(f"%install of {name} installed nothing")
    return found[0]


def _keep_documents(bench: Workbench, below: str, patterns: tuple[str, ...], into: Path, *, keep: bool) -> None:
    into.mkdir()
    for folder in (*matching(bench.box, below, "BUILD/*"), *matching(bench.box, below, "BUILD/*/*")):
        if folder.endswith(("/BUILDROOT", "/SPECPARTS")) or not is_folder(bench.box, folder):
            continue
        for pattern in patterns:
            for path in matching(bench.box, folder, pattern):
                target = into / path.removeprefix(f"{folder}/")
                target.parent.mkdir(parents=True, exist_ok=True)
                # Two patterns may match the same, and what the first of them took is no longer there.
                if not os.path.lexists(target):
                    take(bench.box, path, target, bench.budget, keep=keep)


def hand_on(repository: Path, into: Path) -> list[Path]:
    """Copy what another build installed into a local Maven repository; return the files and folders that were made."""
    made: list[Path] = []
    _make_folder(into, made)
    for folder, _, files in os.walk(repository):
        here = Path(folder)
        target = into / here.relative_to(repository)
        for name in sorted(files):
            _make_folder(target, made)
            # An existing file may be a hard link into the shared cache, which must not change.
            (target / name).unlink(missing_ok=True)
            shutil.copyfile(here / name, target / name)
            made.append(target / name)
    return made


def keep_installed(box: Path, into: Path, budget: Budget) -> None:
    """Copy what the build itself installed into its local repository: Maven's tracking files tell it from downloads."""
    into.mkdir()
    for folder in walk(box, f"home/{REPOSITORY}"):
        files = {entry.name: entry for entry in folder.files}
        target = into / folder.path
        for name in sorted(_installed(folder, set(files)) | ({LOCAL_METADATA} & files.keys())):
            budget.spend(folder.inside(name), max(files[name].stat(follow_symlinks=False).st_size, BLOCK))
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder.place(name), target / name)


def _make_folder(folder: Path, made: list[Path]) -> None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    made += missing


def _installed(folder: Folder, files: set[str]) -> set[str]:
    if TRACKING not in files:
        return set()
    with open(folder.place(TRACKING), encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
        lines = stream.read(LONGEST_TRACKING).splitlines()
    local = {line.removesuffix(">=") for line in lines if line.endswith(">=") and not line.startswith("#")}
    found = local & files
    return found | {TRACKING} if found else set()
