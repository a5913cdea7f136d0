"""Many threads, several processes and a kill: one download, no damage."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bigtop_builder.adapter.sources import Fetcher, stored
from bigtop_builder.model.errors import InterruptedRunError, StoreError
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.source import Source
from tests.fast.misbehaving import File, Handler, Server, stalling

CONTENT = os.urandom(1 << 16) * 32
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SCRIPT = textwrap.dedent("""
    import sys
    from pathlib import Path
    from bigtop_builder.adapter.sources import Fetcher
    from bigtop_builder.model.project import ProjectFile
    from bigtop_builder.model.source import Source
    store, url, digest = sys.argv[1:]
    source = Source.model_validate({"alternatives": [{"https": url, "sha256": digest}]})
    print(Fetcher(Path(store), ProjectFile()).fetch(source, base=Path("/")).path)
""")


@pytest.fixture(autouse=True)
def _plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def wanted(server: Server, path: str = "/file") -> Source:
    return Source.model_validate({"alternatives": [{"https": server.url(path), "sha256": SHA256}]})


def process(store: Path, server: Server) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(store), server.url("/file"), SHA256]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def until(condition: object) -> None:
    deadline = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def behind_a_gate(server: Server) -> threading.Event:
    gate = threading.Event()

    def behave(handler: Handler) -> None:
        gate.wait(30)
        File(CONTENT)(handler)

    server.routes["/file"] = behave
    return gate


def test_many_threads_download_once(tmp_path: Path, server: Server) -> None:
    gate = behind_a_gate(server)
    fetcher = Fetcher(tmp_path, ProjectFile())
    waiting = threading.Barrier(8)
    notes: list[str] = []

    def told(done: int, total: int | None, note: str) -> None:
        if note.startswith("waiting"):
            notes.append(note)
            if len(notes) == 7:
                gate.set()

    def one(_: int) -> Path:
        waiting.wait(30)
        return fetcher.fetch(wanted(server), base=tmp_path, progress=told).path

    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(one, range(8)))
    assert {path.read_bytes() == CONTENT for path in paths} == {True}
    assert len(paths) == len(server.seen) == 1


def test_two_processes_download_once(tmp_path: Path, server: Server) -> None:
    gate = behind_a_gate(server)
    first = process(tmp_path, server)
    until(lambda: server.seen)
    second = process(tmp_path, server)
    fetched = threading.Thread(target=gate.set)
    fetched.start()
    outputs = {running.communicate(timeout=60)[0].strip() for running in (first, second)}
    fetched.join()
    assert first.returncode == second.returncode == 0
    assert outputs == {str(stored(tmp_path, f"sha256:{SHA256}"))}
    assert len(server.seen) == 1


def test_a_killed_download_is_resumed(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = stalling(CONTENT, 1_000_000)
    part = tmp_path / "sources/partial" / f"sha256-{SHA256}.part"
    killed = process(tmp_path, server)
    until(lambda: part.exists() and part.stat().st_size == 1_000_000)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    assert stored(tmp_path, f"sha256:{SHA256}") is None
    server.routes["/file"] = File(CONTENT)
    fetched = Fetcher(tmp_path, ProjectFile()).fetch(wanted(server), base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert server.seen[-1].headers["range"] == "bytes=1000000-"


def test_who_waits_for_another_download_can_be_stopped(tmp_path: Path, server: Server) -> None:
    behind_a_gate(server)
    other = process(tmp_path, server)
    try:
        until(lambda: server.seen)
        stop = threading.Event()
        with pytest.raises(InterruptedRunError):
            Fetcher(tmp_path, ProjectFile()).fetch(
                wanted(server), base=tmp_path, progress=lambda *report: stop.set(), cancelled=stop
            )
    finally:
        other.kill()
        other.communicate(timeout=30)


def test_a_store_that_cannot_grow(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = File(CONTENT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StoreError, match=f"cannot write below {tmp_path}"):
            Fetcher(tmp_path, ProjectFile()).fetch(wanted(server), base=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert Fetcher(tmp_path, ProjectFile()).fetch(wanted(server), base=tmp_path).path.read_bytes() == CONTENT


def test_a_store_that_is_no_folder(tmp_path: Path, server: Server) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="cannot write below"):
        Fetcher(tmp_path / "store", ProjectFile()).fetch(wanted(server), base=tmp_path)
