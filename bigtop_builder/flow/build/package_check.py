"""The check step: the packages are what the component promises, and a clean host installs them."""

from __future__ import annotations

import re
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount, User
from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.adapter.rpm.payload import find_in_payload
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.errors import BuildError

BUILD_PATHS = (b"/work/src", b"/work/stage", b"/work/rpm", b"/work/home")
"""Paths of the build containers: in a package they would be leaks of the build."""

ROOT = User(0, 0, listed=True)


CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID", "SETFCAP")
"""What rpm and the scripts of packages need to lay files out for other users."""

NO_UNSHARE = ("--define", "__transaction_unshare %{nil}")
"""rpm 4.20 puts scripts into a namespace of their own, which a container may not make."""

NEEDED = re.compile(r"^\s*(?P<need>\S.*\S) is needed by (?P<package>\S+)\s*$", re.MULTILINE)
"""How rpm names a requirement that nothing provides."""


def check(bench: Workbench, rpms: list[Path]) -> None:
    """Check the finished packages and install them on a clean host. Raises StepFailedError."""
    with bench.step("check") as log:
        headers = [read_header(rpm) for rpm in rpms]
        problems = _header_problems(bench, headers)
        problems += _script_problems(bench, headers)
        for rpm in rpms:
            for path, text in find_in_payload(rpm, BUILD_PATHS):
                problems.append(f"{rpm.name}: {path} holds the build path {text.decode()}")
        for problem in problems:
            log.note(problem)
        if problems:
            raise BuildError("; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if problems[5:] else ""))
        log.note(f"{len(headers)} packages, {sum(len(header.files) for header in headers)} files: as promised")
        install_on_clean_host(bench, rpms, headers, log)


def _header_problems(bench: Workbench, headers: list[RpmHeader]) -> list[str]:
    """Names, versions, architectures, requirements and times against the component."""
    evaluated = bench.evaluated
    release = f"{evaluated.release}{evaluated.target.platform.dist}"
    by_name = {header.name: header for header in headers}
    problems: list[str] = []
    for package in evaluated.packages:
        header = by_name.get(package.name)
        if header is None:
            problems.append(f"{package.name}: there is no such package")
            continue
        found = (header.version, header.release, header.arch)
        if found != (evaluated.version, release, evaluated.arch):
            problems.append(f"{package.name}: is {header.nevra}")
        have = {_squeezed(need) for need in header.requires}
        for need in package.requires:
            for part in filter(None, map(str.strip, need.split(","))):
                one = part.replace("%{version}", evaluated.version).replace("%{release}", release)
                if _squeezed(one) not in have:
                    problems.append(f"{package.name}: does not require {one}")
        young = [file.path for file in header.files if file.mtime > evaluated.stack.epoch]
        if young:
            problems.append(f"{package.name}: {young[0]} is younger than SOURCE_DATE_EPOCH")
        for service in package.services:
            if not any(file.path == f"/etc/rc.d/init.d/{service.name}" for file in header.files):
                problems.append(f"{package.name}: has no script of the service {service.name}")
    return problems


def _squeezed(need: str) -> str:
    return " ".join(need.split())


def _script_problems(bench: Workbench, headers: list[RpmHeader]) -> list[str]:
    """Every script that the component asks for is there."""
    by_name = {header.name: header for header in headers}
    problems: list[str] = []
    for package in bench.evaluated.packages:
        header = by_name.get(package.name)
        if header is None:
            continue
        wanted = set(package.scripts)
        if package.users:
            wanted.add("pre")
        if package.alternatives or package.services:
            wanted |= {"post", "preun"}
        problems += [
            f"{package.name}: has no %{phase} script" for phase in sorted(wanted) if phase not in header.scripts
        ]
    return problems


def install_on_clean_host(bench: Workbench, rpms: list[Path], headers: list[RpmHeader], log: LogWriter) -> None:
    """Install with rpm, without network, together with the packages of the dependencies that there are.

    Raises BuildError.
    """
    others: list[Path] = []
    for name, key in bench.task.dependency_keys.items():
        found = bench.store.packages(key)
        if not found:
            bench.note(f"checked without the packages of {name}, which are not built")
        others += found
    folders = sorted({rpm.parent for rpm in (*rpms, *others)})
    mounts = [Mount(folder, f"/rpms/{number}") for number, folder in enumerate(folders)]
    inside = [f"/rpms/{folders.index(rpm.parent)}/{rpm.name}" for rpm in (*others, *rpms)]
    box = bench.sandbox(bench.image_id("host"), mounts, {}, user=ROOT, capabilities=CAPABILITIES)
    with bench.session(box, "/") as session:

        def rpm(*arguments: str) -> int:
            return session.call(
                ["rpm", *NO_UNSHARE, *arguments],
                cwd="/",
                log=log,
                timeout=bench.time_limit(),
                cancelled=bench.shared.cancelled,
            )

        no_requirements: list[str] = []
        before = log.written
        code = rpm("--install", "--nosignature", *inside)
        missing = _missing(log, before)
        if missing:
            bench.note(f"not checked on a clean host, since it is not part of this build: {', '.join(missing)}")
            no_requirements = ["--nodeps"]
            before = log.written
            code = rpm("--install", "--nosignature", *no_requirements, *inside)
        if code != 0 or "scriptlet failed" in _behind(log, before):
            raise BuildError("a clean host does not install the packages", hint="The log shows what rpm says.")
        names = sorted(header.name for header in headers)
        if rpm("--verify", "--nomtime", *no_requirements, *names) != 0:
            raise BuildError("what a clean host installed is not what the packages hold")


def _missing(log: LogWriter, offset: int) -> list[str]:
    """The requirements that rpm found nobody for, from what it printed behind ``offset``."""
    return list(dict.fromkeys(found["need"] for found in NEEDED.finditer(_behind(log, offset))))


def _behind(log: LogWriter, offset: int) -> str:
    with log.path.open("rb") as stream:
        stream.seek(offset)
        return stream.read(1 << 20).decode("utf-8", errors="replace")
