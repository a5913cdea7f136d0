"""The demonstration's cluster: made of built, published, signed packages on three container hosts; a second deployment
changes nothing; one that is killed, in the middle of the cluster phase and among the stand-alone services, ends as well
as one that is not; one is watched in a browser; and it goes again.

With BIGTOP_SCREENSHOTS=docs/images the pictures of the documentation are written.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.ssh import Fleet
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.testbed.testbed import testbed_document as document_of
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory
from tests.real.conftest import ROOT, SECONDS, Tool

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.real.browser import Viewer

PATIENCE = 600
"""Seconds after which a test gives up; never asserted as a speed."""
COMPONENTS = ("bigtop-utils", "bigtop-select", "bigtop-groovy", "zookeeper", "spark", "spark-pi")
OURS = "'*3_2_0*' 'bigtop*'"
MODE = "exec 3<>/dev/tcp/$(hostname -f)/2181; printf srvr >&3; timeout 60 grep Mode: <&3"
SIGNATURES = rf"rpm --query --all --queryformat '%{{NAME}} %|RSAHEADER?{{signed}}:{{NOT SIGNED}}|\n' {OURS} | sort"
INSTALLED = f"rpm --query --all {OURS} spark-pi_3_2_0 | sort -u"
LINKS = "find /usr/bigtop/current -mindepth 1 -printf '%f %l\\n' | sort"
FILES = (
    # A repository version that is registered anew has another number.
    "cat /etc/yum.repos.d/ambari-bigtop-*.repo | sed 's/-repo-[0-9]*$//; s/-repo-[0-9]*]$/]/'; "
    "sha256sum /etc/yum.repos.d/bigtop-builder-*.repo /etc/default/bigtop-utils /etc/zookeeper/conf/zoo.cfg; "
    "if [ -e /etc/default/spark-master ]; then sha256sum /etc/default/spark-master; fi; "
    "cat /var/lib/zookeeper/myid /hadoop/zookeeper/myid 2>/dev/null || true"
)
ENABLED = "find /etc/rc.d/rc3.d -name 'S*' -printf '%f\\n' | sort"
JAVA = r"""
for pid in $(pgrep -x java); do
    class=$(tr '\0' '\n' < /proc/$pid/cmdline | grep -xE '.*[.](QuorumPeerMain|Master|Worker)')
    echo "$(stat -c %U /proc/$pid) $class"
done | sed -n '/ ./p' | sort
"""
CELLS = """() => [...document.querySelectorAll('table.matrix')].flatMap((table) => {
    const hosts = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    return [...table.tBodies[0].rows].flatMap((row) => [...row.cells].slice(1).map((cell, place) =>
        [table.closest('article').id, row.cells[0].textContent.trim(), hosts[place + 1], cell.textContent.trim()]));
})"""
"""The phase, row, host and text of every cell of the matrices on a page."""

Event = dict[str, Any]


@dataclass
class Cluster:
    """The demonstration's cluster, under a name of its own, on hosts of its own."""

    tool: Tool
    name: str
    inventory: Path
    bed: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.bed = ("--testbed", self.name)

    def loaded(self) -> LoadedInventory:
        return load_inventory(self.inventory, document_of(Store(self.tool.store), self.name))

    def on_hosts(self, script: str) -> dict[str, str]:
        """What a script prints on each host."""
        loaded = self.loaded()
        with Fleet(loaded.inventory.ssh, loaded.hosts, Secrets(), threading.Event()) as fleet:
            done = {host.name: fleet.remote(host.name).run(script, timeout=PATIENCE) for host in loaded.hosts}
        assert {host: output.stderr for host, output in done.items() if output.code} == {}
        return {host: output.stdout for host, output in done.items()}

    def deploy(self) -> list[Event]:
        log = self.tool.folder / "events.jsonl"
        self.tool("deploy", str(self.inventory), "--yes", *self.bed, "--events", str(log))
        return read(log)

    def kill_when(self, came: Callable[[Event], bool]) -> None:
        """A deployment that ends by SIGKILL once it has told a certain event."""
        log = self.tool.folder / "killed.jsonl"
        log.unlink(missing_ok=True)
        command = self.tool.argv("deploy", str(self.inventory), "--yes", *self.bed, "--events", str(log))
        process = subprocess.Popen(
            command,
            cwd=self.tool.folder,
            env=self.tool.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE
        while not any(came(event) for event in read(log)):
            assert process.poll() is None, f"it ended with {process.returncode} before it could be killed"
            assert time.monotonic() < deadline, "what was waited for never came"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL

    def state(self) -> dict[str, Any]:
        """All that a finished deployment is about: in Ambari, on the hosts, in processes."""
        told = self.tool.json("status", str(self.inventory), *self.bed)
        assert told["green"], told
        loaded = self.loaded()
        assert loaded.inventory.ambari is not None
        password = Secrets().value(loaded.inventory.ambari.password, "ambari.password")
        with Ambari(loaded.inventory.ambari.url, loaded.inventory.ambari.user, password) as client:
            tags = client.desired_configurations(self.name)
            return {
                "hosts": told["hosts"],
                "services": told["services"],
                "version": told["version"],
                "standalone": sorted(json.dumps(one, sort_keys=True) for one in told["standalone"]),
                "components": sorted(client.host_components(self.name), key=lambda one: (one.host, one.component)),
                "configurations": {type: client.configuration(self.name, type, tag) for type, tag in tags.items()},
                "blueprints": client.blueprints(),
                "installed": self.on_hosts(INSTALLED),
                "links": self.on_hosts(LINKS),
                "files": self.on_hosts(FILES),
                "enabled": self.on_hosts(ENABLED),
                "java": self.on_hosts(JAVA),
            }


def read(log: Path) -> list[Event]:
    """The events of a run; the last line may be torn."""
    lines = log.read_bytes().split(b"\n") if log.is_file() else []
    return [json.loads(line) for line in lines[:-1] if line]


def phases(events: list[Event]) -> dict[str, str]:
    return {event["phase"]: event["state"] for event in events if event["event"] == "phase_finished"}


def changes(events: list[Event]) -> int:
    return sum(event["changes"] for event in events if event["event"] == "phase_finished")


def checks(events: list[Event]) -> dict[str, str]:
    """What the checks of the phase ``verify`` said."""
    found = [event for event in events if event["event"] == "check_finished" and event["phase"] == "verify"]
    assert [event for event in found if event["level"] == "error"] == []
    return {event["check"]: event["message"] for event in found if event["level"] == "ok"}


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Tool:
    """In a project like the demonstration's, its packages built and published."""
    folder = tmp_path_factory.mktemp("project")
    demo = ROOT / "examples" / "demo"
    project = yaml.safe_load((demo / "bigtop-builder.yaml").read_text())
    project["overlays"] = [str(demo / "overlay")]
    del project["output"], project["repository"]
    (folder / "bigtop-builder.yaml").write_text(yaml.safe_dump(project))
    tool = Tool(folder, shared_store)
    tool("build", *(f"{name}@el8" for name in COMPONENTS))
    tool("repo", "publish", "--make-key")
    return tool


@pytest.fixture(scope="module")
def cluster(tool: Tool) -> Iterator[Cluster]:
    name = f"demo-{secrets.token_hex(3)}"
    inventory = tool.folder / "inventory.yaml"
    text = (ROOT / "inventories" / "demo.yaml").read_text()
    inventory.write_text(text.replace("\ncluster: demo\n", f"\ncluster: {name}\n"))
    try:
        tool("testbed", "up", "--inventory", str(inventory), "--name", name)
        yield Cluster(tool, name, inventory)
    finally:
        tool.start("testbed", "down", name).communicate()


def test_from_a_signed_repository_to_a_cluster_that_works(cluster: Cluster) -> None:
    events = cluster.deploy()
    assert set(phases(events).values()) <= {"changed", "unchanged"}
    tasks = [event for event in events if event["event"] == "ambari_task"]
    ended = {(task["host"], task["role"], task["command"]): task["status"] for task in tasks}
    assert set(ended.values()) == {"COMPLETED"}
    hosts = [host.name for host in cluster.loaded().hosts]
    assert {host for host, role, command in ended if (role, command) == ("ZOOKEEPER_SERVER", "START")} == set(hosts)

    found = checks(events)
    assert "service check of ZOOKEEPER" in found
    assert found["job spark-pi"].startswith("Pi is roughly 3.1")
    assert found["job spark-pi-cluster"].startswith("Pi is roughly 3.1")

    modes = sorted(said.strip() for said in cluster.on_hosts(MODE).values())
    assert modes == ["Mode: follower", "Mode: follower", "Mode: leader"]
    for host, said in cluster.on_hosts("cat /etc/yum.repos.d/ambari-bigtop-*.repo").items():
        assert "gpgcheck=1" in said.split(), host
    for host, said in cluster.on_hosts(SIGNATURES).items():
        assert "zookeeper_3_2_0 signed" in said.splitlines(), host
        assert "NOT SIGNED" not in said, host


def test_a_second_deployment_changes_nothing_and_says_so(cluster: Cluster) -> None:
    before = cluster.state()
    log = cluster.tool.folder / "second.jsonl"
    done = cluster.tool("deploy", str(cluster.inventory), "--yes", *cluster.bed, "--events", str(log))
    assert "nothing to change: everything matches the inventory" in done.stderr
    assert set(phases(read(log)).values()) == {"unchanged"}
    assert changes(read(log)) == 0
    assert cluster.state() == before


def test_a_killed_deployment_is_run_again_to_the_same_end(cluster: Cluster) -> None:
    before = cluster.state()
    cluster.tool("destroy", str(cluster.inventory), *cluster.bed, "--yes-really", cluster.name, "--wipe-hosts")
    assert set(cluster.on_hosts(INSTALLED.replace("spark-pi_3_2_0", "")).values()) == {""}
    assert set(cluster.on_hosts(JAVA).values()) == {""}

    cluster.kill_when(lambda event: event["event"] == "ambari_task" and event["phase"] == "cluster")
    cluster.kill_when(lambda event: event["event"] == "change" and event["name"] == "start spark-master")
    events = cluster.deploy()
    assert checks(events)["job spark-pi-cluster"].startswith("Pi is roughly 3.1")
    assert cluster.state() == before
    assert changes(cluster.deploy()) == 0


def cells(page: Page) -> dict[tuple[str, str, str], str]:
    """What a page shows: phase, row and host → the words of the cell, without its mark."""
    found = {(phase.removeprefix("p-"), row, host): text for phase, row, host, text in page.evaluate(CELLS)}
    return {place: text.split()[-1] for place, text in found.items() if text}


def test_a_browser_shows_each_task_of_each_host_while_they_run(cluster: Cluster, browser: Viewer) -> None:
    from tests.real.browser import begun, keep, served

    tool, log = cluster.tool, cluster.tool.folder / "watched.jsonl"
    # With the hosts' preparation gone, there are changes of hosts to be seen as well.
    tool("destroy", str(cluster.inventory), *cluster.bed, "--yes-really", cluster.name, "--wipe-hosts")
    deploy = ("-q", "deploy", str(cluster.inventory), "--yes", *cluster.bed, "--events", str(log))
    with (
        served(tool, "--inventory", str(cluster.inventory), *cluster.bed) as address,
        begun(tool, "deploy", *deploy) as (deployment, run),
    ):
        page = browser.open(f"{address}/runs/{run}")
        page.evaluate("window.before = true")
        # A quick task may begin and end between two looks of the page, and a phase that has ended is folded.
        done, failed = "#p-cluster table.matrix .cell.done", "#summary .pill.failed"
        page.wait_for_selector(f"{done}, {failed}", state="attached", timeout=PATIENCE * 1000)
        assert page.locator(done).count(), page.inner_text("main")
        assert deployment.poll() is None and page.evaluate("window.before"), "it was not loaded again"
        page.locator("#p-cluster").scroll_into_view_if_needed()
        keep(page, "web-deployment-running")
        said, errors = deployment.communicate(timeout=SECONDS)
        assert deployment.returncode == 0, said + errors
        # When it has ended, the page is shown once more as a whole.
        page.wait_for_function("() => !window.before", timeout=PATIENCE * 1000)
        page.wait_for_selector("#summary .pill.done", timeout=PATIENCE * 1000)
        events, shown = read(log), cells(page)
        tasks = {
            (event["phase"], f"{event['role']} {event['command']}", event["host"]): event["status"]
            for event in events
            if event["event"] == "ambari_task"
        }
        assert len({host for *_, host in tasks}) == len(cluster.loaded().hosts)
        assert {place: shown.get(place) for place in tasks} == tasks
        changed = {
            (event["phase"], event["name"], event["host"])
            for event in events
            if event["event"] == "change" and event["host"] and len(event["name"].splitlines()) == 1
        }
        assert changed and changed <= shown.keys()
        page.locator("#p-cluster summary").first.click()
        page.evaluate("() => document.getElementById('p-cluster').scrollIntoView()")
        keep(page, "web-deployment")
        page.goto(f"{address}/clusters/{cluster.name}")
        page.wait_for_selector("#status > p .pill.done", timeout=PATIENCE * 1000)
        assert "ZOOKEEPER" in page.inner_text("#status") and "node3.demo.test" in page.inner_text("#status")
        keep(page, "web-cluster")
        page.locator("#status li", has_text="Start components").locator("a").first.click()
        page.locator("a", has_text="ZOOKEEPER_SERVER START").click()
        page.wait_for_selector("pre.log")
        keep(page, "web-request")
        request = page.evaluate("location.pathname + location.search")
        page.goto(f"{address}/repositories")
        page.click("main a[href*='/repositories/']")
        assert "dnf" in page.inner_text("main") and "gpgcheck=1" in page.inner_text("main")
        keep(page, "web-repository")
        for path in (f"/runs/{run}", f"/clusters/{cluster.name}", request):
            assert browser.violations(address + path, dark=False) == []
        browser.leave()


def test_the_cluster_goes(cluster: Cluster) -> None:
    cluster.tool("destroy", str(cluster.inventory), *cluster.bed, "--yes-really", cluster.name)
    told = cluster.tool.json("status", str(cluster.inventory), *cluster.bed, code=4)
    assert told["exists"] is False
    assert all("QuorumPeerMain" not in said for said in cluster.on_hosts(JAVA).values())
    again = cluster.tool("destroy", str(cluster.inventory), *cluster.bed, "--yes-really", cluster.name)
    assert f"there is no cluster {cluster.name}" in again.stderr
