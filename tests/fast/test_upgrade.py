"""A cluster moves to other packages: releases in place, versions beside each other, one host after the other, back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.ambari_simulator.agents.paper_hosts import PaperHost
from bigtop_builder.ambari_simulator.engine.injection import TaskFault
from bigtop_builder.flow.deploy.consent import Consent
from bigtop_builder.hosts.operation import RESTARTS
from bigtop_builder.model.event import AnyEvent, Change, CheckFinished, Phase
from tests.fast.moving_cluster import NEW, OLD, RELEASES, RUNNING, SERVERS, VERSIONS, Cluster, Killed
from tests.fast.served import address

LATEST = "{packages: latest}"
SWITCH = "{repository_version: 3.2.1}"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    one = Cluster(tmp_path, monkeypatch)
    with one.bench:
        yield one


def test_newer_releases_are_told_and_left_alone(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("both", RELEASES)
    before = cluster.packages()
    assert cluster.deploy() == 0, cluster.bench.failure
    assert "zookeeper_3_2_0 3.5.9-2 -> 3.5.9-3" in cluster.told()
    assert "stack.packages: latest" in cluster.told()
    assert cluster.packages() == before
    assert cluster.deploy() == 0
    assert cluster.bench.changes == []


def test_newer_releases_roll_over_the_ensemble(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("both", RELEASES)
    assert cluster.deploy(LATEST) == 0, cluster.bench.failure
    assert cluster.packages() == [NEW] * 3
    assert cluster.agent.least == 2, "never more than one server is down"
    assert cluster.bench.state()["components"] == RUNNING
    names = [name for name in cluster.bench.changes if name.split()[0] in ("stop", "start", "install")]
    each = ["stop ZOOKEEPER_SERVER on", "install zookeeper_3_2_0-3.5.9-3", "start ZOOKEEPER_SERVER on"]
    assert [name[: len(begin)] for name, begin in zip(names, each * 3, strict=True)] == each * 3
    checks = [event for event in cluster.bench.events if isinstance(event, CheckFinished)]
    assert [event.check for event in checks if event.phase == "cluster"] == ["service check of ZOOKEEPER"] * 3
    assert [host.kept for host in cluster.hosts.values()] == [[]] * 3
    assert cluster.deploy(LATEST) == 0
    assert cluster.bench.changes == []


def test_a_dry_run_shows_the_move_and_does_nothing(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("both", RELEASES)
    before = cluster.whole()
    assert cluster.deploy(LATEST, dry_run=True) == 0, cluster.bench.failure
    planned = [event for event in cluster.bench.events if isinstance(event, Change)]
    assert {event.state for event in planned} == {"planned"}
    details = [event.detail for event in planned if event.name.startswith("install zookeeper")]
    assert details == ["zookeeper_3_2_0 3.5.9-2 -> 3.5.9-3\nzookeeper_3_2_0-server 3.5.9-2 -> 3.5.9-3"] * 3
    names = [event.name for event in planned if event.name.startswith(("stop ", "start "))]
    assert names[:2] == [
        "stop ZOOKEEPER_SERVER on node1.x.test (wave 1 of 3, because of other packages)",
        "start ZOOKEEPER_SERVER on node1.x.test (wave 1 of 3, because of other packages)",
    ]
    assert [event.disrupts for event in planned if event.name.startswith("stop ")] == [
        [f"ZOOKEEPER_SERVER on {host}"] for host in SERVERS
    ]
    assert cluster.whole() == before


@pytest.mark.parametrize("stack", [LATEST, SWITCH])
def test_a_dry_run_tells_what_the_move_does(cluster: Cluster, stack: str) -> None:
    """Restarts for a changed configuration included: what the move starts again needs none."""
    cluster.up()
    cluster.publish("both", RELEASES + VERSIONS)

    def told() -> tuple[list[str], list[tuple[str | None, str, str]]]:
        changes = [event for event in cluster.bench.events if isinstance(event, Change)]
        steps = [event.name for event in changes if event.host is None]
        return steps, sorted((event.host, event.name, event.detail) for event in changes if event.host)

    changed = f"{stack}\nconfigurations: {{zoo.cfg: {{tickTime: 2500}}}}"
    assert cluster.deploy(changed, dry_run=True) == 0, cluster.bench.failure
    planned = told()
    restarts = [name for name in planned[0] if name.startswith("restart ")]
    assert [name.partition(" on ")[0] for name in restarts] == ["restart ZOOKEEPER_CLIENT"]
    assert cluster.deploy(changed) == 0, cluster.bench.failure
    assert told() == planned
    assert cluster.deploy(changed) == 0
    assert told() == ([], [])


OWN = """
standalone:
  own:
    hosts: [all]
    packages: [zookeeper_3_2_0]
    services: [{name: own, health: {command: "true"}}]
"""
WITH_OWN: tuple[Phase, ...] = ("cluster", "start", "standalone")


class ServingHost(PaperHost):
    """A host with the service ``own`` outside Ambari, which runs and has an init script."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.ill = False
        """Whether the service does not restart."""
        self.calls: list[str] = []
        """What the init script was called for."""

    def facts(self) -> list[str]:
        return [*super().facts(), "script\town\t1\t1\t7"]

    def execute(self, script: str, stdin: bytes = b"") -> tuple[int, str]:
        if script.startswith("probe()"):
            return 0, ""
        if script.startswith("service=own\n"):
            if not self.ill:
                self.calls += re.findall(r'"/etc/init.d/\$service" (\w+)', script)
                self.calls[-1] += " own"
                del self.files[f"{RESTARTS}/own"]
            return int(self.ill), ""
        return super().execute(script, stdin)


class Serving(Cluster):
    """The cluster on hosts that have a service of their own, too."""

    host = ServingHost
    hosts: dict[str, ServingHost]


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    one = Serving(tmp_path, monkeypatch)
    with one.bench:
        yield one


def test_a_move_restarts_services_of_our_own_host_by_host(serving: Serving) -> None:
    """The dry run has no marks on the hosts yet, and tells the restarts all the same: the question is about them."""
    cluster = serving
    cluster.up()
    assert cluster.deploy("{}" + OWN, phases=WITH_OWN) == 0, cluster.bench.failure
    assert cluster.bench.changes == []
    cluster.publish("both", RELEASES)

    def told() -> tuple[list[str], set[str]]:
        changes = [event for event in cluster.bench.events if isinstance(event, Change)]
        return (
            [f"{event.host}: {event.name}" for event in changes if event.host and event.phase == "standalone"],
            {name for event in changes for name in event.disrupts},
        )

    assert cluster.deploy(LATEST + OWN, phases=WITH_OWN, dry_run=True) == 0, cluster.bench.failure
    restarts, disrupted = told()
    assert restarts == [f"{name}: restart own" for name in SERVERS]
    assert {f"own on {name}" for name in SERVERS} < disrupted
    assert [host.calls for host in cluster.hosts.values()] == [[], [], []]
    # One of the hosts is not well after its restart: the next one is left alone, and its mark stays.
    cluster.hosts[SERVERS[1]].ill = True
    assert cluster.deploy(LATEST + OWN, phases=WITH_OWN) == 8
    assert told()[0] == restarts[:2]
    assert "own is not restarted on node3.x.test: node2.x.test failed" in cluster.told()
    assert [host.calls for host in cluster.hosts.values()] == [["restart own"], [], []]
    cluster.hosts[SERVERS[1]].ill = False
    assert cluster.deploy(LATEST + OWN, phases=WITH_OWN, restart="none") == 0, cluster.bench.failure
    assert told() == ([], set())
    assert "not restarted, though packages or files have changed: own on node2.x.test, own on node3" in cluster.told()
    assert cluster.deploy(LATEST + OWN, phases=WITH_OWN) == 0, cluster.bench.failure
    assert told()[0] == restarts[1:]
    assert [host.calls for host in cluster.hosts.values()] == [["restart own"]] * 3
    assert cluster.deploy(LATEST + OWN, phases=WITH_OWN) == 0, cluster.bench.failure
    assert told()[0] == []


def test_a_service_of_our_own_that_nobody_has_agreed_to_is_left_alone(serving: Serving) -> None:
    """What the dry run did not tell is refused before the phase changes anything, also beside a new cluster."""
    cluster = serving
    for host in cluster.hosts.values():
        host.files[f"{RESTARTS}/own"] = b""
    whole: tuple[Phase, ...] = ("repository", "layout", *WITH_OWN)
    for _ in ("with a new cluster", "with an existing cluster"):
        assert cluster.deploy("{}" + OWN, phases=whole, consent=Consent([f"own on {SERVERS[0]}"])) == 2
        assert "nobody has agreed to this: node2.x.test: restart own; it disrupts own on node2" in cluster.bench.failure
        assert [host.calls for host in cluster.hosts.values()] == [[], [], []]
    agreed = Consent(f"own on {name}" for name in SERVERS)
    assert cluster.deploy("{}" + OWN, phases=whole, consent=agreed) == 0, cluster.bench.failure
    assert [host.calls for host in cluster.hosts.values()] == [["restart own"]] * 3


def test_without_restarts_packages_stay(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("both", RELEASES)
    assert cluster.deploy(LATEST, restart="none") == 0, cluster.bench.failure
    assert "ZOOKEEPER stays with the present packages: --restart none moves nothing" in cluster.told()
    assert [event.disrupts for event in cluster.bench.events if isinstance(event, Change) and event.disrupts] == []
    assert (cluster.packages(), cluster.agent.least) == ([OLD] * 3, 3)


def test_a_move_that_nobody_has_agreed_to_changes_nothing(cluster: Cluster) -> None:
    """Nothing is rolled back either: that would stop what was to be kept running."""
    cluster.up()
    cluster.publish("both", RELEASES)
    assert cluster.deploy(LATEST, consent=Consent([])) == 2
    assert "nobody has agreed to this: stop ZOOKEEPER_SERVER on node1.x.test" in cluster.bench.failure
    assert cluster.agent.least == 3
    assert cluster.packages() == [OLD] * 3


def test_a_release_that_does_not_work_is_taken_back(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("both", RELEASES)
    assert cluster.deploy() == 0
    before = cluster.whole()
    cluster.agent.bad = {"3.5.9-3"}
    assert cluster.deploy(LATEST) == 9
    assert "the service check of ZOOKEEPER failed; rolled back on node1.x.test" in cluster.bench.failure
    assert "revert the change of the inventory" in cluster.bench.failure
    assert cluster.whole() == before, "nothing of it is left, and the others were not touched"
    assert cluster.agent.least == 2
    cluster.agent.bad = set()
    assert cluster.deploy(LATEST) == 0, cluster.bench.failure
    assert cluster.packages() == [NEW] * 3


def test_a_transaction_that_fails_takes_all_back(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("both", RELEASES)
    assert cluster.deploy() == 0
    before = cluster.whole()
    cluster.hosts["node2.x.test"].full = True
    seen: list[AnyEvent] = []

    def mend(event: AnyEvent) -> None:
        seen.append(event)
        if isinstance(event, Change) and event.state == "failed":
            cluster.hosts["node2.x.test"].full = False

    assert cluster.deploy(LATEST, watch=mend) == 9
    assert "rolled back on node1.x.test, node2.x.test" in cluster.bench.failure
    assert cluster.whole() == before


def test_a_way_back_that_fails_is_told_and_the_next_run_goes_on(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("both", RELEASES)
    cluster.bench.work.injections.tasks.append(TaskFault(host="node2.x.test", command="START", times=2))
    assert cluster.deploy(LATEST) == 9
    assert "the rollback failed" in cluster.bench.failure
    assert cluster.hosts["node2.x.test"].kept
    assert cluster.deploy(LATEST) == 0, cluster.bench.failure
    assert cluster.packages() == [NEW] * 3
    assert cluster.bench.state()["components"] == RUNNING
    assert not any(host.kept for host in cluster.hosts.values())


def test_a_host_that_is_not_heard_of_keeps_all_from_moving(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("both", RELEASES)
    assert cluster.deploy() == 0
    before = cluster.packages()
    cluster.bench.world.hosts["node3.x.test"].lost_at = cluster.bench.now
    cluster.bench.pass_time(130)
    assert cluster.deploy(LATEST) == 9
    assert "gets no heartbeat from node3.x.test" in cluster.bench.failure
    assert cluster.packages() == before
    assert cluster.bench.changes == []


def test_former_packages_that_are_gone_are_told(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("new", [f"{name}-{evr}" for name, evr in NEW.items()])
    assert cluster.deploy(LATEST) == 0, cluster.bench.failure
    assert "no longer has zookeeper_3_2_0-3.5.9-2" in cluster.told()


def test_another_version_is_installed_beside_the_former_one(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("next", VERSIONS)
    assert cluster.deploy(SWITCH) == 0, cluster.bench.failure
    state = cluster.whole()
    wanted = OLD | {"bigtop-select": "3.2.1-1", "zookeeper_3_2_1": "3.5.10-1"}
    assert cluster.packages() == [wanted] * 3, "what Ambari asks for, and no more"
    assert state[2] == [{"zookeeper-client": "3.2.1", "zookeeper-server": "3.2.1"}] * 3
    assert state[0]["versions"] == ["3.2.1"], "the agents' reports rename the version that the services have"
    assert state[4] == [address(cluster.repository)]
    assert state[0]["components"] == RUNNING
    assert cluster.agent.least == 2
    assert cluster.bench.changes[:2] == ["configurations cluster-env", "repositories of BIGTOP-3.2.0"]
    assert cluster.bench.changes[2].startswith("install bigtop-select-3.2.1-1")
    assert cluster.deploy(SWITCH) == 0, cluster.bench.failure
    assert cluster.bench.changes == []


def test_another_version_that_does_not_work_is_left_again(cluster: Cluster) -> None:
    cluster.up()
    before = cluster.whole()
    cluster.publish("next", VERSIONS)
    cluster.agent.bad = {"3.5.10-1"}
    offered = cluster.hosts["node1.x.test"]

    def mend(event: AnyEvent) -> None:
        if (
            isinstance(event, Change)
            and offered.selected["zookeeper-server"] == "3.2.0"
            and event.name == "select 3.2.0"
        ):
            cluster.agent.bad = set()

    assert cluster.deploy(SWITCH, watch=mend) == 9
    after = cluster.whole()
    assert "rolled back" in cluster.bench.failure
    assert (after[0], after[2:]) == (before[0], before[2:]), "version, links and repositories are the former ones"


def test_a_registered_version_that_has_the_name_makes_way(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("next", VERSIONS)
    world = cluster.bench.world
    used = next(iter(world.versions.values()))
    other = type(used)(used.id + 1, "BIGTOP", "3.2.0", "3.2.1", "BIGTOP-3.2.1", dict(used.systems))
    world.versions[other.id] = other
    assert cluster.deploy(SWITCH) == 0, cluster.bench.failure
    assert [(one.id, one.version) for one in world.versions.values()] == [(used.id, "3.2.1")]


@pytest.mark.parametrize(
    ("stack", "code", "words"),
    [
        ("{version: 3.3.0}", 9, "the Ambari server has no upgrade pack from BIGTOP-3.2.0 to BIGTOP-3.3.0"),
        ("{repository_version: 3.4.0}", 2, "the version 3.4.0 does not belong to the stack BIGTOP-3.2.0"),
    ],
)
def test_another_stack_is_refused_before_anything_changes(cluster: Cluster, stack: str, code: int, words: str) -> None:
    cluster.up()
    before = cluster.whole()
    assert cluster.deploy(stack) == code
    assert words in cluster.bench.failure
    assert cluster.whole() == before


def _killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, stack: str, packages: list[str], stop: int | None
) -> Cluster:
    """A move that is killed at an event, and run again; its events are those of the first run."""
    folder.mkdir()
    cluster = Cluster(folder, monkeypatch)
    cluster.bench.__enter__()
    try:
        cluster.up()
        cluster.publish("other", packages)
        count = iter(range(1, 10_000))

        def kill(event: AnyEvent) -> None:
            if next(count) == stop:
                raise Killed

        if stop is None:
            assert cluster.deploy(stack, watch=kill) == 0, cluster.bench.failure
            return cluster
        with pytest.raises(Killed):
            cluster.deploy(stack, watch=kill)
        assert cluster.deploy(stack) == 0, (stop, cluster.bench.failure)
        found = cluster.whole()
        assert cluster.deploy(stack) == 0, (stop, cluster.bench.failure)
        assert cluster.bench.changes == [], stop
        assert cluster.whole() == found
        return cluster
    finally:
        cluster.bench.__exit__()


@pytest.mark.parametrize(("stack", "packages"), [(LATEST, RELEASES), (SWITCH, VERSIONS)])
def test_killed_at_events_all_along_and_run_again_it_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str, packages: list[str]
) -> None:
    clean = _killed(tmp_path / "clean", monkeypatch, stack, packages, None)
    wanted: Any = (clean.packages(), [host.selected for host in clean.hosts.values()], [[]] * 3)
    for stop in range(1, len(clean.bench.events), 23):
        found = _killed(tmp_path / str(stop), monkeypatch, stack, packages, stop)
        hosts = found.hosts.values()
        assert (found.packages(), [one.selected for one in hosts], [one.kept for one in hosts]) == wanted, stop
        assert found.agent.least == 2, stop


def test_killed_after_a_bad_release_it_still_knows_the_way_back(cluster: Cluster) -> None:
    cluster.up()
    cluster.publish("both", RELEASES)
    assert cluster.deploy() == 0
    before = cluster.whole()
    cluster.agent.bad = {"3.5.9-3"}

    def kill(event: AnyEvent) -> None:
        if isinstance(event, Change) and event.name.startswith("start ZOOKEEPER_SERVER"):
            raise Killed

    with pytest.raises(Killed):
        cluster.deploy(LATEST, watch=kill)
    assert NEW in cluster.packages()
    assert cluster.deploy(LATEST) == 9
    assert "rolled back" in cluster.bench.failure
    assert cluster.whole() == before
