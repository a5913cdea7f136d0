"""An engine without containers: it keeps what it is asked to make, and runs commands on this machine.

Versions and facts are those that Docker 20.10.24 and Podman 4.3.1 of Debian 12 gave on 2026-11-28, shortened.
"""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket, socketpair
from types import SimpleNamespace
from typing import Any, cast

import docker

from bigtop_builder.adapter.containers.helper_image import helper_image
from bigtop_builder.adapter.containers.trial import MEMORY, PROCESSES

SECCOMP = "name=seccomp,profile=default"
DOCKER = {"Components": [{"Name": "Engine"}, {"Name": "containerd"}, {"Name": "runc"}]}
PODMAN = {"Components": [{"Name": "Podman Engine"}, {"Name": "Conmon"}, {"Name": "OCI Runtime (runc)"}]}
ENGINES: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "docker": (DOCKER, {"SecurityOptions": [SECCOMP], "DockerRootDir": "/var/lib/docker"}),
    "docker-rootless": (
        DOCKER,
        {
            "SecurityOptions": [SECCOMP, "name=rootless"],
            "DockerRootDir": "/home/engineer/docker",
            "CgroupDriver": "none",
        },
    ),
    "docker-remapped": (
        DOCKER,
        {"SecurityOptions": [SECCOMP, "name=userns"], "DockerRootDir": "/var/lib/docker/100000.200000"},
    ),
    "podman": (PODMAN, {"SecurityOptions": [SECCOMP], "Rootless": False, "DockerRootDir": "/var/lib/containers"}),
    "podman-rootless": (PODMAN, {"SecurityOptions": [SECCOMP], "Rootless": True, "DockerRootDir": "/home/engineer/c"}),
}


class _Output(socket):
    """The connection on which a command's output arrives."""

    _response = SimpleNamespace(close=lambda: None)


@dataclass
class EngineDouble:
    """Stands for a client of the engine and for its ``api``. ``done`` are the calls that changed something."""

    name: str = "docker"
    limits: bool = True
    """Whether containers have the limits that they are given."""
    sees: bool = True
    """Whether containers see the folders of this machine."""
    status: int = 0
    """The exit code of containers that are waited for."""
    broken: frozenset[str] = frozenset()
    """Calls that the engine does not answer: ``remove 1``."""
    scratch: Path = Path("/nonexistent")
    done: list[str] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    base_url: str = "http+docker://localhost"
    api_version: str = "1.41"

    __hash__ = object.__hash__

    @property
    def api(self) -> EngineDouble:
        return self

    @property
    def client(self) -> docker.DockerClient:
        """The double as what it stands for."""
        return cast("docker.DockerClient", self)

    def _do(self, call: str) -> None:
        if call in self.broken:
            raise docker.errors.DockerException("gone")
        self.done.append(call)

    def version(self) -> Mapping[str, Any]:
        return ENGINES[self.name][0]

    def info(self) -> Mapping[str, Any]:
        return ENGINES[self.name][1]

    @property
    def images(self) -> SimpleNamespace:
        def get(name: str) -> SimpleNamespace:
            if name not in self.names:
                raise docker.errors.ImageNotFound("none")
            return SimpleNamespace(id=self.names[name])

        return SimpleNamespace(get=get)

    def import_image(self, src: Any, repository: str | None = None, tag: str | None = None) -> str:
        self._do("import")
        if repository:
            self.names[f"{repository}:latest" if self.name.startswith("podman") else f"{repository}:{tag}"] = "sha256:1"
        return json.dumps({"status": "sha256:1"}) + "\r\n"

    def tag(self, image: str, repository: str, tag: str, force: bool) -> None:
        self.names[f"{repository}:{tag}"] = image

    def create_host_config(self, **options: Any) -> dict[str, Any]:
        return options

    def create_container(self, image: str, **options: Any) -> dict[str, str]:
        self.made.append({"image": image, **options})
        self._do(f"create {len(self.made) - 1}")
        return {"Id": str(len(self.made) - 1)}

    def containers(self, **_: Any) -> list[Any]:
        return []

    def start(self, container: str) -> None:
        self._do(f"start {container}")

    def wait(self, container: str, timeout: float) -> dict[str, int]:
        self._do(f"wait {container}")
        return {"StatusCode": self.status}

    def logs(self, container: str, stderr: bool, tail: int) -> bytes:
        return b"chown: /lent/0: Operation not permitted\n" if stderr else b"2048\t/lent/0\n"

    def remove_container(self, container: str, **_: Any) -> None:
        self._do(f"remove {container}")

    def exec_create(self, container: str, argv: list[str], **_: Any) -> dict[str, str]:
        return {"Id": json.dumps([container, argv])}

    def exec_start(self, command: str, **how: bool) -> Any:
        container, argv = json.loads(command)
        if not how:
            return b""
        done = subprocess.run(self._outside(container, argv), capture_output=True, timeout=60, check=False)
        self.codes[command] = done.returncode
        here, there = (_Output(fileno=one.detach()) for one in socketpair())
        text = done.stdout + done.stderr
        there.sendall((struct.pack(">BxxxL", 1, len(text)) + text) if text else b"")
        there.close()
        return here

    def exec_inspect(self, command: str) -> dict[str, int]:
        return {"ExitCode": self.codes[command]}

    def _outside(self, container: str, argv: list[str]) -> list[str]:
        """Replace the paths inside a container by those of this machine that stand for them."""
        groups = self.scratch / "cgroup"
        groups.mkdir(exist_ok=True)
        (groups / "memory.max").write_text(f"{MEMORY if self.limits else 'max'}\n")
        (groups / "pids.max").write_text(f"{PROCESSES if self.limits else 'max'}\n")
        host = self.made[int(container)]["host_config"]["binds"][0].split(":")[0]
        work = host if self.sees else str(self.scratch / "elsewhere")
        shown = f'| sed "s#{groups}#/sys/fs/cgroup#"'
        script = argv[-1].replace("/work", work).replace("/sys/fs/cgroup", str(groups))
        return [*argv[:-1], f"{{ {script}\n}} {shown}"] if self.sees else [*argv[:-1], script]


def with_helper(double: EngineDouble) -> EngineDouble:
    """The double, after it has got the helper image."""
    helper_image(double.client)
    double.done.clear()
    return double
