"""ZooKeeper is built from a bundle where there is no network at all, and comes out as where there is one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.model.digest import of_file
from tests.real.conftest import SECONDS, Tool
from tests.real.lending import lend
from tests.real.test_disasters import Engine

COMPONENTS = ("zookeeper", "bigtop-utils")
CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"


class ClosedSite(Engine):
    """An engine, and commands, in a network namespace that has nothing but its own loopback."""

    def run(self, *argv: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        assert self._process is not None
        foreign = ("BIGTOP_", "PYTHON", "PIP_", "XDG_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        done = subprocess.run(
            ["nsenter", f"--net=/proc/{self._process.pid}/ns/net", *map(str, argv)],
            cwd=self.root / "site",
            env={**environment, "HOME": str(self.root), "DOCKER_HOST": self.address, "NO_COLOR": "1"},
            text=True,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture
def closed() -> Iterator[ClosedSite]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("starting a second container engine takes root and dockerd")
    site = ClosedSite(Path(tempfile.mkdtemp(prefix="bb-")))
    (site.root / "site").mkdir()
    try:
        site.start()
        yield site
    finally:
        site.remove()


@pytest.fixture
def connected(tmp_path: Path, shared_store: Path) -> Tool:
    """A project in a store of its own; a compile result is lent when it says what it asked of the caches."""
    folder = tmp_path / "connected"
    (folder / "inventories").mkdir(parents=True)
    (folder / "bigtop-builder.yaml").write_text("stack: bigtop-3.2.0\nplatforms: [el8]\n")
    (folder / "inventories" / "own.yaml").write_text("cluster: own\nambari: {password: env:AMBARI_PASSWORD}\n")
    tool = Tool(folder, folder / "store")
    lend(shared_store, tool.store, "images", "sources", "cache")
    for result in (shared_store / "compile").glob("*/manifest.json"):
        if json.loads(result.read_text())["component"] in COMPONENTS and (result.parent / "caches.json").is_file():
            lend(shared_store, tool.store, f"compile/{result.parent.name}")
    return tool


def packages(folder: Path) -> dict[str, str]:
    return {path.name: of_file(path) for path in folder.glob("output/el8/*.rpm")}


def test_zookeeper_is_built_without_any_network(connected: Tool, closed: ClosedSite) -> None:
    connected("build", *COMPONENTS)
    connected("repo", "publish", "--make-key")
    bundle = closed.root / "bundle.tar"
    made = connected.json("bundle", "create", *COMPONENTS, "--output", str(bundle))
    assert made["left_out"] == []
    parts = {"project", "sources", "caches", "store", "keys", "repositories", "wheels", "images"}
    assert made["parts"].keys() == parts

    assert closed.run("ip", "route", "show", "table", "all").stdout == ""
    assert "Network is unreachable" in closed.run(sys.executable, "-c", CONNECT, code=1).stderr

    subprocess.run(["tar", "-xf", bundle, "-C", closed.root, "wheels", "keys"], check=True)
    closed.run(sys.executable, "-m", "venv", closed.root / "venv")
    tool = closed.root / "venv" / "bin" / "bigtop-builder"
    pip = closed.root / "venv" / "bin" / "pip"
    closed.run(pip, "install", "--no-index", "--find-links", closed.root / "wheels", "bigtop-builder")

    [key] = (closed.root / "keys").iterdir()
    assert "signature good" in closed.run(tool, "bundle", "verify", bundle, "--key", key).stdout
    loaded = json.loads(closed.run(tool, "bundle", "load", bundle, "--key", key, "--json").stdout)
    assert loaded["kept"] == [] and loaded["same"] == {} and loaded["new"]["images"] >= 3
    again = json.loads(closed.run(tool, "bundle", "load", bundle, "--key", key, "--json").stdout)
    assert again["new"] == {} and again["kept"] == []
    assert {part: again["same"][part] for part in loaded["new"]} == loaded["new"]

    results = closed.root / ".cache" / "bigtop-builder" / "compile"
    assert list(results.iterdir()) == []
    closed.run(tool, "build", *COMPONENTS, "--offline")
    assert [json.loads(path.read_text())["component"] for path in results.glob("*/manifest.json")] == ["zookeeper"]
    wanted = packages(connected.folder)
    assert len(wanted) == 4
    assert packages(closed.root / "site") == wanted
    closed.run(tool, "repo", "verify")


def test_images_wait_where_no_engine_answers(connected: Tool, tmp_path: Path) -> None:
    connected("build", "bigtop-utils")
    made = connected.json(
        "bundle", "create", "bigtop-utils", "--output", str(tmp_path / "bundle"), "--without", "wheels"
    )
    assert Path(made["place"]).is_dir()
    other = Tool(tmp_path / "other", tmp_path / "other" / "store")
    other.folder.mkdir()
    environment = {**other.environment(), "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    done = subprocess.run(
        other.argv("bundle", "load", made["place"], "--accept-unsigned"),
        cwd=other.folder,
        env=environment,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 5, done.stderr
    assert "images not loaded: bigtop-builder/debian-bootstrap-host:" in done.stderr
    assert (other.folder / "bigtop-builder.yaml").is_file()
    loaded = other.json("bundle", "load", made["place"], "--accept-unsigned")
    assert loaded["waiting"] == []
    plan = other.json("plan", "bigtop-utils")
    assert [task["reasons"] for task in plan["tasks"]] == [["not built yet"]]


def test_killed_load_is_repeated(connected: Tool, tmp_path: Path) -> None:
    made = connected.json(
        "bundle", "create", "bigtop-utils", "--output", str(tmp_path / "b.tar"), "--without", "wheels"
    )
    other = Tool(tmp_path / "other", tmp_path / "other" / "store")
    other.folder.mkdir()
    for seconds in (0.4, 0.8, 1.6):
        running = other.start("bundle", "load", made["place"], "--accept-unsigned")
        try:
            running.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            running.communicate()
    loaded = other.json("bundle", "load", made["place"], "--accept-unsigned")
    assert loaded["kept"] == []
    assert other.json("build", "bigtop-utils", "--offline")["exit_code"] == 0
