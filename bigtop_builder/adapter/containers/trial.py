"""A trial of the engine: one short container with a folder of this machine, as a build has."""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.adapter.containers.accounts import Account
from bigtop_builder.adapter.containers.container import Mount, Sandbox, Session
from bigtop_builder.adapter.containers.helper_image import helper_image
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient

MEMORY, PROCESSES = 64 << 20, 99
SECONDS = 60
LIMITS = {
    "memory": ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    "pids": ("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"),
}
"""Where a container can read its limits: cgroup 2, cgroup 1."""

SCRIPT = """
read token < /work/here && echo "$token" > /work/written || exit 3
for place in {places}; do [ ! -r "$place" ] || echo "$place $(cat "$place")"; done
"""


@dataclass(frozen=True)
class Trial:
    """What the trial showed. ``uid`` is the account of this machine to which the file of the container belonged."""

    seconds: float
    uid: int
    memory_limited: bool
    processes_limited: bool


def try_container(client: DockerClient, account: Account, folder: Path) -> Trial:
    """Run a container as a build's that reads and writes a new folder below ``folder``.

    Raises EngineError that says what failed, and OSError when the folder cannot be made.
    """
    started = time.monotonic()
    image = helper_image(client)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".trial-") as name:
        work = Path(name) / "work"
        work.mkdir()
        token = secrets.token_hex(8)
        (work / "here").write_text(token + "\n", encoding="ascii")
        account.give(work)
        box = Sandbox(
            image=image,
            run="trial",
            task="trial",
            store=Path(name),
            user=account.user,
            mounts=[Mount(work, "/work", read_only=False)],
            memory=MEMORY,
            pids=PROCESSES,
            lifetime=SECONDS,
        )
        with LogWriter(Path(name) / "log", 1 << 16) as log, Session(client, box) as session:
            places = " ".join(place for files in LIMITS.values() for place in files)
            script = ["sh", "-c", SCRIPT.format(places=places)]
            code = session.call(script, log=log, timeout=SECONDS, cancelled=threading.Event())
            uid = _written_by(work / "written", token, code, log)
        said = log.path.read_text(encoding="utf-8", errors="replace").splitlines()
    return Trial(
        seconds=time.monotonic() - started,
        uid=uid,
        memory_limited=any(f"{place} {MEMORY}" in said for place in LIMITS["memory"]),
        processes_limited=any(f"{place} {PROCESSES}" in said for place in LIMITS["pids"]),
    )


def _written_by(file: Path, token: str, code: int, log: LogWriter) -> int:
    """Return the owner of the file that the container wrote. Raises EngineError when it wrote none."""
    try:
        written = file.read_text(encoding="ascii", errors="replace").strip()
        if written == token:
            return file.stat().st_uid
    except OSError:
        pass
    said = log.path.read_text(encoding="utf-8", errors="replace").strip()
    raise EngineError(
        f"a container cannot read and write a folder of this machine ({file.parent.parent.parent}): "
        f"{said or f'exit code {code}'}",
        hint="The engine must see the store as this program does: not in a virtual machine or a mount namespace of "
        "its own, and no SELinux rule may forbid it. Choose another folder with --store.",
    )
