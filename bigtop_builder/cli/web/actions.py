"""Actions: builds and deployments that a page starts, as the command line would, and runs that it stops.

Each is a process of its own with the options of the command line, so its locks, its record and its rules are the same,
and it goes on when the server ends.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bigtop_builder.adapter.lock_holder import lock_holder
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.run.records import find_run
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.event import RunKind

KEPT = 20
"""How many started processes are remembered."""
OUTPUT = 4000
AGREED = re.compile(r"--(yes|finalize-upgrade|remove|gone|accept)|-[A-Za-z]*y")
"""Flags of a command by which somebody agreed to something, once."""
REPEATED: tuple[RunKind, ...] = ("build", "deploy", "hosts", "verify")
"""The kinds of run that a page repeats; what removes things is started by hand."""


@dataclass
class Started:
    """A process that a page started."""

    command: str
    started: float
    process: subprocess.Popen[bytes]
    file: IO[bytes]

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self.process.poll()

    @property
    def output(self) -> str:
        """The end of what it printed."""
        try:
            size = os.fstat(self.file.fileno()).st_size
            return os.pread(self.file.fileno(), OUTPUT, max(size - OUTPUT, 0)).decode("utf-8", "replace")
        except (OSError, ValueError):
            return ""


@dataclass(frozen=True)
class ClusterFile:
    """The inventory of a cluster as the command line names it, with its test bed if it is on one."""

    file: Path
    testbed: str | None = None


class Actions:
    """Starts and stops runs. ``flags`` are the global options that every command gets."""

    def __init__(
        self,
        store: Store,
        cwd: Path,
        flags: Sequence[str],
        clusters: dict[str, ClusterFile],
        components: Callable[[], Sequence[str]],
    ) -> None:
        self.store = store
        self.clusters = clusters
        self.started: list[Started] = []
        self._cwd = cwd
        self._flags = list(flags)
        self._components = components
        self._lock = threading.Lock()
        # On Linux the nice value is a thread's, and new threads and processes inherit it: what this thread starts has
        # that of now, whatever the server gives itself later.
        self._launcher = ThreadPoolExecutor(1, thread_name_prefix="launcher")
        self._launcher.submit(threading.get_ident).result()

    def components(self) -> list[str]:
        """The components that may be built."""
        return list(self._components())

    def build(self, components: Sequence[str], *, force: bool = False) -> Started:
        """Start a build. Raises ConfigurationError for an unknown component, or for none."""
        known = self.components()
        wrong = [name for name in components if name not in known]
        if wrong or not components:
            raise ConfigurationError(f"there is no component {wrong[0]!r}" if wrong else "no component is chosen")
        return self._start(["build", *components, *(["--force"] if force else [])], self._cwd)

    def deploy(self, cluster: str, *, dry_run: bool, agreed: bool = False) -> Started:
        """Start a deployment. Unless it is ``agreed`` to, it ends before it stops or restarts what runs.

        Raises ConfigurationError for a cluster whose inventory the server was not given.
        """
        if cluster not in self.clusters:
            raise ConfigurationError(f"the server was started without an inventory of {cluster!r}")
        given = self.clusters[cluster]
        bed = ["--testbed", given.testbed] if given.testbed else []
        how = [*(["--dry-run"] if dry_run else []), *(["--yes"] if agreed else [])]
        return self._start(["deploy", str(given.file), *bed, *how], self._cwd)

    def rerun(self, run: str) -> Started:
        """Start what a run did again, in the folder of its project. Raises BigtopBuilderError."""
        found = find_run(self.store, run).state
        if found.kind not in REPEATED or len(found.command) < 2:
            raise ConfigurationError(f"a run of the kind {found.kind} is not repeated from here")
        if any(AGREED.match(word) for word in found.command):
            raise ConfigurationError(
                "somebody had agreed to what that run stops, removes or makes final",
                hint="Start it by hand again, or a deployment from the page of its cluster.",
            )
        folder = Path(found.project) if found.project else self._cwd
        if not folder.is_dir():
            raise ConfigurationError(f"the folder of its project is gone: {folder}")
        return self._start(found.command[1:], folder, flags=())

    def cancel(self, run: str) -> None:
        """Ask a run to stop at the next safe point, like Ctrl-C. Raises ConfigurationError if it does not go on."""
        name = find_run(self.store, run).id
        pid = lock_holder(self.store.root / "runs" / name / "lock")
        if pid is None or not self.store.is_live(name):
            raise ConfigurationError(f"the run {name} does not go on, or its process is not on this machine")
        try:
            os.kill(pid, signal.SIGTERM)
        except OSError as error:
            raise ConfigurationError(f"the run {name} cannot be stopped: {error.strerror}") from error

    def close(self) -> None:
        """Forget what was started; it goes on."""
        self._launcher.shutdown()
        while self.started:
            self.started.pop().file.close()

    def _start(self, arguments: Sequence[str], cwd: Path, flags: Sequence[str] | None = None) -> Started:
        command = [*(self._flags if flags is None else flags), *arguments]
        # It stays open for as long as its process is remembered.
        output = tempfile.TemporaryFile(prefix="bigtop-builder-")  # noqa: SIM115
        with self._lock:
            process = self._launcher.submit(
                subprocess.Popen[bytes],
                [sys.executable, "-m", "bigtop_builder", *command],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ).result()
            started = Started(shlex.join(["bigtop-builder", *command]), time.time(), process, output)
            ended = [one for one in self.started if one.code is not None]
            for one in ended[: max(len(self.started) + 1 - KEPT, 0)]:
                one.file.close()
                self.started.remove(one)
            self.started.append(started)
        return started
