"""One container for one task: enter it, call commands in it, and it is removed when the block ends, however it ends.

Nothing above this module knows about Docker. The container has no capabilities, cannot gain privileges, has no engine
socket and no root user; it ends by itself when its time is up, even if this program was killed.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.containers.disk_watch import DiskWatch
from bigtop_builder.adapter.containers.engine import engine_errors, is_podman
from bigtop_builder.adapter.containers.handover import hand_over, measure, outermost, take_back
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.untrusted import disk_use
from bigtop_builder.model.errors import BuildError, EngineError, InterruptedRunError, LimitError

if TYPE_CHECKING:
    from docker import DockerClient

LABEL = "org.bigtop-builder"
HOME = "/work/home"
OPEN_FILES = 4096
"""The limit of open files: some tools close every possible descriptor one by one, so it must not be huge."""

PROCESSES = 16384
"""The limit of a user's processes where one must be given; it counts those of all containers of the user."""

GRACE_SECONDS = 120
"""How much longer than its steps a container lives before it ends by itself."""

KILLED = 137
"""The exit code of a command that SIGKILL ended."""

OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
"""Where a container can read how often its memory limit killed a process: cgroup 2, cgroup 1."""


@dataclass(frozen=True)
class User:
    """Who runs inside. ``listed`` is whether the image's own passwd has that user."""

    uid: int
    gid: int
    listed: bool
    lent: bool = False
    """Whether only the engine can give this user the folders that it may write: see ``handover``."""


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine, and its path inside the container."""

    host: Path
    inside: str
    read_only: bool = True


@dataclass(frozen=True)
class Sandbox:
    """Everything that defines a container. ``image`` is an image id, ``memory`` in bytes, ``lifetime`` in seconds."""

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
    open_files: int | None = OPEN_FILES
    """How many files a process may have open; None for the engine's own limit."""
    lifetime: int = 7200
    disk: int = 64 << 30
    """How many bytes it may write."""
    measured: Path | None = None
    """The one folder of this machine that it can write, which is measured; the rest of it is then read-only."""
    capabilities: Sequence[str] = ()
    """Builds have none; a host that installs packages needs a few."""

    @property
    def labels(self) -> dict[str, str]:
        """The labels by which a container is found again after a crash."""
        return {f"{LABEL}.run": self.run, f"{LABEL}.task": self.task, f"{LABEL}.store": str(self.store)}


class Session:
    """A running container: a context manager whose ``call`` runs commands in it, one after the other."""

    def __init__(self, client: DockerClient, box: Sandbox) -> None:
        self.box = box
        self.out_of_memory = False
        self._client = client
        self._id: str | None = None
        self._scratch: Path | None = None
        self._oom_kills = 0
        self._disk = DiskWatch(box.disk, self._written, self._kill)
        self._lent: list[Path] = []

    def __enter__(self) -> Session:
        box = self.box
        mounts = list(box.mounts)
        if not box.user.listed:
            # In the store, which the engine sees; it need not see this machine's folder for temporary files.
            work = box.store / "work" / box.run
            self._scratch = Path(tempfile.mkdtemp(prefix="account-", dir=work if work.is_dir() else box.store))
            mounts += account_files(self._scratch, box.user)
        try:
            if box.user.lent:
                self._lent = outermost(mount.host for mount in mounts if not mount.read_only)
                hand_over(self._client, self._lent, (box.user.uid, box.user.gid), box.labels)
            with engine_errors(f"starting a container for {box.task}"):
                self._id = self._create(mounts)
                self._client.api.start(self._id)
        except BaseException as error:
            self.__exit__(type(error))
            raise
        self._disk.start()
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        self._disk.stop()
        try:
            if self._id is not None:
                _remove(self._client, self._id)
            if self._lent:
                take_back(self._client, self._lent, self.box.labels)
        except EngineError:
            # Of two errors the user must see the first. But without one, whoever goes on relies on the container's
            # end and on what it left; a later run removes it and takes back what it had (clear_dead_runs).
            if kind is None:
                raise
        finally:
            self._id, self._lent = None, []
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)

    def _written(self) -> int:
        """Return how many bytes the container has written."""
        if self._lent:
            # Folders that only their owner may enter are closed to this account, too.
            return sum(measure(self._client, folder, self.box.labels) for folder in self._lent)
        if self.box.measured is not None:
            return disk_use(self.box.measured)
        with engine_errors(f"measuring the container of {self.box.task}"):
            found = self._client.api.containers(all=True, size=True, filters={"id": self._id})
        return int(found[0].get("SizeRw", 0)) if found else 0

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
        """Run a command (a string is a bash script that stops at its first error); return its exit code.

        Output and error output go to ``log`` as they arrive. ``timeout`` is in seconds. Raises LimitError when the
        time is up, InterruptedRunError when ``cancelled`` is set (both kill the container), and EngineError when the
        engine or the container has disappeared.
        """
        if self._id is None:
            raise EngineError(f"the container of {self.box.task} is not running")
        argv = ["bash", "-euo", "pipefail", "-c", command] if isinstance(command, str) else list(command)
        with engine_errors(f"running a command for {self.box.task}"):
            created = self._client.api.exec_create(self._id, argv, environment=dict(environment or {}), workdir=cwd)
            with _Watch(self._kill, timeout, cancelled) as watch:
                self._copy_output(created["Id"], log)
        self._raise_if_stopped(watch, timeout, log)
        self._raise_if_disk_is_used_up(log)
        with engine_errors(f"reading the exit code of a command for {self.box.task}"):
            code = self._client.api.exec_inspect(created["Id"])["ExitCode"]
        # When a container ends, its commands see a SIGKILL first and its own state changes later.
        if code is None or (code == KILLED and not self._out_of_memory_now(log) and self._stops()):
            raise EngineError(
                f"the container of {self.box.task} was stopped by something else",
                hint="The engine was restarted, or someone removed the container. Repeat the command.",
            )
        if code not in (0, KILLED):
            self._out_of_memory_now(log)
        return int(code)

    def _create(self, mounts: Iterable[Mount]) -> str:
        from docker.types import Ulimit

        box, api = self.box, self._client.api
        limits = ulimits(self._client, box.open_files)
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
            ulimits=[Ulimit(name=name, soft=limit, hard=limit) for name, limit in limits.items()],
            read_only=box.measured is not None,
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
        """Copy output from the raw socket: the SDK's own stream never returns its connection to the pool."""
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
            log.note(f"stopped at the time limit of {timeout:.0f} s")
            raise LimitError(
                f"{self.box.task} exceeded its time limit of {timeout:.0f} s",
                hint="Raise limits.timeout in the project file, or build.timeout in the component.",
            )

    def _raise_if_disk_is_used_up(self, log: LogWriter) -> None:
        if not self._disk.exceeded:
            return
        limit = self.box.disk / (1 << 30)
        log.note(f"stopped: it wrote more than {limit:.1f} GiB")
        raise BuildError(
            f"{self.box.task} wrote more than {limit:.1f} GiB to the disk",
            hint="If that is right, raise limits.disk in the project file.",
        )

    def _stops(self) -> bool:
        """Return whether the container has ended or ends within two seconds."""
        for _ in range(20):
            try:
                with engine_errors("looking for a container"):
                    found = self._client.containers.get(str(self._id))
            except EngineError:
                return True
            if not found.attrs["State"]["Running"]:
                return True
            time.sleep(0.1)
        return False

    def _out_of_memory_now(self, log: LogWriter) -> bool:
        """Read the control group's counter: the engine reports only when the main process was killed."""
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
        with engine_errors("reading the memory events of a container"):
            script = f"cat {' '.join(OOM_COUNTERS)} 2>/dev/null || true"
            created = self._client.api.exec_create(self._id, ["sh", "-c", script])
            return self._client.api.exec_start(created["Id"]).decode(errors="replace").splitlines()


class _Watch:
    """Kills a running command at its time limit or when cancelled; ``reason`` is which of the two it was."""

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
    """Return the engine's network mode for a container."""
    return "bridge" if box.network else "none"


def ulimits(client: DockerClient, open_files: int | None) -> dict[str, int]:
    """Return the limits of each process, by their names.

    Given any, Podman drops the site's defaults of the others and asks for more processes than it may grant when it
    runs with fewer capabilities than root has.
    """
    limits = {"nofile": open_files} if open_files else {}
    if is_podman(client):
        ours = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        limits["nproc"] = PROCESSES if ours == resource.RLIM_INFINITY else min(PROCESSES, ours)
    return limits


def account_files(folder: Path, user: User) -> list[Mount]:
    """Write passwd and group files for ``user``; return their mounts.

    Java takes ``user.name`` and ``user.home`` from passwd, so an id that the image does not know needs an entry there.
    """
    passwd, group = folder / "passwd", folder / "group"
    passwd.write_text(
        "root:x:0:0:root:/root:/bin/bash\n"
        f"builder:x:{user.uid}:{user.gid}:builder:{HOME}:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    group.write_text(f"root:x:0:\nbuilder:x:{user.gid}:\nnogroup:x:65534:\n")
    for path, mode in ((passwd, 0o644), (group, 0o644), (folder, 0o755)):
        path.chmod(mode)
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
    """Remove the containers that dead runs on ``store`` left behind; return the tasks that they belonged to.

    ``is_live`` returns whether a run is still active: its containers are never touched. Raises EngineError.
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
