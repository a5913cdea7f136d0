"""Measure what starting the program costs over a Python that imports the same libraries, in one run.

    python -m benchmarks.startup [--rounds 15]

Each round runs, in turn, so that other load on the machine affects all alike: ``python -c 'import requests, yaml,
jinja2'``, the same with those of our modules that a build imports, ``--help``, ``plan --all`` of the shipped stack with
everything to do, and ``build --all`` with nothing to do. The store is synthetic: image records and results with small
files stand for real ones, under the keys that a plan looks up. A first round, which does not count, writes bytecode (of
all sides, into a folder of the benchmark's own) and compiled templates.

Wall-clock seconds are what a user waits for; processor seconds hardly depend on other load.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import ImageRecord
from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.settings import load_settings

IMPORTS = "import requests, yaml, jinja2"
OWN = "bigtop_builder.cli.app, bigtop_builder.cli.views.watch, bigtop_builder.flow.build.builder"
TARGETS = {"--help": 0.15, "plan --all, everything to do": 0.5, "build --all, nothing to do": 0.5}


def fill_store(project: Path, root: Path) -> int:
    """Fill a store so that nothing of the shipped stack is left to build; return the number of tasks."""
    flags = {"store": str(root), "native": "label"}
    settings = load_settings(project, flags, {})
    request = Request(everything=True)
    workspace = open_project(settings)
    workspace.store.open()
    for name, platform in workspace.pairs(request):
        evaluated = workspace.evaluate(name, platform)
        if isinstance(evaluated, Refusal):
            raise SystemExit(evaluated.reason)
        packaging = workspace.package_image(evaluated.target.builder.name)
        for spec in (workspace.image_spec(evaluated, "compile"), packaging):
            key = image_key(spec)
            record = ImageRecord(key, spec.name, "sha256:" + key, "made-up", key, key, "made-up", 0.0)
            (root / "images" / f"{key}.json").write_text(json.dumps(asdict(record)), encoding="utf-8")
    plan = workspace.plan(Request(everything=True, force=True))
    for task in plan.tasks:
        folder = root / "work" / "result"
        (folder / ("rpms" if task.kind == "package" else "stage")).mkdir(parents=True)
        manifest: dict[str, object] = {"task": task.id, "key": task.key, "ingredients": dict(task.ingredients)}
        if task.kind == "package":
            names = task.evaluated.package_files()
            for file in names:
                (folder / "rpms" / file).write_bytes(file.encode())
            manifest |= {"rpms": dict.fromkeys(names, task.key), "notes": []}
        workspace.store.commit(task.kind, task.key, folder, manifest)
        workspace.store.record_last(task.id, task.key, task.ingredients, 1.0)
    assert open_project(settings).plan(request).nothing_to_do
    return len(plan.tasks)


def seconds_of(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Run a command; return its wall-clock seconds and its processor seconds, children included."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "NO_COLOR": "1"}
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} exited with {process.returncode}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def measure(commands: dict[str, Sequence[str]], folder: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Run each command in turn, ``rounds`` times; a first round does not count."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            once = seconds_of(command, folder)
            if number:
                found[name].append(once)
    return found


def table(found: dict[str, list[tuple[float, float]]]) -> None:
    """Print medians, minima, and what each command costs over the imports."""
    figures = {
        name: [reduce(values) for values in zip(*runs, strict=True) for reduce in (statistics.median, min)]
        for name, runs in found.items()
    }
    base = figures[IMPORTS]
    print(f"{'':32}{'clock':>14}{'processors':>16}{'over the imports: clock':>28}{'processors':>14}{'target':>8}")
    print(f"{'':32}{'median   min':>14}{'median   min':>16}{'median   min':>28}{'median   min':>14}")
    for name, row in figures.items():
        over = [value - other for value, other in zip(row, base, strict=True)]
        text = f"{name:32}{row[0]:8.3f}{row[1]:6.3f}{row[2]:10.3f}{row[3]:6.3f}"
        if name != IMPORTS:
            text += f"{over[0]:+22.3f}{over[1]:+6.3f}{over[2]:+8.3f}{over[3]:+6.3f}"
        if name in TARGETS:
            text += f"{TARGETS[name]:8.2f}"
        print(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tasks = fill_store(folder, folder / "store")
        program = [sys.executable, "-m", "bigtop_builder"]
        whole = ["--all", "--native", "label", "--store"]
        commands: dict[str, Sequence[str]] = {
            IMPORTS: [sys.executable, "-c", IMPORTS],
            "with the modules of a build": [sys.executable, "-c", f"{IMPORTS}, {OWN}"],
            "--help": [*program, "--help"],
            "plan --all, everything to do": [*program, "plan", "--force", *whole, str(folder / "store")],
            "build --all, nothing to do": [*program, "build", *whole, str(folder / "store")],
        }
        found = measure(commands, folder, rounds)
        load, processors = os.getloadavg()[0], os.cpu_count()
        print(f"{tasks} tasks; {rounds} rounds; load {load:.1f} on {processors} processors; seconds")
        table(found)


if __name__ == "__main__":
    main()
