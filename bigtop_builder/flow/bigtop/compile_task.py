"""The compile task over Bigtop's packaging: fetch, seed, rpmbuild up to %install. Its result is the tree laid out."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from bigtop_builder.adapter.containers.container import Session
from bigtop_builder.adapter.tools.normalise import normalise
from bigtop_builder.flow.bigtop.maven_seed import artifacts_in, make_seed
from bigtop_builder.flow.bigtop.rpmbuild import ENVIRONMENT, lay_topdir, rpmbuild, topdir
from bigtop_builder.flow.build.compile_task import fetch_sources, in_toolchain, keep_compiled, run_build
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.build_tools.maven import TRACKING
from bigtop_builder.model.errors import BuildError
from bigtop_builder.recipe.bigtop.spec import documents
from bigtop_builder.recipe.bigtop.tree import BigtopPackaging

INSTALLED = "maven"
"""In a compile result: what ``mvn install`` put into the local repository, for the components built after it."""

DOCUMENTS = "documents"
"""In a compile result: what the spec's file lists take from the build folder."""

MACROS = "bigtop.macros"
REPOSITORY = ".m2/repository"
LOCAL_METADATA = "maven-metadata-local.xml"


def compile_bigtop(bench: Workbench, packaging: BigtopPackaging) -> None:
    """Run the compile steps and put the tree into the store. Raises StepFailedError."""
    evaluated = bench.evaluated
    started, clock = time.time(), time.monotonic()
    fetched = fetch_sources(bench)
    with bench.step("unpack") as log:
        top = lay_topdir(bench, packaging, bench.shared.project.catalog.package_template("rpm", MACROS))
        source = evaluated.local_source or (fetched[0][1] if fetched else None)
        seed = top / "SOURCES" / packaging.seed.name
        log.note(make_seed(packaging, source, seed, bench.folder, evaluated.stack.epoch))
        bench.hand_over(seed)
        built = artifacts_in(seed)

    def work(session: Session) -> None:
        with bench.step("compile") as log:
            run_build(bench, session, log, rpmbuild(packaging, "-bi"), cwd="/work", what="rpmbuild")

    def prepare(home: Path) -> None:
        for key in bench.task.dependency_keys.values():
            for path in hand_on(bench.store.folder("compile", key) / INSTALLED, home / REPOSITORY):
                bench.hand_over(path, recursive=False)

    downloads = in_toolchain(bench, work, topdir(packaging), [], ENVIRONMENT, built=built, prepare=prepare)
    result = bench.make("result")
    _built_root(top, evaluated.name).rename(result / "stage")
    _keep_documents(top, documents(packaging.spec_text), result / DOCUMENTS)
    hand_on(bench.folder / "home" / REPOSITORY, result / INSTALLED, installed=True)
    report = normalise(result / "stage", started, evaluated.stack.epoch, modes=False)
    normalise(result / INSTALLED, started, evaluated.stack.epoch)
    keep_compiled(bench, fetched, report, downloads, started, time.monotonic() - clock)


def _built_root(top: Path, name: str) -> Path:
    """Where ``%install`` laid the tree: rpm 4.20 has a folder in the build's own, older ones one in ``BUILDROOT``."""
    found = [path for path in (*top.glob("BUILD/*/BUILDROOT"), *top.glob("BUILDROOT/*")) if any(path.iterdir())]
    if len(found) != 1:
        raise BuildError(f"%install of {name} laid out nothing")
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
    """Copy a local repository of Maven's; gives what was made. ``installed``: of it only what a build put there
    itself, which its tracking files tell apart from downloads."""
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
            # What is there may be a link to the shared cache, which must not change.
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
