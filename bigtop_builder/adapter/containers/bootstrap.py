"""A base image made of Debian's packages alone, for sites that reach no image registry."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bigtop_builder.adapter.containers.engine import engine_errors
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.model import digest
from bigtop_builder.model.errors import (
    BuildError,
    ConfigurationError,
    EngineError,
    InterruptedRunError,
    LimitError,
)

if TYPE_CHECKING:
    from docker import DockerClient

TIME_LIMIT = 1800
NOT_IMPORTED = ("./dev/*", "./proc/*", "./sys/*", "./var/cache/apt/*", "./var/lib/apt/lists/*", "./var/log/*")
INSTEAD = "or set 'builder: platform' in the project file, to build in the platform's own public image"


def base_tag(suite: str, mirror: str) -> str:
    """The tag of the base image of a suite; another mirror is another image, since apt inside goes there."""
    return f"bigtop-builder/base:{suite}-{os.uname().machine}-{digest.of_text(mirror)[:8]}"


def bootstrap(
    client: DockerClient,
    suite: str,
    *,
    mirror: str,
    proxies: Mapping[str, str],
    scratch: Path,
    log: LogWriter,
    cancelled: threading.Event,
) -> str:
    """Makes the base image of a Debian suite with debootstrap and gives its tag.

    ``scratch`` is a folder on a disk with some 500 MB of room that allows devices and programs. Raises
    EngineError when this machine cannot do it, BuildError when debootstrap fails, LimitError, InterruptedRunError.
    """
    tag = base_tag(suite, mirror)
    if urlsplit(mirror).password:
        raise ConfigurationError(
            "the Debian mirror's address holds a password, which would stay in the image",
            hint="Give the mirror without it, and let a proxy or the network's address do the admission.",
        )
    if os.geteuid() != 0:
        raise EngineError(
            "making the embedded builder image needs root once: debootstrap makes it",
            hint=f"Build something as root once, {INSTEAD}.",
        )
    program = shutil.which("debootstrap", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise EngineError(
            "debootstrap is not installed: the embedded builder image is made with it",
            hint=f"Install the package debootstrap, {INSTEAD}.",
        )
    with tempfile.TemporaryDirectory(dir=scratch, prefix="bootstrap-") as folder:
        tree, archive = Path(folder) / "tree", Path(folder) / "tree.tar"
        settings = {f"{name}_proxy" if name != "no_proxy" else name: value for name, value in proxies.items()}
        _run([*ISOLATED, program, "--variant=minbase", suite, str(tree), mirror], settings, log, cancelled)
        excluded = [f"--exclude={pattern}" for pattern in NOT_IMPORTED]
        tar = ["tar", "--create", "--numeric-owner", *excluded, f"--file={archive}", f"--directory={tree}", "."]
        _run(tar, {}, log, cancelled)
        name, version = tag.split(":")
        with engine_errors("importing the base image"), archive.open("rb") as stream:
            client.api.import_image(src=stream, repository=name, tag=version)
    log.note(f"made {tag}")
    return tag


ISOLATED = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child")
"""debootstrap mounts /proc below its tree: in namespaces of its own nothing of it outlives this program."""


def _run(command: list[str], settings: Mapping[str, str], log: LogWriter, cancelled: threading.Event) -> None:
    environment = {**os.environ, **settings, "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    ) as process:
        reader = threading.Thread(target=_copy, args=(process, log), daemon=True)
        reader.start()
        for _ in range(TIME_LIMIT * 5):
            reader.join(0.2)
            if not reader.is_alive() or cancelled.is_set():
                break
        if reader.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
        reader.join()
    if cancelled.is_set():
        raise InterruptedRunError("making the base image was interrupted")
    if process.returncode == -signal.SIGKILL:
        raise LimitError(f"{_name(command)} took longer than {TIME_LIMIT} s")
    if process.returncode != 0:
        raise BuildError(
            f"{_name(command)} failed with exit code {process.returncode}: see {log.path}",
            hint="It fetches Debian's packages: look at mirrors.debian and network.proxy in the project file.",
        )


def _name(command: list[str]) -> str:
    return Path(command[len(ISOLATED)] if command[0] == ISOLATED[0] else command[0]).name


def _copy(process: subprocess.Popen[bytes], log: LogWriter) -> None:
    assert process.stdout is not None
    while chunk := os.read(process.stdout.fileno(), 65536):
        log.write(chunk)
