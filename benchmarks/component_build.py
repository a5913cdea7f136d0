"""Build a component with warm caches and compare with one bare ``docker run`` of the same work, in turn, in one run.

    python -m benchmarks.component_build [COMPONENT[@PLATFORM]] [--source PATH] [--set KEY=VALUE]… [--rounds 2]
        [--store DIR] [--former CHECKOUT]

Ours is ``build COMPONENT --force`` as a user types it, on a store that has the source, the images and the tools'
caches: start-up and plan, unpacking in Python, the compile and package containers, normalising the staged tree, the
check (headers, payload, and an installation on a clean host in a third container), syncing results into the store, and
cleaning up. No source is downloaded and no image is made.

The bare side is one container of the same toolchain image with the site's settings and plain warm caches, as root:
``unzip`` or ``tar`` or ``cp``, ``patch``, the same compile script, and ``rpmbuild`` of the same spec over the resulting
tree, with the same install script and files. Nothing is normalised, checked or kept; preparing its inputs and cleaning
up are not timed.

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.store import remove_tree
from bigtop_builder.adapter.tools.cache import shared_part
from bigtop_builder.cli.choices import parse_choices
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.worker import Worker, open_worker
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.run.recorder import Recorder
from bigtop_builder.plan.task import Task
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile
from bigtop_builder.recipe.settings import load_settings

TARGET = 1.03

BARE = """
set -euo pipefail
mark() { date +%s.%N > "/work/mark.$1"; }
mark begin
mkdir -p /work/src
cd /work/src
bash /work/unpack.sh
mark unpack
for patch in /work/patches/*; do
  if [ -e "$patch" ]; then patch --batch --forward -p1 -F0 -i "$patch"; fi
done
mark patch
bash /work/compile.sh
mark compile
cd /work/rpm
rpmbuild -bb --nodeps --define '_topdir /work/rpm' SPECS/package.spec
mark package
"""

Parts = dict[str, float]


@dataclass(frozen=True)
class What:
    """What both sides build: a component for a platform, with the user's choices as flags of the command line."""

    component: str
    platform: str
    flags: tuple[str, ...]

    @property
    def selector(self) -> str:
        """The component and its platform, as in a command."""
        return f"{self.component}@{self.platform}"


def ours(what: What, store: Path, folder: Path, python: str = sys.executable) -> Parts:
    """Run one forced build; return the seconds of its steps, of the time between them, and ``all``."""
    events = folder / "events.jsonl"
    events.unlink(missing_ok=True)
    command = [python, "-m", "bigtop_builder", "build", what.selector, *what.flags, "--force", "--quiet"]
    started = time.monotonic()
    subprocess.run([*command, "--store", str(store), "--events", str(events)], cwd=folder, check=True)
    total = time.monotonic() - started
    steps: Counter[str] = Counter()
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "step_finished":
            steps[event["step"]] += event["seconds"]
    return {**steps, "between": total - sum(steps.values()), "all": total}


def unpacking(evaluated: Evaluated, sources: Sequence[str]) -> str:
    """Return the script that lays out the source tree; ``sources`` are the names that the container has them by."""
    lines = ["set -euo pipefail"]
    for source, name in zip(evaluated.sources, sources, strict=True):
        lines.append(f"mkdir -p {source.into}")
        if source.unpack == "no":
            lines.append(f"cp /sources/{name} {source.into}/")
        elif name.endswith((".zip", ".jar")):
            lines += [f"unzip -q /sources/{name} -d /work/unpacked", f"cp -a /work/unpacked/*/. {source.into}/"]
        else:
            lines.append(f"tar -xf /sources/{name} --strip-components={source.strip} -C {source.into}")
    if evaluated.local_source is not None:
        lines.insert(1, "cp -a /local/. .")
    return "\n".join(lines) + "\n"


def lay_out(project: Project, evaluated: Evaluated, work: Path) -> None:
    """Write the folders and files that the bare side works on."""
    for name in ("stage", "rpm/SPECS", "rpm/SOURCES", "files", "patches"):
        (work / name).mkdir(parents=True)
    for number, patch in enumerate(evaluated.patches):
        shutil.copyfile(patch.path, work / "patches" / f"{number:04}")
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


def bare(worker: Worker, project: Project, task: Task, home: Path, work: Path) -> Parts:
    """Run one ``docker run``; return the seconds of its parts, of the container's start and end, and ``all``."""
    evaluated = task.evaluated
    lay_out(project, evaluated, work)
    record = recorded(project.store, image_key(project.image_spec(evaluated, "compile")))
    assert record is not None
    fetched = [worker.fetcher.fetch(source, base=evaluated.source_base) for source in evaluated.sources]
    (work / "unpack.sh").write_text(unpacking(evaluated, [one.name for one in fetched]), encoding="utf-8")
    environment = {
        "STAGE": "/work/stage",
        "FILES": "/files",
        "SOURCE_DATE_EPOCH": str(evaluated.stack.epoch),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        **worker.site.environment,
        **evaluated.build.environment,
    }
    volumes = [(work, "/work"), (home, "/root"), (work / "files", "/files")]
    volumes += [(one.path, f"/sources/{one.name}") for one in fetched]
    volumes += [(project.store.stage(key), f"/deps/{name}") for name, key in task.dependency_keys.items()]
    if evaluated.local_source is not None:
        volumes.append((evaluated.local_source, "/local"))
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
    marks = {
        name: float((work / f"mark.{name}").read_text()) for name in ("begin", "unpack", "patch", "compile", "package")
    }
    before = list(marks)
    parts = {name: marks[name] - marks[before[number]] for number, name in enumerate(before[1:])}
    return {**parts, "between": total - sum(parts.values()), "all": total}


def warm_home(worker: Worker, home: Path, component: str | None = None) -> None:
    """Create a plain home whose ``~/.m2`` holds everything in the store's cache, and what is the component's own."""
    repository = home / ".m2" / "repository"
    shared = shared_part("maven", worker.store.root)
    shutil.copytree(shared, repository)
    own = shared.parent / "own" / str(component)
    if own.is_dir():
        shutil.copytree(own, repository, dirs_exist_ok=True)
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
    parser.add_argument("component", nargs="?", default="zookeeper@el8", help="COMPONENT or COMPONENT@PLATFORM")
    parser.add_argument("--source", type=Path, help="build from this source tree")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the component")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--store", type=Path, default=cache / "bigtop-builder-benchmark", help="kept between runs")
    parser.add_argument("--former", type=Path, help="a checkout of an older version, with its .venv")
    given = parser.parse_args()
    name, _, platform = given.component.partition("@")
    flags = [flag for value in given.set for flag in ("--set", f"{name}.{value}")]
    if given.source:
        flags += ["--source", f"{name}={given.source.resolve()}"]
    what = What(name, platform or "el8", tuple(flags))
    former = given.former and str(given.former.resolve() / ".venv" / "bin" / "python")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        compare(what, given.store.resolve(), Path(scratch), given.rounds, former)


def compare(what: What, store: Path, folder: Path, count: int, former: str | None) -> None:
    """Run all rounds, the sides in turn."""
    sets, sources = (
        [value for flag, value in zip(what.flags[::2], what.flags[1::2], strict=True) if flag == kind]
        for kind in ("--set", "--source")
    )
    project = open_project(load_settings(folder, {"store": str(store)}), parse_choices(sets, sources, folder))
    request = Request(selectors=(what.selector,), force=True)
    if not project.plan(replace(request, force=False)).nothing_to_do:
        print(f"filling the caches: {ours(what, store, folder)['all']:.1f} s", flush=True)
    before = store.with_name(f"{store.name}-former")
    if former:
        print(
            f"filling the caches of the former version: {ours(what, before, folder, former)['all']:.1f} s", flush=True
        )
    plan = project.plan(request)
    compiled = next(task for task in plan.tasks if task.kind == "compile" and task.evaluated.name == what.component)
    run = project.store.open().start_run()
    rounds: list[tuple[Parts, Parts, Parts]] = []
    try:
        with open_worker(project, request, run, Recorder(lambda _: None, None), threading.Event()) as worker:
            warm_home(worker, folder / "home", what.component)
            for number in range(count):
                load = os.getloadavg()[0]
                sides: list[Callable[[], Parts]] = [
                    lambda: ours(what, store, folder),
                    lambda: bare(worker, project, compiled, folder / "home", folder / "work"),
                    lambda: ours(what, before, folder, former) if former else {},
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
