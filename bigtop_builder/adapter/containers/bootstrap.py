"""A base image made only of Debian's packages, for sites without access to an image registry."""

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

from bigtop_builder.adapter.containers.engine import facts
from bigtop_builder.adapter.containers.engine_images import import_image
from bigtop_builder.adapter.containers.own_container import own_id
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
INSTEAD = "or set 'builder: platform' in the project file to build in the platform's own public image"


DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Architecture → its name in Debian."""


def base_tag(suite: str, mirror: str, machine: str) -> str:
    """Return the tag of the base image of a suite. It depends on the mirror, which apt inside the image uses."""
    return f"bigtop-builder/base:{suite}-{machine}-{digest.of_text(mirror)[:8]}"


def bootstrap(
    client: DockerClient,
    suite: str,
    *,
    mirror: str,
    machine: str,
    proxies: Mapping[str, str],
    scratch: Path,
    log: LogWriter,
    cancelled: threading.Event,
) -> str:
    """Make the base image of a Debian suite with debootstrap; return its id.

    ``scratch`` is a folder with some 500 MB of free space on a file system that allows programs and, for root,
    devices. Raises EngineError when this machine cannot do it, ConfigurationError for a mirror with a password,
    BuildError when debootstrap fails, LimitError, InterruptedRunError.
    """
    tag = base_tag(suite, mirror, machine)
    if urlsplit(mirror).password:
        raise ConfigurationError(
            "the Debian mirror's address contains a password, which would stay in the image",
            hint="Give the address without it, and have a proxy or the network's address grant access.",
        )
    isolated = _isolated(client)
    program = shutil.which("debootstrap", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise EngineError(
            "debootstrap is not installed, which makes the embedded builder image",
            hint=f"Install the package debootstrap, {INSTEAD}.",
        )
    with tempfile.TemporaryDirectory(dir=scratch, prefix="bootstrap-") as folder:
        tree, archive = Path(folder) / "tree", Path(folder) / "tree.tar"
        settings = {f"{name}_proxy" if name != "no_proxy" else name: value for name, value in proxies.items()}
        excluded = [f"--exclude={pattern}" for pattern in NOT_IMPORTED]
        tar = ["tar", "--create", "--numeric-owner", *excluded, f"--file={archive}", f"--directory={tree}", "."]
        try:
            options = [f"--arch={DEBIAN_NAMES.get(machine, machine)}", "--variant=minbase"]
            _run([*isolated, program, *options, suite, str(tree), mirror], settings, log, cancelled)
            _run([*isolated, *tar], {}, log, cancelled)
        finally:
            subprocess.run([*isolated, "rm", "-rf", str(tree)], capture_output=True, timeout=TIME_LIMIT, check=False)
        with archive.open("rb") as stream:
            found = import_image(client, stream, tag)
    log.note(f"made {tag}")
    return found


def _isolated(client: DockerClient) -> list[str]:
    """Return the command that runs another in namespaces of its own: debootstrap mounts /proc inside its tree.

    For an ordinary account with a rootless engine it is root of a user namespace, with the account's subordinate ids.
    Raises EngineError when this account cannot have one.
    """
    user = ["--user", "--map-root-user", "--map-auto"] if os.geteuid() != 0 else []
    if user and not facts(client).rootless:
        raise EngineError(
            "the embedded builder image must be made as root once, because debootstrap needs it",
            hint=f"Run one build as root, {INSTEAD}.",
        )
    command = ["unshare", *user, "--mount", "--pid", "--fork", "--kill-child"]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=60, check=False)
    if tried.returncode != 0 and own_id():
        raise EngineError(
            f"this container may not make the embedded builder image: {tried.stderr.strip()}",
            hint=f"Give the container of one build --privileged, {INSTEAD}.",
        )
    if tried.returncode != 0:
        raise EngineError(
            f"this account cannot make the embedded builder image: {tried.stderr.strip()}",
            hint="It needs util-linux 2.38, newuidmap (package uidmap) and ranges in /etc/subuid and /etc/subgid; "
            f"{INSTEAD}.",
        )
    return ["setpriv", "--pdeathsig", "KILL", *command]


def _run(command: list[str], settings: Mapping[str, str], log: LogWriter, cancelled: threading.Event) -> None:
    environment = {**os.environ, **settings, "LC_ALL": "C.UTF-8"}
    if os.geteuid() != 0:
        # Tells debootstrap that it cannot make devices.
        environment["container"] = "lxc"
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
    name = "tar" if "tar" in command else "debootstrap"
    if cancelled.is_set():
        raise InterruptedRunError("making the base image was interrupted")
    if process.returncode == -signal.SIGKILL:
        raise LimitError(f"{name} took longer than {TIME_LIMIT} s")
    if process.returncode != 0:
        raise BuildError(
            f"{name} failed with exit code {process.returncode}: see {log.path}",
            hint="It downloads Debian's packages: check mirrors.debian and network.proxy in the project file.",
        )


def _copy(process: subprocess.Popen[bytes], log: LogWriter) -> None:
    assert process.stdout is not None
    while chunk := os.read(process.stdout.fileno(), 65536):
        log.write(chunk)
