"""Rebuild Hive after a one-line patch: what Maven can skip, how long it takes, and whether the result is the same.

    python -m benchmarks.hive_rebuild [--module ql] [--way NAME]… [--store DIR] [--scratch DIR]

First the sources are compiled as shipped, in a clean tree: only the tree and its private Maven repository are kept, and
the time is that of a cold build, with warm downloads and without network. Then one string in one class of ``--module``
changes, and Hive is compiled again, from a fresh copy of what each way may start from:

- ``anew``: a clean tree, as in ``bigtop-builder build``. The others must equal its staged tree;
- ``parallel``: the same with ``-T 2``;
- ``kept``: the earlier tree with all its ``target`` folders and times; Maven builds everything, and its plug-ins decide
  what is stale;
- ``modules``: the changed module and its dependants are compiled in a clean tree, and the assembly always; the jars of
  all others come from the private repository, into which the earlier build installed them.

For ``modules``, and so for all, two changes are made to the poms first, without which it packs other libraries than a
full build: the versions that the script gives on the command line, since Maven does not apply ``-D`` to poms that it
reads from a repository; and hive-exec keeps its full pom, since the shaded one hides its dependencies.

Every staged tree is normalised as in a build, and compared file by file. Times are of the container alone, without
unpacking and copying, in wall-clock seconds, with the load beside them.

Result on two cores with other work beside (load 4 to 5): cold build 716 s; after a change of one line in ql, on which
half of the modules depend, ``anew`` 523 s, ``modules`` 480 s (22 modules of 42), ``kept`` 318 s. All files were equal
except the jar hive-exec, because of HiveParser alone: ANTLR 3.5.2 writes it in an order that depends on what Maven did
before.

So a build does none of these by itself. ``kept`` is fast because only stale files are compiled: Hive's pom turns off
the compiler plug-in's check of dependants, so a removed constant or method stays in them until a clean build.
``modules`` is safe, and saves the modules before the changed one: 130 s of ql's 523, and more the later the module. To
make it faster, and the same byte for byte, it would take ANTLR in a JVM of its own, ``poms_for_repository`` in the
component's own build, and a store that keeps a build's private repository.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.component_build import warm_home
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.sources import unpack
from bigtop_builder.adapter.store import remove_tree
from bigtop_builder.adapter.tools.normalise import normalise
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.worker import Worker, open_worker
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.run.recorder import Recorder
from bigtop_builder.model.digest import of_file
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.settings import load_settings

WAYS = ("anew", "parallel", "kept", "modules")
CHANGES = {
    "ql": ("ql/src/java/org/apache/hadoop/hive/ql/Driver.java", "Returning Hive schema: "),
    "service": ("service/src/java/org/apache/hive/service/server/HiveServer2.java", "Shutting down HiveServer2"),
}
"""By module: a file, and a string in it that the patch makes longer."""

VERSION_FLAG = re.compile(r"-D([a-z0-9.]+)=(\S+)")
SHADED = "<!--also see maven-jar-plugin execution.id=core-jar-->"
PACKAGE = "\n  package\n"
HOURS = 3 * 3600


class Bench:
    """The earlier build, and the container that all builds run in."""

    def __init__(self, worker: Worker, project: Project, evaluated: Evaluated, scratch: Path) -> None:
        self.worker, self.evaluated, self.scratch = worker, evaluated, scratch
        record = recorded(worker.store, image_key(project.image_spec(evaluated, "compile")))
        if record is None:
            sys.exit("the builder image is missing: run bigtop-builder build hive first")
        self.image = record.id

    def clean_tree(self, place: Path) -> None:
        """Create the patched sources, and a private repository with everything in the shared cache."""
        fetched = self.worker.fetcher.fetch(
            self.evaluated.sources[0], base=self.evaluated.source_base, cancelled=threading.Event()
        )
        (place / "src").mkdir(parents=True)
        unpack(fetched.path, place / "src", strip=1, name=fetched.name)
        for patch in self.evaluated.patches:
            subprocess.run(
                ["patch", "--batch", "--forward", "--quiet", "-p1", "-F0", "-i", str(patch.path)],
                cwd=place / "src",
                check=True,
            )
        poms_for_repository(place / "src", self.evaluated.build.script)
        warm_home(self.worker, place / "home")

    def earlier_tree(self, place: Path) -> None:
        """Copy the earlier build's tree and repository, including file times."""
        subprocess.run(["cp", "-a", str(self.scratch / "earlier"), str(place)], check=True)
        remove_tree(place / "stage")

    def compile(self, place: Path, goals: str) -> float:
        """Run the component's script with other goals in the tree at ``place``; return the seconds."""
        script = self.evaluated.build.script
        if script.count(PACKAGE) != 1:
            sys.exit("Hive's script has changed: it has no single line 'package' to replace with other goals")
        (place / "stage").mkdir()
        (place / "compile.sh").write_text("set -euo pipefail\n" + script.replace(PACKAGE, f"\n  --offline {goals}\n"))
        files = place / "files"
        for file in self.evaluated.build_files:
            path = files / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        site = self.worker.site
        environment = {
            "HOME": "/work/home",
            "STAGE": "/work/stage",
            "FILES": "/work/files",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "SOURCE_DATE_EPOCH": str(self.evaluated.stack.epoch),
            **site.environment,
            # Java takes the home from the user database, not from the environment.
            "MAVEN_OPTS": "-Duser.home=/work/home",
        }
        volumes = [(place, "/work"), *((host, inside) for host, places in site.mounts.items() for inside in places)]
        command = [
            "docker",
            "run",
            "--rm",
            "--network=none",
            "--user",
            f"{os.getuid()}:{os.getgid()}",
            "--workdir",
            "/work/src",
        ]
        command += ["--memory", self.evaluated.build.memory]
        command += [part for name in environment for part in ("--env", name)]
        command += [part for host, inside in volumes for part in ("--volume", f"{host}:{inside}")]
        with (self.scratch / f"{place.name}.log").open("wb") as log:
            started = time.monotonic()
            ended = subprocess.run(
                [*command, self.image, "bash", "/work/compile.sh"],
                env={**os.environ, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=HOURS,
                check=False,
            )
        if ended.returncode != 0:
            sys.exit(f"{place.name} failed: see {log.name}")
        return time.monotonic() - started

    def staged(self, place: Path, started: float) -> dict[str, str]:
        """Digests of the staged tree's files, normalised as in a build."""
        normalise(place / "stage", started, self.evaluated.stack.epoch)
        return {
            str(path.relative_to(place / "stage")): of_file(path)
            for path in sorted((place / "stage").rglob("*"))
            if path.is_file()
        }


def poms_for_repository(tree: Path, script: str) -> None:
    """Make poms mean in a repository what they mean in the build that installs them."""
    for pom in ("pom.xml", "standalone-metastore/pom.xml"):
        path = tree / pom
        text = path.read_text(encoding="utf-8")
        for name, version in VERSION_FLAG.findall(script):
            text = re.sub(rf"<{re.escape(name)}>[^<]*<", f"<{name}>{version}<", text)
        path.write_text(text, encoding="utf-8")
    path = tree / "ql" / "pom.xml"
    text = path.read_text(encoding="utf-8")
    if text.count(SHADED) != 1:
        sys.exit("ql/pom.xml has changed: hive-exec is shaded differently")
    whole = "<createDependencyReducedPom>false</createDependencyReducedPom>"
    path.write_text(text.replace(SHADED, f"{whole}\n{SHADED}"), encoding="utf-8")


def change(tree: Path, module: str) -> None:
    """Apply the one-line patch."""
    name, text = CHANGES[module]
    path = tree / name
    old = path.read_text(encoding="utf-8")
    if old.count(f'"{text}"') != 1:
        sys.exit(f"{name} has changed: no single string {text!r}")
    path.write_text(old.replace(f'"{text}"', f'"[patched] {text}"'), encoding="utf-8")


def goals(way: str, module: str) -> str:
    """Maven's goals for a way."""
    return {
        "anew": "package",
        "parallel": "-T 2 package",
        "kept": "package",
        "modules": f"-pl {module},packaging -amd install",
    }[way]


def modules_built(log: Path) -> int:
    """The number of modules that Maven built."""
    return sum(line.startswith("[INFO] Building Hive") for line in log.read_text(errors="replace").splitlines())


def compare(bench: Bench, module: str, ways: list[str]) -> None:
    """Run the ways and print a line for each."""
    earlier = bench.scratch / "earlier"
    if not (earlier / "done").exists():
        remove_tree(earlier)
        bench.clean_tree(earlier)
        load = os.getloadavg()[0]
        seconds = bench.compile(earlier, "install")
        (earlier / "done").touch()
        print(f"{'cold build':12}{seconds:9.1f} s, load {load:.1f}", flush=True)
    reference: dict[str, str] = {}
    print(f"\na line of {module}: {'seconds':>9} {'modules':>8} {'load':>6}  result", flush=True)
    for way in ways:
        place = bench.scratch / way
        remove_tree(place)
        (bench.clean_tree if way in ("anew", "parallel") else bench.earlier_tree)(place)
        if way == "modules":
            for target in sorted((place / "src").rglob("target")):
                remove_tree(target)
        change(place / "src", module)
        load = os.getloadavg()[0]
        # The start of the earlier build, since its jars are among the staged ones: older files come from neither build.
        began = (earlier / "compile.sh").stat().st_mtime
        seconds = bench.compile(place, goals(way, module))
        found = bench.staged(place, began)
        reference = reference or found
        differing = sorted(name for name, _ in reference.items() ^ found.items())
        built = modules_built(bench.scratch / f"{way}.log")
        verdict = "the same" if not differing else f"differs: {', '.join(dict.fromkeys(differing))[:300]}"
        print(f"{way:12} {seconds:13.1f} {built:8} {load:6.1f}  {verdict}", flush=True)
        if way != "anew":
            remove_tree(place)
    shutil.rmtree(bench.scratch / "anew", ignore_errors=True)


def main() -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--module", choices=sorted(CHANGES), default="ql")
    parser.add_argument(
        "--way", choices=WAYS, action="append", help="'anew' comes first; all others are compared with it"
    )
    parser.add_argument("--store", type=Path, default=cache / "bigtop-builder-benchmark", help="kept between runs")
    parser.add_argument("--scratch", type=Path, help="kept between runs, with the earlier build: 5 GB")
    given = parser.parse_args()
    ways = ["anew", *(way for way in given.way or WAYS if way != "anew")]
    project = open_project(load_settings(Path.cwd(), {"store": str(given.store.resolve())}))
    evaluated = project.evaluate("hive", "el8")
    if not isinstance(evaluated, Evaluated):
        sys.exit(evaluated.reason)
    run = project.store.open().start_run()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as scratch,
            open_worker(project, Request(), run, Recorder(lambda _: None, None), threading.Event()) as worker,
        ):
            place = given.scratch.resolve() if given.scratch else Path(scratch)
            place.mkdir(parents=True, exist_ok=True)
            compare(Bench(worker, project, evaluated, place), given.module, ways)
    finally:
        run.close()


if __name__ == "__main__":
    main()
