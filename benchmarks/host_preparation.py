"""Apply eight simple operations to 20 container hosts, then again with nothing to do: ours and three other tools.

    python -m benchmarks.host_preparation [--hosts 20] [--rounds 2] [--store STORE] [--tools VENV] [--sake PROGRAM]
        [--skip ansible-core]

The operations are six files with owner and mode, a group, and a user in it. They run on a test bed that is created for
the benchmark and removed afterwards. Each tool starts as a new process each time, over SSH with the same key, and works
on all hosts in parallel; before its first time the hosts are reset. pyinfra and ansible-core are installed from PyPI
unless VENV has them; ansible runs without gathering facts and with pipelining, its fastest mode. sake (a Go program)
takes part if it is found: it runs one shell script on each host and knows nothing of facts, changes or dry runs; it
shows what connections and changes cost. A second round reverses the order of the tools, and the better time of both
counts.

Recorded in one round on two quiet cores, first time and nothing to do: ours 1.6 and 1.0 s (processor 2.7 and 1.5 s),
pyinfra (3.10) 5.9 and 5.1 s (9.3 and 8.7 s), sake 1.0 and 0.6 s (1.9 and 1.2 s). That is 0.27 and 0.20 of pyinfra by
the clock, and 0.29 and 0.18 in processor seconds; the target is 0.25 both times. Most of what is left is sshd's log-in,
which all have, and imports.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.ssh.fleet import Fleet
from bigtop_builder.adapter.ssh.remote import Remote
from bigtop_builder.flow.hosts.facts import gather_some
from bigtop_builder.flow.hosts.operations import apply
from bigtop_builder.hosts.facts import FileFacts, Gathered, UserFacts, Wanted
from bigtop_builder.hosts.files import write_file
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.system import make_user
from bigtop_builder.recipe.document import load
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory

FILES = {
    "/etc/security/limits.d/90-bench.conf": ("* - nofile 65536\n* - nproc 65536\n", "0644"),
    "/etc/sysctl.d/90-bench.conf": ("vm.swappiness = 1\n", "0644"),
    "/etc/profile.d/bench.sh": ("export JAVA_HOME=/usr/lib/jvm/java\n", "0755"),
    "/etc/yum.repos.d/bench.repo": ("[bench]\nname=bench\nbaseurl=http://127.0.0.1/\nenabled=0\ngpgcheck=1\n", "0644"),
    "/etc/bench.conf": ("".join(f"key{number} = {number}\n" for number in range(100)), "0640"),
    "/etc/bench.secret": ("a password\n", "0600"),
}
GROUP, USER = "bench-group", "bench-user"
RESET = f"userdel --remove {USER}; groupdel {GROUP}; rm -f {' '.join(FILES)}"
AIM = 0.25
SECONDS = 600


class Needed(FileFacts, UserFacts, Gathered):
    """The facts that the operations are derived from; pyinfra, too, asks for those that its operations need."""


def operations(facts: Needed) -> tuple[Operation, ...]:
    """The operations that our tool derives from the facts."""
    files = (write_file(facts, path, text.encode(), mode=mode) for path, (text, mode) in FILES.items())
    return (*(operation for each in files for operation in each), *make_user(facts, USER, [GROUP]))


def ours(loaded: LoadedInventory) -> None:
    names = [host.name for host in loaded.hosts]
    with Fleet(loaded.inventory.ssh, loaded.hosts, Secrets(), threading.Event()) as fleet:
        wanted = dict.fromkeys(names, Wanted(files=tuple(FILES)))
        facts, lost = gather_some(Needed, fleet, wanted, phase="prepare", emit=lambda event: None)
        plan = {host: operations(known) for host, known in facts.items()}
        result = apply(fleet, plan, phase="prepare", emit=lambda event: None, dry_run=False)
        assert not lost and not result.failed
        print(result.changes, "changes,", fleet.round_trips, "round trips")


PYINFRA = """\
import io
from pyinfra.operations import files, server
for path, (text, mode) in {files}.items():
    files.put(src=io.StringIO(text), dest=path, user="root", group="root", mode=mode)
server.group(group={group!r})
server.user(user={user!r}, groups=[{group!r}], shell="/bin/bash")
"""


def pyinfra_files(folder: Path, loaded: LoadedInventory) -> None:
    ssh = loaded.inventory.ssh
    hosts = [
        (
            host.name,
            {
                "ssh_hostname": host.address,
                "ssh_port": host.port,
                "ssh_user": ssh.user,
                "ssh_key": ssh.key,
                "ssh_known_hosts_file": ssh.known_hosts,
                "ssh_strict_host_key_checking": "yes",
            },
        )
        for host in loaded.hosts
    ]
    (folder / "hosts.py").write_text(f"hosts = {hosts!r}\n")
    (folder / "work.py").write_text(PYINFRA.format(files=repr(FILES), group=GROUP, user=USER))


def ansible_files(folder: Path, loaded: LoadedInventory) -> None:
    ssh = loaded.inventory.ssh
    tasks: list[dict[str, object]] = [
        {"ansible.builtin.copy": {"dest": path, "content": text, "owner": "root", "group": "root", "mode": mode}}
        for path, (text, mode) in FILES.items()
    ]
    tasks.append({"ansible.builtin.group": {"name": GROUP}})
    tasks.append({"ansible.builtin.user": {"name": USER, "groups": [GROUP], "append": True, "shell": "/bin/bash"}})
    (folder / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    common = f"-o UserKnownHostsFile={ssh.known_hosts} -o StrictHostKeyChecking=yes"
    lines = [
        f"{host.name} ansible_host={host.address} ansible_port={host.port} ansible_user={ssh.user} "
        f"ansible_ssh_private_key_file={ssh.key} ansible_python_interpreter=/usr/bin/python3 "
        f"ansible_ssh_common_args='{common}'\n"
        for host in loaded.hosts
    ]
    (folder / "hosts.ini").write_text("".join(lines))


def sake_files(folder: Path, loaded: LoadedInventory) -> None:
    ssh = loaded.inventory.ssh
    lines = ["umask 022"]
    for path, (text, mode) in FILES.items():
        digest = hashlib.sha256(text.encode()).hexdigest()
        encoded = base64.b64encode(text.encode()).decode()
        lines += [
            f"if [[ $(sha256sum {path}) != {digest}* || $(stat -c %a:%U:%G {path}) != {mode[1:]}:root:root ]]",
            f"then base64 -d <<< {encoded} | install -T -o root -g root -m {mode} /dev/stdin {path}.new",
            f"mv {path}.new {path}; fi",
        ]
    lines += [
        f"getent group {GROUP} >/dev/null || groupadd {GROUP}",
        f"id {USER} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --user-group --groups {GROUP} {USER}",
    ]
    document = {
        "known_hosts_file": str(ssh.known_hosts),
        "servers": {
            "bench": {
                "hosts": [f"{ssh.user}@{host.address}:{host.port}" for host in loaded.hosts],
                "identity_file": str(ssh.key),
                "shell": "bash",
            }
        },
        # Without a terminal it fails to fill a header's line.
        "themes": {"default": {"text": {"header": "", "header_filler": ""}}},
        "tasks": {"prepare": {"spec": {"strategy": "free", "any_errors_fatal": True}, "cmd": "\n".join(lines)}},
    }
    (folder / "sake.yaml").write_text(yaml.safe_dump(document))


def tools_at(folder: Path | None, scratch: Path) -> Path:
    """The ``bin`` folder of an environment with both tools."""
    if folder is None:
        folder = scratch / "tools"
        print("installing pyinfra and ansible-core", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin/pip", "install", "--quiet", "pyinfra", "ansible-core"], check=True)
    return folder / "bin"


def reset(loaded: LoadedInventory) -> None:
    def work(remote: Remote) -> None:
        remote.run(RESET)

    with Fleet(loaded.inventory.ssh, loaded.hosts, Secrets(), threading.Event()) as fleet:
        fleet.each(work)


class Used(NamedTuple):
    """What a call took."""

    wall: float
    processor: float
    """Of the client and the hosts together. Unlike the clock it hardly depends on what else the machine does."""


def processor_seconds(hosts: Collection[str]) -> float:
    """The processor seconds that the containers of the hosts have used so far, and the children of this process."""
    import docker  # Here, because the process that prepares the hosts does not need it.

    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    engine = docker.from_env()
    used = [
        engine.api.stats(one["Id"], stream=False, one_shot=True)["cpu_stats"]["cpu_usage"]["total_usage"]
        for one in engine.api.containers()
        if one["Names"][0].partition("-node")[1] and f"node{one['Names'][0].rpartition('-node')[2]}" in hosts
    ]
    assert len(used) == len(hosts)
    return found.ru_utime + found.ru_stime + sum(used) / 1e9


def timed(argv: list[str], environment: dict[str, str], cwd: Path, hosts: Collection[str]) -> Used:
    before, began = processor_seconds(hosts), time.monotonic()
    done = subprocess.run(argv, env=environment, cwd=cwd, capture_output=True, text=True, timeout=SECONDS, check=False)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(f"{argv[0]} failed with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return Used(seconds, processor_seconds(hosts) - before)


def measure(
    folder: Path, inventory: Path, record: Path, tools: Path, sake: str | None, skipped: list[str], rounds: int
) -> None:
    loaded = bed_inventory(inventory, record)
    pyinfra_files(folder, loaded)
    ansible_files(folder, loaded)
    sake_files(folder, loaded)
    hosts = {host.name for host in loaded.hosts}
    count = str(len(hosts))
    root = Path(__file__).resolve().parent.parent
    plain = {**os.environ, "PYTHONPATH": str(root)}
    ansible = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "ANSIBLE_FORKS": count,
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "0",
    }
    calls: dict[str, Callable[[], Used]] = {
        "bigtop-builder": lambda: timed(
            [sys.executable, "-m", "benchmarks.host_preparation", "--work", str(inventory), str(record)],
            plain,
            root,
            hosts,
        ),
        "pyinfra": lambda: timed(
            [str(tools / "pyinfra"), "-y", "--parallel", count, "hosts.py", "work.py"], dict(os.environ), folder, hosts
        ),
        "ansible-core": lambda: timed(
            [str(tools / "ansible-playbook"), "-i", "hosts.ini", "play.json"], ansible, folder, hosts
        ),
    }
    if sake:
        calls["sake"] = lambda: timed(
            [sake, "run", "prepare", "--all", "--config", "sake.yaml"], dict(os.environ), folder, hosts
        )
    for name in skipped:
        calls.pop(name, None)
    times: dict[str, list[tuple[Used, Used]]] = {name: [] for name in calls}
    for number in range(rounds):
        names = list(reversed(calls)) if number % 2 else list(calls)
        for name in names:
            reset(loaded)
            times[name].append((calls[name](), calls[name]()))
            first, again = times[name][-1]
            print(f"{name:16} {first.wall:8.2f} s {again.wall:8.2f} s", end="", flush=True)
            print(f"   processor {first.processor:8.2f} s {again.processor:8.2f} s", flush=True)
    for kind in Used._fields:
        compare(f"{kind} seconds, {count} hosts, the least of {rounds}", times, kind)


def compare(title: str, times: Mapping[str, Sequence[tuple[Used, Used]]], kind: str) -> None:
    best = {
        name: tuple(min(getattr(used, kind) for used in column) for column in zip(*found, strict=True))
        for name, found in times.items()
    }
    print(f"\n{title:42} first time   nothing to do   ours in parts of it")
    mine = best["bigtop-builder"]
    for name, (first, again) in best.items():
        print(f"{name:42} {first:8.2f} s {again:13.2f} s   {mine[0] / first:8.2f} {mine[1] / again:8.2f}")
    if "pyinfra" in best:
        reached = all(own <= AIM * theirs for own, theirs in zip(mine, best["pyinfra"], strict=True))
        print(f"The target, at most a quarter of pyinfra's in both cases, is {'reached' if reached else 'missed'}.")


def bed_inventory(inventory: Path, record: Path) -> LoadedInventory:
    over = load(record)
    over.data["ambari"] = None
    return load_inventory(inventory, over)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--store", type=Path, default=Path("~/.cache/bigtop-builder").expanduser())
    parser.add_argument("--tools", type=Path)
    parser.add_argument("--sake", default=shutil.which("sake"), help="the program; it is left out if there is none")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--skip", choices=["pyinfra", "ansible-core", "sake"], action="append", default=[])
    parser.add_argument("--work", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        ours(bed_inventory(*given.work))
        return
    # A killed benchmark must not leave its test bed behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    name = f"bench-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tools = tools_at(given.tools, folder)
        inventory = folder / "inventory.yaml"
        inventory.write_text(f'cluster: c\ngroups: {{all: {{hosts: ["node[1-{given.hosts}].{name}.test"]}}}}\n')
        (folder / "bigtop-builder.yaml").write_text(f"stack: bigtop-3.2.0\nplatforms: [el8]\nstore: {given.store}\n")
        bed = [sys.executable, "-m", "bigtop_builder", "--project", str(folder / "bigtop-builder.yaml"), "testbed"]
        up = ["up", "--hosts", str(given.hosts), "--name", name, "--ambari-packages", "http://127.0.0.1/none"]
        try:
            subprocess.run([*bed, *up], check=True, stdout=subprocess.DEVNULL)
            measure(
                folder,
                inventory,
                given.store / "testbeds" / name / "testbed.yaml",
                tools,
                given.sake,
                given.skip,
                given.rounds,
            )
        finally:
            subprocess.run([*bed, "down", name], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
