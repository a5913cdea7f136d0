"""The check step of component files: the packages are what the component promises, and a clean host installs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.adapter.rpm.payload import find_in_payload
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.flow.build.clean_host import install_on_clean_host
from bigtop_builder.flow.build.work_order import ExpectedPackage, WorkOrder
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.archive_limits import ArchiveLimits
from bigtop_builder.model.errors import BuildError

BUILD_PATHS = (b"/work/src", b"/work/stage", b"/work/rpm", b"/work/home")
"""Paths of the build containers: in a package they would be leaks of the build."""

SHOWN = 5
"""How many problems the error names; the log has all of them."""


def check(bench: Workbench, rpms: list[Path]) -> None:
    """Check the finished packages and install them on a clean host. Raises StepFailedError."""
    with bench.step("check") as log:
        headers = [read_header(rpm) for rpm in rpms]
        report_problems(log, [*_expectations(bench.order, headers), *_leaks(rpms, bench.order.archive_limits)])
        log.note(f"{len(headers)} packages, {sum(len(header.files) for header in headers)} files: as expected")
        install_on_clean_host(bench, rpms, headers, log)


def report_problems(log: LogWriter, problems: list[str]) -> None:
    """Write all problems to the log. Raises BuildError with the first of them when there are any."""
    for problem in problems:
        log.note(problem)
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if problems[SHOWN:] else ""
        raise BuildError("; ".join(problems[:SHOWN]) + more)


def too_young(header: RpmHeader, epoch: int) -> Iterator[str]:
    """Report the first file that is younger than ``SOURCE_DATE_EPOCH``: its time differs from build to build."""
    young = next((file.path for file in header.files if file.mtime > epoch), None)
    if young is not None:
        yield f"{header.name}: {young} is younger than SOURCE_DATE_EPOCH"


def _expectations(order: WorkOrder, headers: list[RpmHeader]) -> Iterator[str]:
    by_name = {header.name: header for header in headers}
    for package in order.packages:
        header = by_name.get(package.name)
        if header is None:
            yield f"{package.name}: this package is missing"
            continue
        if (header.version, header.release, header.arch) != (order.version, order.release, order.arch):
            yield f"{package.name}: is {header.nevra}"
        yield from _requirements(order, package, header)
        yield from too_young(header, order.epoch)
        for service in package.services:
            if not any(file.path == f"/etc/rc.d/init.d/{service}" for file in header.files):
                yield f"{package.name}: has no script of the service {service}"
        for phase in package.scripts:
            if phase not in header.scripts:
                yield f"{package.name}: has no %{phase} script"


def _requirements(order: WorkOrder, package: ExpectedPackage, header: RpmHeader) -> Iterator[str]:
    present = {_squeezed(need) for need in header.requires}
    for need in package.requires:
        for part in filter(None, map(str.strip, need.split(","))):
            one = part.replace("%{version}", order.version).replace("%{release}", order.release)
            if _squeezed(one) not in present:
                yield f"{package.name}: does not require {one}"


def _squeezed(need: str) -> str:
    return " ".join(need.split())


def _leaks(rpms: list[Path], limits: ArchiveLimits) -> Iterator[str]:
    for rpm in rpms:
        for path, text in find_in_payload(rpm, BUILD_PATHS, limits):
            yield f"{rpm.name}: {path} contains the build path {text.decode()}"
