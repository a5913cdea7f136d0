"""Pages for ten minutes: a run that goes on, twenty that follow it, others that read; memory stays flat.

BIGTOP_SOAK_SECONDS makes it shorter or longer.
"""

from __future__ import annotations

import itertools
import os
import statistics
import threading
import time
from pathlib import Path

import requests

from bigtop_builder.adapter.store import Store
from bigtop_builder.model.event import AnyEvent, StepProgress, TaskFinished, TaskStarted
from tests import webruns
from tests.real.conftest import SmallProject

SECONDS = float(os.environ.get("BIGTOP_SOAK_SECONDS", "600"))
VIEWERS = 20
GROWTH, ROOM = 1.02, 4 << 20
"""How much more memory the last quarter may take than the second, as a factor and in bytes."""


def memory(pid: int) -> int:
    """Return the resident bytes of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the server has ended")


def test_memory_is_flat_while_runs_go_on_and_are_read(fresh: SmallProject) -> None:
    store = Store(fresh.tool.store).open()
    ended = [webruns.build(store) for _ in range(30)] + [webruns.deployment(store) for _ in range(5)]
    run, events = webruns.large(store, 400)
    log = run.log("component0000@el8/compile", "compile")
    log.write_text("begin\n")
    webruns.write(run, events[:1])
    server = fresh.tool.start("web", "--port", "0")
    assert server.stdout is not None
    address = server.stdout.readline().strip().rstrip("/")
    stop = threading.Event()
    failures: list[BaseException] = []

    def grow() -> None:
        task = "component0000@el8/compile"
        for number in itertools.count():
            if stop.wait(0.05):
                return
            one: AnyEvent
            if number % 3 == 0:
                one = TaskStarted(time=time.time(), task=task)
            elif number % 3 == 1:
                one = StepProgress(time=time.time(), task=task, step="compile", done=number)
            else:
                one = TaskFinished(time=time.time(), task=task, state="done", seconds=1)
            webruns.write(run, [one])
            with log.open("a") as writer:
                writer.write(f"line {number} of a log that grows all the time\n")

    def follow(path: str) -> None:
        while not stop.is_set():
            try:
                with requests.get(address + path, stream=True, timeout=60) as stream:
                    for _ in stream.iter_content(4096):
                        if stop.is_set():
                            return
            except BaseException as error:
                if not stop.is_set():
                    failures.append(error)
                return

    def read() -> None:
        pages = [f"/runs/{one}" for one in ended] + ["/runs", f"/runs/{run.id}", "/clusters", "/metrics", "/packages"]
        for path in itertools.cycle(pages):
            if stop.wait(0.2):
                return
            try:
                assert requests.get(address + path, timeout=60).status_code == 200, path
            except BaseException as error:
                failures.append(error)
                return

    paths = [f"/runs/{run.id}/stream?after=0"] * (VIEWERS - 4)
    paths += ["/stream"] * 2 + [f"/runs/{run.id}/follow/component0000@el8/compile/compile.log"] * 2
    threads = [threading.Thread(target=follow, args=(path,), daemon=True) for path in paths]
    threads += [threading.Thread(target=work, daemon=True) for work in (grow, read)]
    try:
        for thread in threads:
            thread.start()
        samples = []
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not failures:
            time.sleep(SECONDS / 60)
            samples.append(memory(server.pid))
        assert not failures, failures[0]
        quarter = len(samples) // 4
        before, after = (statistics.median(part) for part in (samples[quarter : 2 * quarter], samples[-quarter:]))
        print(" ".join(str(one >> 20) for one in samples))
        print(f"resident: {before / (1 << 20):.1f} MiB, then {after / (1 << 20):.1f} MiB after {SECONDS:.0f} s")
        assert after <= before * GROWTH + ROOM, [one >> 20 for one in samples]
    finally:
        stop.set()
        server.terminate()
        server.communicate(timeout=60)
        run.close()
