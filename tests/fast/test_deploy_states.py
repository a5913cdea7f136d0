"""States and alerts are judged by their age: after restarts, before a look, and when a cluster is removed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bigtop_builder.adapter.ambari.errors import AuthenticationError, UnreachableError
from bigtop_builder.adapter.ambari.progress import running_times
from bigtop_builder.adapter.ambari.server import _host
from bigtop_builder.adapter.ambari.service import HostComponent
from bigtop_builder.ambari_simulator.agents.paper import PaperCrew
from bigtop_builder.ambari_simulator.engine import alerts as simulated_alerts
from bigtop_builder.ambari_simulator.engine.cluster_state import AlertState
from bigtop_builder.ambari_simulator.engine.injection import HostFault
from bigtop_builder.flow.deploy import administrator, status
from bigtop_builder.flow.deploy import phases as work
from bigtop_builder.flow.deploy.alerts import LOOK_SECONDS, MINUTE
from bigtop_builder.flow.deploy.deployment import Deployment
from bigtop_builder.flow.deploy.host_states import REPORT_SECONDS, is_coming, silent_hosts
from bigtop_builder.flow.deploy.server_state import server_state
from bigtop_builder.flow.deploy.world import Removing
from bigtop_builder.model.errors import AmbariError, HostError
from bigtop_builder.model.event import AmbariTask, AnyEvent, CheckFinished, Notice
from tests.fast.deploying import INVENTORY, Bench
from tests.fast.test_deploy import RUNNING

GROUPS = INVENTORY.replace("  others:\n", "    configurations: {zoo.cfg: {tickTime: 3000}}\n  others:\n")
NODE2, NODE3 = "node2.x.test", "node3.x.test"
SERVER = "ZOOKEEPER_SERVER"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def destroy(bench: Bench, inventory: str = INVENTORY, *gone: str) -> int:
    table = {"destroy": partial(work.destroy, gone=frozenset(gone))}
    return bench.deploy(inventory, phases=["destroy"], table=table)


def restart(bench: Bench) -> None:
    with bench.world.lock:
        bench.work.restart_server()


def notices(bench: Bench) -> list[str]:
    return [event.text for event in bench.events if isinstance(event, Notice)]


def checks(bench: Bench, level: str) -> list[str]:
    return [
        f"{event.check}: {event.message}"
        for event in bench.events
        if isinstance(event, CheckFinished) and event.level == level
    ]


def component(bench: Bench, host: str) -> Any:
    return bench.world.clusters["c1"].components[host, SERVER]


# Right after a restart.


@pytest.mark.parametrize(
    ("state", "beat", "coming"),
    [
        ("HEARTBEAT_LOST", 0, True),
        ("WAITING_FOR_HOST_STATUS_UPDATES", 1795837675898, True),
        ("HEARTBEAT_LOST", 1795837675898, False),
    ],
    ids=["703", "705", "an agent that died"],
)
def test_hosts_as_recorded_after_a_restart_are_silent_and_expected_back(state: str, beat: int, coming: bool) -> None:
    host = _host({"host_name": NODE2, "host_state": state, "last_heartbeat_time": beat})
    assert silent_hosts({NODE2: host}, []) == {NODE2}
    assert is_coming(host) is coming


def test_a_healthy_host_with_unknown_components_is_silent() -> None:
    """Seen right after a restart of the server, a second before the true states."""
    host = _host({"host_name": NODE2, "host_state": "HEALTHY", "last_heartbeat_time": 1795837677017})
    unknown = HostComponent(
        NODE2, SERVER, "ZOOKEEPER", "UNKNOWN", "STARTED", stale=False, maintenance=False, version=""
    )
    assert silent_hosts({NODE2: host}, [unknown]) == {NODE2}
    assert is_coming(host)
    assert silent_hosts({NODE2: host}, []) == set()


def test_a_deployment_right_after_a_restart_of_the_server_waits_for_the_agents(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    restart(bench)
    assert bench.deploy() == 0, bench.failure
    assert bench.changes == []
    assert any(text.startswith("waiting for the agents of node1.x.test, node2.x.test") for text in notices(bench))


def test_what_is_down_after_a_restart_is_started(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    bench.agent.running.discard((NODE2, SERVER))
    bench.work.process_died("c1", NODE2, SERVER)
    restart(bench)
    assert bench.deploy() == 0, bench.failure
    assert bench.changes == [f"start {SERVER} on {NODE2}"]
    assert bench.state()["components"] == RUNNING


def test_agents_that_do_not_come_back_are_waited_for_once_and_named(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    bench.world.hosts[NODE2].lost_at = bench.now
    restart(bench)
    began = bench.now
    assert bench.deploy() == 9
    assert f"Ambari does not hear from {NODE2}" in bench.failure
    assert REPORT_SECONDS <= bench.now - began < 2 * REPORT_SECONDS


def test_an_agent_that_was_lost_long_ago_is_not_waited_for(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    bench.world.hosts[NODE2].lost_at = bench.now
    bench.pass_time(200)
    began = bench.now
    assert bench.deploy() == 9
    assert f"Ambari does not hear from {NODE2}" in bench.failure
    assert bench.now - began < 10


def test_status_waits_for_the_agents_and_says_how_old_its_picture_is(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    bench.pass_time(100)
    restart(bench)
    found = status.ClusterStatus("c1")

    def read(deployment: Deployment) -> str:
        status._ambari(deployment.connections, deployment.world, deployment.reporter, found)
        return ""

    assert bench.deploy(phases=["verify"], table={"verify": read}) == 0, bench.failure
    assert found.green, found
    assert found.heard_seconds is not None and 0 <= found.heard_seconds <= 10


# Removing a cluster.


def test_a_check_before_a_removal_waits_for_the_agents(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after a restart Ambari hears from nobody, which would speak against the removal."""
    monkeypatch.setattr("bigtop_builder.flow.deploy.preflight.check_packages", lambda *_: None)
    assert bench.deploy() == 0, bench.failure
    restart(bench)
    fewer = INVENTORY.replace('"node[2-3].x.test"', f'"{NODE2}"')
    assert bench.deploy(fewer, phases=["check"], removing=Removing(True)) == 0, bench.failure
    assert any("waiting for the agents" in text for text in notices(bench))
    # A host that stays silent does speak against it.
    bench.world.hosts[NODE3].lost_at = bench.now
    bench.pass_time(200)
    assert bench.deploy(fewer, phases=["check"], removing=Removing(True)) == 9
    assert f"deploy --remove --gone {NODE3}" in bench.failure


def test_destroy_right_after_a_restart_leaves_nothing_running(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.agent.running
    restart(bench)
    assert destroy(bench) == 0, bench.failure
    assert bench.world.clusters == {}
    assert bench.agent.running == set()


def test_destroy_does_not_take_unknown_for_stopped(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    bench.world.hosts[NODE3].lost_at = bench.now
    bench.pass_time(200)
    assert destroy(bench) == 9
    assert f"does not hear from {NODE3}, where these may still run: {SERVER} on {NODE3}" in bench.failure
    assert f"--gone {NODE3}" in bench.failure
    assert "ambari-agent start" in bench.failure
    assert "c1" in bench.world.clusters
    assert destroy(bench, INVENTORY, "node4.x.test") == 2
    assert "neither the inventory nor the cluster has a host node4.x.test" in bench.failure
    assert destroy(bench, INVENTORY, NODE3) == 0, bench.failure
    assert bench.world.clusters == {}
    assert bench.agent.running == {(NODE3, SERVER)}, "that of the host that is gone"


def test_destroy_refuses_what_ambari_leaves_running(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    component(bench, NODE2).maintenance = "ON"
    assert destroy(bench) == 9
    assert f"these components did not stop: {SERVER} on {NODE2}" in bench.failure
    assert "maintenance" in bench.failure
    assert "c1" in bench.world.clusters


def test_destroy_removes_configuration_groups_first(bench: Bench) -> None:
    assert bench.deploy(GROUPS) == 0, bench.failure
    assert bench.world.clusters["c1"].groups
    assert destroy(bench, GROUPS) == 0, bench.failure
    assert bench.world.clusters == {}
    removed = [name for name in bench.changes if "removed" in name]
    assert removed[0].startswith("configuration group ")
    assert removed[1] == "cluster c1 removed"


def test_a_cluster_that_an_earlier_attempt_blocked_needs_a_restart_and_is_told_so(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    bench.world.clusters["c1"].undeletable = True
    assert destroy(bench) == 9
    assert "restart the server (ambari-server restart)" in bench.failure
    restart(bench)
    assert destroy(bench) == 0, bench.failure


# Alerts.


def slowly(bench: Bench) -> None:
    """Installing takes so long that agents look at alerts before anything has started."""
    bench.work.crew = PaperCrew(bench.agent, seconds={"INSTALL": 50.0, "START": 5.0, "SERVICE_CHECK": 1.0})


def test_alerts_from_before_the_start_do_not_count_and_the_wait_ends_with_a_newer_look(bench: Bench) -> None:
    slowly(bench)
    assert bench.deploy() == 0, bench.failure
    assert any("to look at 4 alerts again" in text for text in notices(bench))
    ended = max(request.tasks[-1].ended or 0 for request in bench.work.engine.requests.values())
    assert bench.now - ended < MINUTE, "no longer than until the next look"
    assert checks(bench, "error") == []


def test_an_alert_that_is_still_critical_after_a_look_counts(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    bench.pass_time(200)
    component(bench, NODE2).state = "INSTALLED"
    bench.pass_time(61)
    component(bench, NODE2).state = "STARTED"
    assert bench.deploy(phases=["verify"], table={"verify": work.verify}) == 4
    (only,) = checks(bench, "error")
    assert only.startswith("alert ZooKeeper Server Process: Connection failed")
    # Nothing was changed, so nothing is waited for.
    assert not any("look at" in text for text in notices(bench))


def test_an_alert_that_never_clears_ends_the_wait_in_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    slowly(bench)
    monkeypatch.setattr(simulated_alerts, "_process", lambda one: ("CRITICAL", f"Connection refused to {one.host}"))
    assert bench.deploy() == 4
    ended = max(request.tasks[-1].ended or 0 for request in bench.work.engine.requests.values())
    assert MINUTE < bench.now - ended < 2 * MINUTE + LOOK_SECONDS
    assert len(checks(bench, "error")) == 4


def test_an_alert_that_nobody_will_look_at_soon_is_a_warning(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    daily = simulated_alerts.Definition("namenode_daily", "Daily", "ZOOKEEPER", None, 480, "AGGREGATE")
    monkeypatch.setattr(simulated_alerts, "AMBARI", (*simulated_alerts.AMBARI, daily))
    assert bench.deploy() == 0, bench.failure
    old = AlertState("CRITICAL", "too slow", bench.now, bench.now)
    bench.world.clusters["c1"].alerts["namenode_daily", None] = old
    bench.pass_time(100)
    assert bench.deploy(INVENTORY.replace("2000", "3000")) == 0, bench.failure
    assert checks(bench, "error") == []
    assert "alert Daily: CRITICAL before the last change, not seen since: too slow" in checks(bench, "warning")


def test_unknown_alerts_are_not_passed_over(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    bench.pass_time(200)
    known = bench.world.clusters["c1"].alerts
    for host in (NODE2, NODE3):
        known["ambari_agent_ulimit", host].state = "UNKNOWN"
        known["ambari_agent_ulimit", host].text = "Unable to find 'alert_ulimit.py'"
    assert bench.deploy(phases=["verify"], table={"verify": work.verify}) == 0, bench.failure
    (told,) = [text for text in checks(bench, "warning") if text.startswith("alerts:")]
    assert told == (
        f"alerts: 2 of {len(known)} alerts are UNKNOWN: Ulimit for open files (2); "
        "the first: Unable to find 'alert_ulimit.py'"
    )


# Requests.


def test_an_aborted_request_says_whose_agent_was_lost(bench: Bench) -> None:
    bench.work.injections.hosts.append(HostFault(host=NODE2, effect="lost", skip=2))
    assert bench.deploy() == 9
    assert f"Ambari lost the agent of {NODE2}" in bench.failure
    assert "ambari-agent start" in bench.failure


def test_times_of_tasks_are_not_summed_from_a_common_start() -> None:
    """The tasks of node1 in 655, and one that was aborted before it ran."""

    def task(id: int, host: str, start: float | None, end: float) -> Any:
        return SimpleNamespace(id=id, host=host, start=start, end=end)

    tasks = [
        task(104, "node1", 756.392, 766.362),
        task(105, "node1", 756.392, 839.807),
        task(106, "node1", 756.392, 845.347),
        task(107, "node2", 756.392, 765.037),
        task(114, "node1", None, 879.565),
    ]
    latest: dict[str, float] = {}
    first = running_times(tasks[:2], latest)
    assert first == {104: pytest.approx(9.97), 105: pytest.approx(73.445)}
    assert running_times(tasks[2:], latest) == {106: pytest.approx(5.54), 107: pytest.approx(8.645)}


def test_tasks_of_one_host_take_no_longer_together_than_their_request(bench: Bench) -> None:
    bench.work.crew = PaperCrew(bench.agent, seconds=10.0)
    assert bench.deploy(phases=["repository", "layout", "cluster"]) == 0, bench.failure
    ended = [one for one in bench.events if isinstance(one, AmbariTask) and one.status == "COMPLETED"]
    installed = [one for one in ended if one.host == NODE2 and one.command == "INSTALL"]
    assert len(installed) == 2
    for one in installed:
        assert one.seconds == pytest.approx(11, abs=2)


# A server that does not answer.


def refused() -> UnreachableError:
    return UnreachableError("cannot connect to a:8080: Connection refused", again=True)


@pytest.mark.parametrize(
    ("found", "error", "said"),
    [
        ("", refused(), "is not set up yet: ambari-server is not installed on a.x"),
        ("installed\n", refused(), "setup has not been completed"),
        ("installed\nready\n", refused(), "is set up but stopped: the phase ambari starts it on a.x"),
        ("installed\nready\nrunning\n", refused(), "runs on a.x but does not answer at http://a:8080"),
        (HostError("no route"), refused(), "its host cannot be inspected: no route"),
        ("", AuthenticationError("wrong", status=403, answer=""), "rejects ambari.password"),
    ],
)
def test_a_server_that_does_not_answer_is_looked_at_on_its_host(
    found: str | HostError, error: AmbariError, said: str
) -> None:
    def run(script: str, timeout: float) -> Any:
        if isinstance(found, HostError):
            raise found
        return SimpleNamespace(stdout=found)

    fleet = SimpleNamespace(remote=lambda host: SimpleNamespace(run=run))
    connections: Any = SimpleNamespace(hosted=True, fleet=fleet)
    choice: Any = SimpleNamespace(url="http://a:8080", setup=SimpleNamespace(host="A.x"))
    assert said in server_state(connections, choice, error)


def test_a_rejected_password_is_announced_before_the_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(administrator, "LOGIN_GRACE", 0.02)
    monkeypatch.setattr(administrator, "POLL", 0.01)
    client: Any = SimpleNamespace(url="http://a:8080", check_password=lambda user, password: False)
    said: list[AnyEvent] = []
    with pytest.raises(AuthenticationError):
        administrator._first_that_works(client, "admin", ("one", "two"), said.append, threading.Event(), 5)
    (notice,) = said
    assert isinstance(notice, Notice)
    assert "rejects ambari.password and the initial password of admin" in notice.text
