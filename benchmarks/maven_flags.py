"""Compile a component with other flags for Maven, and compare time and result: what is faster and stays the same?

    python -m benchmarks.maven_flags COMPONENT "-T 2" [FLAGS]… [--rounds 1] [--project FILE] [--source PATH]

Each side is ``build COMPONENT --force`` with ``maven_args`` as the component has it, and with the given flags after it,
in turn. Printed are the seconds of the compile step, the ratio to the component's own flags, and whether the packages
are the same bytes. The load is printed for each build: ``-T`` says little on a machine whose processors are taken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from bigtop_builder.model.digest import of_file
from bigtop_builder.recipe.catalog import Catalog


@dataclass(frozen=True)
class Built:
    """One build: seconds of its compile step, and the digests of its packages by file name."""

    seconds: float
    load: float
    packages: dict[str, str]


def build(component: str, maven_args: str, options: list[str]) -> Built:
    """Build once. Ends the benchmark when the build fails."""
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        chosen = ("--set", f"{component}.variables.maven_args={maven_args}", "--output", folder)
        command = ("build", component, "--force", "--quiet", *chosen, *options, "--events", str(events))
        load = os.getloadavg()[0]
        subprocess.run([sys.executable, "-m", "bigtop_builder", *command], check=True)
        told = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
        seconds = sum(
            event["seconds"]
            for event in told
            if event["event"] == "step_finished" and event["step"] == "compile" and component in event["task"]
        )
        return Built(seconds, load, {file.name: of_file(file) for file in Path(folder).rglob("*.rpm")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("component")
    parser.add_argument("flags", nargs="+", help="flags to try, each added to the component's own")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--project", help="the project file")
    parser.add_argument("--source", help="the component's source, instead of the pinned one")
    given = parser.parse_args()
    options = ["--project", given.project] if given.project else []
    options += ["--source", f"{given.component}={given.source}"] if given.source else []
    own = str(Catalog().component(given.component).component.variables["maven_args"])
    sides = {"as it is": own, **{flags: f"{own} {flags}" for flags in given.flags}}
    builds: dict[str, list[Built]] = defaultdict(list)
    for _ in range(given.rounds):
        for name, maven_args in sides.items():
            builds[name].append(build(given.component, maven_args, options))
            last = builds[name][-1]
            print(f"{name:30} {last.seconds:7.1f} s  (load {last.load:.1f})", flush=True)
    first = builds["as it is"][0].packages
    print(f"\n{given.component}: seconds of the compile step, mean of {given.rounds}")
    for name, several in builds.items():
        ratio = fmean(one.seconds for one in several) / fmean(one.seconds for one in builds["as it is"])
        differs = sorted({file for one in several for file in first if one.packages.get(file) != first[file]})
        same = f"{len(differs)} packages differ: {', '.join(differs)}" if differs else "same bytes"
        print(f"{name:30} {fmean(one.seconds for one in several):7.1f}  {ratio:5.2f}  {same}")


if __name__ == "__main__":
    main()
