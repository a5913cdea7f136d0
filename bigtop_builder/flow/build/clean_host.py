"""A trial installation: rpm installs the finished packages in a container without network, and verifies them."""

from __future__ import annotations

import re
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount, Session, User
from bigtop_builder.adapter.rpm.header import RpmHeader
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.errors import BuildError

ROOT = User(0, 0, listed=True)

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID", "SETFCAP")
"""What rpm and package scripts need to install files for other users."""

NO_UNSHARE = ("--define", "__transaction_unshare %{nil}")
"""rpm 4.20 puts scripts into a namespace of their own, which a container may not create."""

NEEDED = re.compile(r"^[ \t]{0,80}(?P<need>\S[^\n]{0,1000}) is needed by (?P<package>\S{1,300})[ \t]*$", re.MULTILINE)
"""How rpm reports a requirement that nothing provides."""


def install_on_clean_host(bench: Workbench, rpms: list[Path], headers: list[RpmHeader], log: LogWriter) -> None:
    """Install the packages with those of the dependencies that are built, and verify them. Raises BuildError.

    A requirement that nothing in this build provides is noted, and then requirements are not checked.
    """
    others = _dependency_packages(bench)
    folders = sorted({rpm.parent for rpm in (*rpms, *others)})
    mounts = [Mount(folder, f"/rpms/{number}") for number, folder in enumerate(folders)]
    inside = [f"/rpms/{folders.index(rpm.parent)}/{rpm.name}" for rpm in (*others, *rpms)]
    # Its scripts run as root, so it has nothing of this machine that it could write.
    box = bench.sandbox("host", mounts, {"HOME": "/root"}, user=ROOT, capabilities=CAPABILITIES, work=False)
    with bench.session(box, "/") as session:
        installer = Installer(bench, session, log, bench.order.limits.seconds)
        missing = installer.install(inside)
        if missing:
            bench.note(f"not checked on a clean host, because nothing in this build provides: {', '.join(missing)}")
        requirements = ["--nodeps"] if missing else []
        names = sorted(header.name for header in headers)
        if installer.rpm("--verify", "--nomtime", *requirements, *names) != 0:
            raise BuildError("the files installed on a clean host differ from those in the packages")


class Installer:
    """Runs rpm in the container of a clean host."""

    def __init__(self, bench: Workbench, session: Session, log: LogWriter, seconds: int) -> None:
        self._bench = bench
        self._session = session
        self._log = log
        self._seconds = seconds

    def install(self, packages: list[str]) -> list[str]:
        """Install packages. Return the requirements that nothing provides; with any, none is checked.

        Raises BuildError.
        """
        before = self._log.written
        code = self.rpm("--install", "--nosignature", *packages)
        missing = _missing(self._log, before)
        if missing:
            before = self._log.written
            code = self.rpm("--install", "--nosignature", "--nodeps", *packages)
        # rpm succeeds although the scriptlet of a package failed.
        if code != 0 or "scriptlet failed" in _printed_after(self._log, before):
            raise BuildError("a clean host does not install the packages", hint="The log has rpm's messages.")
        return missing

    def rpm(self, *arguments: str) -> int:
        """Run rpm; return its exit code."""
        return self._session.call(
            ["rpm", *NO_UNSHARE, *arguments],
            cwd="/",
            log=self._log,
            timeout=self._seconds,
            cancelled=self._bench.worker.cancelled,
        )


def _dependency_packages(bench: Workbench) -> list[Path]:
    packages: list[Path] = []
    for name, key in bench.order.dependency_keys.items():
        found = bench.store.packages(key)
        if not found:
            bench.note(f"checked without the packages of {name}, which are not built")
        packages += found
    return packages


def _missing(log: LogWriter, offset: int) -> list[str]:
    """Return the unmet requirements that rpm printed after ``offset``, each once."""
    return list(dict.fromkeys(found["need"] for found in NEEDED.finditer(_printed_after(log, offset))))


def _printed_after(log: LogWriter, offset: int) -> str:
    with log.path.open("rb") as stream:
        stream.seek(offset)
        return stream.read(1 << 20).decode("utf-8", errors="replace")
