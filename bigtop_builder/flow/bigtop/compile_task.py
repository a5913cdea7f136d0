"""How Bigtop's specs compile: make the seed, run rpmbuild up to ``%install``. The installed tree is the result."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from bigtop_builder.adapter.containers.container import Session
from bigtop_builder.adapter.sources import Fetched
from bigtop_builder.adapter.tools.normalise import normalise
from bigtop_builder.flow.bigtop.maven_seed import artifacts_in, make_seed
from bigtop_builder.flow.bigtop.payload import payload_of, spec_of
from bigtop_builder.flow.bigtop.rpmbuild import ENVIRONMENT, rpmbuild, write_topdir
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

REPOSITORY = ".m2/repository"
LOCAL_METADATA = "maven-metadata-local.xml"


def compile_bigtop(bench: Workbench, fetched: list[Fetched]) -> Compiled:
    """Compile into ``result``: the installed tree, documents, and Maven artifacts. Raises StepFailedError."""
    started = time.time()
    order, payload = bench.order, payload_of(bench.order)
    with bench.step("unpack") as log:
        top = write_topdir(bench, payload)
        local = Path(order.local_source) if order.local_source else None
        seed = top / "SOURCES" / payload.seed
        log.note(make_seed(payload, local or (fetched[0] if fetched else None), seed, bench.folder, order.epoch))
        bench.hand_over(seed)
        built = artifacts_in(seed)

    def work(session: Session) -> None:
        with bench.step("compile") as log:
            run_build(bench, session, log, rpmbuild(payload, "-bi"), cwd="/work", what="rpmbuild")

    def prepare(home: Path) -> None:
        for key in order.dependency_keys.values():
            for path in hand_on(bench.store.folder("compile", key) / INSTALLED, home / REPOSITORY):
                bench.hand_over(path, recursive=False)

    downloads = in_toolchain(bench, work, payload.topdir, [], ENVIRONMENT, built=built, prepare=prepare)
    result = bench.make("result")
    _built_root(top, order.component).rename(result / "stage")
    _keep_documents(top, documents(spec_of(order)), result / DOCUMENTS)
    hand_on(bench.folder / "home" / REPOSITORY, result / INSTALLED, installed=True)
    report = normalise(result / "stage", started, order.epoch, modes=False)
    normalise(result / INSTALLED, started, order.epoch)
    return Compiled(report, downloads)


def _built_root(top: Path, name: str) -> Path:
    """Return where ``%install`` put the tree: a folder inside the build's own in rpm 4.20, in ``BUILDROOT`` before."""
    found = [path for path in (*top.glob("BUILD/*/BUILDROOT"), *top.glob("BUILDROOT/*")) if any(path.iterdir())]
    if len(found) != 1:
        raise BuildError(f"%install of {name} installed nothing")
    return found[0]


def _keep_documents(top: Path, patterns: tuple[str, ...], into: Path) -> None:
    into.mkdir()
    for folder in (*top.glob("BUILD/*"), *top.glob("BUILD/*/*")):
        if folder.name in ("BUILDROOT", "SPECPARTS") or not folder.is_dir():
            continue
        for pattern in patterns:
            for path in sorted(folder.glob(pattern)):
                target = into / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                if path.is_dir():
                    shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True)
                else:
                    shutil.copy2(path, target, follow_symlinks=False)


def hand_on(repository: Path, into: Path, *, installed: bool = False) -> list[Path]:
    """Copy a local Maven repository; return the files and folders that were made.

    With ``installed`` only what a build installed itself is copied; Maven's tracking files distinguish it from
    downloads.
    """
    made: list[Path] = []
    _make_folder(into, made)
    for folder, _, files in os.walk(repository):
        here = Path(folder)
        wanted = set(files)
        if installed:
            wanted = _installed(here, wanted) | ({LOCAL_METADATA} & wanted)
        target = into / here.relative_to(repository)
        for name in sorted(wanted):
            _make_folder(target, made)
            # An existing file may be a hard link into the shared cache, which must not change.
            (target / name).unlink(missing_ok=True)
            shutil.copyfile(here / name, target / name)
            made.append(target / name)
    return made


def _make_folder(folder: Path, made: list[Path]) -> None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    made += missing


def _installed(folder: Path, files: set[str]) -> set[str]:
    if TRACKING not in files:
        return set()
    lines = (folder / TRACKING).read_text(encoding="utf-8", errors="replace").splitlines()
    local = {line.removesuffix(">=") for line in lines if line.endswith(">=") and not line.startswith("#")}
    found = local & files
    return found | {TRACKING} if found else set()
