"""How Bigtop's specs package: RPMs of the compiled tree, checked for suffix, version, release and architecture."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount
from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.adapter.rpm.payload import find_in_payload
from bigtop_builder.flow.bigtop.compile_task import DOCUMENTS, MODES
from bigtop_builder.flow.bigtop.payload import BigtopPayload, payload_of
from bigtop_builder.flow.bigtop.rpmbuild import DOCUMENTS as DOCUMENTS_INSIDE
from bigtop_builder.flow.bigtop.rpmbuild import ENVIRONMENT, INSTEAD, STAGE, inside_box, rpmbuild, write_topdir
from bigtop_builder.flow.bigtop.rpmbuild import MODES as MODES_INSIDE
from bigtop_builder.flow.build.clean_host import install_on_clean_host
from bigtop_builder.flow.build.package_check import report_problems, too_young
from bigtop_builder.flow.build.packages import take_packages
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.errors import BuildError


def package_bigtop(bench: Workbench) -> list[Path]:
    """Run the package and check steps; return the RPMs. Raises StepFailedError."""
    order, payload = bench.order, payload_of(bench.order)
    assert order.compile_key is not None
    with bench.step("package") as log:
        top = write_topdir(bench, payload)
        # Nothing is unpacked, but rpm wants every source to exist.
        (top / "SOURCES" / payload.seed).touch()
        compiled = bench.store.folder("compile", order.compile_key)
        mounts = [
            Mount(compiled / "stage", STAGE),
            Mount(compiled / DOCUMENTS, DOCUMENTS_INSIDE),
            _modes(bench, compiled),
        ]
        box = bench.sandbox("package", mounts, {**ENVIRONMENT, "SOURCE_DATE_EPOCH": str(order.epoch)})
        with bench.session(box, payload.topdir) as session:
            code = session.call(
                rpmbuild(payload, "-bb", *INSTEAD),
                cwd="/work",
                log=log,
                timeout=order.build_limits.seconds,
                cancelled=bench.worker.cancelled,
            )
        if code != 0:
            raise BuildError(f"rpmbuild exited with {code}")
        rpms = take_packages(bench, f"{inside_box(payload)}/RPMS", ".rpm")
        if not rpms:
            raise BuildError(f"the spec of {order.component} made no package")
    _check(bench, payload, rpms)
    return rpms


def _modes(bench: Workbench, compiled: Path) -> Mount:
    """Write the script that gives the installed tree its unusual modes again; the deepest first, since a folder may
    be closed by it."""
    modes = json.loads((compiled / MODES).read_text(encoding="utf-8"))
    lines = [f"chmod {mode:04o} {shlex.quote('./' + path)}\n" for path, mode in sorted(modes.items(), reverse=True)]
    folder = bench.private("modes")
    (folder / Path(MODES_INSIDE).name).write_text("".join(lines), encoding="utf-8")
    return Mount(folder, str(Path(MODES_INSIDE).parent))


def _check(bench: Workbench, payload: BigtopPayload, rpms: list[Path]) -> None:
    with bench.step("check") as log:
        headers = [read_header(rpm) for rpm in rpms]
        report_problems(log, [problem for header in headers for problem in _problems(bench.order, payload, header)])
        log.note(f"{len(headers)} packages, {sum(len(header.files) for header in headers)} files")
        _note_peculiarities(bench, payload, rpms, headers)
        install_on_clean_host(bench, rpms, headers, log)


def _problems(order: WorkOrder, payload: BigtopPayload, header: RpmHeader) -> Iterator[str]:
    """Compare a package with the expected suffix, version, release and architecture; check its times."""
    if payload.suffix not in header.name:
        yield f"{header.name}: its name does not contain the suffix {payload.suffix}"
    if (header.version, header.release) != (order.version, order.release):
        yield f"{header.name}: is {header.nevra}, not {order.version}-{order.release}"
    if header.arch not in ("noarch", order.machine):
        yield f"{header.name}: is for {header.arch}"
    yield from too_young(header, order.epoch)


def _note_peculiarities(bench: Workbench, payload: BigtopPayload, rpms: list[Path], headers: list[RpmHeader]) -> None:
    """Note what is Bigtop's way and worth knowing; none of it is an error."""
    order = bench.order
    programs = sorted(header.name for header in headers if any("GLIBC_" in need for need in header.requires))
    if programs and order.builder != order.platform:
        bench.note(f"{', '.join(programs)}: built on {order.builder}, may not run on {order.platform}")
    path = payload.topdir.encode()
    leaks = [f"{rpm.name}: {where}" for rpm in rpms for where, _ in find_in_payload(rpm, (path,), order.archive_limits)]
    if leaks:
        more = f" and {len(leaks) - 1} more" if leaks[1:] else ""
        bench.note(f"the build path is in {leaks[0]}{more}")
