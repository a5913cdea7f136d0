"""Build ZooKeeper with Bigtop's packaging and warm caches: ours, bare rpmbuild, and Bigtop's own Gradle, in one run.

    BIGTOP_TREE=PATH python -m benchmarks.bigtop_packaging [--rounds 1] [--store DIR] [--without-gradle]

``PATH`` is your checkout or unpacked release of Apache Bigtop 3.2; none of it is part of this repository. Ours is
``build zookeeper@el8 --packaging bigtop:PATH --force`` as a user types it, on a store that has the source, the images
and the Maven cache: with start-up, repacking the seed tarball, the check with its installation on a clean host, and
syncing results into the store.

The bare side is one container of the same toolchain image: ``rpmbuild -bb`` of the same topdir (with the seed already
in it) with a plain warm ``~/.m2``, as root. Nothing is normalised, checked or kept.

Bigtop's side is its task ``zookeeper-rpm`` of the unmodified ``packages.gradle`` under Debian's gradle, in an image
made once from the toolchain image and Debian's gradle package. The tree's own build file requests plugins that only its
wrapper's Gradle resolves, so a build file of three lines replaces it in a copy of the tree; the tarball is in ``dl/``.
The task also makes the source package, and builds from that.

All times are wall-clock seconds, so other work on the machine blurs the ratios: the load is printed for each round.
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
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from benchmarks.component_build import warm_home
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.store import remove_tree
from bigtop_builder.flow.bigtop.maven_seed import make_seed
from bigtop_builder.flow.bigtop.payload import describe
from bigtop_builder.flow.bigtop.rpmbuild import ENVIRONMENT, rpmbuild
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.worker import Worker, open_worker
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.run.recorder import Recorder
from bigtop_builder.recipe.bigtop.tree import packaging_of
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.settings import load_settings

NAME, PLATFORM = "zookeeper", "el8"
GRADLE_IMAGE = "bigtop-builder/benchmark-gradle"
GRADLE = "de.undercouch:gradle-download-task:4.1.2"
BUILD_FILE = f"""\
buildscript {{ repositories {{ mavenCentral() }}; dependencies {{ classpath '{GRADLE}' }} }}
apply plugin: 'de.undercouch.download'
apply from: 'packages.gradle'
"""
RPMBUILD = '#!/bin/bash\nexec /usr/bin/rpmbuild --nodeps "$@"\n'
"""The image provides the build requirements, but its rpm database is empty."""


def ours(tree: Path, store: Path, folder: Path) -> dict[str, float]:
    """Run one forced build; return the seconds of its steps and ``all``."""
    events = folder / "events.jsonl"
    events.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bigtop_builder", "build", f"{NAME}@{PLATFORM}", "--force", "--quiet"]
    command += ["--packaging", f"bigtop:{tree}", "--store", str(store), "--events", str(events)]
    started = time.monotonic()
    subprocess.run(command, cwd=folder, check=True)
    total = time.monotonic() - started
    steps: Counter[str] = Counter()
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "step_finished":
            steps[event["step"]] += event["seconds"]
    return {**steps, "all": total}


class Bench:
    """The inputs of the two other sides."""

    def __init__(self, worker: Worker, project: Project, evaluated: Evaluated, folder: Path) -> None:
        self.worker, self.evaluated, self.folder = worker, evaluated, folder
        self.packaging = packaging_of(evaluated)
        record = recorded(project.store, image_key(project.image_spec(evaluated, "compile")))
        assert record is not None
        self.image = record.id
        self.home = folder / "home"
        warm_home(worker, self.home)
        macros = project.catalog.package_template("rpm", "bigtop.macros").read_text(encoding="utf-8")
        self.payload = describe(self.packaging, evaluated.target.platform, macros)
        (self.home / ".rpmmacros").write_text(self.payload.macros, encoding="utf-8")
        self.seed = folder / self.payload.seed
        source = worker.fetcher.fetch(evaluated.sources[0], base=evaluated.source_base, cancelled=threading.Event())
        make_seed(self.payload, source, self.seed, folder, evaluated.stack.epoch)

    def container(self, image: str, work: Path, command: list[str], cwd: str) -> float:
        """Run a command in a container; return its seconds."""
        environment = {
            **ENVIRONMENT,
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "SOURCE_DATE_EPOCH": str(self.evaluated.stack.epoch),
            **self.worker.site.environment,
        }
        volumes = [(work, "/work"), (self.home, "/root")]
        volumes += [(host, inside) for host, places in self.worker.site.mounts.items() for inside in places]
        docker = ["docker", "run", "--rm", "--workdir", cwd]
        docker += [part for name in environment for part in ("--env", name)]
        docker += [part for host, inside in volumes for part in ("--volume", f"{host}:{inside}")]
        with (self.folder / "log").open("wb") as log:
            started = time.monotonic()
            ended = subprocess.run(
                [*docker, image, *command],
                env={**os.environ, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
            seconds = time.monotonic() - started
        if ended.returncode != 0:
            raise SystemExit("a side failed:\n" + (self.folder / "log").read_text(errors="replace")[-3000:])
        return seconds

    def bare(self) -> float:
        """Run ``rpmbuild -bb`` on the topdir; return its seconds."""
        work = self.folder / "bare"
        top = work / self.payload.topdir.removeprefix("/work/")
        for file in self.packaging.files:
            path = top / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(0o755 if file.executable else 0o644)
        shutil.copy(self.seed, top / "SOURCES")
        seconds = self.container(self.image, work, rpmbuild(self.payload, "-bb"), "/work")
        remove_tree(work)
        return seconds

    def gradle(self, tree: Path) -> float:
        """Run Bigtop's own task; return its seconds."""
        work = self.folder / "gradle"
        work.mkdir()
        for name in ("packages.gradle", "bigtop.bom", "LICENSE"):
            shutil.copy(tree / name, work / name)
        shutil.copytree(tree / "bigtop-packages", work / "bigtop-packages", symlinks=True)
        (work / "build.gradle").write_text(BUILD_FILE, encoding="utf-8")
        (work / "settings.gradle").write_text("rootProject.name='bigtop'\n", encoding="utf-8")
        (work / "dl").mkdir()
        shutil.copy(self.seed, work / "dl")
        task = ["gradle", "--no-daemon", "-PpkgSuffix", "-PparentDir=/usr/bigtop", f"{NAME}-rpm"]
        seconds = self.container(GRADLE_IMAGE, work, task, "/work")
        remove_tree(work)
        return seconds

    def make_gradle_image(self) -> None:
        """Make the toolchain image with Debian's gradle, a JDK that it runs on, and an rpmbuild without checks."""
        context = self.folder / "image"
        context.mkdir()
        (context / "rpmbuild").write_text(RPMBUILD, encoding="utf-8")
        (context / "rpmbuild").chmod(0o755)
        bundle = self.worker.shop.site.ca_bundle
        (context / "ca.pem").write_bytes(bundle.read_bytes() if bundle else b"")
        (context / "Dockerfile").write_text(
            f"FROM {self.image}\nUSER root\nCOPY ca.pem /run/ca.pem\n"
            "RUN apt-get -o Acquire::https::CAInfo=/run/ca.pem update"
            " && apt-get -o Acquire::https::CAInfo=/run/ca.pem install --yes gradle && rm /run/ca.pem\n"
            "COPY rpmbuild /usr/local/bin/rpmbuild\n",
            encoding="utf-8",
        )
        subprocess.run(["docker", "build", "--quiet", "--tag", GRADLE_IMAGE, str(context)], check=True)


def main() -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--store", type=Path, default=cache / "bigtop-builder-benchmark", help="kept between runs")
    parser.add_argument("--without-gradle", action="store_true", help="leave out Bigtop's own Gradle task")
    given = parser.parse_args()
    tree = os.environ.get("BIGTOP_TREE")
    if not tree or not (Path(tree) / "bigtop.bom").is_file():
        raise SystemExit("BIGTOP_TREE must name a checkout or an unpacked release of Apache Bigtop 3.2")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        compare(Path(tree).resolve(), given.store.resolve(), Path(scratch), given.rounds, not given.without_gradle)


def compare(tree: Path, store: Path, folder: Path, count: int, with_gradle: bool) -> None:
    """Run all rounds, the sides in turn."""
    environment = {name: value for name, value in os.environ.items() if name != "BIGTOP_TREE"}
    os.environ.pop("BIGTOP_TREE", None)
    flags = {"store": str(store), "packaging.bigtop": str(tree)}
    project = open_project(load_settings(folder, flags, environment))
    request = Request(selectors=(f"{NAME}@{PLATFORM}",), force=True)
    if not project.plan(replace(request, force=False)).nothing_to_do:
        print(f"filling the caches: {ours(tree, store, folder)['all']:.1f} s", flush=True)
    evaluated = project.plan(request).task(f"{NAME}@{PLATFORM}/package").evaluated
    run = project.store.open().start_run()
    rounds: list[dict[str, float]] = []
    try:
        with open_worker(project, request, run, Recorder(lambda _: None, None), threading.Event()) as worker:
            bench = Bench(worker, project, evaluated, folder)
            if with_gradle:
                bench.make_gradle_image()
                print(f"filling Gradle's caches: {bench.gradle(tree):.1f} s", flush=True)
            for number in range(count):
                load = os.getloadavg()[0]
                mine = ours(tree, store, folder)
                one = {"ours": mine["all"], "check": mine["check"], "bare": bench.bare()}
                if with_gradle:
                    one["gradle"] = bench.gradle(tree)
                rounds.append(one)
                told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in one.items())
                print(f"round {number + 1}: {told}, load {load:.1f}", flush=True)
    finally:
        run.close()
    mean = {name: fmean(one[name] for one in rounds) for name in rounds[0]}
    print(f"ours / bare {mean['ours'] / mean['bare']:.3f}", end="")
    print(f", without the check {(mean['ours'] - mean['check']) / mean['bare']:.3f}")
    if with_gradle:
        print(f"ours / Bigtop's Gradle task {mean['ours'] / mean['gradle']:.3f}")


if __name__ == "__main__":
    main()
