"""The main job on real input: compile, package, publish, deploy a cluster from the signed repository, run jobs on it.

Prints what it does, how long each step took and where the packages are. Finished work is reused, including the cluster
as long as the published repository, the hosts' image, the inventory and this program are unchanged; --again deploys it
again. At the end the cluster and its hosts are removed; with --keep, or after a failure, they stay up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.ssh import Fleet
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.testbed.files import recorded as testbeds
from bigtop_builder.flow.testbed.testbed import testbed_document
from bigtop_builder.model import digest
from bigtop_builder.model.errors import BigtopBuilderError
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.inventory import load_inventory
from bigtop_builder.recipe.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "examples" / "demo" / "bigtop-builder.yaml"
INVENTORY = "inventories/demo.yaml"
REFERENCE = Path(os.environ.get("BIGTOP_REFERENCE", ROOT.parent / "shared" / "bigtop" / "reference"))
NAME = "demo"
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
! grep -h gpgcheck /etc/yum.repos.d/*.repo | grep -v '=1$'
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

times: list[tuple[str, float]] = []
costs: list[str] = []


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    print(f"\n==> {title}", flush=True)
    started = time.monotonic()
    yield
    times.append((title, time.monotonic() - started))
    print(f"    {times[-1][1]:.1f} s", flush=True)


def tool(*arguments: str) -> None:
    """Run a command as a user would."""
    shown = " ".join(arguments)
    print("    $ bigtop-builder " + (shown if len(shown) < WIDTH else shown[:WIDTH] + " …"), flush=True)
    command = [sys.executable, "-m", "bigtop_builder", "--project", str(PROJECT), *arguments]
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


class Stopped(KeyboardInterrupt):
    """A signal told this process alone to stop."""


def stop(number: int, _: Any) -> None:
    raise Stopped


def demand(holds: bool, otherwise: str) -> None:
    """End the demo unless ``holds``."""
    if not holds:
        sys.exit(f"the demo failed: {otherwise}")


def compare(project: Project) -> None:
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
        tool("repo", "compare", "--platform", PLATFORM, *files, "--reference", str(REFERENCE / f"{name}.json"))


def package_files(project: Project) -> list[str]:
    """The packages of the demo, without others in the output folder."""
    files = []
    for names, platform in ((NOARCH, PLATFORM), (NATIVE, BUILDER)):
        for name in names:
            evaluated = project.evaluate(name, platform)
            assert not isinstance(evaluated, Refusal)
            files += [str(project.settings.output / platform / file) for file in evaluated.package_files()]
    return files


def on_hosts(fleet: Fleet, script: str, *hosts: str) -> str:
    """Run a script on hosts over SSH, print its output and return it; a failure ends the demo."""
    said = ""
    for host in hosts:
        output = fleet.remote(host).run(f"set -euo pipefail\n{script}", timeout=SECONDS)
        for line in output.stdout.splitlines():
            print(f"    {host} | {line}", flush=True)
        if output.code != 0:
            sys.exit(f"{host}: exit {output.code}: {output.stderr[-2000:]}")
        said += output.stdout
    return said


def prove(settings: Settings) -> None:
    """Check the cluster from the hosts themselves."""
    store = open_project(settings).store
    loaded = load_inventory(ROOT / INVENTORY, testbed_document(store, NAME))
    hosts = [host.name for host in loaded.hosts]
    with Fleet(loaded.inventory.ssh, loaded.hosts, Secrets(), threading.Event()) as fleet:
        print("    ZooKeeper is an ensemble of three:")
        modes = on_hosts(fleet, MODE, *hosts)
        demand((modes.count("Mode: leader"), modes.count("Mode: follower")) == (1, 2), "not one leader, two followers")
        print("    Spark's own master has three workers:")
        demand('"aliveworkers" : 3' in on_hosts(fleet, WORKERS, hosts[0]), "not three workers")
        print("    the repository file that Ambari's agents wrote:")
        demand("gpgcheck=1" in on_hosts(fleet, AGENT_FILE, hosts[0]), "it does not require signatures")
        print("    every repository file requires signatures, and every package has one:")
        on_hosts(fleet, SIGNATURES, *hosts)
        print("    native code from the same repository:")
        on_hosts(fleet, NATIVE_CODE, hosts[-1])


def deployment(*arguments: str) -> int:
    """Deploy; return the number of changes. Its cost is kept for the summary."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "events.jsonl"
        tool("deploy", INVENTORY, *arguments, "--events", str(log))
        told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    spent = next(event["text"] for event in reversed(told) if event["event"] == "notice")
    changes: int = sum(event["changes"] for event in told if event["event"] == "phase_finished")
    costs.append(f"{changes} changes, {spent}")
    return changes


def deploy(settings: Settings) -> None:
    bed = ("--testbed", NAME)
    with step("three container hosts, the repository, a simulated Ambari"):
        tool("testbed", "up", "--inventory", INVENTORY, "--name", NAME)
    with step("check and prepare the hosts"):
        tool("hosts", "check", INVENTORY, *bed)
        tool("hosts", "prepare", INVENTORY, *bed, "--dry-run")
        tool("hosts", "prepare", INVENTORY, *bed)
    with step("the cluster: ZooKeeper and Spark, stand-alone Spark; service checks, SparkPi both ways"):
        # Its last phase does the same as the command `verify`.
        deployment(*bed)
    with step("status"):
        tool("status", INVENTORY, *bed)
    with step("check from the hosts"):
        prove(settings)
    with step("a second deploy changes nothing"):
        demand(deployment(*bed) == 0, "the second deploy made changes")


def take_down() -> None:
    with step("remove the cluster and its hosts"):
        tool("destroy", INVENTORY, "--testbed", NAME, "--yes-really", NAME)
        tool("testbed", "down", NAME)


def trial(settings: Settings) -> dict[str, str]:
    """Digests of everything that shapes the cluster."""
    project = open_project(settings)
    folder = settings.repository / settings.project.stack / PLATFORM
    return {
        "host": image_key(project.bare_host()),
        "snapshot": folder.resolve().name,
        "repomd": digest.of_file(folder / "repodata" / "repomd.xml"),
        "inventory": digest.of_file(ROOT / INVENTORY),
        "program": digest.of_tree(ROOT / "bigtop_builder", ignore=frozenset({"__pycache__"})),
        "trial": digest.of_file(Path(__file__)),
    }


def deploy_unless_done(settings: Settings, *, again: bool, keep: bool) -> None:
    """Deploy the cluster, unless this program has deployed this very repository before."""
    mark = settings.repository / ".demo.json"
    former = json.loads(mark.read_text()) if mark.is_file() else {}
    now = trial(settings)
    up = NAME in testbeds(open_project(settings).store)
    if former.get("trial") == now and "passed" in former and not (up or again or keep):
        print(f"\n==> this repository has been deployed and verified before ({former['passed']}): reused")
        print("    scripts/demo.py --again deploys again, --keep leaves the cluster up")
        return
    try:
        if up and (again or former.get("trial") != now):
            with step("remove the hosts of another trial"):
                tool("testbed", "down", NAME)
        mark.write_text(json.dumps({"trial": now}))
        deploy(settings)
        passed = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        mark.write_text(json.dumps({"trial": now, "passed": passed}))
        if not keep:
            take_down()
    except BaseException:
        print("\nFailed. The cluster and its hosts are left as they are:", file=sys.stderr)
        print(ways_on(), file=sys.stderr)
        raise
    if keep:
        print(f"\nThe cluster and its hosts are up:\n{ways_on()}")


def ways_on() -> str:
    """Commands for a cluster that is up."""
    command = f".venv/bin/bigtop-builder --project {PROJECT.relative_to(ROOT)}"
    return (
        f"Look at it: {command} status {INVENTORY} --testbed {NAME}\n"
        f"            {command} testbed status {NAME}\n"
        f"Continue:   make demo\n"
        f"Remove it:  {command} testbed down {NAME}"
    )


def run(settings: Settings, *, again: bool, keep: bool) -> None:
    started = time.monotonic()
    with step("compile and package (el8: everything noarch; native code for the platform it is built on)"):
        tool("build", *(f"{name}@{PLATFORM}" for name in NOARCH), *(f"{name}@{BUILDER}" for name in NATIVE))
    project = open_project(settings)
    with step("publish, signed"):
        # Native code is labelled for the platform it is built on, which is that of the container hosts.
        options = ("--make-key", "--replace", "--allow-foreign", "--only-these")
        tool("repo", "publish", "--platform", PLATFORM, *options, *package_files(project))
    with step("compare with the metadata of Bigtop's own packages"):
        compare(project)
    deploy_unless_done(settings, again=again, keep=keep)
    print("\nDone. Time by step:")
    for title, seconds in times:
        print(f"  {seconds:8.1f} s  {title}")
    print(f"  {time.monotonic() - started:8.1f} s  total")
    for name, cost in zip(("first deploy: ", "second deploy:"), costs, strict=False):
        print(f"{name} {cost}")
    print(f"\nPackages:   {settings.output}/{{{PLATFORM},{BUILDER}}}/*.rpm")
    print(f"Repository: {settings.repository}/bigtop-3.2.0/{PLATFORM} (with .repo file and public key)")
    print(f"Serve it:   .venv/bin/bigtop-builder --project {PROJECT.relative_to(ROOT)} repo serve")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="deploy again even if nothing has changed")
    parser.add_argument("--keep", action="store_true", help="leave the cluster and its hosts up")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    try:
        run(load_settings(ROOT, {}, project_file=PROJECT), again=given.again, keep=given.keep)
    except BigtopBuilderError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
