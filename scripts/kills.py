"""Kills by name: build, repo publish, bundle create, bundle load and deploy are killed at random times: make kills.

Of ``deploy`` a new cluster, a property that rolls through its servers, and the replacement of a host.

Each is killed with everything it started, run again to its end, and its end state compared with that of a run that
nobody disturbed: packages byte by byte; a repository's packages, metadata and verdict, a bundle's members and a loaded
site, all without signatures, which name a time; the state of a simulated cluster. Besides, nothing may be left:
containers, scratch of the store, unfinished files, processes. The seed is printed; --seed N kills at the same times
again, as far as time permits. A container engine must run; everything is done below one scratch folder.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

COMMAND_SECONDS = 900
"""One command may take this long, then it is killed and the run has failed."""
GRACE_SECONDS = 20
"""Processes that an ended command started, such as gpg's agent, have gone after this long."""
NAMES = ("alpha", "beta", "gamma")
HOSTS = tuple(f"node{number}.x.test" for number in (1, 2, 3, 4))
UNFINISHED = re.compile(r"(^|/)\.[^/]*\.(unpacking|part|tmp)|\.(tmp|part|partial|unfinished)$")
RUNNING = ("store/locks/", "store/runs/", "store/last/", "store/gnupg/", "store/cache/templates/")
"""What a store keeps of its runs: it differs from run to run."""


def state_of_folder(root: Path) -> dict[str, str]:
    """Return the digests of all files and the targets of all links below a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def differences(expected: Any, found: Any, place: str = "") -> list[str]:
    """Return where two states differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = sorted(expected.keys() | found.keys())
        return [line for key in keys for line in differences(expected.get(key), found.get(key), f"{place}/{key}")]
    return [] if expected == found else [f"{place}: {str(expected)[:200]} became {str(found)[:200]}"]


class Site:
    """A scratch project with small components, and the tool as a user runs it."""

    def __init__(self, folder: Path, images: Path | None) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.store = folder / "store"
        self.temporary = folder / "tmp"
        self.servers: set[int] = set()
        """The processes of simulated servers."""
        for place in (self.project, self.store, self.temporary):
            place.mkdir(parents=True)
        if images is not None and images.is_dir():
            shutil.copytree(images, self.store / "images")
        self.write("bigtop-builder.yaml", "stack: small\nplatforms: [el8]\noverlays: [overlay]\n")
        listed = dict.fromkeys(NAMES, "1.0")
        stack = {"name": "small", "version": "1.0", "epoch": 1600000000, "components": listed}
        self.write("overlay/stacks/small.yaml", yaml.safe_dump(stack))
        self.components("first")

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def components(self, marker: str) -> None:
        """Write the components; another marker gives other build keys and the same packages."""
        for number, name in enumerate(NAMES):
            source = f"hello from {name}\n"
            self.write(f"overlay/components/{name}/hello.txt", source)
            place = f"{{{{ parent_dir }}}}/usr/lib/{name}"
            sha256 = hashlib.sha256(source.encode()).hexdigest()
            alternative = {"file": "hello.txt", "sha256": sha256}
            component = {
                "name": name,
                "summary": "A small component",
                "depends": {"build": [NAMES[0]] if number == 1 else []},
                "versions": {"1.0": {"sources": [{"alternatives": [alternative], "unpack": "no"}]}},
                "build": {
                    "network": False,
                    "memory": "256m",
                    "timeout": "5m",
                    "script": f'echo {marker}; sleep 0.3\ncp hello.txt "$STAGE/"\n',
                },
                "install": f'install -D -m 0644 "$STAGE/hello.txt" "$BUILDROOT{place}/hello.txt"\n',
                "packages": [{"name": name + "{{ suffix }}", "summary": "A small component", "files": [place]}],
            }
            self.write(f"overlay/components/{name}/component.yaml", yaml.safe_dump(component, sort_keys=False))

    def environment(self) -> dict[str, str]:
        """Return the environment of a command."""
        own = {
            "BIGTOP_BUILDER_STORE": str(self.store),
            "TMPDIR": str(self.temporary),
            "NO_COLOR": "1",
            "PYTHONPATH": str(ROOT),
        }
        return {**os.environ, **own, "KILLS_PASSWORD": "admin"}

    def start(self, argv: list[str], folder: Path) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own; what it prints goes to a file."""
        with (self.folder / "output.log").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, *argv],
                cwd=folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, argv: list[str], folder: Path) -> float:
        """Run a command to its end; return how many seconds it took. Raises RuntimeError when it fails."""
        started = time.monotonic()
        process = self.start(argv, folder)
        try:
            code = process.wait(COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            kill(process)
            raise RuntimeError(f"{argv} did not end") from None
        if code:
            printed = (self.folder / "output.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{argv} ended with {code}:\n{printed}")
        return time.monotonic() - started


def ancestors(process: int) -> list[int]:
    """Return a process and those that it was started by, whose command lines may name the folder, too."""
    found = []
    while process:
        found.append(process)
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return found


def children(process: int) -> list[int]:
    """Return a process and all that it started, also those in other sessions."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, pending = [], [process]
    while pending:
        one = pending.pop()
        found.append(one)
        pending += parents.get(one, [])
    return found


def kill(process: subprocess.Popen[bytes]) -> int:
    """Kill a command and everything it started; return its exit code."""
    if process.poll() is None:
        started = children(process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for one in started[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
    return process.wait()


def processes(folder: Path, known: set[int]) -> list[str]:
    """Return the command lines of processes that name the folder, without the ``known`` ones."""
    known = {*known, *ancestors(os.getpid())}
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = line.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in text and int(line.parent.name) not in known:
                found.append(f"process {line.parent.name}: {text[:200]}")
    return found


class Subject:
    """A command that is killed. ``prepare`` makes the same start every time, ``state`` is what must be equal."""

    name = ""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.seconds = 0.0
        self.expected: Any = None

    def prepare(self, chance: random.Random) -> None:
        """Make the state before."""

    def argv(self) -> list[str]:
        """Return the command."""
        raise NotImplementedError

    def folder(self) -> Path:
        """Return where it runs."""
        return self.site.project

    def ended(self) -> bool:
        """Whether the killed command had done its work, and refuses to do it again."""
        return False

    def state(self) -> Any:
        """Return the state after."""
        raise NotImplementedError

    def learn(self) -> None:
        """Run undisturbed: what comes of it is expected of all others, and how long it took."""
        self.prepare(random.Random(0))
        self.seconds = self.site.run(self.argv(), self.folder())
        self.expected = self.state()

    def close(self) -> None:
        """Stop what was started for it."""


TOOL = ["-m", "bigtop_builder"]


class Build(Subject):
    """``build --all``, with new keys each time."""

    name = "build"

    def prepare(self, chance: random.Random) -> None:
        """Write components with other keys; half of the time the packages are there already."""
        self.site.components(f"marker {chance.random()} {time.time_ns()}")
        if chance.random() < 0.5:
            shutil.rmtree(self.site.project / "output", ignore_errors=True)

    def argv(self) -> list[str]:
        """Return the command."""
        return [*TOOL, "build", "--all"]

    def state(self) -> Any:
        """Return the digests of the packages, and whether anything is left to build."""
        self.site.run([*TOOL, "plan", "--all", "--exit-code"], self.site.project)
        return state_of_folder(self.site.project / "output")


def repository_state(root: Path) -> Any:
    """Return a repository's packages and metadata without what a signature changes."""
    import gzip

    from bigtop_builder.adapter.rpm.header import read_header

    current = root / "small" / "el8"
    packages = {}
    for path in sorted(current.rglob("*.rpm")):
        header = read_header(path)
        packages[header.nevra] = (header.sha256, path.stat().st_mode)
    metadata = {}
    for path in sorted((current / "repodata").glob("*.xml.gz")):
        kind = path.name.rpartition("-")[2]
        text = gzip.decompress(path.read_bytes()).decode()
        text = re.sub(
            r'pkgid="[0-9a-f]+"|<checksum[^>]*>[0-9a-f]+<|<(time|size|location|rpm:header-range)[^>]*>', "", text
        )
        metadata[kind] = "\n".join(sorted(text.splitlines()))
    hidden = sorted(path.name for path in root.rglob(".*") if path.name != ".lock")
    return {"packages": packages, "metadata": metadata, "hidden": hidden}


class Publish(Subject):
    """``repo publish``: the first publication, or one onto another."""

    name = "publish"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.root = site.project / "repository"
        self.saved = site.folder / "published-before"
        self.also_before = False

    def learn(self) -> None:
        """Publish once with the first component alone, as the state before."""
        first = sorted((self.site.project / "output" / "el8").glob("alpha*.rpm"))
        self.site.run([*TOOL, "repo", "publish", "--make-key", *map(str, first)], self.site.project)
        shutil.copytree(self.root, self.saved, symlinks=True)
        super().learn()

    def prepare(self, chance: random.Random) -> None:
        """Start without a repository, or with one component in it."""
        shutil.rmtree(self.root, ignore_errors=True)
        if chance.random() < 0.5:
            shutil.copytree(self.saved, self.root, symlinks=True)

    def argv(self) -> list[str]:
        """Return the command."""
        return [*TOOL, "repo", "publish"]

    def state(self) -> Any:
        """Return the repository, which must be whole."""
        self.site.run([*TOOL, "repo", "verify", str(self.root / "small" / "el8")], self.site.project)
        return repository_state(self.root)


PARTS = [option for part in ("images", "wheels", "caches") for option in ("--without", part)]


def bundle_state(place: Path) -> Any:
    """Return a bundle's members without signatures and what contains them."""
    members = {}
    with tarfile.open(place) as archive:
        for info in archive:
            stream = archive.extractfile(info)
            content = stream.read() if stream is not None else b""
            signed = info.name.endswith((".asc", ".rpm")) or "/repodata/" in info.name or "provenance" in info.name
            signed = signed or (info.name.startswith("repositories/") and info.name.endswith("/manifest.json"))
            name = re.sub(r"[0-9a-f]{32,}", "DIGEST", info.name) if "repositories" in info.name else info.name
            is_manifest = info.name == "manifest.json"
            members[name] = (info.mode, "" if signed or is_manifest else hashlib.sha256(content).hexdigest())
    return members


class BundleCreate(Subject):
    """``bundle create`` of what is built and published."""

    name = "bundle create"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.place = site.project / "bundle.tar"

    def learn(self) -> None:
        """Build what is to be bundled before the time is taken."""
        self.prepare(random.Random(0))
        self.site.run([*TOOL, "build", "--all"], self.site.project)
        super().learn()

    def prepare(self, chance: random.Random) -> None:
        """Remove the bundle; components that another command changed are as they were built first."""
        self.site.components("first")
        self.place.unlink(missing_ok=True)

    def argv(self) -> list[str]:
        """Return the command."""
        return [*TOOL, "bundle", "create", "--all", *PARTS, "--output", str(self.place)]

    def ended(self) -> bool:
        """Whether the bundle has its name already: it is never replaced."""
        return self.place.exists()

    def state(self) -> Any:
        """Return the bundle, which must be whole, and what is beside it."""
        self.site.run([*TOOL, "bundle", "verify", str(self.place)], self.site.project)
        beside = sorted(path.name for path in self.site.project.iterdir() if path.name != "repository")
        return {"members": bundle_state(self.place), "beside": beside}


class BundleLoad(Subject):
    """``bundle load`` into a new site with a store of its own."""

    name = "bundle load"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.bundle = site.folder / "loaded.tar"
        self.target = site.folder / "site"

    def learn(self) -> None:
        """Keep the bundle of an undisturbed run."""
        shutil.copy(self.site.project / "bundle.tar", self.bundle)
        super().learn()

    def prepare(self, chance: random.Random) -> None:
        """Remove the site."""
        shutil.rmtree(self.target, ignore_errors=True)
        self.target.mkdir()

    def argv(self) -> list[str]:
        """Return the command."""
        target = str(self.target / "store")
        return [*TOOL, "bundle", "load", "--accept-unsigned", "--store", target, str(self.bundle)]

    def folder(self) -> Path:
        """Return where it runs."""
        return self.target

    def state(self) -> Any:
        """Return every file of the site but the records of runs; the scratch of the killed one is gc's work."""
        self.site.run([*TOOL, "gc", "--store", str(self.target / "store"), "--older-than", "1000d"], self.target)
        found = state_of_folder(self.target)
        return {name: digest for name, digest in found.items() if not name.startswith(RUNNING)}


class Deploy(Subject):
    """The phases of ``deploy`` that need no hosts, onto a simulated Ambari in a process of its own."""

    name = "deploy"
    earlier: tuple[int, ...] = ()
    """The hosts that the cluster has before, by their places in HOSTS; empty if there is none."""
    wanted: tuple[int, ...] = (0, 1)
    remove: tuple[str, ...] = ()
    """Options of the deployment below."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.place = site.folder / "deploy"
        self.server: subprocess.Popen[bytes] | None = None

    def prepare(self, chance: random.Random) -> None:
        """Start a new server."""
        self.close()
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        started = self.place / "server.json"
        hosts = [word for number, name in enumerate(HOSTS) for word in ("--host", f"{name}=192.0.2.{number + 1}")]
        argv = ["-m", "bigtop_builder.ambari_simulator", "--port", "0", "--state-file", str(started), "--speed", "10"]
        self.server = self.site.start([*argv, *hosts], self.place)
        self.site.servers.add(self.server.pid)
        deadline = time.monotonic() + 60
        while not started.is_file():
            if time.monotonic() > deadline:
                raise RuntimeError("the simulated Ambari did not start")
            time.sleep(0.05)
        self.url = json.loads(started.read_text())["url"]
        if self.earlier:
            self._inventory(self.earlier, 2000)
            self.site.run(self.argv(), self.place)
        self._inventory(self.wanted, 2345)

    def _inventory(self, hosts: tuple[int, ...], tick_time: int) -> None:
        inventory = {
            "cluster": "c1",
            "ambari": {"url": self.url, "password": "env:KILLS_PASSWORD", "poll": "1s"},
            "repositories": [{"url": "http://repository.test/el8"}],
            "groups": {
                "all": {
                    "hosts": [HOSTS[number] for number in hosts],
                    "components": ["ZOOKEEPER_SERVER", "ZOOKEEPER_CLIENT"],
                }
            },
            "configurations": {"zoo.cfg": {"tickTime": tick_time}},
        }
        (self.place / "inventory.yaml").write_text(yaml.safe_dump(inventory))

    def argv(self) -> list[str]:
        """Return the command."""
        return [str(Path(__file__).resolve()), "--deploy", str(self.place / "inventory.yaml"), *self.remove]

    def state(self) -> Any:
        """Return components with their states, configurations, what is unfinished, and the answer to once more."""
        components = self._get("clusters/c1/host_components?fields=HostRoles/state,HostRoles/desired_state")["items"]
        requests = self._get("clusters/c1/requests?fields=Requests/request_status")["items"]
        services = self._get("clusters/c1/services?fields=ServiceInfo/state")["items"]
        desired = self._get("clusters/c1?fields=Clusters/desired_configs")["Clusters"]["desired_configs"]
        zoo = self._get(f"clusters/c1/configurations?type=zoo.cfg&tag={desired['zoo.cfg']['tag']}&fields=*")["items"]
        self.site.run(self.argv(), self.place)
        printed = (self.site.folder / "output.log").read_text()
        return {
            "components": {
                f"{one['HostRoles']['host_name']} {one['HostRoles']['component_name']}": one["HostRoles"]["state"]
                for one in components
            },
            "services": {one["ServiceInfo"]["service_name"]: one["ServiceInfo"]["state"] for one in services},
            "unfinished": [
                one["Requests"]["id"]
                for one in requests
                if one["Requests"]["request_status"] not in ("COMPLETED", "ABORTED", "FAILED")
            ],
            "configurations": sorted(desired),
            "zoo.cfg": zoo[0]["properties"],
            "versions": len(self._get("stacks/BIGTOP/versions/3.2.0/repository_versions")["items"]),
            "changes once more": printed.count("change:"),
        }

    def _get(self, path: str) -> Any:
        call = urllib.request.Request(f"{self.url}/api/v1/{path}")
        call.add_header("Authorization", "Basic " + b64encode(b"admin:admin").decode())
        with urllib.request.urlopen(call, timeout=60) as answer:
            return json.load(answer)

    def close(self) -> None:
        """Stop the server."""
        if self.server is not None:
            kill(self.server)


class Restart(Deploy):
    """A property changes on a running cluster, and rolls through its three servers."""

    name = "deploy restart"
    earlier = wanted = (0, 1, 2)


class Replacement(Deploy):
    """One of three servers moves to another host, and a property changes with it."""

    name = "deploy replacement"
    earlier, wanted, remove = (0, 1, 2), (0, 1, 3), ("--remove",)


def deploy(inventory: Path, *, remove: bool) -> int:
    """Run the phases that need no hosts, as the command does."""
    from bigtop_builder.adapter.secret import Secrets
    from bigtop_builder.flow.deploy.deployment import open_deployment
    from bigtop_builder.flow.deploy.deployment_run import DEPLOY, PHASES, applicable
    from bigtop_builder.flow.deploy.phase_runner import run_phases
    from bigtop_builder.flow.deploy.world import Removing
    from bigtop_builder.recipe.inventory import load_inventory

    loaded = load_inventory(inventory)
    remote = ("check", "prepare", "ambari", "standalone")
    phases = [one for one in applicable(loaded, PHASES, removing=remove) if one not in remote]

    def tell(event: Any) -> None:
        if event.event == "change":
            print(f"change: {event}", flush=True)

    with open_deployment(
        loaded,
        Secrets(),
        tell,
        inventory.parent / "logs",
        threading.Event(),
        dry_run=False,
        hosted=False,
        mark=inventory.parent / "verified",
        removing=Removing(remove),
    ) as deployment:
        return int(run_phases(deployment, DEPLOY, phases))


SUBJECTS: tuple[type[Subject], ...] = (Build, Publish, BundleCreate, BundleLoad, Deploy, Restart, Replacement)


def leftovers(site: Site, stores: list[Path]) -> Iterator[str]:
    """Yield what an ended command may not leave."""
    label = f"label=org.bigtop-builder.store={site.store}"
    listed = subprocess.run(["docker", "ps", "-aq", "--filter", label], capture_output=True, text=True, check=False)
    yield from (f"container {one}" for one in listed.stdout.split())
    for store in stores:
        work = store / "work"
        yield from (f"scratch {path}" for path in (work.iterdir() if work.is_dir() else ()))
    for root in (*stores, site.project, site.folder / "site"):
        for path in root.rglob("*") if root.is_dir() else ():
            if UNFINISHED.search(path.relative_to(root).as_posix()):
                yield f"unfinished {path}"


def disturb(subject: Subject, chance: random.Random) -> tuple[float, list[str]] | None:
    """Kill the command once, run it again; return when it was killed and what is wrong. None if it had ended."""
    site = subject.site
    subject.prepare(chance)
    moment = chance.uniform(0, subject.seconds)
    process = site.start(subject.argv(), subject.folder())
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    code = kill(process)
    if code != -signal.SIGKILL:
        return None if code == 0 else (moment, [f"ended with {code} before it was killed"])
    try:
        if not subject.ended():
            site.run(subject.argv(), subject.folder())
        wrong = differences(subject.expected, subject.state())
    except RuntimeError as error:
        return moment, [str(error)]
    wrong += leftovers(site, [site.store, site.folder / "site" / "store"])
    deadline = time.monotonic() + GRACE_SECONDS
    while (running := processes(site.folder, site.servers)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return moment, wrong + running


def run(options: argparse.Namespace, folder: Path) -> int:
    """Kill until the count is reached; 1 if any end state differed."""
    from bigtop_builder.model.project import default_store

    own = os.environ.get("BIGTOP_BUILDER_STORE")
    store = Path(own) if own else default_store(dict(os.environ))
    site = Site(folder, store / "images")
    subjects = [kind(site) for kind in SUBJECTS if kind.name.startswith(options.command)]
    # What is built first is what the others publish and bundle; a deployment needs none of it.
    needed = SUBJECTS[:4] if not all(isinstance(one, Deploy) for one in subjects) else ()
    learned = [kind(site) for kind in needed if kind not in map(type, subjects)]
    order = sorted([*subjects, *learned], key=lambda one: SUBJECTS.index(type(one)))
    try:
        for subject in order:
            subject.learn()
            print(f"undisturbed: {subject.name} takes {subject.seconds:.1f} s", flush=True)
        return _kill_all(subjects, options, folder)
    finally:
        for subject in order:
            subject.close()


def _kill_all(subjects: list[Subject], options: argparse.Namespace, folder: Path) -> int:
    killed: Counter[str] = Counter()
    failures = number = 0
    while killed.total() < options.count:
        number += 1
        subject = subjects[number % len(subjects)]
        outcome = disturb(subject, random.Random(f"{options.seed} {subject.name} {number}"))
        if outcome is None:
            continue
        killed[subject.name] += 1
        moment, wrong = outcome
        failures += bool(wrong)
        print(
            f"{killed.total()}: {subject.name} killed after {moment:.2f} s: {'DIFFERS' if wrong else 'same'}",
            flush=True,
        )
        for line in wrong:
            print(f"    {line} (seed {options.seed}, round {number})", flush=True)
    left = sorted(path.name for path in (folder / "tmp").iterdir())
    told = ", ".join(f"{name} {count}" for name, count in sorted(killed.items()))
    print(f"{killed.total()} kills ({told}), {failures} differ; seed {options.seed}")
    print(f"left in TMPDIR: {len(left)} {left[:5]}")
    return 1 if failures else 0


def main() -> int:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="how many kills")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--command", default="", help=f"only one of {', '.join(kind.name for kind in SUBJECTS)}")
    parser.add_argument("--folder", type=Path, help="work here and keep it; it must be missing")
    parser.add_argument("--deploy", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--remove", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.deploy:
        return deploy(options.deploy, remove=options.remove)
    print(f"seed {options.seed}", flush=True)
    if options.folder:
        return run(options, options.folder.resolve())
    with tempfile.TemporaryDirectory(prefix="bigtop-builder-kills-", ignore_cleanup_errors=True) as scratch:
        return run(options, Path(scratch).resolve() / "kills")


if __name__ == "__main__":
    sys.exit(main())
