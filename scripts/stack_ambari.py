"""The whole stack through a real Ambari: make stack-ambari SOURCES=DIR.

SOURCES is the folder of make stack, with the tree of apache/ambari (3.0, or trunk of that line) as ambari/. The stack,
Ambari, its metrics and its Solr are compiled and packaged; four container hosts get the real server and agents; then
every service of Ambari's stack whose packages exist is deployed, every service check must pass, and a second
deployment must change nothing. At the end the hosts are removed; with --keep, or after a failure, they stay up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import yaml
from stack import Stack, again, build, parser, publish, sources
from stack_inventory import without_components
from trial import PLATFORM, ROOT, Trial, demand, go

from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.testbed.files import recorded as testbeds
from bigtop_builder.recipe.settings import load_settings

NAME = "stack-ambari"
INVENTORY = ROOT / "inventories" / "stack-ambari-four-hosts.yaml"
SERVERS = ("ambari", "ambari-metrics", "ambari-infra-solr")
"""What is installed from Ambari's repository, and not from the stack's."""


def missing_services(trial: Trial, inventory: Path, repository: Path) -> dict[str, str]:
    """Return the services for which the repository lacks a package → that package."""
    check = ("repo", "check-stack", "--inventory", str(inventory), str(repository))
    command = ("--json", "--project", str(trial.project), *check)
    done = subprocess.run(
        [sys.executable, "-m", "bigtop_builder", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    demand(done.stdout.startswith("{"), done.stderr)
    found = json.loads(done.stdout)["findings"]
    return {one["wanted_by"]: one["subject"] for one in found if one["level"] == "error" and one["kind"] == "package"}


def inventory(trial: Trial) -> tuple[Path, dict[str, str]]:
    """Write the inventory for what is published; return its path, and services left out → the missing package.

    It stands beside the packages, where it is still there when the trial has failed.
    """
    document = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))
    file = trial.settings.output / f"{NAME}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    repository = trial.settings.repository / trial.settings.project.stack / PLATFORM
    services = load_stack().services
    gone = missing_services(trial, file, repository)
    components = {name for service in gone for name in services[service].components}
    file.write_text(yaml.safe_dump(without_components(document, components), sort_keys=False), encoding="utf-8")
    return file, gone


def deploy(trial: Trial) -> None:
    """Create hosts, deploy, check every service, deploy again."""
    with trial.step("four container hosts, the repository and Ambari's"):
        trial.tool("testbed", "up", "--inventory", trial.inventory, "--name", trial.name, *trial.up)
        trial.tool("hosts", "check", trial.inventory, *trial.bed)
        trial.tool("hosts", "prepare", trial.inventory, *trial.bed)
    with trial.step("the database of Hive's metastore"):
        trial.deployment(*trial.bed, "--phase", "standalone")
    with trial.step("the cluster, and the service check of every service"):
        # Its last phase does the same as the command `verify`.
        trial.deployment(*trial.bed)
    with trial.step("status"):
        trial.tool("status", trial.inventory, *trial.bed)
    with trial.step("a second deployment changes nothing"):
        demand(trial.deployment(*trial.bed) == 0, "the second deployment made changes")


def main() -> None:
    options = parser(__doc__).parse_args()
    go(partial(run, options), options.sources, "make stack-ambari SOURCES=FOLDER-OF-SOURCE-TREES")


def run(options: argparse.Namespace, folder: Path) -> None:
    """Go the whole way."""
    project = options.project.resolve()
    settings = load_settings(ROOT, {}, project_file=project)
    stack = Stack(settings, [], SERVERS)
    given = sources(stack, folder, lacking="fetch")
    trial = Trial(settings, NAME, project=project)
    complete = options.built or build(stack, trial, given)
    built = stack.built()
    demand(set(SERVERS) <= set(built), "Ambari, its metrics and its Solr are needed, and were not all built")
    publish(stack, trial, [name for name in built if name not in SERVERS])
    servers = [str(file) for name in SERVERS for file in stack.packages(name)]
    trial.up = ("--ambari-packages", str(trial.publish_ambari(servers)))
    file, gone = inventory(trial)
    trial.inventory = str(file)
    if NAME in testbeds(open_project(settings).store) and not options.reuse:
        with trial.step("remove the hosts of an earlier trial"):
            trial.down()
    try:
        deploy(trial)
    except BaseException:
        ways_on = trial.ways_on(again(options, "stack-ambari", folder))
        print(f"\nFailed. The hosts are left as they are:\n{ways_on}", file=sys.stderr)
        raise
    if not options.keep:
        trial.down()
    trial.report()
    for service, package in gone.items():
        print(f"{service} was left out: there is no package {package}")
    demand(complete, "not every component was built")


if __name__ == "__main__":
    main()
