"""The whole stack, from source trees to services that work on each other: make stack SOURCES=DIR.

SOURCES is a folder with a source tree or an archive of each component, by its name (hadoop/, tez.tar.gz). What it lacks
is listed with the place where it is published, and fetched from there. Everything is compiled and packaged for el8 and
published; four container hosts get HDFS, YARN, Hive, HBase, Kafka and all others from these packages alone, without
Ambari; a second deployment must change nothing; then the smoke test of each component runs on them. What could not be
built is left out, with all that needs it, and the end says so. With --record, what ran is written to the components'
verified.yaml. At the end the hosts are removed; with --keep, or after a failure, they stay up.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import yaml
from stack_inventory import left_out, reduced
from stack_sources import given_sources, published, report, unknown_entries
from trial import PLATFORM, ROOT, Trial, demand, go

from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.testbed.files import recorded as testbeds
from bigtop_builder.model.tap import TapReport, read_tap
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.settings import Settings, load_settings

NAME = "stack"
PROJECT = ROOT / "examples" / "stack" / "bigtop-builder.yaml"
INVENTORY = ROOT / "inventories" / "stack-four-hosts.yaml"
AMBARI = "ambari"
"""Components whose names begin so are Ambari and its servers, which are not deployed here, but by stack_ambari.py."""


class Stack:
    """The components of the stack, as this program builds them."""

    def __init__(self, settings: Settings, only: list[str], servers: Sequence[str] = ()) -> None:
        """``servers`` are the components of Ambari to build as well."""
        demand(
            settings.project.native == "label", "the project file must have 'native: label': the hosts run what builds"
        )
        self.settings = settings
        self.project: Project = open_project(settings)
        known = [name for name in self.project.components() if name in servers or not name.startswith(AMBARI)]
        for name in only:
            demand(name in known, f"--only: there is no component {name}")
        self.all = {name: self._evaluated(name) for name in known}
        self.components = self.all if not only else self._with_needs(only)

    def _evaluated(self, name: str) -> Evaluated:
        evaluated = self.project.evaluate(name, PLATFORM)
        demand(not isinstance(evaluated, Refusal), f"{name} cannot be built: {evaluated}")
        assert not isinstance(evaluated, Refusal)
        return evaluated

    def _with_needs(self, names: list[str]) -> dict[str, Evaluated]:
        chosen: dict[str, None] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in self.all and name not in chosen:
                chosen[name] = None
                one = self.all[name]
                waiting += [*one.build_depends, *one.runtime_depends, *(one.smoke.needs if one.smoke else ())]
        return {name: one for name, one in self.all.items() if name in chosen}

    def packages(self, name: str) -> list[Path]:
        """The package files of a component, whether they exist or not."""
        one = self.components[name]
        return [self.settings.output / one.target.label / file for file in one.package_files()]

    def built(self) -> list[str]:
        """The components all of whose packages exist."""
        return [name for name in self.components if all(file.is_file() for file in self.packages(name))]


def sources(stack: Stack, folder: Path, *, lacking: str) -> dict[str, Path]:
    """Say what the folder has and lacks; return the given sources."""
    names = list(stack.components)
    given = given_sources(folder, names)
    places = {name: published(one) for name, one in stack.components.items()}
    print(f"\n==> sources in {folder}")
    print("\n".join(f"    {line}" for line in report(names, given, places)))
    for name in unknown_entries(folder, stack.all):
        print(f"    {name}: belongs to no component of the stack, and is ignored")
    without = {name for name in names if name not in given and places[name]}
    if lacking == "stop" and without:
        sys.exit(f"{folder} lacks the sources of {len(without)} components (--lacking stop)")
    if lacking == "leave-out":
        stack.components = {name: one for name, one in stack.components.items() if name not in without}
    return given


def build(stack: Stack, trial: Trial, given: dict[str, Path]) -> bool:
    """Build what can be built; return whether everything was."""
    options = [word for name in given for word in ("--source", f"{name}={given[name]}") if name in stack.components]
    with trial.step("compile and package"):
        return _tried(trial, "build", "--keep-going", "--platform", PLATFORM, *stack.components, *options)


def _tried(trial: Trial, *arguments: str) -> bool:
    """Run a command of the tool; return whether it succeeded."""
    try:
        trial.tool(*arguments)
    except SystemExit:
        return False
    return True


def publish(stack: Stack, trial: Trial, names: list[str]) -> None:
    """Publish the packages of components, without any others."""
    files = [str(file) for name in names for file in stack.packages(name)]
    with trial.step("publish, signed"):
        options = ("--make-key", "--replace", "--allow-foreign", "--only-these")
        trial.tool("repo", "publish", "--platform", PLATFORM, *options, *files)


def inventory(stack: Stack, names: list[str]) -> tuple[Path, dict[str, str]]:
    """Write the inventory beside the packages of components; return its path, and what was left out and why."""
    document = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))
    ours = {package.name for one in stack.all.values() for package in one.packages}
    there = {package.name for name in names for package in stack.components[name].packages}
    gone = left_out(document["standalone"], ours, there)
    file = stack.settings.output / f"{NAME}.yaml"
    file.write_text(yaml.safe_dump(reduced(document, gone), sort_keys=False), encoding="utf-8")
    return file, gone


def deploy(trial: Trial, smoke: Path) -> tuple[bool, dict[str, Path]]:
    """Create hosts, deploy twice, run the smoke tests; return whether all passed, and the reports by component."""
    bed = trial.bed
    with trial.step("four container hosts and the repository"):
        trial.tool("testbed", "up", "--inventory", trial.inventory, "--name", trial.name)
        trial.tool("hosts", "check", trial.inventory, *bed)
        trial.tool("hosts", "prepare", trial.inventory, *bed)
    with trial.step("install, configure, initialise and start everything"):
        trial.deployment(*bed, "--phase", "standalone")
    with trial.step("a second deployment changes nothing"):
        demand(trial.deployment(*bed, "--phase", "standalone") == 0, "the second deployment made changes")
    with trial.step("smoke tests"):
        passed = _tried(trial, "verify", trial.inventory, *bed, "--events", str(smoke))
    events = [json.loads(line) for line in smoke.read_text(encoding="utf-8").splitlines()]
    started = next(event for event in events if event["event"] == "run_started")
    logs = Path(started["store"]) / "runs" / started["run"] / "logs" / "smoke"
    return passed, {file.stem: file for file in sorted(logs.glob("*.tap"))}


def record(trial: Trial, given: dict[str, Path], reports: dict[str, Path]) -> None:
    """Write what ran to the components' verified.yaml."""
    passed = {name: file for name, file in reports.items() if _read(file).ok}
    with trial.step("record what ran"):
        taps = [word for name, file in passed.items() for word in ("--tap", f"{name}={file}")]
        # Of all of them: what a component depends on was built from its own as well.
        options = [word for name in given for word in ("--source", f"{name}={given[name]}")]
        trial.tool("verify-component", *passed, *taps, "--hosts", "4", *options)


def _read(file: Path) -> TapReport:
    return read_tap(file.read_text(encoding="utf-8").splitlines())


def summary(trial: Trial, stack: Stack, built: list[str], gone: dict[str, str], reports: dict[str, Path]) -> None:
    """Print what was built, left out and tried."""
    trial.report()
    print(f"\nBuilt: {len(built)} of {len(stack.components)} components; {len(gone)} stand-alone entries left out")
    for name in stack.components:
        if name not in built:
            print(f"  {name}: no packages")
    for name, why in gone.items():
        print(f"  {name}: left out, {why}")
    print("\nSmoke tests:")
    for name, file in reports.items():
        found = _read(file)
        words = [
            *found.passed,
            *(f"{one} (skipped)" for one in found.skipped),
            *(f"{one} FAILED" for one in found.failed),
        ]
        print(f"  {name:12} {', '.join(words)}")


def parser(about: str | None) -> argparse.ArgumentParser:
    """Return the options of every trial of the whole stack."""
    found = argparse.ArgumentParser(description=about)
    found.add_argument("sources", help="a folder with source trees or archives, by component")
    found.add_argument("--built", action="store_true", help="build nothing: use the packages in the output folder")
    found.add_argument("--reuse", action="store_true", help="deploy on the hosts of an earlier run, as they are")
    found.add_argument("--keep", action="store_true", help="leave the hosts up")
    found.add_argument("--project", type=Path, default=PROJECT, help="a project file of your own")
    return found


def again(options: argparse.Namespace, target: str, folder: Path) -> str:
    """Return the command that goes on where a trial stopped: with the packages and the hosts that are there."""
    own = "" if options.project == PROJECT else f" --project {os.path.relpath(options.project, ROOT)}"
    return f'make {target} SOURCES={os.path.relpath(folder, ROOT)} OPTIONS="--built --reuse{own}"'


def arguments() -> argparse.Namespace:
    own = parser(__doc__)
    own.add_argument(
        "--lacking",
        choices=["fetch", "leave-out", "stop"],
        default="fetch",
        help="what to do with components whose source the folder lacks (default: fetch it where it is published)",
    )
    own.add_argument("--only", default="", help="these components, separated by commas, and what they need")
    own.add_argument("--record", action="store_true", help="write what ran to the components' verified.yaml")
    return own.parse_args()


def main() -> None:
    options = arguments()
    go(partial(run, options), options.sources, "make stack SOURCES=FOLDER-OF-SOURCE-TREES")


def run(options: argparse.Namespace, folder: Path) -> None:
    """Go the whole way."""
    project = options.project.resolve()
    settings = load_settings(ROOT, {}, project_file=project)
    stack = Stack(settings, [name for name in options.only.split(",") if name])
    given = sources(stack, folder, lacking=options.lacking)
    with tempfile.TemporaryDirectory() as scratch:
        trial = Trial(settings, NAME, project=project)
        complete = options.built or build(stack, trial, given)
        built = stack.built()
        demand(bool(built), "nothing was built")
        publish(stack, trial, built)
        file, gone = inventory(stack, built)
        trial.inventory = str(file)
        if NAME in testbeds(open_project(settings).store) and not options.reuse:
            with trial.step("remove the hosts of an earlier trial"):
                trial.down()
        try:
            passed, reports = deploy(trial, Path(scratch) / "events.jsonl")
        except BaseException:
            ways_on = trial.ways_on(again(options, "stack", folder))
            print(f"\nFailed. The hosts are left as they are:\n{ways_on}", file=sys.stderr)
            raise
        if options.record:
            record(trial, given, reports)
        if passed and not options.keep:
            trial.down()
        summary(trial, stack, built, gone, reports)
    demand(complete and len(built) == len(stack.components), "not every component was built")
    demand(passed, "some checks failed: they are listed above")


if __name__ == "__main__":
    main()
