"""The container engine: a connection to it, and the facts that ``doctor`` shows.

The engine speaks Docker's API; which one answers is the environment's business (``DOCKER_HOST``,
``DOCKER_TLS_VERIFY``, ``DOCKER_CERT_PATH``), as the Docker SDK reads it.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient

ANSWER_SECONDS = 60
"""How long one answer of the engine may take; streams of running commands are not bound by it."""

DEFAULT_SOCKET = "unix:///var/run/docker.sock"

MINIMUM_API = (1, 40)
"""Docker 19.03: the first that sets up a container the way a session asks for."""

POOL = 64
"""Connections kept: every running command holds one."""


@dataclass(frozen=True)
class EngineFacts:
    """What an engine is and has. Sizes are in bytes; ``free_disk`` is None where it cannot be seen from here."""

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
    """Whether it shares this machine's files, so that folders can be mounted into containers."""


def connect() -> DockerClient:
    """A client of the engine that answers. Raises EngineError with what to do when none does."""
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
            f"the container engine speaks API {api}; {wanted} or newer is needed",
            hint="Install Docker 19.03 or newer.",
        )
    return client


def facts(client: DockerClient) -> EngineFacts:
    """What ``doctor`` shows of the engine. Raises EngineError when it does not answer."""
    with engine_errors("asking the container engine for its facts"):
        info = client.info()
    local = client.api.base_url.startswith("http+docker://")
    root = str(info.get("DockerRootDir", ""))
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
    )


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turns what the SDK raises into EngineError: ``doing`` says what was tried, as a phrase."""
    import docker
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        hint = "Free room below the engine's data root." if "no space left" in str(error).lower() else None
        raise EngineError(f"{doing}: the engine refused: {error.explanation or error}", hint=hint) from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineError(
            f"{doing}: the container engine stopped answering ({error})",
            hint="Start it again and repeat the command: what is finished is kept.",
        ) from error


def _knock() -> None:
    """Raises OSError when nobody listens at the socket: the SDK then leaves its own half-open one behind."""
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
            hint="Run as root, or have yourself added to the group docker and log in again.",
        )
    if "No such file" in causes or "refused" in causes:
        return EngineError(
            f"no container engine answers at {where}",
            hint="As root on Debian or Ubuntu `make engine` installs and starts one; elsewhere install Docker, "
            "start it, or point DOCKER_HOST to one.",
        )
    return EngineError(
        f"no container engine answers at {where}: {error}",
        hint="Look at DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
