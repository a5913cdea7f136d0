"""Run ``deploy`` with nothing to do on three container hosts, and compare with the same reads made by hand in series.

    python -m benchmarks.deploy_unchanged [--rounds 3]

A test bed is created for it and removed afterwards; a ZooKeeper ensemble from the demo's published repository
(``make demo`` makes it) is deployed on it. The other side is a shell that reads what ours reads: the same addresses of
Ambari with ``curl``, and the same script on each host with ``ssh``, with as many connections as ours makes. Both sides
take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import yaml

from bigtop_builder.hosts.facts import HostFacts, Wanted
from bigtop_builder.recipe.document import load
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory
from bigtop_builder.recipe.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "examples" / "demo" / "bigtop-builder.yaml"
SECONDS = 1800
INVENTORY = """\
cluster: bench
ambari: {{url: "http://ambari.test:8080", password: "env:NONE"}}
groups:
  all: {{hosts: ["node[1-3].{name}.test"], components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]}}
configurations:
  cluster-env: {{command_retry_enabled: "false", recovery_enabled: "false"}}
prepare:
  {{jdk: null, java_home: /usr/lib/jvm/java, chrony: false, swappiness: null, selinux: keep,
    transparent_huge_pages: keep}}
require: {{memory: 1, disk: 1, open_files: 1024}}
"""


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would; end the benchmark if it fails."""
    command = [sys.executable, "-m", "bigtop_builder", "--project", str(PROJECT), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)} failed with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


def deploy(inventory: Path, folder: Path) -> tuple[float, int, int, int]:
    """Deploy; return seconds, changes, REST calls and SSH round trips."""
    log = folder / "events.jsonl"
    log.unlink(missing_ok=True)
    began = time.perf_counter()
    tool("deploy", str(inventory), "--yes", "--events", str(log))
    seconds = time.perf_counter() - began
    told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    spent = next(event["text"] for event in reversed(told) if event["event"] == "notice")
    calls, trips = (int(number) for number in re.findall(r"\d+", spent))
    return seconds, sum(event["changes"] for event in told if event["event"] == "phase_finished"), calls, trips


def _answer(asked: Request) -> Any:
    """Return the response, even if it is an error."""
    try:
        return urlopen(asked, timeout=60)
    except HTTPError as refused:
        return refused


@contextmanager
def listening(target: str) -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """A server that forwards calls to ``target``, and the calls it has received: method, path, body."""
    calls: list[tuple[str, str, bytes]] = []

    class Passing(BaseHTTPRequestHandler):
        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if "Authorization" in self.headers:  # hosts ask only whether somebody answers
                calls.append((self.headers.get("X-Http-Method-Override") or self.command, self.path, body))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            asked = Request(target + self.path, body or None, headers, method=self.command)
            with _answer(asked) as answer:
                data = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        do_GET = do_POST = do_PUT = _pass  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    # An address that the hosts reach too: the check asks them.
    address = str(urlsplit(target).hostname)
    server = ThreadingHTTPServer((address, 0), Passing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{address}:{server.server_port}", calls
    finally:
        server.shutdown()
        server.server_close()


def by_hand(loaded: LoadedInventory, calls: Sequence[tuple[str, str, bytes]], trips: int) -> float:
    """Make the same reads in series; return the seconds they took."""
    ssh, ambari = loaded.inventory.ssh, loaded.inventory.ambari
    assert ambari is not None
    password = Path(ambari.password.removeprefix("file:")).read_text().strip()
    script = HostFacts.script(Wanted()).encode()
    began = time.perf_counter()
    for method, path, body in calls:
        given = ["--data-binary", "@-", "-X", "POST"] if body else []
        given += ["-H", "X-Http-Method-Override: GET"] if body and method == "GET" else []
        # The stack advisor is called with a POST that changes nothing.
        assert method == "GET" or path.endswith(("/validations", "/recommendations")), (method, path)
        command = ["curl", "-sS", "-o", os.devnull, "-u", f"{ambari.user}:{password}", "-H", "X-Requested-By: b"]
        subprocess.run([*command, *given, ambari.url + path], input=body, check=True, timeout=60)
    for number in range(trips):
        host = loaded.hosts[number % len(loaded.hosts)]
        command = ["ssh", "-i", str(ssh.key), "-o", f"UserKnownHostsFile={ssh.known_hosts}", "-o", "BatchMode=yes"]
        command += ["-o", f"HostKeyAlias={host.name}", "-p", str(host.port), f"{ssh.user}@{host.address}", "bash -s"]
        subprocess.run(command, input=script, check=True, timeout=120, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def written(folder: Path, name: str, inventory: LoadedInventory, url: str | None = None) -> Path:
    """Write the inventory with the test bed's addresses in it, and with ``url`` if given."""
    file = folder / f"{name}.yaml"
    data = dict(inventory.document.data)
    if url is not None:
        data["ambari"] = {**data["ambari"], "url": url}
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return file


def measure(folder: Path, plain: Path, record: Path, rounds: int) -> None:
    loaded = load_inventory(plain, load(record))
    inventory = written(folder, "laid-over", loaded)
    seconds, changes, calls, trips = deploy(inventory, folder)
    print(f"first deployment: {seconds:.1f} s, {changes} changes, {calls} REST calls, {trips} round trips", flush=True)
    assert loaded.inventory.ambari is not None
    with listening(loaded.inventory.ambari.url) as (url, reads):
        deploy(written(folder, "watched", loaded, url), folder)
    mine, theirs = [], []
    for _ in range(rounds):
        seconds, changes, calls, trips = deploy(inventory, folder)
        if changes:
            sys.exit(f"a deployment with nothing to do made {changes} changes")
        mine.append(seconds)
        theirs.append(by_hand(loaded, reads, trips))
        print(f"ours {mine[-1]:6.2f} s   by hand {theirs[-1]:6.2f} s", flush=True)
    own, other = statistics.median(mine), statistics.median(theirs)
    print(f"\nnothing to do, {len(loaded.hosts)} hosts, median of {rounds}: ours {own:.2f} s, {calls} REST calls,")
    print(f"{trips} SSH round trips; the same reads by hand {other:.2f} s: ours in parts of that {own / other:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    settings = load_settings(PROJECT, {}, {})
    if not (settings.repository / settings.project.stack / "el8" / "repodata").is_dir():
        sys.exit("no published repository: run make demo first")
    # A killed benchmark must not leave its test bed behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    name = f"bench-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "inventory.yaml"
        plain.write_text(INVENTORY.format(name=name))
        try:
            tool("testbed", "up", "--inventory", str(plain), "--name", name)
            measure(Path(scratch), plain, settings.store / "testbeds" / name / "testbed.yaml", rounds)
        finally:
            tool("testbed", "down", name)


if __name__ == "__main__":
    main()
