"""A cluster moves to another version of its stack: what is refused, every step that can fail, the way back, the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.ambari_simulator.engine.injection import CallFault, TaskFault
from bigtop_builder.ambari_simulator.engine.stack_upgrade import begin, offer_packs
from bigtop_builder.flow.deploy.consent import Consent
from bigtop_builder.flow.deploy.desired_layout import desired_layout
from bigtop_builder.flow.deploy.drift import differences
from bigtop_builder.hosts.upgrade import FORMER as FORMER_PACKAGES
from bigtop_builder.model.event import AnyEvent, Change
from tests.fast.moving_cluster import OLD, SERVERS, Cluster, Killed

HADOOP = ("", "-client", "-hdfs", "-libhdfs")
BEFORE = {**OLD, **{f"hadoop_3_2_0{part}": "3.3.4-1" for part in HADOOP}, "ranger_3_2_0-hdfs-plugin": "2.4.0-1"}
AFTER = {
    "bigtop-select": "3.3.0-1",
    "zookeeper_3_3_0": "3.7.2-1",
    "zookeeper_3_3_0-server": "3.7.2-1",
    **{f"hadoop_3_3_0{part}": "3.3.6-1" for part in HADOOP},
    "ranger_3_3_0-hdfs-plugin": "2.4.0-1",
}
PHASES = ("repository", "layout", "cluster", "start")
NEXT, FORMER = "{version: 3.3.0}", "{version: 3.2.0}"


class Hadoop(Cluster):
    """ZooKeeper and HDFS on three hosts, whose server has the upgrade pack."""

    old = BEFORE
    inventory = """
cluster: c1
ambari: {url: URL, password: "env:TEST_AMBARI_PASSWORD", poll: 2s, registration_timeout: 120s}
repositories: [{url: "REPOSITORY"}]
stack: {}
groups:
  first:
    hosts: [node1.x.test]
    components: [NAMENODE, ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT, HDFS_CLIENT]
  second:
    hosts: [node2.x.test]
    components: [SECONDARY_NAMENODE, DATANODE, ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]
  third:
    hosts: [node3.x.test]
    components: [DATANODE, ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]
"""

    def up(self) -> None:
        offer_packs(self.bench.world)
        assert self.deploy() == 0, self.bench.failure
        self.agent.least = len(SERVERS)
        self.publish("next", [f"{name}-{evr}" for name, evr in AFTER.items()])

    def deploy(self, stack: str = "{}", **more: Any) -> int:
        # Trials of the phase verify need a real HDFS.
        return super().deploy(stack, **{"phases": PHASES, **more})

    @property
    def cluster(self) -> Any:
        return self.bench.world.clusters["c1"]

    def selected_version(self) -> set[str]:
        """The versions that links lead to, of components that hosts have."""
        names = {name for one in self.cluster.components.values() for name in self._links(one)}
        return {
            host.selected[name]
            for host in self.hosts.values()
            for name in names & {*host.selected}
            if self._has(host, name)
        }

    def _links(self, one: Any) -> list[str]:
        return self.cluster.stack.services[one.service].components[one.component].select[:1]

    def _has(self, host: Any, name: str) -> bool:
        return any(name in self._links(one) for one in self.cluster.on(host.name))

    def around(self) -> tuple[Any, ...]:
        """All that a way back has to restore."""
        tags = {kind: version.tag for kind, version in self.cluster.desired.items()}
        states = sorted((one.host, one.component, one.state, one.version) for one in self.cluster.components.values())
        versions = {name: one.repository for name, one in self.cluster.services.items()}
        rolling = [host.rolling for host in self.hosts.values()]
        kept = [host.kept for host in self.hosts.values()]
        return (
            self.cluster.stack.id,
            self.cluster.upgrading,
            tags,
            states,
            versions,
            self.selected_version(),
            rolling,
            kept,
        )


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hadoop]:
    one = Hadoop(tmp_path, monkeypatch)
    with one.bench:
        yield one


def test_forward_then_final(cluster: Hadoop) -> None:
    cluster.up()
    assert cluster.deploy(NEXT) == 0, cluster.bench.failure
    assert cluster.cluster.stack.id == "BIGTOP-3.3.0"
    assert cluster.selected_version() == {"3.3.0"}
    assert {one.version for one in cluster.cluster.components.values()} == {"3.3.0"}
    assert cluster.agent.least == 2, "never more than one ZooKeeper server is down"
    assert cluster.hosts["node1.x.test"].rolling
    assert cluster.cluster.upgrades[-1].status == "HOLDING"
    assert "stack.version: 3.2.0 goes back" in cluster.told()
    assert cluster.deploy(NEXT) == 0, cluster.bench.failure
    assert cluster.bench.changes == [], "it waits for --finalize-upgrade, and for nothing else"
    assert cluster.deploy(NEXT, finalize=True) == 0, cluster.bench.failure
    assert cluster.bench.changes == ["finalize BIGTOP-3.3.0", "HDFS: finalize the rolling upgrade"]
    assert cluster.cluster.upgrades[-1].status == "COMPLETED"
    assert not cluster.hosts["node1.x.test"].rolling
    assert cluster.deploy(NEXT, finalize=True) == 0
    assert (cluster.bench.changes, "there is no upgrade to finalize" in cluster.told()) == ([], True)
    assert cluster.deploy(FORMER) == 9
    assert "which is newer than BIGTOP-3.2.0" in cluster.bench.failure


def test_the_order_of_steps(cluster: Hadoop) -> None:
    cluster.up()
    assert cluster.deploy(NEXT) == 0, cluster.bench.failure
    first = [name.split(" on ")[0].partition(" (")[0] for name in cluster.bench.changes]
    order = [
        "version definition BIGTOP-3.3.0",
        "install bigtop-select-3.3.0-1",
        "agents find the packages of BIGTOP-3.3.0",
        "HDFS: prepare a rolling upgrade",
        "stack BIGTOP-3.2.0 -> BIGTOP-3.3.0",
        "stop ZOOKEEPER_SERVER",
        "stop DATANODE",
        "restart HDFS_CLIENT",
    ]
    places = [next(place for place, name in enumerate(first) if name.startswith(begin)) for begin in order]
    assert places == sorted(places)


def test_a_dry_run_tells_all_of_it(cluster: Hadoop) -> None:
    cluster.up()

    def told() -> tuple[list[tuple[str, str]], list[tuple[str | None, str, str]]]:
        changes = [event for event in cluster.bench.events if isinstance(event, Change)]
        ours = [(event.name, event.detail) for event in changes if event.host is None]
        return ours, sorted((event.host, event.name, event.detail) for event in changes if event.host)

    before = cluster.around()
    assert cluster.deploy(NEXT, dry_run=True, finalize=True) == 0, cluster.bench.failure
    planned = told()
    assert cluster.around() == before
    assert cluster.deploy(NEXT, finalize=True) == 0, cluster.bench.failure
    assert told() == planned
    assert cluster.cluster.upgrades[-1].status == "COMPLETED"


def test_back_until_it_is_final(cluster: Hadoop) -> None:
    cluster.up()
    before = cluster.around()
    old = cluster.folder / "repositories" / "old"
    assert cluster.deploy(NEXT) == 0, cluster.bench.failure
    assert cluster.around() != before
    cluster.repository = old
    assert cluster.deploy(FORMER) == 0, cluster.bench.failure
    assert cluster.around() == before
    assert cluster.deploy(FORMER) == 0
    assert cluster.bench.changes == []


def test_what_ambari_does_not_finalize_can_still_go_back(cluster: Hadoop) -> None:
    cluster.up()
    before = cluster.around()
    assert cluster.deploy(NEXT) == 0, cluster.bench.failure
    _call(method="PUT", path="/upgrade_items/", status=500)(cluster)
    assert cluster.deploy(NEXT, finalize=True) == 9
    assert cluster.hosts["node1.x.test"].rolling, "HDFS keeps what it needs for the way back"
    cluster.bench.work.injections.calls.clear()
    cluster.repository = cluster.folder / "repositories" / "old"
    assert cluster.deploy(FORMER) == 0, cluster.bench.failure
    assert cluster.around() == before


@pytest.mark.parametrize("ending", ["failure", "kill"])
def test_what_ambari_has_finalized_can_only_be_finished(cluster: Hadoop, ending: str) -> None:
    """The run ends after Ambari is final and before HDFS is."""
    cluster.up()
    assert cluster.deploy(NEXT) == 0, cluster.bench.failure
    host = cluster.hosts["node1.x.test"]

    def between(event: AnyEvent) -> None:
        if isinstance(event, Change) and event.name == "finalize BIGTOP-3.3.0":
            if ending == "kill":
                raise Killed
            host.without_hdfs = True

    if ending == "kill":
        with pytest.raises(Killed):
            cluster.deploy(NEXT, finalize=True, watch=between)
    else:
        assert cluster.deploy(NEXT, finalize=True, watch=between) == 9
        assert "is final in Ambari, so there is no way back; but HDFS is not" in cluster.bench.failure
        host.without_hdfs = False
    assert host.rolling
    assert cluster.deploy(FORMER) == 9
    assert "which is newer than BIGTOP-3.2.0" in cluster.bench.failure
    unfinished = "BIGTOP-3.3.0 is final in Ambari, but HDFS is not"
    for dry in (True, False):
        assert cluster.deploy(NEXT, dry_run=dry) == 0, cluster.bench.failure
        assert (cluster.bench.changes, unfinished in cluster.told()) == ([], True)
    host.without_hdfs = True
    assert cluster.deploy(NEXT) == 0, cluster.bench.failure
    assert unfinished not in cluster.told()
    host.without_hdfs = False
    assert cluster.deploy(NEXT, finalize=True, dry_run=True) == 0, cluster.bench.failure
    assert cluster.bench.changes == ["HDFS: finalize the rolling upgrade"]
    assert host.rolling
    assert cluster.deploy(NEXT, finalize=True) == 0, cluster.bench.failure
    assert cluster.bench.changes == ["HDFS: finalize the rolling upgrade"]
    assert not host.rolling
    assert cluster.deploy(NEXT, finalize=True) == 0
    assert (cluster.bench.changes, "there is no upgrade to finalize" in cluster.told()) == ([], True)


Inject = Callable[[Hadoop], object]


def _fault(**what: Any) -> Inject:
    return lambda cluster: cluster.bench.work.injections.tasks.append(TaskFault(**what))


def _call(**what: Any) -> Inject:
    return lambda cluster: cluster.bench.work.injections.calls.append(CallFault(**what))


def _on(host: str, fault: str) -> Inject:
    return lambda cluster: setattr(cluster.hosts[host], fault, True)


def _bad_release(cluster: Hadoop) -> None:
    cluster.agent.bad = {"3.7.2-1"}


BEGUN: dict[str, Inject] = {
    "a server does not stop": _fault(role="ZOOKEEPER_SERVER", command="STOP", host="node2.x.test"),
    "a server does not start": _fault(role="ZOOKEEPER_SERVER", command="START", host="node3.x.test"),
    "the NameNode does not start": _fault(role="NAMENODE", command="START"),
    "a DataNode does not stop": _fault(role="DATANODE", command="STOP", host="node3.x.test"),
    "a DataNode does not start": _fault(role="DATANODE", command="START", host="node3.x.test"),
    "a client does not restart": _fault(role="HDFS_CLIENT", command="RESTART"),
    "HDFS fails its check": _fault(role="HDFS_SERVICE_CHECK", command="SERVICE_CHECK", times=3),
}
"""Failures after the upgrade has begun: all goes back by itself."""


@pytest.mark.parametrize("inject", BEGUN.values(), ids=BEGUN)
def test_what_fails_takes_everything_back(cluster: Hadoop, inject: Inject) -> None:
    cluster.up()
    before = cluster.around()
    inject(cluster)
    assert cluster.deploy(NEXT) == 9
    assert "went back to BIGTOP-3.2.0" in cluster.bench.failure
    assert cluster.around() == before
    assert cluster.deploy(NEXT) == 0, cluster.bench.failure
    assert cluster.selected_version() == {"3.3.0"}


UNBEGUN: dict[str, tuple[Inject, str]] = {
    "packages that cannot be installed": (
        _on("node2.x.test", "full"),
        "node2.x.test: install bigtop-select-3.3.0-1",
    ),
    "HDFS cannot be prepared": (_on("node1.x.test", "without_hdfs"), "HDFS's rolling upgrade on node1.x.test"),
    "agents do not find packages": (_fault(role="install_packages", host="node3.x.test"), "install_packages"),
    "the server does not distribute packages": (
        _call(method="POST", path="/stack_versions", status=400),
        "stack_versions",
    ),
    "the server refuses": (_call(method="POST", path="/upgrades", status=400), "upgrades"),
}
"""Failures before anything has moved: everything stays, and the next run goes on from there."""


@pytest.mark.parametrize(("inject", "words"), UNBEGUN.values(), ids=UNBEGUN)
def test_what_fails_before_leaves_all_as_it_is(cluster: Hadoop, inject: Inject, words: str) -> None:
    cluster.up()
    before = cluster.around()
    inject(cluster)
    assert cluster.deploy(NEXT) in (8, 9)
    assert words in cluster.bench.failure
    assert cluster.around()[:6] == before[:6]
    assert cluster.agent.least == 3
    for host in cluster.hosts.values():
        host.full = host.without_hdfs = False
    assert cluster.deploy(NEXT) == 0, cluster.bench.failure
    assert cluster.selected_version() == {"3.3.0"}


def test_a_way_back_that_fails_goes_on_in_the_next_run(cluster: Hadoop) -> None:
    cluster.up()
    before = cluster.around()
    _fault(role="ZOOKEEPER_SERVER", command="START", host="node2.x.test", times=2)(cluster)
    assert cluster.deploy(NEXT) == 9
    assert "and the way back failed" in cluster.bench.failure
    assert "stack.version: 3.2.0" in cluster.bench.failure
    assert cluster.deploy(NEXT) == 9, "a way back that has begun does not turn round"
    assert "is on its way back to BIGTOP-3.2.0" in cluster.bench.failure
    cluster.repository = cluster.folder / "repositories" / "old"
    assert cluster.deploy(FORMER) == 0, cluster.bench.failure
    assert cluster.around() == before


def test_what_has_not_moved_is_not_finalized(cluster: Hadoop) -> None:
    cluster.up()
    assert cluster.deploy(NEXT) == 0, cluster.bench.failure
    behind = cluster.cluster.components["node3.x.test", "DATANODE"]
    behind.version = "3.2.0"
    before = cluster.around()
    table: Any = {"start": _only_conclude}
    assert cluster.deploy(NEXT, finalize=True, phases=["start"], table=table) == 9
    assert "DATANODE on node3.x.test: 3.2.0" in cluster.bench.failure
    assert cluster.around() == before


def test_what_has_not_begun_is_not_called_unfinished(cluster: Hadoop) -> None:
    cluster.up()
    table: Any = {"start": _only_conclude}
    assert cluster.deploy(NEXT, phases=["start"], table=table) == 0, cluster.bench.failure
    assert "from 3.2.0 to BIGTOP-3.3.0 has not begun" in cluster.told()
    assert "is not final" not in cluster.told()
    assert cluster.deploy(NEXT, finalize=True, phases=["start"], table=table) == 9


def _only_conclude(deployment: Any) -> str:
    from bigtop_builder.flow.deploy.stack_upgrade import conclude

    conclude(deployment.connections, deployment.world, deployment.reporter)
    return ""


def test_the_status_tells_where_it_stands(cluster: Hadoop) -> None:
    found: list[str] = []
    former: list[str] = []

    def look(deployment: Any) -> str:
        client, world = deployment.connections.client, deployment.world
        desired_layout(client, world, deployment.reporter)
        told = differences(deployment.connections, world, deployment.reporter, client.cluster("c1"))
        found[:] = [one.name for one in told]
        former[:] = [one.former for one in client.upgrades("c1")]
        return ""

    table: Any = {"start": look}
    cluster.up()
    assert cluster.deploy(NEXT, phases=["start"], table=table) == 0, cluster.bench.failure
    assert "stack BIGTOP-3.2.0 -> BIGTOP-3.3.0" in found
    assert cluster.deploy(NEXT) == 0, cluster.bench.failure
    assert cluster.deploy(NEXT, phases=["start"], table=table) == 0, cluster.bench.failure
    assert found == ["the upgrade to BIGTOP-3.3.0 is not final: deploy --finalize-upgrade"]
    assert former == ["3.2.0"]
    assert cluster.deploy(NEXT, finalize=True) == 0, cluster.bench.failure
    assert cluster.deploy(NEXT, phases=["start"], table=table) == 0, cluster.bench.failure
    assert found == []


def _lost(cluster: Hadoop) -> None:
    cluster.bench.world.hosts["node3.x.test"].lost_at = cluster.bench.now
    cluster.bench.pass_time(130)


def _resting(cluster: Hadoop) -> None:
    cluster.cluster.components["node3.x.test", "DATANODE"].maintenance = "ON"


def _foreign(cluster: Hadoop) -> None:
    world = cluster.bench.world
    used = next(iter(world.versions.values()))
    world.versions[99] = type(used)(99, "BIGTOP", "3.3.0", "3.3.0", "BIGTOP-3.3.0", dict(used.systems))
    begin(world, cluster.cluster, world.versions[99], "upgrade-3.3")


def _mixed(cluster: Hadoop) -> None:
    world = cluster.bench.world
    used = next(iter(world.versions.values()))
    world.versions[99] = type(used)(99, "BIGTOP", "3.2.0", "3.2.1", "BIGTOP-3.2.1", dict(used.systems))
    cluster.cluster.services["HDFS"].repository = 99


def _half_moved(cluster: Hadoop) -> None:
    text = '{"services": ["ZOOKEEPER"], "packages": {}, "selected": {"zookeeper-server": "3.2.0"}}\n'
    cluster.hosts["node2.x.test"].files[FORMER_PACKAGES] = text.encode()


def _without_pack(cluster: Hadoop) -> None:
    cluster.bench.world.upgrade_packs.clear()


REFUSED: dict[str, tuple[Inject, str, int, str]] = {
    "a version that nobody has": (lambda _: None, "{version: 3.9.0}", 2, "has no stack BIGTOP-3.9.0"),
    "an older version": (lambda _: None, "{version: 3.1.0}", 2, "has no stack BIGTOP-3.1.0"),
    "no upgrade pack": (_without_pack, NEXT, 9, "--print upgrade-pack"),
    "a host without its agent": (_lost, NEXT, 9, "no heartbeat from node3.x.test"),
    "maintenance": (
        _resting,
        NEXT,
        9,
        "components in maintenance, which Ambari does not stop: DATANODE on node3.x.test",
    ),
    "an upgrade of Ambari's own": (_foreign, NEXT, 9, "is being upgraded in Ambari with the upgrade pack upgrade-3.3"),
    "services of several versions": (_mixed, NEXT, 9, "have several versions of packages"),
    "a move that has not ended": (_half_moved, NEXT, 9, "an earlier move of packages has not ended"),
}


@pytest.mark.parametrize(("inject", "stack", "code", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_changes_nothing(cluster: Hadoop, inject: Inject, stack: str, code: int, words: str) -> None:
    cluster.up()
    inject(cluster)
    before, packages = cluster.around(), cluster.packages()
    assert cluster.deploy(stack) == code
    assert words in cluster.bench.failure
    assert (cluster.around(), cluster.packages()) == (before, packages)
    assert cluster.agent.least == 3


def test_neither_without_restarts_nor_without_consent(cluster: Hadoop) -> None:
    cluster.up()
    before = cluster.around()
    assert cluster.deploy(NEXT, restart="none") == 9
    assert "an upgrade of the stack restarts everything" in cluster.bench.failure
    assert cluster.deploy(NEXT, consent=Consent([])) == 2
    assert "nobody has agreed to this: HDFS: prepare a rolling upgrade" in cluster.bench.failure
    assert cluster.around() == before


def _killed(folder: Path, monkeypatch: pytest.MonkeyPatch, stop: int | None, then: str) -> Hadoop:
    """An upgrade that is killed at an event, and run again or back."""
    folder.mkdir()
    cluster = Hadoop(folder, monkeypatch)
    with cluster.bench:
        cluster.up()
        count = iter(range(1, 100_000))

        def kill(event: AnyEvent) -> None:
            if next(count) == stop:
                raise Killed

        if stop is None:
            assert cluster.deploy(NEXT, watch=kill) == 0, cluster.bench.failure
            return cluster
        with pytest.raises(Killed):
            cluster.deploy(NEXT, watch=kill)
        if then == FORMER:
            cluster.repository = cluster.folder / "repositories" / "old"
        assert cluster.deploy(then) == 0, (stop, cluster.bench.failure)
        found = cluster.around()
        assert cluster.deploy(then) == 0, (stop, cluster.bench.failure)
        assert cluster.bench.changes == [], stop
        assert cluster.around() == found
        return cluster


def test_killed_anywhere_it_goes_on_or_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = _killed(tmp_path / "clean", monkeypatch, None, NEXT)
    length = len(clean.bench.events)
    for number, stop in enumerate(range(2, length, max(1, length // 14))):
        then = FORMER if number % 2 else NEXT
        found = _killed(tmp_path / str(stop), monkeypatch, stop, then)
        wanted = then.partition(": ")[2].rstrip("}")
        assert (found.cluster.stack.version, found.selected_version()) == (wanted, {wanted}), stop
        assert not any(host.kept for host in found.hosts.values()), stop
        assert found.agent.least == 2 or then == FORMER, stop
