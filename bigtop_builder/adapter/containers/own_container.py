"""The container that this program runs in, if it does: the engine has to see the store under the same path."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient

MOUNTINFO = Path("/proc/self/mountinfo")
GIVEN_FILES = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
"""Files that Docker and Podman mount into every container from a folder that is named after its id."""
OWN_FOLDER = re.compile(r"containers/([0-9a-f]{64})/")


def require_same_path(client: DockerClient, folder: Path, mountinfo: Path = MOUNTINFO) -> None:
    """Raise EngineError if this program runs in a container of the engine and ``folder`` has another path outside.

    Builds mount folders of the store by their path, and the engine looks for that path outside of this container. Does
    nothing outside of containers, or in one of another engine.
    """
    import docker

    own = own_id(mountinfo)
    if own is None:
        return
    try:
        mounts: list[dict[str, Any]] = client.api.inspect_container(own).get("Mounts") or []
    except docker.errors.APIError:
        return
    path = PurePosixPath(folder)
    holding = [mount for mount in mounts if path.is_relative_to(mount["Destination"])]
    if not holding:
        raise EngineError(
            f"{folder} is inside this program's own container, where the containers of builds cannot see it",
            hint=_hint(path),
        )
    nearest = max(holding, key=lambda mount: len(mount["Destination"]))
    outside = PurePosixPath(nearest["Source"]) / path.relative_to(nearest["Destination"])
    if outside != path:
        raise EngineError(
            f"{folder} is mounted into this program's container from {outside}: the containers of builds, which know "
            "only the latter path, would see another folder",
            hint=_hint(outside),
        )


def own_id(mountinfo: Path = MOUNTINFO) -> str | None:
    """Return the id of the container that this program runs in, None outside of one."""
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if len(fields) > 4 and fields[4] in GIVEN_FILES and (found := OWN_FOLDER.search(fields[3])):
            return found[1]
    return None


def _hint(path: PurePosixPath) -> str:
    return f"Mount the store at the same path: --volume {path}:{path} --env BIGTOP_BUILDER_STORE={path}"
