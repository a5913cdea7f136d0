"""A fresh machine with a full result store, and ten thousand keys asked of it, in one run on loopback.

    python -m benchmarks.results [--seed STORE] [COMPONENT …]

One machine builds the components and puts the results on an nginx with WebDAV; a second one with an empty store takes
them. Printed are the seconds of both, the bytes that the server sent against the bytes of the packages that were
needed, and whether the packages are the same. ``--seed`` is a store whose images and sources the first machine begins
with, so that its time is that of building alone.

Then the records of 10,000 keys are there, and 20,000 keys are asked for, half of which do not exist: seconds, and how
much memory of this process grew. All times are wall-clock seconds, so the load of the machine is printed too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from bigtop_builder.adapter.results.http import HttpPlace
from bigtop_builder.adapter.results.shared_results import SharedResults
from bigtop_builder.adapter.sources.web import Web
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.project import Network
from tests.fast.real_servers import Nginx, nginx

COMPONENTS = ["bigtop-utils", "bigtop-select", "redis", "bigtop-jsvc"]
KEYS = 10_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("components", nargs="*", default=COMPONENTS)
    parser.add_argument("--seed", type=Path)
    parser.add_argument("--without-builds", action="store_true")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(prefix="results-") as folder, nginx(Path(folder) / "nginx") as server:
        if not given.without_builds:
            machines(Path(folder), server, given.components, given.seed)
        many_keys(server)


def machines(folder: Path, server: Nginx, components: list[str], seed: Path | None) -> None:
    """Build on one machine, and take the results on another."""
    key = folder / "results.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True, capture_output=True)
    project = {
        "results": {"url": server.url, "push": True},
        "signing": {"attestation_key": f"file:{key}"},
        "platforms": ["el8"],
        "native": "label",
    }
    stores = [folder / "first", folder / "second"]
    if seed:
        for name in ("images", "sources"):
            shutil.copytree(seed / name, stores[0] / name, ignore=shutil.ignore_patterns("partial"))
    seconds, outputs = [], []
    for store in stores:
        place = folder / f"project-{store.name}"
        place.mkdir()
        (place / "bigtop-builder.yaml").write_text(yaml.safe_dump(project | {"store": str(store)}))
        server.forget()
        started = time.monotonic()
        command = [sys.executable, "-m", "bigtop_builder", "-C", str(place), "--json", "build", *components]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds.append(time.monotonic() - started)
        if done.returncode:
            raise SystemExit(f"{done.stderr[-3000:]}\nthe build ended with {done.returncode}")
        states = [one["state"] for one in json.loads(done.stdout)["components"]]
        outputs.append({path.name: of_file(path) for path in sorted((place / "output").rglob("*.rpm"))})
        print(f"{store.name}: {seconds[-1]:.1f} s, {len(outputs[-1])} packages, {sorted(set(states))}")
    needed = sum(path.stat().st_size for path in (folder / "project-second" / "output").rglob("*.rpm"))
    moved = server.sent()
    print(f"the second took {seconds[1] / seconds[0]:.1%} of the time of the first (at most 15 %)")
    print(f"bytes moved {moved}, needed {needed}: {moved / needed:.3f} (at most 1.05)")
    print(f"the packages are {'the same' if outputs[0] == outputs[1] else 'NOT the same'}")


def many_keys(server: Nginx) -> None:
    """Ask for many keys."""
    (server.served / "ac").mkdir(exist_ok=True)
    known = [secrets.token_hex(32) for _ in range(KEYS)]
    for key in known:
        (server.served / "ac" / key).write_bytes(b"{}")
    results = SharedResults(HttpPlace(server.url, Web(Network())), [])
    results.present(known[:100])
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    found = results.present([*known, *(secrets.token_hex(32) for _ in range(KEYS))])
    seconds, grown = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert found == set(known)
    print(f"{2 * KEYS} keys asked in {seconds:.1f} s ({seconds / 2:.1f} s for {KEYS}, below 10), memory +{grown} KiB")


if __name__ == "__main__":
    main()
