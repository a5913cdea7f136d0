"""A killed tool: nothing finished is lost, nothing half is seen, the next run goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.containers.container import LABEL
from bigtop_builder.adapter.containers.engine import connect
from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.adapter.store import MANIFEST, Store
from bigtop_builder.model.digest import of_file
from tests.real.conftest import SmallProject
from tests.real.lending import lend

COPY = 'cp hello.txt "$STAGE/"\n'
PATIENCE = 120
"""Seconds after which a test gives up on a run; never asserted as a speed."""

Result = tuple[str, str]
"""The kind and key of a result."""


@pytest.fixture
def crashing(tmp_path: Path, shared_store: Path) -> SmallProject:
    """A small project in a store of its own, with the shared store's images."""
    store = tmp_path / "store"
    lend(shared_store, store, "images")
    return SmallProject(tmp_path, store)


def four_components(project: SmallProject, marker: str) -> None:
    """A graph in which two can run side by side; another ``marker`` gives other keys."""
    project.component("alpha", f"echo {marker}; sleep 0.3\n{COPY}")
    project.component("beta", f"echo {marker}\n{COPY}")
    project.component("gamma", f"echo {marker}; cat /deps/alpha/hello.txt\n{COPY}", depends="alpha")
    project.component("delta", f"echo {marker}; sleep 0.3\n{COPY}", depends="gamma")


def finished(store: Path) -> set[Result]:
    """Every result that is seen, each of them checked to be whole."""
    found: set[Result] = set()
    for kind in ("compile", "package"):
        for folder in (store / kind).iterdir():
            manifest = json.loads((folder / MANIFEST).read_text())
            assert manifest["key"] == folder.name
            if kind == "compile":
                assert (folder / "stage" / "hello.txt").read_text().startswith("hello from ")
            else:
                rpms = {path.name: path for path in (folder / "rpms").iterdir()}
                assert {name: of_file(path) for name, path in rpms.items()} == manifest["rpms"]
                for path in rpms.values():
                    assert read_header(path).file_name == path.name
            found.add((kind, folder.name))
    return found


def digests(store: Path) -> set[str]:
    """The digests of all packages in the store."""
    manifests = [json.loads(path.read_text()) for path in (store / "package").glob(f"*/{MANIFEST}")]
    return {digest for manifest in manifests for digest in manifest["rpms"].values()}


def events(run: Path) -> list[dict[str, Any]]:
    """The events of a run; the last line may be torn."""
    log = run / "events.jsonl"
    lines = log.read_bytes().split(b"\n") if log.is_file() else []
    return [json.loads(line) for line in lines[:-1] if line]


def worked_on(run: Path) -> set[Result]:
    """The results whose compile or package step a run began."""
    told = events(run)
    tasks = {task["task"]: task for event in told if event["event"] == "run_started" for task in event["tasks"]}
    begun = [event["task"] for event in told if event["event"] == "step_started" and event["step"] != "image"]
    return {(tasks[task]["kind"], tasks[task]["key"]) for task in begun}


def orphans(store: Path) -> list[str]:
    with contextlib.closing(connect()) as client:
        found = client.api.containers(all=True, filters={"label": [f"{LABEL}.store={store}"]})
        return [str(one["Id"]) for one in found]


def start(project: SmallProject, *arguments: str) -> subprocess.Popen[bytes]:
    """The tool in a process group of its own."""
    return subprocess.Popen(
        project.tool.argv(*arguments),
        cwd=project.root,
        env=project.tool.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


class Killer:
    """Starts builds and kills them; after each kill the store is checked."""

    def __init__(self, project: SmallProject) -> None:
        self.project = project
        self.store = project.tool.store
        self.done: set[Result] = set()
        self.points = 0
        self.rounds = 0

    def renew(self) -> None:
        """New keys for everything."""
        self.rounds += 1
        four_components(self.project, f"{time.time_ns()}")

    def runs(self) -> set[Path]:
        return set((self.store / "runs").iterdir())

    def kill_when(self, reached: Callable[[set[Path]], bool]) -> None:
        """``reached`` is given the folders of the new run, of which there may be none yet."""
        before = self.runs()
        process = start(self.project, "build", "--all")
        wait_for(lambda: process.poll() is not None or reached(self.runs() - before))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        assert code in (-signal.SIGKILL, 0)
        self.check(before)
        if code == 0:
            self.renew()
        else:
            self.points += 1

    def check(self, before: set[Path]) -> None:
        now = finished(self.store)
        assert now >= self.done, "something finished was lost"
        for run in self.runs() - before:
            assert not worked_on(run) & self.done, "something finished was built again"
        self.done = now
        known = digests(self.store)
        for rpm in (self.project.root / "output").rglob("*.rpm"):
            assert of_file(rpm) in known

    def finish(self) -> None:
        """The next run goes on, clears up, and leaves nothing to do."""
        before = self.runs()
        self.project.tool("build", "--all")
        self.check(before)
        assert self.project.tool("plan", "--all", "--exit-code").returncode == 0
        assert len(list((self.project.root / "output" / "el8").glob("*.rpm"))) == len(self.project.names)
        assert not orphans(self.store)
        assert list((self.store / "work").iterdir()) == []


def test_a_kill_right_behind_any_event_loses_nothing(crashing: SmallProject) -> None:
    killer = Killer(crashing)
    killer.renew()
    for number in range(1, 27):

        def reached(new: set[Path], number: int = number) -> bool:
            # The log of a full run has some eighty events; a run that goes on has fewer.
            return any((run / "events.jsonl").read_bytes().count(b"\n") >= number * 2.5 for run in new if events(run))

        killer.kill_when(reached)
    assert killer.points >= 15
    killer.finish()


def test_a_kill_at_any_time_loses_nothing(crashing: SmallProject) -> None:
    killer = Killer(crashing)
    killer.renew()
    for number in range(16):
        end = time.monotonic() + 0.2 + number * 0.23
        killer.kill_when(lambda _, end=end: time.monotonic() >= end)  # type: ignore[misc]
    assert killer.points >= 10
    killer.finish()


def test_a_crash_behind_the_last_result_is_cleared_up_by_a_run_with_nothing_to_do(crashing: SmallProject) -> None:
    crashing.component("only", f"echo {time.time_ns()}\n{COPY}")
    killer = Killer(crashing)

    def packaged(new: set[Path]) -> bool:
        return any((crashing.tool.store / "package").iterdir())

    killer.kill_when(packaged)
    assert killer.points == 1
    assert list((crashing.tool.store / "work").iterdir())
    done = crashing.tool("build", "--all")
    assert "which died" in done.stderr
    killer.finish()


def test_collection_takes_nothing_from_a_run_that_goes_on(crashing: SmallProject) -> None:
    store = Store(crashing.tool.store)
    crashing.component("base", f"echo {time.time_ns()}\n{COPY}")
    crashing.component("stale", f"echo {time.time_ns()}\n{COPY}")
    crashing.tool("build", "--all")
    stale = store.last("stale@debian-bootstrap/compile")
    base = store.last("base@debian-bootstrap/compile")
    assert stale is not None
    assert base is not None
    crashing.component("top", "sleep 4; cat /deps/base/hello.txt\n" + COPY, depends="base")
    running = crashing.tool.start("build", "top")
    wait_for(lambda: bool(orphans(store.root)))
    freed = crashing.tool.json("gc", "--older-than", "0s", "--max-size", "0m")
    assert stale["key"] in {item["name"] for item in freed["removed"]}
    assert not store.has("compile", stale["key"])
    assert store.has("compile", base["key"])
    assert {item["kind"] for item in freed["removed"]} <= {"compile", "package"}
    _, error = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, error
    finished(store.root)
    freed = crashing.tool.json("gc", "--older-than", "0s", "--max-size", "0m")
    assert {"compile", "package", "source"} <= {item["kind"] for item in freed["removed"]}
    assert finished(store.root) == set()
    crashing.tool("build", "--all")
    assert len(finished(store.root)) == 2 * len(crashing.names)


def test_a_killed_collection_leaves_no_half_result(crashing: SmallProject) -> None:
    for name in ("one", "two"):
        crashing.component(name, f"echo {time.time_ns()}\n{COPY}")
    crashing.tool("build", "--all")
    for delay in (0.3, 0.35, 0.4, 0.45, 0.5):
        process = start(crashing, "gc", "--older-than", "0s")
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        finished(crashing.tool.store)
        crashing.tool("build", "--all")
        assert len(finished(crashing.tool.store)) == 2 * len(crashing.names)
