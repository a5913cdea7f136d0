"""A shell on the user's terminal, in a container like a session's."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bigtop_builder.adapter.containers.container import (
    HOME,
    LABEL,
    Mount,
    Sandbox,
    account_files,
    network_mode,
    ulimits,
)
from bigtop_builder.adapter.containers.engine import DEFAULT_SOCKET, connect, is_podman
from bigtop_builder.adapter.containers.handover import hand_over, outermost, take_back
from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient


def open_shell(box: Sandbox, *, cwd: str, command: Sequence[str] = ("bash",)) -> int:
    """Run a command on this terminal in a container like a session's; return its exit code. Raises EngineError.

    It needs the command ``docker`` or, for Podman, ``podman``, because the SDK cannot attach a terminal properly.
    """
    mounts = list(box.mounts)
    if not box.user.listed:
        folder = box.store / "shell"
        folder.mkdir(exist_ok=True)
        mounts += account_files(folder, box.user)
    lent = outermost(mount.host for mount in box.mounts if box.user.lent and not mount.read_only)
    labels = {f"{LABEL}.task": box.task}
    with contextlib.closing(connect()) as client:
        program = engine_command(client, box.image)
        argv = [*program, *shell_command(box, mounts, cwd, ulimits(client, box.open_files)), *command]
        hand_over(client, lent, (box.user.uid, box.user.gid), labels)
        # Values go through the environment, because every user of the machine can see a command line.
        former = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return subprocess.run(argv, env={**os.environ, **box.environment}, check=False).returncode
        finally:
            signal.signal(signal.SIGINT, former)
            take_back(client, lent, labels)


def engine_command(client: DockerClient, image: str) -> list[str]:
    """Return the command that reaches the engine: Podman's own for Podman, else Docker's.

    Docker's reaches Podman too, but is told by Podman 4.3 that every command of a removed container succeeded.
    """
    podman = shutil.which("podman") if is_podman(client) else None
    if podman is not None:
        return [podman, "--url", os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET]
    docker = shutil.which("docker")
    if docker is not None:
        return [docker]
    raise EngineError(
        "the command docker is not on PATH; a shell in a container needs it",
        hint=f"Install Docker's command line (podman for Podman), or run the image {image} elsewhere.",
    )


def shell_command(box: Sandbox, mounts: Iterable[Mount], cwd: str, limits: Mapping[str, int]) -> list[str]:
    """Return the ``run`` command of a container like a session's, on a terminal. ``limits`` are its ulimits."""
    argv = ["run", "--rm", "--interactive", "--init", "--cap-drop", "ALL"]
    argv += ["--tty"] if sys.stdin.isatty() else []
    argv += [item for name in box.capabilities for item in ("--cap-add", name)]
    argv += ["--security-opt", "no-new-privileges", "--user", f"{box.user.uid}:{box.user.gid}"]
    argv += ["--network", network_mode(box), "--memory", str(box.memory), "--memory-swap", str(box.memory)]
    argv += ["--pids-limit", str(box.pids), "--workdir", cwd]
    argv += [item for name, limit in limits.items() for item in ("--ulimit", f"{name}={limit}")]
    argv += ["--read-only"] if box.measured is not None else []
    if box.cpus:
        argv += ["--cpus", str(box.cpus)]
    # Without the label of a run, so that the next run does not remove it: its user ends it.
    argv += ["--label", f"{LABEL}.task={box.task}"]
    argv += ["--env", f"HOME={HOME}"]
    for name in box.environment:
        argv += ["--env", name]
    for mount in mounts:
        argv += ["--volume", f"{mount.host}:{mount.inside}{':ro' if mount.read_only else ''}"]
    return [*argv, "--entrypoint", "", box.image]
