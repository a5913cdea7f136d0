"""The path of the demo and of the trial on a real Ambari: what both do, step by step, as a user would.

Compile and package, publish signed, compare with Bigtop's packages, bring hosts up, deploy, prove from the hosts that
it works, deploy again without a change, take down.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.ssh import Fleet
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.testbed.testbed import testbed_document
from bigtop_builder.model.errors import BigtopBuilderError
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory
from bigtop_builder.recipe.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "examples" / "demo" / "bigtop-builder.yaml"
INVENTORY = "inventories/demo.yaml"
REFERENCE = Path(os.environ.get("BIGTOP_REFERENCE", ROOT.parent / "shared" / "bigtop" / "reference"))
SECONDS = 600
WIDTH = 160

NOARCH = ["bigtop-utils", "bigtop-select", "bigtop-groovy", "zookeeper", "spark", "spark-pi"]
NATIVE = ["bigtop-jsvc", "zookeeper-native"]
PLATFORM, BUILDER = "el8", "debian-bootstrap"
COMPARED = ["bigtop-utils", "bigtop-select", "zookeeper", "spark"]
NATIVE_PART = {"zookeeper": ["zookeeper-native"]}

MODE = """
exec 3<>/dev/tcp/"$(hostname -f)"/2181
printf srvr >&3
timeout 60 grep -E '^(Zookeeper version|Mode)' <&3
"""
AGENT_FILE = "cat /etc/yum.repos.d/ambari-bigtop-*.repo"
SIGNATURES = r"""
grep -H gpgcheck /etc/yum.repos.d/*.repo
! grep -h ^gpgcheck /etc/yum.repos.d/*.repo | grep -v '=1$'
! grep -h repo_gpgcheck /etc/yum.repos.d/bigtop-builder-*.repo | grep -v '=1$'
rpm --query --all --queryformat '%{NEVRA}  %|RSAHEADER?{%{RSAHEADER:pgpsig}}:{NOT SIGNED}|\n' '*3_2_0*' 'bigtop*' | sort
! rpm --query --all --queryformat '%|RSAHEADER?{}:{NOT SIGNED}|' '*3_2_0*' 'bigtop*' | grep .
/usr/lib/bigtop-select/distro-select status zookeeper-server
"""
WORKERS = """
curl --silent --show-error --fail --max-time 60 "http://$(hostname -f):18080/json/" | grep -E '"(url|aliveworkers)" :'
"""
NATIVE_CODE = """
dnf --assumeyes --quiet --setopt=install_weak_deps=False install bigtop-jsvc zookeeper_3_2_0-native >/dev/null 2>&1
/usr/lib/bigtop-utils/jsvc -help | sed -n 1p
rpm --query --list zookeeper_3_2_0-native | grep 'libzookeeper_mt[.]so'
"""


class Stopped(KeyboardInterrupt):
    """A signal told this process alone to stop."""


def stop(number: int, _: Any) -> None:
    raise Stopped


def demand(holds: bool, otherwise: str) -> None:
    """End the trial unless ``holds``."""
    if not holds:
        sys.exit(f"the trial failed: {otherwise}")


@dataclass
class Trial:
    """One run of the path, on a test bed of its own."""

    settings: Settings
    name: str
    """The test bed's."""
    project: Path = PROJECT
    inventory: str = INVENTORY
    up: tuple[str, ...] = ()
    """Further options of ``testbed up``."""
    times: list[tuple[str, float]] = field(default_factory=list)
    costs: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def bed(self) -> tuple[str, str]:
        return ("--testbed", self.name)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        print(f"\n==> {title}", flush=True)
        started = time.monotonic()
        yield
        self.times.append((title, time.monotonic() - started))
        print(f"    {self.times[-1][1]:.1f} s", flush=True)

    def tool(self, *arguments: str) -> None:
        """Run a command as a user would."""
        shown = " ".join(arguments)
        print("    $ bigtop-builder " + (shown if len(shown) < WIDTH else shown[:WIDTH] + " …"), flush=True)
        run(sys.executable, "-m", "bigtop_builder", "--project", str(self.project), *arguments)

    def packages(self, project: Project, wanted: Mapping[str, Sequence[str]]) -> list[str]:
        """The packages of these components by platform, without others in the output folder."""
        files = []
        for platform, names in wanted.items():
            for name in names:
                evaluated = project.evaluate(name, platform)
                assert not isinstance(evaluated, Refusal)
                files += [str(project.settings.output / platform / file) for file in evaluated.package_files()]
        return files

    def build(self) -> None:
        with self.step("compile and package (el8: everything noarch; native code for the platform it is built on)"):
            self.tool("build", *(f"{name}@{PLATFORM}" for name in NOARCH), *(f"{name}@{BUILDER}" for name in NATIVE))
        project = open_project(self.settings)
        with self.step("publish, signed"):
            # Native code is labelled for the platform it is built on, which is that of the container hosts.
            options = ("--make-key", "--replace", "--allow-foreign", "--only-these")
            files = self.packages(project, {PLATFORM: NOARCH, BUILDER: NATIVE})
            self.tool("repo", "publish", "--platform", PLATFORM, *options, *files)
        with self.step("compare with the metadata of Bigtop's own packages"):
            self.compare(project)

    def compare(self, project: Project) -> None:
        if not REFERENCE.is_dir():
            print(f"    skipped: {REFERENCE} does not exist (set BIGTOP_REFERENCE to the folder of Bigtop's metadata)")
            return
        for name in COMPARED:
            files: list[str] = []
            for component in (name, *NATIVE_PART.get(name, ())):
                for platform in (PLATFORM, BUILDER):
                    evaluated = project.evaluate(component, platform)
                    if isinstance(evaluated, Refusal) or (component == name and platform != PLATFORM):
                        continue
                    folder = project.settings.output / platform
                    files += [str((folder / file).relative_to(ROOT)) for file in evaluated.package_files()]
            self.tool("repo", "compare", "--platform", PLATFORM, *files, "--reference", str(REFERENCE / f"{name}.json"))

    def hosts_up(self) -> None:
        """Create and prepare the hosts."""
        with self.step("three container hosts, the repository, " + ("Ambari" if self.up else "a simulated Ambari")):
            self.tool("testbed", "up", "--inventory", self.inventory, "--name", self.name, *self.up)
        with self.step("check and prepare the hosts"):
            self.tool("hosts", "check", self.inventory, *self.bed)
            self.tool("hosts", "prepare", self.inventory, *self.bed, "--dry-run")
            self.tool("hosts", "prepare", self.inventory, *self.bed)

    def deploy(self) -> None:
        """Deploy, prove that it works, deploy again."""
        with self.step("the cluster: ZooKeeper and Spark, stand-alone Spark; service checks, SparkPi both ways"):
            # Its last phase does the same as the command `verify`.
            self.deployment(*self.bed)
        with self.step("status"):
            self.tool("status", self.inventory, *self.bed)
        with self.step("check from the hosts"):
            self.prove()
        with self.step("a second deploy changes nothing"):
            demand(self.deployment(*self.bed) == 0, "the second deploy made changes")

    def deployment(self, *arguments: str) -> int:
        """Deploy; return the number of changes. Its cost is kept for the summary."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "events.jsonl"
            self.tool("deploy", self.inventory, "--yes", *arguments, "--events", str(log))
            told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        spent = next(event["text"] for event in reversed(told) if event["event"] == "notice")
        changes: int = sum(event["changes"] for event in told if event["event"] == "phase_finished")
        self.costs.append(f"{changes} changes, {spent}")
        return changes

    def loaded(self) -> LoadedInventory:
        """The inventory with the addresses of the test bed."""
        store = open_project(self.settings).store
        return load_inventory(ROOT / self.inventory, testbed_document(store, self.name))

    @contextlib.contextmanager
    def fleet(self) -> Iterator[Fleet]:
        """SSH connections to the hosts."""
        loaded = self.loaded()
        with Fleet(loaded.inventory.ssh, loaded.hosts, Secrets(), threading.Event()) as fleet:
            yield fleet

    def prove(self) -> None:
        """Check the cluster from the hosts themselves."""
        hosts = [host.name for host in self.loaded().hosts]
        with self.fleet() as fleet:
            print("    ZooKeeper is an ensemble of three:")
            modes = on_hosts(fleet, MODE, *hosts)
            demand(
                (modes.count("Mode: leader"), modes.count("Mode: follower")) == (1, 2), "not one leader, two followers"
            )
            print("    Spark's own master has three workers:")
            demand('"aliveworkers" : 3' in on_hosts(fleet, WORKERS, hosts[0]), "not three workers")
            print("    the repository file that Ambari's agents wrote:")
            demand("gpgcheck=1" in on_hosts(fleet, AGENT_FILE, hosts[0]), "it does not require signatures")
            print("    every repository file requires signatures, and every package has one:")
            on_hosts(fleet, SIGNATURES, *hosts)
            print("    native code from the same repository:")
            on_hosts(fleet, NATIVE_CODE, hosts[-1])

    def publish_ambari(self, files: list[str]) -> Path:
        """Publish Ambari's packages in a repository of their own; return its folder."""
        root = self.settings.repository / "ambari"
        with self.step("publish Ambari, signed"):
            options = ("--make-key", "--replace", "--only-these")
            self.tool("repo", "publish", "--platform", PLATFORM, "--root", str(root), *options, *files)
        return root / self.settings.project.stack / PLATFORM

    def destroy(self, *options: str) -> None:
        with self.step(" ".join(("remove the cluster", *options))):
            cluster = self.loaded().inventory.cluster
            self.tool("destroy", self.inventory, *self.bed, "--yes-really", cluster, *options)

    def down(self) -> None:
        with self.step("remove the hosts"):
            self.tool("testbed", "down", self.name)

    def ways_on(self, again: str) -> str:
        """Commands for a cluster that is up; ``again`` continues the trial."""
        command = f".venv/bin/bigtop-builder --project {os.path.relpath(self.project, ROOT)}"
        return (
            f"Look at it: {command} status {self.inventory} --testbed {self.name}\n"
            f"            {command} testbed status {self.name}\n"
            f"Continue:   {again}\n"
            f"Remove it:  {command} testbed down {self.name}"
        )

    def report(self) -> None:
        """Print the time of each step, and what the deployments cost."""
        print("\nDone. Time by step:")
        for title, seconds in self.times:
            print(f"  {seconds:8.1f} s  {title}")
        print(f"  {time.monotonic() - self.started:8.1f} s  total")
        for name, cost in zip(("first deploy: ", "second deploy:"), self.costs, strict=False):
            print(f"{name} {cost}")


def run(*command: str) -> None:
    """Run a command in the checkout; its failure ends the trial."""
    with subprocess.Popen(command, cwd=ROOT) as running:
        try:
            code = running.wait()
        except Stopped:
            running.terminate()
            raise
        except KeyboardInterrupt:
            # The terminal sends the signal to the command too: it ends at the next safe point.
            running.wait()
            raise
    if code != 0:
        sys.exit(code)


def on_hosts(fleet: Fleet, script: str, *hosts: str) -> str:
    """Run a script on hosts over SSH, print its output and return it; a failure ends the trial."""
    said = ""
    for host in hosts:
        output = fleet.remote(host).run(f"set -euo pipefail\n{script}", timeout=SECONDS)
        for line in output.stdout.splitlines():
            print(f"    {host} | {line}", flush=True)
        if output.code != 0:
            sys.exit(f"{host}: exit {output.code}: {output.stderr[-2000:]}")
        said += output.stdout
    return said


def terminate_as_interrupt() -> None:
    """Let SIGTERM end the trial like an interrupt."""
    signal.signal(signal.SIGTERM, stop)


def go(work: Callable[[Path], None], sources: str, usage: str) -> None:
    """Run a trial with its folder of sources, as a program: a message and an exit code for what goes wrong."""
    folder = Path(sources).resolve()
    if not sources or not folder.is_dir():
        sys.exit(f"{sources or 'SOURCES'}: no such folder; call {usage}")
    terminate_as_interrupt()
    try:
        work(folder)
    except BigtopBuilderError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}")
    except KeyboardInterrupt:
        sys.exit(130)
