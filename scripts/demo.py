"""The main job on real input: compile, package, publish, install from the signed repository, run.

Prints what it does, how long each step took and where the packages are. What is done already is reused, the trial
on a clean host too, as long as the published repository and the host are the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.image_recipe import image_key
from bigtop_builder.adapter.image_record import recorded
from bigtop_builder.flow.workspace import Workspace
from bigtop_builder.model import digest
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "examples" / "demo" / "bigtop-builder.yaml"
REFERENCE = Path(os.environ.get("BIGTOP_REFERENCE", ROOT.parent / "shared" / "bigtop" / "reference"))
HOST = "bigtop-builder-demo"
SECONDS = 1200

NOARCH = ["bigtop-utils", "bigtop-select", "bigtop-groovy", "zookeeper", "spark"]
NATIVE = ["bigtop-jsvc", "zookeeper-native"]
PLATFORMS = ["el8", "debian-bootstrap"]
COMPARED = ["bigtop-utils", "bigtop-select", "zookeeper", "spark"]

NATIVE_PART = {"zookeeper": ["zookeeper-native"]}

INSTALL = """
cp /repository/bigtop-3.2.0/*/*.repo /etc/yum.repos.d/
grep -H gpgcheck /etc/yum.repos.d/*.repo
dnf --assumeyes --setopt=install_weak_deps=False install \
    bigtop-select bigtop-jsvc zookeeper_3_2_0-server zookeeper_3_2_0-native \
    spark_3_2_0-python spark_3_2_0-master spark_3_2_0-worker
rpm --query --all --queryformat '%{NEVRA}  %|RSAHEADER?{%{RSAHEADER:pgpsig}}:{NOT SIGNED}|\\n' \\
    '*3_2_0*' 'bigtop*' | sort
! rpm --query --all --queryformat '%|RSAHEADER?{}:{NOT SIGNED}|' '*3_2_0*' 'bigtop*' | grep .
/usr/lib/bigtop-select/distro-select set all 3.2.0
/usr/lib/bigtop-select/distro-select status zookeeper-server
/usr/lib/bigtop-utils/jsvc -help | head -n 1
"""

ZOOKEEPER = """
/etc/rc.d/init.d/zookeeper-server init
/etc/rc.d/init.d/zookeeper-server start
for second in $(seq 30); do
    if timeout 2 bash -c 'exec 3<>/dev/tcp/127.0.0.1/2181' 2>/dev/null; then break; fi
    sleep 1
done
/etc/rc.d/init.d/zookeeper-server status
client=/usr/bigtop/current/zookeeper-client/../../bin/zookeeper-client
$client -server 127.0.0.1:2181 create /demo written-by-the-demo 2>&1 | grep -i 'created /demo'
$client -server 127.0.0.1:2181 get /demo 2>&1 | grep written-by-the-demo
/etc/rc.d/init.d/zookeeper-server stop
"""

SPARK = """
cat > /tmp/SparkPi.scala <<'SCALA'
val slices = 4
val n = 100000 * slices
val count = sc.parallelize(1 until n, slices).map { _ =>
  val x = math.random * 2 - 1
  val y = math.random * 2 - 1
  if (x * x + y * y <= 1) 1 else 0
}.reduce(_ + _)
println(s"Spark ${sc.version}")
println(s"Pi is roughly ${4.0 * count / (n - 1)}")
sys.exit(0)
SCALA
runuser -u spark -- /usr/bigtop/current/spark-client/bin/spark-shell --master 'local[2]' \\
    --conf spark.ui.showConsoleProgress=false -I /tmp/SparkPi.scala \\
    > /tmp/pi 2>&1 < /dev/null || { tail -n 40 /tmp/pi >&2; exit 1; }
grep '^Spark 3' /tmp/pi && grep '^Pi is roughly 3.1' /tmp/pi || { tail -n 40 /tmp/pi >&2; exit 1; }
"""
# SparkPi's own class is in the examples' jar, which the PyPI distribution lacks, and its Python twin needs Python 3.10
# or older: PySpark 3.2 cannot serialise the functions of later ones. So the same computation runs in Spark's shell.

times: list[tuple[str, float]] = []


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    print(f"\n==> {title}", flush=True)
    started = time.monotonic()
    yield
    times.append((title, time.monotonic() - started))
    print(f"    {times[-1][1]:.1f} s", flush=True)


def tool(*arguments: str) -> None:
    """A command as a user would give it."""
    print("    $ bigtop-builder " + " ".join(arguments), flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "bigtop_builder", "--project", str(PROJECT), *arguments], cwd=ROOT, check=False
    )
    if done.returncode != 0:
        sys.exit(done.returncode)


def docker(*arguments: str, text: str | None = None, check: bool = True) -> str:
    done = subprocess.run(
        ["docker", *arguments], input=text, text=True, stdout=subprocess.PIPE, timeout=SECONDS, check=False
    )
    if check and done.returncode != 0:
        print(done.stdout)
        sys.exit(f"docker {arguments[0]} failed with {done.returncode}")
    return done.stdout


def remove_host() -> None:
    if docker("ps", "--all", "--quiet", "--filter", f"name=^{HOST}$"):
        docker("rm", "--force", HOST)


def inside(script: str) -> None:
    """Run a script on the host; what it prints is shown."""
    output = docker("exec", "--interactive", HOST, "bash", "-euo", "pipefail", text=script)
    print("".join(f"    | {line}\n" for line in output.splitlines()), end="", flush=True)


def compare(workspace: Workspace) -> None:
    if not REFERENCE.is_dir():
        print(f"    skipped: there is no {REFERENCE} (set BIGTOP_REFERENCE to the folder of Bigtop's metadata)")
        return
    for name in COMPARED:
        files: list[str] = []
        for component in (name, *NATIVE_PART.get(name, ())):
            for platform in PLATFORMS:
                evaluated = workspace.evaluate(component, platform)
                if isinstance(evaluated, Refusal) or (component == name and platform != "el8"):
                    continue
                folder = workspace.settings.output / platform
                files += [str((folder / file).relative_to(ROOT)) for file in evaluated.rpm_files()]
        tool("repo", "compare", "--platform", "el8", *files, "--reference", str(REFERENCE / f"{name}.json"))


def try_on_a_clean_host(workspace: Workspace, mark: Path, state: dict[str, Any]) -> None:
    repository = workspace.settings.repository
    remove_host()
    try:
        with step("a clean container host"):
            docker(
                "run", "--detach", "--name", HOST, "--hostname", "demo.example.com", "--init",
                "--volume", f"{repository}:{repository}:ro", "--volume", f"{repository}:/repository:ro",
                state["host"], "sleep", str(SECONDS),
            )  # fmt: skip
        with step("install from the repository with dnf, gpgcheck=1"):
            inside(INSTALL)
        with step("ZooKeeper: init, start, create and read a znode, stop"):
            inside(ZOOKEEPER)
        with step("SparkPi from the installed Spark"):
            inside(SPARK)
    finally:
        remove_host()
    mark.write_text(json.dumps({**state, "passed": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())}))


def main() -> None:
    started = time.monotonic()
    settings = load_settings(ROOT, {}, project_file=PROJECT)
    with step("compile and package (el8: everything that is noarch; native code for what it is built on)"):
        tool("build", *(f"{name}@el8" for name in NOARCH), *(f"{name}@debian-bootstrap" for name in NATIVE))
    with step("publish, signed"):
        for platform in PLATFORMS:
            tool("repo", "publish", "--platform", platform, "--make-key", "--replace")
    workspace = Workspace(settings)
    with step("compare with the metadata of Bigtop's own packages"):
        compare(workspace)
    evaluated = workspace.evaluate("bigtop-utils", "el8")
    assert not isinstance(evaluated, Refusal)
    host = recorded(workspace.store, image_key(workspace.host_spec(evaluated)))
    assert host is not None
    snapshots = [str((settings.repository / "bigtop-3.2.0" / name).resolve().name) for name in PLATFORMS]
    repomd = [digest.of_file(settings.repository / "bigtop-3.2.0" / name / "repodata/repomd.xml") for name in PLATFORMS]
    state = {"host": host.id, "snapshots": snapshots, "repomd": repomd, "trial": digest.of_file(Path(__file__))}
    mark = settings.repository / ".demo.json"
    former = json.loads(mark.read_text()) if mark.is_file() else {}
    if {name: former.get(name) for name in state} == state:
        print(f"\n==> installed and run on this very repository before ({former['passed']}): reused")
        print(f"    remove {mark} to try again")
    else:
        try_on_a_clean_host(workspace, mark, state)
    print("\nDone. What took how long:")
    for title, seconds in times:
        print(f"  {seconds:8.1f} s  {title}")
    print(f"  {time.monotonic() - started:8.1f} s  in all")
    print(f"\nPackages:   {settings.output}/{{{','.join(PLATFORMS)}}}/*.rpm")
    print(f"Repository: {settings.repository}/bigtop-3.2.0/{{{','.join(PLATFORMS)}}} (with .repo file and public key)")
    print("Serve it:   bigtop-builder --project examples/demo/bigtop-builder.yaml repo serve")


if __name__ == "__main__":
    main()
