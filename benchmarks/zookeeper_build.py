"""Build ZooKeeper with warm caches and compare with one bare ``docker run`` of the same work, in turn, in one run.

    python -m benchmarks.zookeeper_build [--rounds 2] [--store DIR] [--former CHECKOUT]

Ours is ``build zookeeper@el8 --force`` as a user types it, on a store that has the source, the images and the Maven
cache: start-up and plan, unpacking in Python, the compile and package containers, normalising the staged tree, the
check (headers, payload, and an installation on a clean host in a third container), syncing results into the store, and
cleaning up. No source is downloaded and no image is made.

The bare side is one container of the same toolchain image with the site's settings and a plain warm ``~/.m2``, as
root: ``unzip``, the same compile script, and ``rpmbuild`` of the same spec over the resulting tree, with the same
install script and files. Nothing is normalised, checked or kept; preparing its inputs and cleaning up are not timed.

``--former`` is a set-up checkout of an older version, which then takes its turn too, on a store of its own: what a
change costs is the ratio of both.

All times are wall-clock seconds, so other work on the machine blurs the ratio: the load is printed for each round. The
sides take turns at going first. A store without a result is filled first, outside the measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.store import remove_tree
from bigtop_builder.adapter.tools.cache import shared_part
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.worker import Worker, open_worker
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.run.recorder import Recorder
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile
from bigtop_builder.recipe.settings import load_settings

WHAT = ("zookeeper", "el8")
TARGET = 1.03

BARE = """
set -euo pipefail
mark() { date +%s.%N > "/work/mark.$1"; }
mark begin
unzip -q /source.zip -d /work/unpacked
mv /work/unpacked/* /work/src
mark unpack
cd /work/src
bash /work/compile.sh
mark compile
cd /work/rpm
rpmbuild -bb --nodeps --define '_topdir /work/rpm' SPECS/package.spec
mark package
"""

Parts = dict[str, float]


def ours(store: Path, folder: Path, python: str = sys.executable) -> Parts:
    """Run one forced build; return the seconds of its steps, of the time between them, and ``all``."""
    events = folder / "events.jsonl"
    events.unlink(missing_ok=True)
    command = [python, "-m", "bigtop_builder", "build", "@".join(WHAT), "--force", "--quiet"]
    started = time.monotonic()
    subprocess.run([*command, "--store", str(store), "--events", str(events)], cwd=folder, check=True)
    total = time.monotonic() - started
    steps: Counter[str] = Counter()
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "step_finished":
            steps[event["step"]] += event["seconds"]
    return {**steps, "between": total - sum(steps.values()), "all": total}


def lay_out(project: Project, evaluated: Evaluated, work: Path) -> None:
    """Write the folders and files that the bare side works on."""
    for name in ("stage", "rpm/SPECS", "rpm/SOURCES", "files"):
        (work / name).mkdir(parents=True)
    (work / "bare.sh").write_text(BARE, encoding="utf-8")
    (work / "compile.sh").write_text("set -euo pipefail\n" + evaluated.build.script, encoding="utf-8")
    (work / "rpm/SPECS/package.spec").write_text(project.spec(evaluated), encoding="utf-8")
    (work / "rpm/SOURCES/install.sh").write_text("set -euo pipefail\n" + evaluated.install, encoding="utf-8")
    files: tuple[RenderedFile, ...] = (*evaluated.files, *project.services(evaluated))
    for file in files:
        path = work / "files" / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o755 if file.executable else 0o644)


def bare(worker: Worker, project: Project, evaluated: Evaluated, home: Path, work: Path) -> Parts:
    """Run one ``docker run``; return the seconds of its parts, of the container's start and end, and ``all``."""
    lay_out(project, evaluated, work)
    record = recorded(project.store, image_key(project.image_spec(evaluated, "compile")))
    assert record is not None
    source = worker.fetcher.fetch(evaluated.sources[0], base=evaluated.source_base, cancelled=threading.Event()).path
    environment = {
        "STAGE": "/work/stage",
        "FILES": "/files",
        "SOURCE_DATE_EPOCH": str(evaluated.stack.epoch),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        **worker.site.environment,
        **evaluated.build.environment,
    }
    volumes = [(work, "/work"), (home, "/root"), (work / "files", "/files"), (source, "/source.zip")]
    volumes += [(host, inside) for host, places in worker.site.mounts.items() for inside in places]
    command = ["docker", "run", "--rm", *(part for name in environment for part in ("--env", name))]
    command += [part for host, inside in volumes for part in ("--volume", f"{host}:{inside}")]
    with (work / "log").open("wb") as log:
        started = time.monotonic()
        ended = subprocess.run(
            [*command, record.id, "bash", "/work/bare.sh"],
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
        total = time.monotonic() - started
    if ended.returncode != 0:
        raise SystemExit("the bare side failed:\n" + (work / "log").read_text(errors="replace")[-3000:])
    marks = {name: float((work / f"mark.{name}").read_text()) for name in ("begin", "unpack", "compile", "package")}
    before = list(marks)
    parts = {name: marks[name] - marks[before[number]] for number, name in enumerate(before[1:])}
    return {**parts, "between": total - sum(parts.values()), "all": total}


def warm_home(worker: Worker, home: Path) -> None:
    """Create a plain home whose ``~/.m2`` holds everything in the store's cache."""
    shutil.copytree(shared_part("maven", worker.store.root), home / ".m2" / "repository")
    for name, inside in worker.site.home_links.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).symlink_to(inside)


def table(rounds: list[tuple[Parts, Parts, Parts]], *, former: bool) -> None:
    """Print the means of the sides, part by part, and the ratios."""
    mine, theirs, before = (
        {name: fmean(one[side].get(name, 0.0) for one in rounds) for name in NAMES} for side in (0, 1, 2)
    )
    print(f"\n{'mean seconds':14}{'ours':>9}{'bare':>9}{'more':>9}")
    for name in NAMES:
        print(f"{name:14}{mine[name]:9.2f}{theirs[name]:9.2f}{mine[name] - theirs[name]:+9.2f}")
    unchecked = (mine["all"] - mine["check"]) / theirs["all"]
    print(f"ours / bare {mine['all'] / theirs['all']:.3f}, without the check {unchecked:.3f} (target {TARGET})")
    if former:
        print(f"former version {before['all']:.2f} s; ours / former {mine['all'] / before['all']:.3f}")


NAMES = ("image", "fetch", "unpack", "patch", "compile", "package", "check", "between", "all")


def main() -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--store", type=Path, default=cache / "bigtop-builder-benchmark", help="kept between runs")
    parser.add_argument("--former", type=Path, help="a checkout of an older version, with its .venv")
    given = parser.parse_args()
    former = given.former and str(given.former.resolve() / ".venv" / "bin" / "python")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        compare(given.store.resolve(), Path(scratch), given.rounds, former)


def compare(store: Path, folder: Path, count: int, former: str | None) -> None:
    """Run all rounds, the sides in turn."""
    project = open_project(load_settings(folder, {"store": str(store)}))
    request = Request(selectors=("@".join(WHAT),), force=True)
    if not project.plan(replace(request, force=False)).nothing_to_do:
        print(f"filling the caches: {ours(store, folder)['all']:.1f} s", flush=True)
    before = store.with_name(f"{store.name}-former")
    if former:
        print(f"filling the caches of the former version: {ours(before, folder, former)['all']:.1f} s", flush=True)
    plan = project.plan(request)
    evaluated = plan.task("/".join(("@".join(WHAT), "package"))).evaluated
    run = project.store.open().start_run()
    rounds: list[tuple[Parts, Parts, Parts]] = []
    try:
        with open_worker(project, request, run, Recorder(lambda _: None, None), threading.Event()) as worker:
            warm_home(worker, folder / "home")
            for number in range(count):
                load = os.getloadavg()[0]
                sides: list[Callable[[], Parts]] = [
                    lambda: ours(store, folder),
                    lambda: bare(worker, project, evaluated, folder / "home", folder / "work"),
                    lambda: ours(before, folder, former) if former else {},
                ]
                turn = number % len(sides)
                done = {side: sides[side]() for side in (*range(turn, len(sides)), *range(turn))}
                remove_tree(folder / "work")
                rounds.append((done[0], done[1], done[2]))
                times = f"ours {done[0]['all']:.1f} s, bare {done[1]['all']:.1f} s"
                times += f", former {done[2]['all']:.1f} s" if former else ""
                print(f"round {number + 1}: {times}, load {load:.1f}", flush=True)
    finally:
        run.close()
    table(rounds, former=former is not None)


if __name__ == "__main__":
    main()
