"""The main job of an operator, on container hosts: make adopt, or make adopt SOURCE=PATH for a real Ambari.

A ZooKeeper ensemble of three is made by hand through Ambari's REST API. `inventory import` adopts it, and a dry run of
the result has nothing to change. One property is changed and rolls through the ensemble; a host dies and is replaced by
a fourth; the change is rolled back with Ambari's own versions. All the while a client writes, and sees no failure; each
time the dry run told exactly what the run did.

Without SOURCE the server is simulated and its agents work on the hosts; SOURCE is a tree or an archive of apache/ambari
(3.0, or trunk of that line), from which the real server and agents are made, unless --ambari-packages names a
repository that has them. At the end the hosts are removed; with
--keep, or after a failure, they stay up.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from by_hand import ByHand
from real_ambari import build_ambari
from trial import PLATFORM, PROJECT, ROOT, Trial, demand, terminate_as_interrupt
from zookeeper_writer import Writer

from bigtop_builder.adapter.containers.engine import connect
from bigtop_builder.adapter.containers.testbed import Bed
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.cluster.version_definition import version_definition
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.testbed.files import recorded as testbeds
from bigtop_builder.flow.testbed.testbed import testbed_document
from bigtop_builder.model.errors import BigtopBuilderError
from bigtop_builder.recipe.settings import load_settings

CLUSTER = "found"
NEEDED = ["bigtop-utils", "bigtop-select", "bigtop-groovy", "zookeeper"]
STACK = ("BIGTOP", "3.2.0")
LOST_SECONDS = 600


@dataclass
class Operator:
    """Who has the inventory ``file`` of the adopted cluster."""

    trial: Trial
    folder: Path
    hand: ByHand
    addresses: dict[str, str]
    """Of the hosts: three for the cluster, and one to replace the third."""

    @property
    def first(self) -> list[str]:
        return sorted(self.addresses)[:3]

    @property
    def dying(self) -> str:
        return sorted(self.addresses)[2]

    @property
    def new(self) -> str:
        return sorted(self.addresses)[3]

    @property
    def after(self) -> list[str]:
        return [*self.first[:2], self.new]

    @property
    def file(self) -> Path:
        return self.folder / f"{CLUSTER}.yaml"

    def planned(self, *options: str) -> list[str]:
        """Return what a dry run tells."""
        return self._changes("--dry-run", *options)

    def deploy(self, *options: str) -> list[str]:
        """Deploy; return what was changed, which must be what a dry run told."""
        told = self.planned(*options)
        done = self._changes("--yes", *options)
        demand(done == told, f"the dry run told {told}, but the run did {done}")
        return done

    def _changes(self, *options: str) -> list[str]:
        log = self.folder / "events.jsonl"
        self.trial.tool("deploy", str(self.file), *options, "--events", str(log))
        events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        return [": ".join(filter(None, (one.get("host"), one["name"]))) for one in events if one["event"] == "change"]

    @contextmanager
    def edited(self) -> Iterator[dict[str, Any]]:
        """Change the inventory, as a person with an editor does."""
        data = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        yield data
        self.file.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")

    def version(self) -> int:
        """Return the current version of ZooKeeper's configurations."""
        command = ("--json", "--project", str(self.trial.project), "config-history", str(self.file), "ZOOKEEPER")
        done = subprocess.run(
            [sys.executable, "-m", "bigtop_builder", *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        demand(done.returncode == 0, done.stderr)
        return next(int(one["version"]) for one in json.loads(done.stdout)["versions"] if one["current"])

    def writer(self, hosts: Sequence[str]) -> Writer:
        return Writer([f"{self.addresses[host]}:2181" for host in hosts])

    def require_written(self, writer: Writer, hosts: Sequence[str]) -> None:
        """End the trial if a write failed, or if a server lacks the last one."""
        print(f"    the client: {writer}", flush=True)
        demand(writer.writes > 0 and not writer.failures, f"writes failed: {writer.failures[:3]}")
        found = {host: writer.read(f"{self.addresses[host]}:2181") for host in hosts}
        demand(set(found.values()) == {writer.writes}, f"of {writer.writes} writes servers have {found}")


def document(trial: Trial) -> dict[str, Any]:
    """Return what the test bed adds to inventories: addresses, keys, passwords by reference."""
    found: dict[str, Any] = testbed_document(open_project(trial.settings).store, trial.name).data
    return found


def bare_inventory(folder: Path, name: str) -> Path:
    """Write the inventory of four hosts with Ambari and nothing else; return its path."""
    demo = yaml.safe_load((ROOT / "inventories" / "demo.yaml").read_text(encoding="utf-8"))
    kept = {key: demo[key] for key in ("ambari", "repositories", "prepare", "require")}
    # Nobody deploys it: the components say what hosts are checked for.
    groups = {"all": {"hosts": [f"node[1-4].{name}.test"], "components": ["ZOOKEEPER_SERVER", "ZOOKEEPER_CLIENT"]}}
    file = folder / "hosts.yaml"
    file.write_text(yaml.safe_dump({"cluster": "hosts", **kept, "groups": groups}), encoding="utf-8")
    return file


def hosts_up(trial: Trial, folder: Path) -> Operator:
    """Create four hosts with agents that have registered."""
    trial.inventory = str(bare_inventory(folder, trial.name))
    with trial.step("four container hosts, the repository and Ambari"):
        trial.tool("testbed", "up", "--inventory", trial.inventory, "--name", trial.name, *trial.up)
        trial.tool("deploy", trial.inventory, *trial.bed, "--yes", "--phase", "prepare", "--phase", "ambari")
    loaded = trial.loaded()
    choice = loaded.ambari
    password = Secrets().value(choice.password, "ambari.password")
    addresses = {host.name: host.address for host in loaded.hosts}
    return Operator(trial, folder, ByHand(choice.url, choice.user, password), addresses)


def made_by_hand(operator: Operator) -> None:
    """Make the cluster without the product."""
    loaded = operator.trial.loaded()
    families = {item["Hosts"]["os_type"] for item in operator.hand.call("GET", "hosts?fields=Hosts/os_type")["items"]}
    repositories = [("BIGTOP-3.2.0", "bigtop", loaded.inventory.repositories[0].url)]
    xml = version_definition(load_stack(*STACK), STACK[1], dict.fromkeys(sorted(families), repositories))
    number = operator.hand.register(xml)
    servers = {"ZOOKEEPER_SERVER": operator.first, "ZOOKEEPER_CLIENT": operator.first}
    operator.hand.make(CLUSTER, STACK, number, {"ZOOKEEPER": servers})


def adopted(operator: Operator) -> None:
    """Import the cluster, and fill in how to log in to the hosts, which Ambari does not know."""
    bed = document(operator.trial)
    url, password = operator.hand.url, str(bed["ambari"]["password"])
    operator.trial.tool("inventory", "import", url, "--password", password, "--output", str(operator.file), "--force")
    with operator.edited() as data:
        data["ssh"] = bed["ssh"]
        data["hosts"] = {host: bed["hosts"][host] for host in operator.first}


def host_dies(operator: Operator) -> None:
    """Kill a host as a failing machine would go, and wait until Ambari knows."""
    with closing(connect()) as client:
        bed = Bed(client, operator.trial.name, open_project(operator.trial.settings).store.root.resolve())
        client.api.kill(bed.containers()[operator.dying].id)
    hand = operator.hand
    if not operator.trial.up:
        # Simulated agents do not run on the hosts.
        address = f"{hand.url}/simulation/hosts/{operator.dying}/lose"
        requests.post(address, auth=(hand.user, hand.password), timeout=60).raise_for_status()
    deadline = time.monotonic() + LOST_SECONDS
    while hand.host_state(operator.dying) != "HEARTBEAT_LOST":
        demand(time.monotonic() < deadline, f"Ambari does not notice that {operator.dying} is gone")
        time.sleep(5)


def go(trial: Trial, folder: Path) -> None:
    """Go the whole way."""
    operator = hosts_up(trial, folder)
    with trial.step("a cluster is made by hand: ZooKeeper on three of the hosts"):
        made_by_hand(operator)
    with trial.step("it is adopted, and a dry run has nothing to change"):
        adopted(operator)
        demand(operator.planned() == [], "the adopted cluster differs from its inventory")
        trial.tool("status", str(operator.file))
    before = operator.version()
    with trial.step("one property rolls through the ensemble while a client writes"):
        with operator.edited() as data:
            data.setdefault("configurations", {}).setdefault("zoo.cfg", {})["tickTime"] = 2500
        writer = operator.writer(operator.first)
        with writer.writing():
            changes = operator.deploy()
        demand(changes[0] == "configurations zoo.cfg", f"the first change is {changes[0]}")
        demand(restarted(changes) == operator.first, f"not every server restarted by itself: {changes}")
        operator.require_written(writer, operator.first)
    with trial.step(f"{operator.dying} dies and {operator.new} takes its place while a client writes"):
        writer = operator.writer(operator.first)
        with writer.writing():
            host_dies(operator)
            with operator.edited() as data:
                (group,) = data["groups"].values()
                group["hosts"] = operator.after
                data["hosts"][operator.new] = document(operator.trial)["hosts"][operator.new]
                del data["hosts"][operator.dying]
            changes = operator.deploy("--remove", "--gone", operator.dying)
        demand(restarted(changes) == operator.first[:2], f"not every server that stays restarted by itself: {changes}")
        operator.require_written(writer, operator.after)
        trial.tool("status", str(operator.file))
    with trial.step("the change is rolled back while a client writes"):
        writer = operator.writer(operator.after)
        with writer.writing():
            trial.tool("rollback", str(operator.file), "ZOOKEEPER", str(before), "--yes")
            trial.tool("deploy", str(operator.file), "--yes", "--phase", "start")
        operator.require_written(writer, operator.after)
        with operator.edited() as data:
            del data["configurations"]["zoo.cfg"]["tickTime"]
        demand(operator.planned() == [], "after the way back the cluster differs from the inventory as it was")
        trial.tool("status", str(operator.file))


def restarted(changes: Sequence[str]) -> list[str]:
    """Return the hosts whose ZooKeeper server was restarted alone, in order."""
    restarts = [one for one in changes if one.startswith("restart ZOOKEEPER_SERVER on ")]
    return [one.partition(" (")[0].rpartition(" on ")[2] for one in restarts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="", help="a tree or an archive of apache/ambari")
    parser.add_argument("--ambari-packages", metavar="DIR", help="a repository with the real Ambari")
    parser.add_argument("--project", type=Path, default=PROJECT, help="another project file than the demo's")
    parser.add_argument("--keep", action="store_true", help="leave the hosts up")
    given = parser.parse_args()
    source = Path(given.source).resolve() if given.source else None
    if source is not None and not source.exists():
        sys.exit(f"{source}: no such tree or archive; call make adopt SOURCE=PATH-OF-AMBARI")
    terminate_as_interrupt()
    project = given.project.resolve()
    name = "real-adopt" if source or given.ambari_packages else "adopt"
    again = f"make adopt SOURCE={os.path.relpath(source, ROOT)}" if source else "make adopt"
    try:
        trial = Trial(load_settings(ROOT, {}, project_file=project), name, project=project)
        with trial.step("compile, package and publish ZooKeeper"):
            trial.tool("build", *(f"{name}@{PLATFORM}" for name in NEEDED))
            files = trial.packages(open_project(trial.settings), {PLATFORM: NEEDED})
            trial.tool("repo", "publish", "--platform", PLATFORM, "--make-key", "--replace", "--only-these", *files)
        if given.ambari_packages:
            trial.up = ("--ambari-packages", str(Path(given.ambari_packages).absolute()))
        elif source:
            trial.up = ("--ambari-packages", str(build_ambari(trial, source, "no")))
        if trial.name in testbeds(open_project(trial.settings).store):
            with trial.step("remove the hosts of an earlier trial"):
                trial.down()
        folder = Path(tempfile.mkdtemp(prefix="adopt-"))
        try:
            go(trial, folder)
        except BaseException:
            print(f"\nFailed. Hosts and {folder} are left as they are:\n{trial.ways_on(again)}", file=sys.stderr)
            raise
        if not given.keep:
            shutil.rmtree(folder)
            trial.down()
    except BigtopBuilderError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}")
    except KeyboardInterrupt:
        sys.exit(130)
    trial.report()


if __name__ == "__main__":
    main()
