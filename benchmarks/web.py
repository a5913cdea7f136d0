"""Measure how soon pages come, and what viewers cost a build, in one run.

    python -m benchmarks.web [--rounds 5] [--seconds 20]

*Pages*: a run of 2,000 tasks with 500 MB of logs. Time to the first byte and to the last, of the first request after a
start, which reads the events, and of later ones; the end of a log of 64 MiB, and a search in it.

*Viewers*: a build is a process that works for a fixed number of steps and records the events of 2,000 tasks as it goes,
which takes about ``--seconds`` when nothing disturbs it. It runs in turn alone, and with a server and 20 viewers that
follow its page, so that other load on the machine affects both alike. The work is done in two threads, each of which
would like a whole core: whatever server and viewers take is missing there. The processor seconds of the server are
given too, since they depend less on other load.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.run.recorder import Recorder
from tests import webruns

TASKS, VIEWERS = 2000, 20
LOG = 64 << 20
LOGS = 8


def serve(folder: Path, store: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the pages of a store; return the process and its address."""
    command = [sys.executable, "-m", "bigtop_builder", "-C", str(folder), "--store", str(store), "web", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip().rstrip("/")


def fetch(address: str, path: str) -> dict[str, float]:
    """Return the milliseconds to the first and to the last byte of an answer, and its size."""
    host = urlsplit(address).netloc
    began = time.perf_counter()
    connection = http.client.HTTPConnection(host, timeout=120)
    connection.request("GET", path)
    answer = connection.getresponse()
    first = answer.read(1)
    at_first = time.perf_counter()
    size = len(first) + len(answer.read())
    whole = time.perf_counter()
    connection.close()
    assert answer.status == 200, answer.status
    return {"first": round(1000 * (at_first - began), 1), "whole": round(1000 * (whole - began), 1), "bytes": size}


def pages(folder: Path, rounds: int) -> dict[str, object]:
    """Measure the pages of a large run."""
    store = Store(folder / "large").open()
    run, events = webruns.large(store, TASKS)
    webruns.write(run, events)
    line = b"[INFO] Compiling 100 source files of module number %06d of this very long build\n"
    block = b"".join(line % number for number in range(LOG // 80))
    tasks = [f"component{number:04}@el8/compile" for number in range(LOGS)]
    for task in tasks:
        run.log(task, "compile").write_bytes(block[: LOG - 40] + b"\n[ERROR] the only needle in the haystack\n")
    run.close()
    server, address = serve(folder, store.root)
    try:
        page, log = f"/runs/{run.id}", f"/runs/{run.id}/logs/{tasks[0]}/compile.log"
        found: dict[str, object] = {"run, first request": fetch(address, page)}
        for name, path in {"run": page, "end of a log of 64 MiB": log, "search in it": f"{log}?find=needle"}.items():
            taken = [fetch(address, path) for _ in range(rounds)]
            found[name] = {key: statistics.median(one[key] for one in taken) for key in taken[0]}
        return found
    finally:
        server.terminate()
        server.wait()


def work(root: Path, steps: int) -> None:
    """Be a build: two threads that work, while the events of all tasks are recorded as their parts are done."""
    run, events = webruns.large(Store(root).open(), TASKS)
    print(run.id, flush=True)
    sys.stdin.readline()
    recorder = Recorder(lambda event: None, run.folder / "events.jsonl")
    began = time.perf_counter()
    recorder(events[0])
    waiting, lock = iter(events[1:]), threading.Lock()
    share = -(-len(events) // 400)

    def part() -> None:
        data = os.urandom(1 << 20)
        for _ in range(200):
            for _ in range(steps):
                hashlib.sha256(data).digest()
            with lock:
                for _ in range(share):
                    if (event := next(waiting, None)) is not None:
                        recorder(event)

    threads = [threading.Thread(target=part) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"wall": time.perf_counter() - began, "cpu": used.ru_utime + used.ru_stime}), flush=True)
    recorder.close()
    run.close()


def view(address: str, run: str, counts: list[int], stop: threading.Event) -> None:
    """Be all viewers: take what the streams send, at as little cost as if they were on other machines."""
    place = urlsplit(address)
    with selectors.DefaultSelector() as waiting:
        for number in range(len(counts)):
            connection = socket.create_connection((place.hostname, place.port), timeout=60)
            connection.sendall(f"GET /runs/{run}/stream?after=0 HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
            waiting.register(connection, selectors.EVENT_READ, number)
        while not stop.is_set() and waiting.get_map():
            for key, _ in waiting.select(timeout=1):
                connection = cast(socket.socket, key.fileobj)
                data = connection.recv(1 << 20)
                counts[key.data] += len(data)
                if not data:
                    waiting.unregister(connection)
                    connection.close()
        for key in waiting.get_map().values():
            cast(socket.socket, key.fileobj).close()


def build(folder: Path, steps: int, viewers: int) -> dict[str, float]:
    """Run the made-up build with some viewers; return its seconds and those of the server's processor."""
    root = folder / f"live{viewers}"
    command = [sys.executable, "-m", "benchmarks.web", "--work", str(root), "--steps", str(steps)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    run = process.stdout.readline().strip()
    server, counts, stop = None, [0] * viewers, threading.Event()
    address = ""
    try:
        if viewers:
            server, address = serve(folder, root)
            fetch(address, "/runs")
        process.stdin.write("\n")
        process.stdin.flush()
        if viewers:
            threading.Thread(target=view, args=(address, run, counts, stop), daemon=True).start()
        found: dict[str, float] = json.loads(process.stdout.readline())
        if server is not None:
            ticks = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
            found["server cpu"] = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
            found["bytes per viewer"] = min(counts)
        process.communicate(timeout=60)
        return found
    finally:
        stop.set()
        if server is not None:
            server.terminate()
            server.wait()


def steps_for(seconds: float) -> int:
    """Return how many steps a part has so that a build takes about so many seconds with two cores."""
    data = os.urandom(1 << 20)
    began = time.perf_counter()
    for _ in range(200):
        hashlib.sha256(data).digest()
    each = (time.perf_counter() - began) / 200
    return max(int(seconds / 200 / each), 1)


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--steps", type=int)
    given = parser.parse_args()
    if given.work:
        work(given.work, given.steps)
        return
    with tempfile.TemporaryDirectory(prefix="web-benchmark-") as name:
        folder = Path(name)
        (folder / "bigtop-builder.yaml").write_text("stack: bigtop-3.2.0\nplatforms: [el8]\n")
        figures: dict[str, object] = {"pages": pages(folder, given.rounds)}
        steps = steps_for(given.seconds)
        alone, seen = [], []
        for number in range(given.rounds):
            order = [(0, alone), (VIEWERS, seen)]
            for viewers, kept in order if number % 2 else order[::-1]:
                kept.append(build(folder, steps, viewers))
        ratios = [one["wall"] / other["wall"] for one, other in zip(seen, alone, strict=True)]
        figures["viewers"] = {
            "alone": alone,
            f"with {VIEWERS} viewers": seen,
            "ratio of wall seconds, median of pairs": round(statistics.median(ratios), 3),
            "ratio of processor seconds": round(sum(one["cpu"] for one in seen) / sum(one["cpu"] for one in alone), 3),
            "processor seconds of the server": statistics.median(one["server cpu"] for one in seen),
        }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
