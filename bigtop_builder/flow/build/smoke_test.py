"""The smoke test of a build: packages on a clean host, what they need started, then the component's own ``smoke.sh``.

The host is a container without network that has nothing of this machine which it could write. Its scripts run as root,
within limits of memory, processes, disk and time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount, Session
from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.flow.build.clean_host import CAPABILITIES, ROOT, Installer
from bigtop_builder.flow.build.result import SmokeResult
from bigtop_builder.flow.build.work_order import SmokeOrder, SmokePart
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.errors import BuildError, EngineError
from bigtop_builder.model.tap import PATTERN, TapReport, read_tap
from bigtop_builder.recipe.smoke import SMOKE, START

REPORT = 1 << 20
"""How many bytes of a report are read."""

READINGS = 3
"""A busy engine may lose the output of a short command, so one without its end is read again."""

END = "==> end of the report"
READ = """
grep -aE "$2" "$1" | head -c "$3"
printf '\\n%s\\n' "$4"
"""

PREPARE = """
grep -qw "$HOSTNAME" /etc/hosts || echo "127.0.0.1 $HOSTNAME" >> /etc/hosts
rm -f /etc/security/limits.d/*
"""
"""Without network nothing resolves the host's own name, which Java asks for. And no container may raise its limits,
as the limits of packages tell PAM to do for users such as hdfs: it then lets nobody become one."""

RUN = """
set -u
mkdir -p "$SMOKE_DIR"
cd "$SMOKE_DIR"
bash "$1" > "$2" 2>&1 < /dev/null &
script=$!
tail -n +1 -s 0.2 -f --pid="$script" "$2"
wait "$script"
"""
"""Runs a script. Its output goes through a file, since a service that it starts may keep the output open."""


def smoke_test(bench: Workbench, rpms: list[Path]) -> SmokeResult | None:
    """Run the smoke test on the packages; return None, after a note, if it has to be skipped.

    Raises StepFailedError when it fails.
    """
    order = bench.order.smoke
    if order is None:
        return None
    absent = [name for name, key in order.keys.items() if not bench.store.packages(key)]
    needed = {part.component for part in order.parts}
    without = [*order.missing, *(name for name in absent if name in needed)]
    if without:
        bench.note(f"the smoke test was skipped: it needs {', '.join(without)}, not built here or without tests")
        return None
    with bench.step("smoke") as log:
        started = time.monotonic()
        report = _run(bench, order, rpms, log)
        if report is None:
            return None
        result = SmokeResult(report.passed, report.skipped, round(time.monotonic() - started, 3))
    for skipped in result.skipped:
        bench.note(f"the smoke test skipped {skipped}")
    return result


def _run(bench: Workbench, order: SmokeOrder, rpms: list[Path], log: LogWriter) -> TapReport | None:
    """Return what the test reported; None, after a note, if it failed where packages lack what they require."""
    packages = _packages(bench, order, rpms)
    folders = sorted({rpm.parent for rpm in packages})
    mounts = [Mount(folder, f"/rpms/{number}") for number, folder in enumerate(folders)]
    for part in order.parts:
        root = bench.private(f"tests-{part.component}")
        bench.write_files(part.files, root)
        mounts.append(Mount(root, f"/tests/{part.component}"))
    box = bench.sandbox(
        "host",
        mounts,
        {"HOME": "/root"},
        limits=order.limits,
        user=ROOT,
        # Scripts that run as root stop the services of other users.
        capabilities=(*CAPABILITIES, "KILL"),
        work=False,
        # Services of a Hadoop cluster have more files open than a build.
        open_files=None,
    )
    with bench.session(box, "/") as session:
        missing = Installer(bench, session, log, order.limits.seconds).install(
            [f"/rpms/{folders.index(rpm.parent)}/{rpm.name}" for rpm in packages]
        )
        session.call(PREPARE, log=log, timeout=60, cancelled=bench.worker.cancelled, cwd="/")
        try:
            return _run_scripts(bench, session, order, log)
        except BuildError as error:
            if not missing:
                raise
            bench.note(
                f"the smoke test does not count, because nothing in this build provides {', '.join(missing)}: "
                f"{error.message}"
            )
            return None


def _run_scripts(bench: Workbench, session: Session, order: SmokeOrder, log: LogWriter) -> TapReport:
    """Start what the test needs and run it. Raises BuildError when one of the scripts or tests fails."""
    for part in order.parts:
        if any(file.name == START for file in part.files):
            log.note(f"start {part.component}")
            code = _script(bench, session, part, START, log)
            if code != 0:
                raise BuildError(
                    f"tests/{START} of {part.component} exited with {code}", hint="The log has its output."
                )
    part = order.parts[-1]
    log.note(f"test {part.component}")
    code = _script(bench, session, part, SMOKE, log)
    report = _report(bench, session, part)
    _judge(part.component, report, code)
    return report


def _packages(bench: Workbench, order: SmokeOrder, rpms: list[Path]) -> list[Path]:
    """Return the packages to install: those that the components name, and what these require."""
    available: dict[Path, RpmHeader] = {}
    owners: dict[str, list[RpmHeader]] = {}
    tested = order.parts[-1].component
    for name, paths in [*((name, bench.store.packages(key)) for name, key in order.keys.items()), (tested, rpms)]:
        headers = {path: read_header(path) for path in paths}
        available |= headers
        owners[name] = list(headers.values())
    wanted = [
        package
        for part in order.parts
        for package in part.packages or [header.name for header in owners[part.component]]
    ]
    for package in wanted:
        if not any(header.name == package for header in available.values()):
            raise BuildError(
                f"the smoke test installs {package}, which nothing in this build makes",
                hint="Correct smoke.packages in component.yaml.",
            )
    return required_packages(wanted, available)


def required_packages(wanted: Iterable[str], available: Mapping[Path, RpmHeader]) -> list[Path]:
    """Return the packages of these names and all that they require, as far as it is available."""
    providers: dict[str, Path] = {}
    for path, header in available.items():
        for provided in (header.name, *header.provides, *(file.path for file in header.files)):
            providers.setdefault(provided.split()[0], path)
    chosen: dict[Path, None] = {}
    queue = list(wanted)
    while queue:
        found = providers.get(queue.pop().split()[0])
        if found is not None and found not in chosen:
            chosen[found] = None
            queue.extend(available[found].needs)
    return sorted(chosen)


def _script(bench: Workbench, session: Session, part: SmokePart, name: str, log: LogWriter) -> int:
    return session.call(
        ["bash", "-c", RUN, "smoke", f"/tests/{part.component}/{name}", _output(part, name)],
        log=log,
        timeout=part.seconds,
        cancelled=bench.worker.cancelled,
        cwd="/",
        environment={**part.environment, "SMOKE_DIR": f"/var/tmp/smoke/{part.component}"},
    )


def _output(part: SmokePart, name: str) -> str:
    return f"/var/tmp/{part.component}-{name}.out"


def _report(bench: Workbench, session: Session, part: SmokePart) -> TapReport:
    """Read what the test reported from its output, however much else that contains. Raises EngineError."""
    for attempt in range(READINGS):
        with LogWriter(bench.private("smoke") / f"report-{attempt}", 2 * REPORT) as report:
            command = ["bash", "-c", READ, "report", _output(part, SMOKE), PATTERN, str(REPORT), END]
            session.call(command, log=report, timeout=60, cancelled=bench.worker.cancelled, cwd="/")
        lines = report.path.read_text(encoding="utf-8", errors="replace").splitlines()
        if lines and lines[-1] == END:
            return read_tap(lines[:-1])
    raise EngineError(
        f"the report of the smoke test of {part.component} did not arrive from its container",
        hint="A busy engine loses output. Repeat the command.",
    )


def _judge(component: str, report: TapReport, code: int) -> None:
    """Raise BuildError unless the test passed."""
    hint = "The log has its output."
    if report.failed:
        raise BuildError(f"the smoke test of {component} failed: {', '.join(report.failed)}", hint=hint)
    if code != 0:
        raise BuildError(f"tests/{SMOKE} of {component} exited with {code}", hint=hint)
    if report.problems:
        raise BuildError(
            f"the report of tests/{SMOKE} of {component} is no TAP: {'; '.join(report.problems)}", hint=hint
        )
