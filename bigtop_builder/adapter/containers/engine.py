"""The container engine: a connection to it, and the facts that ``doctor`` shows.

The engine has Docker's API. The environment selects it (``DOCKER_HOST``, ``DOCKER_TLS_VERIFY``, ``DOCKER_CERT_PATH``),
as the Docker SDK reads it.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient

ANSWER_SECONDS = 60
"""How long one response of the engine may take; output of running commands is not limited by it."""

DEFAULT_SOCKET = "unix:///var/run/docker.sock"

MINIMUM_API = (1, 40)
"""Docker 19.03: the first that supports everything a session requests."""

POOL = 64
"""How many connections are kept: every running command occupies one."""


@dataclass(frozen=True)
class EngineFacts:
    """Version and resources of an engine. Sizes are in bytes; ``free_disk`` is None for a remote engine."""

    version: str
    api: str
    storage_driver: str
    cgroup_version: str
    data_root: str
    free_disk: int | None
    memory: int
    cpus: int
    architecture: str
    local: bool
    """Whether it runs on this machine, so that folders can be mounted into containers."""
    kind: Literal["Docker", "Podman"] = "Docker"
    rootless: bool = False
    """Whether it runs as an ordinary account, as whose own and subordinate ids the users of containers appear."""
    remapped: bool = False
    """Whether it runs as root and maps the users of containers to other ids (Docker's ``userns-remap``)."""


def connect() -> DockerClient:
    """Return a client of the engine. Raises EngineError with a hint when none responds or it is too old."""
    import docker

    try:
        _knock()
        client = docker.from_env(timeout=ANSWER_SECONDS, max_pool_size=POOL)
        api = client.api.api_version
    except (docker.errors.DockerException, OSError, ValueError) as error:
        raise _unreachable(error) from error
    if tuple(int(part) for part in api.split(".")) < MINIMUM_API:
        client.close()
        wanted = ".".join(str(part) for part in MINIMUM_API)
        raise EngineError(
            f"the container engine has API {api}; {wanted} or newer is required",
            hint="Install Docker 19.03 or Podman 4.3, or newer.",
        )
    return client


def facts(client: DockerClient) -> EngineFacts:
    """Return what ``doctor`` shows of the engine. Raises EngineError when it does not respond."""
    with engine_errors("reading the facts of the container engine"):
        info = client.info()
    local = client.api.base_url.startswith("http+docker://")
    root = str(info.get("DockerRootDir", ""))
    options = {part for option in info.get("SecurityOptions") or () for part in str(option).split(",")}
    return EngineFacts(
        version=str(info.get("ServerVersion", "")),
        api=client.api.api_version,
        storage_driver=str(info.get("Driver", "")),
        cgroup_version=str(info.get("CgroupVersion", "1")),
        data_root=root,
        free_disk=_free_disk(root) if local else None,
        memory=int(info.get("MemTotal", 0)),
        cpus=int(info.get("NCPU", 0)),
        architecture=str(info.get("Architecture", "")),
        local=local,
        kind="Podman" if is_podman(client) else "Docker",
        # Podman has a field of its own for it.
        rootless="name=rootless" in options or bool(info.get("Rootless")),
        remapped="name=userns" in options,
    )


@lru_cache(maxsize=8)
def is_podman(client: DockerClient) -> bool:
    """Return whether the engine is Podman, which has Docker's API but not all of its habits. Raises EngineError."""
    with engine_errors("reading the version of the container engine"):
        version = client.version()
    return any("Podman" in str(part.get("Name", "")) for part in version.get("Components") or ())


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Convert errors of the SDK to EngineError; ``doing`` is what was tried: ``removing a container``."""
    import docker
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        hint = "Free space on the disk of the engine's data root." if "no space left" in str(error).lower() else None
        raise EngineError(f"{doing}: the engine refused: {error.explanation or error}", hint=hint) from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineError(
            f"{doing}: the container engine stopped responding ({error})",
            hint="Restart it and repeat the command: finished results are kept.",
        ) from error


def _knock() -> None:
    """Raise OSError when nothing listens on the socket; the SDK would leak a half-open socket in that case."""
    where = os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET
    if where.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(ANSWER_SECONDS)
            probe.connect(where.removeprefix("unix://"))


def _free_disk(root: str) -> int | None:
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return None


def _unreachable(error: BaseException) -> EngineError:
    where = os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET
    causes = " ".join(str(cause) for cause in _causes(error))
    if "Permission denied" in causes or "PermissionError" in causes:
        return EngineError(
            f"no permission to use the container engine at {where}",
            hint="Run as root, or use a rootless engine of your own: set DOCKER_HOST to its socket.",
        )
    if "No such file" in causes or "refused" in causes:
        return EngineError(
            f"no container engine responds at {where}",
            hint="Install Docker or Podman and start it, or point DOCKER_HOST to one that runs. In a clone on Debian "
            "or Ubuntu `make engine` does so, as root.",
        )
    if "://" not in where:
        return EngineError(
            f"DOCKER_HOST is {where}, which is no address", hint=f"For example: DOCKER_HOST={DEFAULT_SOCKET}"
        )
    return EngineError(
        f"no container engine responds at {where}: {error}",
        hint="Check DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
