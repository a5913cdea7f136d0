"""One container for one step: entered, called, and gone when the block ends, whatever happened inside.

Nothing above this module knows about Docker. The container has no capability, no way to gain a privilege, no
engine socket and no root user; it ends by itself when its time is over, even if this program was killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.containers.engine import engine_errors
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.model.errors import EngineError, InterruptedRunError, LimitError

if TYPE_CHECKING:
    from docker import DockerClient

LABEL = "org.bigtop-builder"
HOME = "/work/home"
OPEN_FILES = 4096
"""Bounded, since some tools close every possible file one by one; low enough for every engine to grant."""

GRACE_SECONDS = 120
"""How much longer than its steps a container may live before it ends by itself."""

KILLED = 137
"""What a command gives that SIGKILL ended."""

OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
"""Where a container sees how often its memory limit killed a process: cgroup 2, cgroup 1."""


@dataclass(frozen=True)
class User:
    """Who runs inside. ``listed`` tells whether the image's own passwd knows that user."""

    uid: int
    gid: int
    listed: bool


def build_user() -> User:
    """The images' own user ``builder`` (1000) when this program is root, else the caller."""
    if os.geteuid() == 0:
        return User(1000, 1000, listed=True)
    return User(os.geteuid(), os.getegid(), listed=False)


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine, and where it is seen inside."""

    host: Path
    inside: str
    read_only: bool = True


@dataclass(frozen=True)
class Sandbox:
    """All that a container is given. ``image`` is an image id; ``memory`` is in bytes, ``lifetime`` in seconds."""

    image: str
    run: str
    task: str
    store: Path
    user: User
    mounts: Sequence[Mount] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    memory: int = 4 << 30
    cpus: float | None = None
    pids: int = 4096
    lifetime: int = 7200
    capabilities: Sequence[str] = ()
    """None for builds; a host that installs packages needs a few."""

    @property
    def labels(self) -> dict[str, str]:
        """How a container is found again after a crash."""
        return {f"{LABEL}.run": self.run, f"{LABEL}.task": self.task, f"{LABEL}.store": str(self.store)}


class Session:
    """A running container: ``call`` runs commands in it, one after the other."""

    def __init__(self, client: DockerClient, box: Sandbox) -> None:
        self.box = box
        self.out_of_memory = False
        self._client = client
        self._id: str | None = None
        self._scratch: Path | None = None
        self._oom_kills = 0

    def __enter__(self) -> Session:
        box = self.box
        mounts = list(box.mounts)
        if not box.user.listed:
            self._scratch = Path(tempfile.mkdtemp(prefix="bigtop-builder-"))
            mounts += account_files(self._scratch, box.user)
        try:
            with engine_errors(f"starting a container for {box.task}"):
                self._id = self._create(mounts)
                self._client.api.start(self._id)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._id is not None:
            # An engine that is gone cannot be asked; remove_orphans of a later run finds the container.
            with contextlib.suppress(EngineError):
                _remove(self._client, self._id)
            self._id = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def call(
        self,
        command: Sequence[str] | str,
        *,
        log: LogWriter,
        timeout: float,
        cancelled: threading.Event,
        cwd: str = "/work",
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Runs a command (a string is a bash script, stopped at its first error) and gives its exit code.

        Output and error output go to ``log`` as they come. ``timeout`` is in seconds. Raises LimitError when the
        time is over, InterruptedRunError when ``cancelled`` is set (the container is killed in both cases), and
        EngineError when the engine or the container vanished.
        """
        if self._id is None:
            raise EngineError(f"the container of {self.box.task} is not running")
        argv = ["bash", "-euo", "pipefail", "-c", command] if isinstance(command, str) else list(command)
        with engine_errors(f"running a command for {self.box.task}"):
            created = self._client.api.exec_create(self._id, argv, environment=dict(environment or {}), workdir=cwd)
            with _Watch(self._kill, timeout, cancelled) as watch:
                self._copy_output(created["Id"], log)
        self._raise_if_stopped(watch, timeout, log)
        with engine_errors(f"asking how a command for {self.box.task} ended"):
            code = self._client.api.exec_inspect(created["Id"])["ExitCode"]
        # An end of the container reaches its commands first, as a SIGKILL; its own state follows.
        if code is None or (code == KILLED and not self._out_of_memory_now(log) and self._stops()):
            raise EngineError(
                f"the container of {self.box.task} was stopped from outside",
                hint="The engine was restarted, or someone removed the container. Repeat the command.",
            )
        if code not in (0, KILLED):
            self._out_of_memory_now(log)
        return int(code)

    def _create(self, mounts: Iterable[Mount]) -> str:
        from docker.types import Ulimit

        box, api = self.box, self._client.api
        host = api.create_host_config(
            binds=[f"{mount.host}:{mount.inside}:{'ro' if mount.read_only else 'rw'}" for mount in mounts],
            network_mode=network_mode(box),
            mem_limit=box.memory,
            memswap_limit=box.memory,
            nano_cpus=int(box.cpus * 1e9) if box.cpus else None,
            pids_limit=box.pids,
            cap_drop=["ALL"],
            cap_add=list(box.capabilities),
            security_opt=["no-new-privileges"],
            ulimits=[Ulimit(name="nofile", soft=OPEN_FILES, hard=OPEN_FILES)],
            init=True,
        )
        created = api.create_container(
            box.image,
            entrypoint=["sleep"],
            command=[str(box.lifetime + GRACE_SECONDS)],
            user=f"{box.user.uid}:{box.user.gid}",
            environment={"HOME": HOME, **box.environment},
            labels=box.labels,
            host_config=host,
            network_disabled=not box.network,
            use_config_proxy=False,
        )
        return str(created["Id"])

    def _copy_output(self, command: str, log: LogWriter) -> None:
        """The SDK's own stream of a command never gives its connection back; the raw one can be closed."""
        from docker.utils import socket as frames

        split: Any = frames.frames_iter
        stream: Any = self._client.api.exec_start(command, socket=True)
        try:
            for _, chunk in split(stream, tty=False):
                log.write(chunk)
        finally:
            stream._response.close()
            stream.close()

    def _kill(self) -> None:
        assert self._id is not None
        with contextlib.suppress(EngineError), engine_errors("killing a container"):
            self._client.api.kill(self._id)

    def _raise_if_stopped(self, watch: _Watch, timeout: float, log: LogWriter) -> None:
        if watch.reason == "cancelled":
            log.note("interrupted")
            raise InterruptedRunError(f"{self.box.task} was interrupted")
        if watch.reason == "timeout":
            log.note(f"stopped: the time limit of {timeout:.0f} s is over")
            raise LimitError(
                f"{self.box.task} ran into its time limit of {timeout:.0f} s",
                hint="Give it more with limits.timeout in the project file, or build.timeout in the component.",
            )

    def _stops(self) -> bool:
        """Whether the container has ended, or does so in a moment."""
        for _ in range(20):
            try:
                with engine_errors("asking for a container"):
                    found = self._client.containers.get(str(self._id))
            except EngineError:
                return True
            if not found.attrs["State"]["Running"]:
                return True
            time.sleep(0.1)
        return False

    def _out_of_memory_now(self, log: LogWriter) -> bool:
        """The engine tells of a killed main process alone; the counter of the control group knows them all."""
        try:
            lines = self._memory_events()
        except EngineError:
            return False
        kills = sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
        if kills <= self._oom_kills:
            return False
        self._oom_kills = kills
        self.out_of_memory = True
        limit = self.box.memory / (1 << 30)
        log.note(f"out of memory: a process was killed at the container's memory limit of {limit:.1f} GiB")
        return True

    def _memory_events(self) -> list[str]:
        with engine_errors("asking a container for its memory events"):
            script = f"cat {' '.join(OOM_COUNTERS)} 2>/dev/null || true"
            created = self._client.api.exec_create(self._id, ["sh", "-c", script])
            return self._client.api.exec_start(created["Id"]).decode(errors="replace").splitlines()


class _Watch:
    """Stops a running command at its time limit or on request; ``reason`` tells which it was."""

    def __init__(self, kill: Callable[[], None], timeout: float, cancelled: threading.Event) -> None:
        self.reason: str | None = None
        self._kill = kill
        self._end = time.monotonic() + timeout
        self._cancelled = cancelled
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(0.1):
            if self._cancelled.is_set():
                self.reason = "cancelled"
            elif time.monotonic() > self._end:
                self.reason = "timeout"
            if self.reason is not None:
                self._kill()
                return


def network_mode(box: Sandbox) -> str:
    return "bridge" if box.network else "none"


def account_files(folder: Path, user: User) -> list[Mount]:
    """Java takes ``user.name`` and ``user.home`` from passwd, so a caller's own id needs an entry there."""
    passwd, group = folder / "passwd", folder / "group"
    passwd.write_text(
        "root:x:0:0:root:/root:/bin/bash\n"
        f"builder:x:{user.uid}:{user.gid}:builder:{HOME}:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    group.write_text(f"root:x:0:\nbuilder:x:{user.gid}:\nnogroup:x:65534:\n")
    folder.chmod(0o755)
    return [Mount(passwd, "/etc/passwd"), Mount(group, "/etc/group")]


def _remove(client: DockerClient, container: str) -> None:
    import docker

    for attempt in range(3):
        try:
            with engine_errors("removing a container"):
                client.api.remove_container(container, v=True, force=True)
            return
        except EngineError as error:
            cause = error.__cause__
            if isinstance(cause, docker.errors.NotFound):
                return
            if attempt == 2:
                raise
            time.sleep(0.5)


def remove_orphans(client: DockerClient, store: Path, is_live: Callable[[str], bool]) -> list[str]:
    """Removes the containers that dead runs on ``store`` left behind; gives the tasks that they served.

    ``is_live`` tells whether a run still goes on: its containers are never touched. Raises EngineError.
    """
    with engine_errors("listing containers"):
        found: list[dict[str, Any]] = client.api.containers(all=True, filters={"label": [f"{LABEL}.store={store}"]})
    removed = []
    for container in found:
        labels = container["Labels"]
        run = labels.get(f"{LABEL}.run")
        if run is not None and not is_live(run):
            _remove(client, container["Id"])
            removed.append(labels.get(f"{LABEL}.task", container["Id"]))
    return removed
