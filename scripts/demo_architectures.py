#!/usr/bin/env python3
"""Builds for two architectures on a cluster of this machine, where one of its two workers emulates the other one.

    scripts/demo_architectures.py [COMPONENT...]

Builds the components in the user's store as a local build does, then once more on the cluster, and compares the
packages byte by byte. Publishes them as one repository, from which a host of each architecture installs the native
ones and runs them.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bigtop_builder.adapter.containers import engine  # noqa: E402
from bigtop_builder.adapter.containers.image_recipe import image_key, image_spec  # noqa: E402
from bigtop_builder.adapter.containers.image_record import recorded  # noqa: E402
from bigtop_builder.adapter.repository.listing import read_listing, read_repomd  # noqa: E402
from bigtop_builder.adapter.store import Store, remove_tree  # noqa: E402
from bigtop_builder.flow.publish.server import RepositoryServer  # noqa: E402
from bigtop_builder.recipe.catalog import Catalog  # noqa: E402
from scripts.demo_distributed import Machines, machines, packages, read, shared_store  # noqa: E402
from tests.real.conftest import run_on_host  # noqa: E402

COMPONENTS = ("bigtop-utils", "bigtop-jsvc")
OWN = os.uname().machine
OTHER = "aarch64" if OWN == "x86_64" else "x86_64"
PLATFORM = "debian-bootstrap"
PROJECT = f"""\
stack: bigtop-3.2.0
platforms: [{PLATFORM}]
architectures: [{OWN}, {OTHER}]
limits: {{timeout: 4h}}
"""
INSTALL = """
curl --fail --silent -o /etc/yum.repos.d/demo.repo {address}/bigtop-3.2.0-{platform}.repo
dnf --quiet --assumeyes install {packages}
rpm --query --queryformat 'INSTALLED %{{NAME}} %{{ARCH}}\\n' {packages}
rpm --verify {packages}
{checks}
"""
CHECK = """
echo "PROGRAM $(od --address-radix=n --format=x1 --skip-bytes=18 --read-bytes=2 {program})"
echo "RUNS $({program} {option} 2>&1 | head -n 1)"
"""
ELF_MACHINES = {"x86_64": "3e 00", "aarch64": "b7 00"}


@dataclass(frozen=True)
class Native:
    """A native package of the demo, and a program of it that says something with an option."""

    package: str
    program: str
    option: str


NATIVES = {
    "bigtop-jsvc": Native("bigtop-jsvc", "/usr/lib/bigtop-utils/jsvc", "-help"),
    "redis": Native("redis_3_2_0", "/usr/bigtop/3.2.0/usr/lib/redis/bin/redis-server", "--version"),
}


def build_on_cluster(cluster: Machines, names: tuple[str, ...]) -> dict[str, str]:
    """Build on a worker of each architecture; return by task which worker carried it out."""
    cluster.start_scheduler()
    cluster.start_worker(OWN, "images", "sources")
    cluster.start_worker(OTHER, "images", "sources", options=("--arch", OTHER))
    events = cluster.root / "events.jsonl"
    cluster.run("build", *names, "--output", str(cluster.root / "out"), "--events", str(events))
    steps = [event for event in read(events) if event["event"] == "step_started" and event["step"] != "image"]
    return {event["task"]: event["worker"] for event in steps}


def misplaced(carried_out: dict[str, str]) -> list[str]:
    """The tasks that another worker carried out than theirs."""
    wanted = {task: OTHER if f".{OTHER}/" in task else OWN for task in carried_out}
    return [f"{task} on {worker}" for task, worker in carried_out.items() if worker != wanted[task]]


def listed(repository: Path) -> list[tuple[str, str]]:
    """Name and architecture of the packages in a repository's metadata."""
    records = read_repomd(repository / "repodata" / "repomd.xml").records
    found = read_listing(*(repository / records[kind].location for kind in ("primary", "filelists")))
    return sorted((package.name, package.arch) for package in found)


def publish(cluster: Machines) -> list[tuple[str, str]]:
    """Publish what was built, and verify it; return name and architecture of each package."""
    root = str(cluster.root / "repository")
    cluster.run("repo", "publish", "--root", root, "--make-key", str(cluster.root / "out" / PLATFORM))
    found = listed(Path(root) / "bigtop-3.2.0" / PLATFORM)
    cluster.run("repo", "verify", f"{root}/bigtop-3.2.0/{PLATFORM}")
    return found


def install(arch: str, address: str, natives: list[Native], shared: Path, folder: Path) -> None:
    """Install native packages on a host of an architecture and run them. SystemExit says what is wrong."""
    catalog = Catalog()
    spec = image_spec(catalog.platform(PLATFORM), "host", catalog.image_template, machine=arch)
    image = recorded(Store(shared), image_key(spec))
    if image is None:
        raise SystemExit(f"the build left no image of a host of {arch}")
    names = [*(native.package for native in natives), "bigtop-utils"]
    checks = "".join(CHECK.format(program=native.program, option=native.option) for native in natives)
    script = INSTALL.format(address=address, platform=PLATFORM, packages=" ".join(names), checks=checks)
    with closing(engine.connect()) as client:
        said = run_on_host(client, image, script, folder)
    told = [line for line in said.splitlines() if line.startswith(("INSTALLED ", "PROGRAM ", "RUNS "))]
    print(f"a host of {arch}:", *told, sep="\n  ", flush=True)
    wanted = [f"INSTALLED {native.package} {arch}" for native in natives] + ["INSTALLED bigtop-utils noarch"]
    programs = [line for line in told if line.startswith("PROGRAM ")]
    runs = [line for line in told if line.startswith("RUNS ") and len(line) > len("RUNS ")]
    machine = f"PROGRAM  {ELF_MACHINES[arch]}"
    if told[: len(names)] != wanted or programs != [machine] * len(natives) or len(runs) != len(natives):
        raise SystemExit(f"the host of {arch} should have {wanted}, and run the programs:\n{said}")


def main(names: tuple[str, ...]) -> None:
    """Run the demo; SystemExit says what is wrong."""
    shared, natives = shared_store(), [name for name in names if name in NATIVES]
    with machines(shared, PROJECT) as cluster:
        began = time.monotonic()
        local = cluster.root / "local"
        cluster.run("build", *names, "--executor", "local", "--output", str(local), machine="shared")
        print(f"local build: {len(packages(local))} packages in {time.monotonic() - began:.0f} s", flush=True)
        remove_tree(cluster.results.served)
        cluster.results.served.mkdir()
        began = time.monotonic()
        carried_out = build_on_cluster(cluster, names)
        wrong = misplaced(carried_out)
        tasks = {f"{name}@{PLATFORM}{dot}/package" for name in natives for dot in ("", f".{OTHER}")}
        if wrong or not tasks <= set(carried_out):
            raise SystemExit(f"tasks were not where they belong: {wrong or carried_out}")
        print(*(f"{task}: the worker {worker}" for task, worker in sorted(carried_out.items())), sep="\n", flush=True)
        if packages(cluster.root / "out") != packages(local):
            raise SystemExit("the packages differ from those of the local build")
        print(f"on the cluster: the same bytes in {time.monotonic() - began:.0f} s", flush=True)
        print("the repository:", json.dumps(publish(cluster)), flush=True)
        with RepositoryServer(cluster.root / "repository", port=0) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
            try:
                for arch in (OWN, OTHER):
                    install(arch, server.address, [NATIVES[name] for name in natives], shared, cluster.root)
            finally:
                server.shutdown()


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or COMPONENTS)
