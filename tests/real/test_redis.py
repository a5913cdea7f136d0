"""Redis from Debian's source package: compiled, installed on a host, asked by its smoke test, and restarted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigtop_builder.adapter.containers import engine
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.flow.build.clean_host import NO_UNSHARE
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.model.tap import read_tap
from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.settings import load_settings
from tests.real.conftest import Tool

if TYPE_CHECKING:
    from docker.models.containers import Container

PLATFORM = "debian-bootstrap"
CLI = "/usr/bigtop/3.2.0/usr/bin/redis-cli"
SERVICES = "/etc/rc.d/init.d"
TESTS = (shipped_templates() / "components/redis/tests", shipped_templates() / "smoke")
SMOKE = "STACK_VERSION=3.2.0 PARENT_DIR=/usr/bigtop/3.2.0 SMOKE_DIR=/tmp bash /tests/smoke.sh"


class Host:
    """A container host of the platform, without network, that has the packages."""

    def __init__(self, container: Container) -> None:
        self.container = container

    def __call__(self, *command: str, code: int = 0) -> str:
        done = self.container.exec_run(list(command))
        assert isinstance(done.output, bytes)
        said = done.output.decode()
        assert done.exit_code == code, f"{command} exited with {done.exit_code}\n{said}"
        return said


@pytest.fixture
def packages(tmp_path: Path, shared_store: Path) -> Path:
    Tool(tmp_path, shared_store)("build", "redis", "--platform", PLATFORM)
    return tmp_path / "output" / PLATFORM


def test_the_packaged_server_answers_and_keeps_what_it_was_told(
    packages: Path, shared_store: Path, tmp_path: Path
) -> None:
    space = open_project(load_settings(packages, {"store": str(shared_store), "platforms": [PLATFORM]}))
    record = recorded(space.store, image_key(space.bare_host()))
    assert record is not None
    tests = tmp_path / "tests"
    for folder in TESTS:
        shutil.copytree(folder, tests, dirs_exist_ok=True)
    client = engine.connect()
    try:
        container = client.containers.run(
            record.id,
            ["sleep", "300"],
            detach=True,
            network_mode="none",
            init=True,
            volumes={
                str(packages): {"bind": "/packages", "mode": "ro"},
                str(tests): {"bind": "/tests", "mode": "ro"},
            },
        )
        try:
            _start_ask_and_restart(Host(container))
        finally:
            container.remove(force=True)
    finally:
        client.close()


def _start_ask_and_restart(host: Host) -> None:
    rpms = host("find", "/packages", "-name", "*.rpm").split()
    host("rpm", *NO_UNSHARE, "--install", "--nosignature", *rpms)
    assert host(f"{SERVICES}/redis-server", "status", code=3)
    host("bash", "/tests/start.sh")
    report = read_tap(host("bash", "-c", SMOKE).splitlines())
    assert report.ok and not report.skipped
    assert report.passed == ("ping", "set-get", "packaged-server", "save", "sentinel")

    host(CLI, "SET", "stack", "bigtop-3.2.0")
    host(f"{SERVICES}/redis-server", "restart")
    assert host(CLI, "GET", "stack").strip() == "bigtop-3.2.0"
    host("rpm", *NO_UNSHARE, "--erase", "redis_3_2_0-server", "redis_3_2_0-sentinel", "redis_3_2_0")
    host("pgrep", "redis", code=1)
