"""The engine stops, the disk is full, the store is read-only: what a user is told, and that nothing is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.store import Store
from tests.real.conftest import SmallProject
from tests.real.lending import lend
from tests.real.test_crash import COPY, finished, orphans, wait_for

STOP_SECONDS = 60
START_ATTEMPTS = 3
SLOW_CONTAINERD = "timeout waiting for containerd to start"


class Engine:
    """A container engine of the test's own, that may be stopped in any way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.address = f"unix://{root}/engine.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and again if its containerd was too slow: dockerd waits 15 s for that and then exits."""
        for attempt in range(START_ATTEMPTS):
            self._launch()
            wait_for(lambda: self._answers() or self._exited())
            if not self._exited():
                return
            log = (self.root / "engine.log").read_text()
            assert attempt + 1 < START_ATTEMPTS and log.rstrip().endswith(SLOW_CONTAINERD), log[-2000:]

    def _launch(self) -> None:
        (self.root / "engine.pid").unlink(missing_ok=True)
        with (self.root / "engine.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    # dockerd without a bridge removes docker0, which may be another engine's: it gets a network of
                    # its own to do so in.
                    "unshare",
                    "--net",
                    "dockerd",
                    f"--data-root={self.root}/data",
                    f"--exec-root={self.root}/exec",
                    f"--pidfile={self.root}/engine.pid",
                    f"--host={self.address}",
                    "--bridge=none",
                    "--iptables=false",
                    "--ip-forward=false",
                    "--ip-masq=false",
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(STOP_SECONDS)

    def docker(self, *arguments: str) -> str:
        return self._run(*arguments, check=True).stdout

    def remove(self) -> None:
        """End it and everything that runs in it."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        if containers := self.docker("ps", "--all", "--quiet").split():
            self.docker("rm", "--force", *containers)
        self.stop(signal.SIGTERM)
        # A killed engine leaves its own mounts behind.
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for place in reversed([mount for mount in mounts if Path(mount).is_relative_to(self.root)]):
            subprocess.run(["umount", "--lazy", place], check=True)
        shutil.rmtree(self.root)

    def _exited(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def _answers(self) -> bool:
        return self._run("version").returncode == 0

    def _run(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        argv = ["docker", f"--host={self.address}", *arguments]
        return subprocess.run(argv, text=True, capture_output=True, check=check, timeout=600)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("starting a second container engine takes root and dockerd")
    # The paths of its sockets have to be short.
    own = Engine(Path(tempfile.mkdtemp(prefix="bb-")))
    try:
        own.start()
        yield own
    finally:
        own.remove()


def move_images(engine: Engine, store: Path) -> None:
    """The images that builds of small components need, from the usual engine into another."""
    import json

    records = [json.loads(path.read_text()) for path in (store / "images").glob("*.json")]
    tags = sorted({record["tag"] for record in records})
    with subprocess.Popen(["docker", "save", *tags], stdout=subprocess.PIPE) as save:
        subprocess.run(["docker", f"--host={engine.address}", "load"], stdin=save.stdout, check=True, timeout=600)
    assert save.returncode == 0


def test_a_build_outlives_the_stop_of_its_engine(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    project = SmallProject(tmp_path, store)
    project.component("early", f"echo {time.time_ns()}\n{COPY}")
    # Made by the usual engine, so that the store has records of just these images.
    project.tool("build", "early")
    move_images(engine, store)
    monkeypatch.setenv("DOCKER_HOST", engine.address)
    before = finished(store)
    project.component("long", f"echo {time.time_ns()}; touch /work/stage/begun; sleep 10\n{COPY}")

    for number, arguments, code in ((signal.SIGKILL, ["--all"], 4), (signal.SIGTERM, ["long"], 5)):
        running = project.tool.start("build", *arguments)
        wait_for(lambda: bool(list((store / "work").glob("*/long*/box/stage/begun"))))
        engine.stop(number)
        _, error = running.communicate(timeout=STOP_SECONDS)
        assert running.returncode == code, error
        assert "Traceback" not in error
        assert "stopped responding" in error or "stopped by something else" in error
        assert finished(store) == before
        refused = project.tool("build", "long", code=5)
        assert "no container engine responds" in refused.stderr
        engine.start()

    project.tool("build", "--all")
    assert len(finished(store)) == 4
    assert finished(store) > before
    assert not orphans(store)
    assert list((store / "work").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path, shared_store: Path) -> Iterator[SmallProject]:
    """A project whose store is a disk of 24 MB."""
    store = tmp_path / "store"
    store.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(store)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr}")
    try:
        lend(shared_store, store, "images")
        yield SmallProject(tmp_path, store)
    finally:
        subprocess.run(["umount", "--lazy", str(store)], check=True)


def fill(store: Path, leave: int) -> Path:
    """Fill the disk of the store up to ``leave`` bytes."""
    filler = store / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(1 << 16))
    os.truncate(filler, max(filler.stat().st_size - leave, 0))
    return filler


def test_a_full_disk_loses_nothing(small_disk: SmallProject) -> None:
    store = small_disk.tool.store
    small_disk.component("early", f"echo {time.time_ns()}\n{COPY}")
    small_disk.tool("build", "early")
    before = finished(store)

    small_disk.component("huge", 'head -c 40m /dev/zero > "$STAGE/hello.txt"\n')
    running = small_disk.tool.start("build", "huge")
    _, error = running.communicate(timeout=STOP_SECONDS)
    # The build's own write fails, or the log's of what it says about that.
    assert running.returncode in (2, 10), error
    assert "the disk is full" in error or "no space left at" in error
    assert "bigtop-builder gc" in error
    assert "Traceback" not in error
    assert shutil.disk_usage(store).free > 20 << 20, "what filled the disk was kept"

    marker = time.time_ns()
    for leave in (0, 4 << 10, 16 << 10, 40 << 10, 64 << 10, 128 << 10):
        small_disk.component("late", f"echo {marker} {leave}\n{COPY}")
        filler = fill(store, leave)
        running = small_disk.tool.start("build", "late")
        _, error = running.communicate(timeout=STOP_SECONDS)
        assert running.returncode in (0, 2, 10), error
        assert running.returncode == 0 or "no space left" in error.lower(), error
        assert "Traceback" not in error
        assert "defect" not in error
        assert leave or running.returncode == 2, error
        assert finished(store) >= before
        before = finished(store)
        filler.unlink()
        small_disk.tool("build", "late", "early")
        before = finished(store)


def test_a_read_only_store_is_one_short_message(small_disk: SmallProject) -> None:
    store = small_disk.tool.store
    small_disk.component("early", f"echo {time.time_ns()}\n{COPY}")
    small_disk.tool("build", "early")
    subprocess.run(["mount", "-o", "remount,ro", str(store)], check=True)
    try:
        assert small_disk.tool("plan", "early", "--exit-code").returncode == 0
        for command in (["build", "early"], ["build", "early", "--force"], ["gc"]):
            refused = small_disk.tool(*command, code=2)
            assert f"the store {store} cannot be written: Read-only file system" in refused.stderr
            assert len(refused.stderr.splitlines()) == 2
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(store)], check=True)
    small_disk.tool("build", "early", "--force")


def test_a_store_of_another_format_is_left_alone(tmp_path: Path) -> None:
    project = SmallProject(tmp_path, tmp_path / "store")
    Store(project.tool.store).open()
    (project.tool.store / "format").write_text("99\n")
    project.component("early", COPY)
    refused = project.tool("build", "early", code=2)
    assert "has format 99; this program reads 1" in refused.stderr
    (project.tool.store / "format").unlink()
    (project.tool.store / "format").mkdir()
    assert "Traceback" not in project.tool("build", "early", code=2).stderr
