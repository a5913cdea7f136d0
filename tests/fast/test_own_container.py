"""The tool in a container: builds need a store that has the same path for the engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest

from bigtop_builder.adapter.containers.own_container import own_id, require_same_path
from bigtop_builder.model.errors import EngineError

ID = "0f" * 32
# Lines of /proc/self/mountinfo: in a container of Docker, in one of Podman, and on a machine where a container runs.
DOCKER = f"731 711 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw\n"
PODMAN = f"604 590 0:52 /containers/storage/overlay-containers/{ID}/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw\n"
OUTSIDE = f"512 28 0:61 / /var/lib/docker/containers/{ID}/mounts/shm rw,nosuid - tmpfs shm rw,size=65536k\n"


def mountinfo(folder: Path, text: str) -> Path:
    file = folder / "mountinfo"
    file.write_text("22 28 0:20 / /proc rw - proc proc rw\n" + text, encoding="utf-8")
    return file


def engine(*mounts: tuple[str, str]) -> Any:
    """An engine that answers as Docker and Podman do for the container: only what this program asks for."""

    def inspect_container(name: str) -> dict[str, Any]:
        assert name == ID
        return {"Mounts": [{"Type": "bind", "Source": source, "Destination": place} for source, place in mounts]}

    return SimpleNamespace(api=SimpleNamespace(inspect_container=inspect_container))


@pytest.mark.parametrize(("text", "id"), [(DOCKER, ID), (PODMAN, ID), (OUTSIDE, None), ("", None)])
def test_the_own_container_is_found_by_what_engines_mount(tmp_path: Path, text: str, id: str | None) -> None:
    assert own_id(mountinfo(tmp_path, text)) == id


def test_no_mountinfo_is_no_container(tmp_path: Path) -> None:
    assert own_id(tmp_path / "missing") is None


def test_a_store_at_the_same_path_is_right(tmp_path: Path) -> None:
    own = mountinfo(tmp_path, DOCKER)
    require_same_path(engine(("/srv/store", "/srv/store"), ("/tmp", "/srv")), Path("/srv/store/work"), own)
    require_same_path(engine(("/srv", "/srv")), Path("/srv/store"), own)


def test_a_store_at_another_path_is_told_with_both(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        require_same_path(engine(("/data", "/srv"), ("/", "/host")), Path("/srv/store"), mountinfo(tmp_path, DOCKER))
    assert "/srv/store is mounted into this program's container from /data/store" in caught.value.message
    assert "--volume /data/store:/data/store --env BIGTOP_BUILDER_STORE=/data/store" in (caught.value.hint or "")


def test_a_store_inside_the_container_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="/srv/store is inside this program's own container") as caught:
        require_same_path(engine(("/srvs", "/srvs")), Path("/srv/store"), mountinfo(tmp_path, PODMAN))
    assert "--volume /srv/store:/srv/store" in (caught.value.hint or "")


def test_outside_of_containers_nobody_is_asked(tmp_path: Path) -> None:
    require_same_path(SimpleNamespace(), Path("/srv/store"), mountinfo(tmp_path, OUTSIDE))  # type: ignore[arg-type]


def test_another_engine_than_the_containers_own_may_see_anything(tmp_path: Path) -> None:
    def unknown(name: str) -> None:
        raise docker.errors.NotFound(f"No such container: {name}")

    other = SimpleNamespace(api=SimpleNamespace(inspect_container=unknown))
    require_same_path(other, Path("/srv/store"), mountinfo(tmp_path, DOCKER))  # type: ignore[arg-type]
