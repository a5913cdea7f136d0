"""A shell on the user's terminal, in a container like a session's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence

from bigtop_builder.adapter.containers.container import (
    HOME,
    LABEL,
    OPEN_FILES,
    Mount,
    Sandbox,
    account_files,
    network_mode,
)
from bigtop_builder.model.errors import EngineError


def open_shell(box: Sandbox, *, cwd: str, command: Sequence[str] = ("bash",)) -> int:
    """Run a command on this terminal in a container like a session's; return its exit code. Raises EngineError.

    It needs the ``docker`` command, because the SDK cannot attach a terminal properly.
    """
    docker = shutil.which("docker")
    if docker is None:
        raise EngineError(
            "the command docker is not on PATH; a shell in a container needs it",
            hint=f"Install Docker's command line, or run the image {box.image} elsewhere.",
        )
    mounts = list(box.mounts)
    if not box.user.listed:
        folder = box.store / "shell"
        folder.mkdir(exist_ok=True)
        mounts += account_files(folder, box.user)
    # Values go through the environment, because every user of the machine can see a command line.
    argv = [*shell_command(box, mounts, cwd), *command]
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run(argv, executable=docker, env={**os.environ, **box.environment}, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, former)


def shell_command(box: Sandbox, mounts: Iterable[Mount], cwd: str) -> list[str]:
    """Return the ``docker run`` command of a container like a session's, on a terminal."""
    argv = ["docker", "run", "--rm", "--interactive", "--init", "--cap-drop", "ALL"]
    argv += ["--tty"] if sys.stdin.isatty() else []
    argv += [item for name in box.capabilities for item in ("--cap-add", name)]
    argv += ["--security-opt", "no-new-privileges", "--user", f"{box.user.uid}:{box.user.gid}"]
    argv += ["--network", network_mode(box), "--memory", str(box.memory), "--memory-swap", str(box.memory)]
    argv += ["--pids-limit", str(box.pids), "--ulimit", f"nofile={OPEN_FILES}", "--workdir", cwd]
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
