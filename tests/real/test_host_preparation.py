"""Container hosts prepared over SSH: twice, after a kill, with one that is lost; stand-alone services started there."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.rpm.gnupg import make_key, open_signer
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.ssh.fleet import Fleet
from bigtop_builder.flow.hosts.apply_standalone import apply_standalone, verify_standalone
from bigtop_builder.flow.hosts.operations import WorkResult
from bigtop_builder.flow.hosts.preparation import prepare_hosts
from bigtop_builder.flow.hosts.removal import uninstall
from bigtop_builder.flow.publish.publisher import publish
from bigtop_builder.hosts.preparation import LIMITS_FILE
from bigtop_builder.model.errors import UnreachableHostError
from bigtop_builder.model.event import Change, CheckFinished, HostFailed
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.document import load
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory
from tests.real.conftest import Tool
from tests.rpmfile import File, Spec, write_rpm

STACK = "bigtop-3.2.0"
INIT = """#!/bin/bash
# chkconfig: 345 85 15
pid=/var/run/NAME.pid
alive() { [ -e $pid ] && kill -0 "$(cat $pid)" 2>/dev/null; }
case $1 in
  start) alive || { cd /etc/hello; nohup python3 -m http.server PORT > /dev/null 2>&1 < /dev/null & echo $! > $pid; } ;;
  stop) alive && kill "$(cat $pid)"; rm -f $pid ;;
  restart) "$0" stop; "$0" start; echo x >> /var/log/NAME.restarts ;;
  status) alive ;;
esac
"""


def hello(folder: Path, name: str, port: int) -> Path:
    """A package with a real service: it serves /etc/hello."""
    script = INIT.replace("NAME", name).replace("PORT", str(port)).encode()
    files = {f"/etc/rc.d/init.d/{name}": File(script, 0o100755), f"/usr/bigtop/3.2.0/{name}": b"hello\n"}
    return write_rpm(folder, Spec(name=f"{name}_3_2_0", files=files))


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Tool:
    """In a project that has published two signed packages."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "bigtop-builder.yaml").write_text(f"stack: {STACK}\nplatforms: [el8]\n")
    make_key(folder / "gnupg", "A test", "test@example.org")
    with open_signer(folder / "gnupg") as signer:
        packages = [hello(folder, "hello-one", 8101), hello(folder, "hello-two", 8102)]
        publish(packages, folder / "repository", STACK, Catalog().platform("el8"), signer)
    return Tool(folder, shared_store)


@dataclass
class Site:
    """A test bed and its inventory."""

    name: str
    folder: Path
    record: Path
    events: list[Any] = field(default_factory=list)

    def load(self, text: str, hosts: int = 2) -> LoadedInventory:
        path = self.folder / "inventory.yaml"
        path.write_text(
            f'cluster: c\ngroups: {{all: {{hosts: ["node[1-{hosts}].{self.name}.test"]}}}}\n' + textwrap.dedent(text)
        )
        over = load(self.record)
        over.data["ambari"] = None
        return load_inventory(path, over)

    def node(self, number: int) -> str:
        return f"node{number}.{self.name}.test"

    def work(self, loaded: LoadedInventory, work: Callable[..., WorkResult], **options: Any) -> tuple[WorkResult, int]:
        """What ``work`` gives, and how many round trips it took; its events are in ``events``."""
        self.events.clear()
        with Fleet(loaded.inventory.ssh, loaded.hosts, Secrets(), threading.Event()) as fleet:
            return work(loaded, fleet, self.events.append, **options), fleet.round_trips

    def prepare(self, loaded: LoadedInventory, *, dry_run: bool = False) -> tuple[WorkResult, int]:
        return self.work(loaded, prepare_hosts, dry_run=dry_run)

    def on(self, number: int, script: str) -> str:
        container = f"bigtop-builder-{self.name}-{self.node(number)}"
        done = subprocess.run(
            ["docker", "exec", container, "bash", "-c", script], capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout.strip()

    def changes(self) -> list[str]:
        return [event.name for event in self.events if isinstance(event, Change)]


@pytest.fixture(scope="module")
def bed(tool: Tool) -> Iterator[str]:
    name = f"prepare-{secrets.token_hex(4)}"
    try:
        tool("testbed", "up", "--hosts", "2", "--name", name, "--ambari-packages", "http://127.0.0.1/none")
        yield name
    finally:
        tool.start("testbed", "down", name).communicate()


@pytest.fixture
def site(bed: str, tool: Tool, tmp_path: Path) -> Site:
    return Site(bed, tmp_path, tool.store / "testbeds" / bed / "testbed.yaml")


PREPARE = """\
prepare:
  hosts_entries: true
  jdk: null
  packages: [hello-one_3_2_0]
  users: {alice: [staff-of-alice]}
"""


def test_once_does_it_in_two_round_trips_and_twice_does_nothing_in_one(site: Site) -> None:
    loaded = site.load(PREPARE)
    planned, trips = site.prepare(loaded, dry_run=True)
    wanted = site.changes()
    assert trips == 2 and not planned.failed and site.on(1, "rpm -q hello-one_3_2_0").endswith("not installed")
    done, trips = site.prepare(loaded)
    assert not done.failed and trips == 4 and dict(done.changed) == dict(planned.changed)
    assert sorted(site.changes()) == sorted(wanted) and "install hello-one_3_2_0" in wanted
    assert site.on(2, "id --groups --name alice").split() == ["alice", "staff-of-alice"]
    assert "gpgcheck=1\nrepo_gpgcheck=1" in site.on(1, "cat /etc/yum.repos.d/bigtop-builder-*.repo")
    assert site.on(1, "rpm -q gpg-pubkey").startswith("gpg-pubkey-")
    again, trips = site.prepare(loaded)
    assert (again.changes, dict(again.failed), trips, site.changes()) == (0, {}, 2, [])


def test_a_lost_host_is_told_apart_and_the_others_are_prepared(site: Site) -> None:
    loaded = site.load(f"{PREPARE}hosts: {{{site.node(3)}: {{address: 127.0.0.1, port: 1}}}}\n", hosts=3)
    site.on(1, f"rm -f {LIMITS_FILE}")
    site.on(2, f"rm -f {LIMITS_FILE}; mkdir -p {LIMITS_FILE}")
    result, _ = site.prepare(loaded)
    kinds = {event.host: event.kind for event in site.events if isinstance(event, HostFailed)}
    assert kinds == {site.node(3): "unreachable", site.node(2): "failed"}
    assert isinstance(result.failed[site.node(3)], UnreachableHostError) and set(result.changed) == {site.node(1)}
    error = result.error()
    assert error is not None and error.exit_code == 8
    site.on(2, f"rmdir {LIMITS_FILE}")
    result, _ = site.prepare(loaded)
    assert set(result.failed) == {site.node(3)} and set(result.changed) == {site.node(2)}


KILLED = """
import sys, threading
from pathlib import Path
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.ssh.fleet import Fleet
from bigtop_builder.flow.hosts.operations import apply
from bigtop_builder.hosts.files import write_file
from bigtop_builder.hosts.facts import HostFacts
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.recipe.document import load
from bigtop_builder.recipe.inventory import load_inventory
over = load(Path(sys.argv[2])); over.data["ambari"] = None
loaded = load_inventory(Path(sys.argv[1]), over)
facts = HostFacts(name="x", clock=0.0)
work = [
    Operation("first", "", "echo 1 > /root/first"),
    Operation("slow", "", "echo begun > /root/begun; sleep 3; echo 1 > /root/slow"),
    *write_file(facts, "/root/last", b"last " * 20000),
]
with Fleet(loaded.inventory.ssh, loaded.hosts, Secrets(), threading.Event()) as fleet:
    plan = {host.name: tuple(work) for host in loaded.hosts}
    result = apply(fleet, plan, phase="prepare", emit=lambda event: None, dry_run=False)
    sys.exit(0 if result.error() is None else 8)
"""


def test_a_run_that_is_killed_half_way_is_made_good_by_the_next(site: Site) -> None:
    site.load("")
    argv = [sys.executable, "-c", KILLED, str(site.folder / "inventory.yaml"), str(site.record)]
    running = subprocess.Popen(argv)
    for _ in range(300):
        if site.on(1, "cat /root/begun 2>/dev/null"):
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert site.on(1, "cat /root/first") == "1" and site.on(1, "ls -A /root | grep -c '^last'") == "0"
    assert subprocess.run(argv, timeout=120, check=False).returncode == 0
    for number in (1, 2):
        assert site.on(number, "cat /root/slow; wc -c < /root/last") == "1\n100000"
        assert site.on(number, "ls -A /root | grep bigtop-builder") == ""


STANDALONE = """\
prepare: {{jdk: null, limits: false}}
standalone:
  two:
    hosts: [all]
    after: [one]
    packages: [hello-two_3_2_0]
    files:
      /etc/hello/two: {{content: "{text} of {{{{ services['one'] | join(' ') }}}}\\n"}}
    services: [{{name: hello-two, health: {{http: "http://{{host}}:8102/two"}}}}]
  one:
    hosts: [all]
    packages: [hello-one_3_2_0]
    services: [{{name: hello-one, health: {{port: 8101}}}}]
"""


def test_stand_alone_services_start_in_order_restart_when_changed_and_go(site: Site) -> None:
    loaded = site.load(STANDALONE.format(text="old"))
    site.prepare(loaded)
    result, _ = site.work(loaded, apply_standalone, dry_run=False)
    assert result.error() is None
    begun = [event.name for event in site.events if isinstance(event, Change) and event.name.startswith("start")]
    assert begun == ["start hello-one"] * 2 + ["start hello-two"] * 2
    assert site.on(1, "curl -s http://127.0.0.1:8102/two") == f"old of {site.node(1)} {site.node(2)}"

    result, trips = site.work(loaded, apply_standalone, dry_run=False)
    assert (result.changes, trips, site.events) == (0, 2, [])
    result, trips = site.work(loaded, verify_standalone)
    assert result.error() is None and trips == 4
    assert {event.level for event in site.events if isinstance(event, CheckFinished)} == {"ok"}

    loaded = site.load(STANDALONE.format(text="new"))
    site.work(loaded, apply_standalone, dry_run=False)
    assert sorted(set(site.changes())) == ["restart hello-two", "write /etc/hello/two"]
    assert site.on(2, "cat /var/log/hello-two.restarts; ls /var/log/hello-one.restarts") == "x"

    site.on(1, "/etc/init.d/hello-one stop")
    result, _ = site.work(loaded, verify_standalone)
    assert set(result.failed) == {site.node(1)}
    site.work(loaded, apply_standalone, dry_run=False)
    assert site.changes() == ["start hello-one"]

    planned, _ = site.work(loaded, uninstall, dry_run=True)
    assert site.on(1, "rpm -qa '*3_2_0' | wc -l") == "2"
    gone, _ = site.work(loaded, uninstall, dry_run=False)
    assert gone.error() is None and dict(gone.changed) == dict(planned.changed)
    assert site.on(1, "rpm -qa '*3_2_0'; ls -d /usr/bigtop /etc/hello/two; pgrep -f http.server") == ""
    again, _ = site.work(loaded, uninstall, dry_run=False)
    assert again.changes == 0
