"""The package task over Bigtop's packaging: RPMs of the tree that was laid out, and what is expected of them."""

from __future__ import annotations

from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount
from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.adapter.rpm.payload import find_in_payload
from bigtop_builder.flow.bigtop.compile_task import DOCUMENTS, MACROS
from bigtop_builder.flow.bigtop.rpmbuild import DOCUMENTS as DOCUMENTS_INSIDE
from bigtop_builder.flow.bigtop.rpmbuild import ENVIRONMENT, INSTEAD, STAGE, lay_topdir, rpmbuild, topdir
from bigtop_builder.flow.build.package_check import install_on_clean_host
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.errors import BuildError
from bigtop_builder.recipe.bigtop.tree import BigtopPackaging

SHOWN = 5


def package_bigtop(bench: Workbench, packaging: BigtopPackaging) -> list[Path]:
    """Run the package and check steps; gives the RPMs. Raises StepFailedError."""
    evaluated = bench.evaluated
    assert bench.task.compile_key is not None
    with bench.step("package") as log:
        top = lay_topdir(bench, packaging, bench.shared.project.catalog.package_template("rpm", MACROS))
        # Nothing is unpacked, but rpm wants every source to be there.
        seed = top / "SOURCES" / packaging.seed.name
        seed.touch()
        compiled = bench.store.folder("compile", bench.task.compile_key)
        mounts = [Mount(compiled / "stage", STAGE), Mount(compiled / DOCUMENTS, DOCUMENTS_INSIDE)]
        environment = {**ENVIRONMENT, "SOURCE_DATE_EPOCH": str(evaluated.stack.epoch)}
        box = bench.sandbox(bench.image_id("package"), mounts, environment)
        with bench.session(box, topdir(packaging)) as session:
            code = session.call(
                rpmbuild(packaging, "-bb", *INSTEAD),
                cwd="/work",
                log=log,
                timeout=bench.time_limit(evaluated.build),
                cancelled=bench.shared.cancelled,
            )
        if code != 0:
            raise BuildError(f"rpmbuild exited with {code}")
        rpms = sorted((top / "RPMS").rglob("*.rpm"))
        if not rpms:
            raise BuildError(f"the spec of {evaluated.name} gave no package")
    _check(bench, packaging, rpms)
    return rpms


def _check(bench: Workbench, packaging: BigtopPackaging, rpms: list[Path]) -> None:
    with bench.step("check") as log:
        headers = [read_header(rpm) for rpm in rpms]
        problems = [problem for header in headers for problem in _problems(bench, packaging, header)]
        for problem in problems:
            log.note(problem)
        if problems:
            more = f"; and {len(problems) - SHOWN} more" if problems[SHOWN:] else ""
            raise BuildError("; ".join(problems[:SHOWN]) + more)
        log.note(f"{len(headers)} packages, {sum(len(header.files) for header in headers)} files")
        _tell_of_bigtop(bench, packaging, rpms, headers)
        install_on_clean_host(bench, rpms, headers, log)


def _problems(bench: Workbench, packaging: BigtopPackaging, header: RpmHeader) -> list[str]:
    """Against what was asked for: the suffix, version, release, architecture; and times."""
    evaluated = bench.evaluated
    problems: list[str] = []
    if packaging.suffix not in header.name:
        problems.append(f"{header.name}: its name does not carry the suffix {packaging.suffix}")
    release = f"{evaluated.release}{evaluated.target.platform.dist}"
    if (header.version, header.release) != (evaluated.version, release):
        problems.append(f"{header.name}: is {header.nevra}, not {evaluated.version}-{release}")
    if header.arch not in ("noarch", evaluated.target.arch):
        problems.append(f"{header.name}: is for {header.arch}")
    young = [file.path for file in header.files if file.mtime > evaluated.stack.epoch]
    if young:
        problems.append(f"{header.name}: {young[0]} is younger than SOURCE_DATE_EPOCH")
    return problems


def _tell_of_bigtop(bench: Workbench, packaging: BigtopPackaging, rpms: list[Path], headers: list[RpmHeader]) -> None:
    """What is Bigtop's way, and worth knowing: it fails nothing."""
    target = bench.evaluated.target
    programs = sorted(header.name for header in headers if any("GLIBC_" in need for need in header.requires))
    if programs and target.builder.name != target.platform.name:
        bench.note(f"{', '.join(programs)}: built on {target.builder.name}, which {target.platform.name} may not run")
    path = topdir(packaging).encode()
    leaks = [f"{rpm.name}: {where}" for rpm in rpms for where, _ in find_in_payload(rpm, (path,))]
    if leaks:
        more = f" and {len(leaks) - 1} more" if leaks[1:] else ""
        bench.note(f"the build path is in {leaks[0]}{more}")
