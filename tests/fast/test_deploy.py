"""The deployer against the simulated Ambari: made, made again, broken off anywhere, changed, destroyed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.ambari_simulator.engine.injection import CallFault, TaskFault
from bigtop_builder.flow.deploy import phases as work
from bigtop_builder.model.event import AnyEvent, Change, CheckFinished, Notice, RequestProgress
from tests.fast.deploying import INVENTORY, PASSWORD, Bench

SERVERS = [f"node{number}.x.test" for number in (1, 2, 3)]
RUNNING = sorted(
    [(host, "ZOOKEEPER_SERVER", "STARTED") for host in SERVERS]
    + [(host, "ZOOKEEPER_CLIENT", "INSTALLED") for host in SERVERS]
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


class Killed(BaseException):
    """Stands for kill -9: nothing of the deployment runs on."""


def test_a_cluster_is_made_and_a_second_deployment_changes_nothing(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.state()["components"] == RUNNING
    assert bench.state()["tickTime"] == "2000"
    assert [name.split()[0] for name in bench.changes] == ["version", "blueprint", "cluster"]
    before = bench.state()
    assert bench.deploy() == 0, bench.failure
    assert bench.changes == []
    assert bench.state() == before
    assert not [event for event in bench.events if isinstance(event, RequestProgress)]


def test_a_dry_run_shows_what_would_be_made_and_makes_nothing(bench: Bench) -> None:
    assert bench.deploy(dry_run=True) == 0, bench.failure
    changes = [event for event in bench.events if isinstance(event, Change)]
    assert {event.state for event in changes} == {"planned"}
    assert '"host_groups"' in next(event.detail for event in changes if event.name.startswith("blueprint"))
    assert bench.state()["components"] == []
    assert bench.state()["blueprints"] == 0
    assert not bench.world.versions


def test_signatures_are_checked_by_the_agents_own_repository_file(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    blueprint = next(iter(bench.world.blueprints.values()))
    template = blueprint.configurations["cluster-env"]["repo_suse_rhel_template"]
    assert "gpgcheck=1" in template
    assert "gpgkey=http://repository.test/el8/repodata/repomd.xml.key" in template


def _events_of_a_clean_run(bench: Bench) -> int:
    assert bench.deploy() == 0, bench.failure
    return len(bench.events)


def test_killed_at_events_all_along_and_run_again_it_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clean").mkdir()
    with Bench(tmp_path / "clean", monkeypatch) as clean:
        count = _events_of_a_clean_run(clean)
        wanted = clean.state()
    for stop in range(1, count, 3):
        folder = tmp_path / str(stop)
        folder.mkdir()
        with Bench(folder, monkeypatch) as bench:
            seen = iter(range(1, count + 1))

            def kill(event: AnyEvent, seen: Iterator[int] = seen, stop: int = stop) -> None:
                if next(seen, 0) == stop:
                    raise Killed

            with pytest.raises(Killed):
                bench.deploy(watch=kill)
            assert bench.deploy() == 0, (stop, bench.failure)
            assert bench.state() == wanted, stop
            assert bench.deploy() == 0, (stop, bench.failure)
            assert bench.changes == [], stop


CALLS = [
    ("POST", "version_definitions"),
    ("POST", "blueprints"),
    ("POST", "clusters/c1"),
    ("GET", "repository_versions"),
    ("GET", "requests"),
    ("GET", "tasks"),
    ("GET", "host_components"),
    ("POST", "requests"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("fault", ["error", "reset", "expire"])
def test_a_server_that_fails_once_costs_at_most_another_run(bench: Bench, method: str, path: str, fault: Any) -> None:
    bench.work.injections.calls.append(CallFault(method=method, path=path, effect=fault))
    code = bench.deploy()
    assert code in (0, 4, 9), bench.failure
    if method == "GET" or fault == "expire":
        assert code == 0, bench.failure
    assert bench.deploy() == 0, bench.failure
    assert bench.state()["components"] == RUNNING
    assert bench.deploy() == 0, bench.failure
    assert bench.changes == []


def test_a_failed_installation_is_told_with_its_cause_and_mended_by_running_again(bench: Bench) -> None:
    text = "No package found for zookeeper_${stack_version}(expected name: zookeeper_3_2_0)"
    fault = TaskFault(host="node2.x.test", role="ZOOKEEPER_SERVER", command="INSTALL", stderr=f"Fail: {text}")
    bench.work.injections.tasks.append(fault)
    assert bench.deploy() == 9
    (task,) = bench.failed_tasks
    assert (task.host, task.role, task.command) == ("node2.x.test", "ZOOKEEPER_SERVER", "INSTALL")
    assert task.cause == "no repository of the host has a package zookeeper_3_2_0"
    assert task.last_lines[-1].endswith(text)
    assert text in Path(task.logs[0]).read_text()
    assert "ZOOKEEPER_SERVER INSTALL on node2.x.test" in bench.failure
    assert bench.deploy() == 0, bench.failure
    assert bench.state()["components"] == RUNNING
    assert bench.deploy() == 0
    assert bench.changes == []


def test_a_start_that_fails_while_others_are_still_installed_is_tried_again(bench: Bench) -> None:
    """The server starts the components of a host as soon as that host is ready: a DataNode before its NameNode."""
    bench.work.injections.tasks.append(TaskFault(host="node1.x.test", command="START", times=2))
    assert bench.deploy() == 0, bench.failure
    assert bench.state()["components"] == RUNNING


def test_a_start_that_never_succeeds_ends_with_what_is_down(bench: Bench) -> None:
    bench.work.injections.tasks.append(TaskFault(host="node3.x.test", command="START", times=None))
    assert bench.deploy() == 9
    assert bench.deploy() == 9
    assert "node3.x.test" in bench.failure
    assert bench.failed_tasks


def test_a_service_check_that_fails_is_told_and_not_forgotten(bench: Bench) -> None:
    bench.work.injections.tasks.append(TaskFault(command="SERVICE_CHECK", times=4))
    assert bench.deploy() == 4
    checks = [event for event in bench.events if isinstance(event, CheckFinished) and event.level == "error"]
    assert [check.check for check in checks] == ["service check of ZOOKEEPER"]
    assert bench.deploy() == 4, "what was never verified is not taken for verified"
    assert bench.deploy() == 0
    assert bench.changes == []


def test_a_service_that_has_just_started_may_take_a_while_to_answer(bench: Bench) -> None:
    bench.work.injections.tasks.append(TaskFault(command="SERVICE_CHECK", times=1))
    assert bench.deploy() == 0, bench.failure
    assert any("trying again" in event.text for event in bench.events if isinstance(event, Notice))


def test_a_changed_property_is_a_difference_and_a_restart(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(INVENTORY.replace("tickTime: 2000", "tickTime: 3000")) == 0, bench.failure
    change = next(event for event in bench.events if isinstance(event, Change))
    assert change.name == "configurations zoo.cfg"
    assert change.detail.splitlines() == ["-zoo.cfg/tickTime: 2000", "+zoo.cfg/tickTime: 3000"]
    assert any(name.startswith("restart ZOOKEEPER_SERVER") for name in bench.changes)
    assert bench.state()["tickTime"] == "3000"
    assert bench.state()["components"] == RUNNING
    assert bench.deploy(INVENTORY.replace("tickTime: 2000", "tickTime: 3000")) == 0
    assert bench.changes == []


def test_a_further_host_joins_its_group(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    bench.host("node4.x.test")
    wider = INVENTORY.replace("node[2-3]", "node[2-4]")
    assert bench.deploy(wider) == 0, bench.failure
    assert "hosts node4.x.test into the cluster" in bench.changes
    found = {(host, component): state for host, component, state in bench.state()["components"]}
    assert found["node4.x.test", "ZOOKEEPER_SERVER"] == "STARTED"
    assert found["node4.x.test", "ZOOKEEPER_CLIENT"] == "INSTALLED"
    assert bench.deploy(wider) == 0
    assert bench.changes == []


def test_a_further_service_is_added_with_its_configurations(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    more = INVENTORY.replace(
        "hosts: [node1.x.test]\n    components: [", "hosts: [node1.x.test]\n    components: [KAFKA_BROKER, "
    )
    assert bench.deploy(more) == 0, bench.failure
    assert "service KAFKA" in bench.changes
    assert ("node1.x.test", "KAFKA_BROKER", "STARTED") in bench.state()["components"]
    assert bench.deploy(more) == 0
    assert bench.changes == []


def test_what_is_beyond_the_inventory_is_said_and_left_alone(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    before = bench.state()
    assert bench.deploy(INVENTORY.replace("node[2-3]", "node[2-2]")) == 9
    assert "- host node3.x.test" in bench.failure
    assert bench.changes == []
    assert bench.state() == before


def test_an_installed_only_component_is_not_started(bench: Bench) -> None:
    inventory = INVENTORY.replace(
        "hosts: [node1.x.test]\n    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]",
        "hosts: [node1.x.test]\n    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT, SPARK_CLIENT, "
        "{name: SPARK_JOBHISTORYSERVER, provision: INSTALL_ONLY}]",
    )
    for _ in range(2):
        assert bench.deploy(inventory) == 0, bench.failure
        assert ("node1.x.test", "SPARK_JOBHISTORYSERVER", "INSTALLED") in bench.state()["components"]
    assert bench.changes == []


def test_hosts_of_another_cluster_are_not_taken(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(INVENTORY.replace("cluster: c1", "cluster: c2")) == 9
    assert "node1.x.test (c1)" in bench.failure
    assert bench.state("c2")["components"] == []


def test_a_host_that_never_registers_is_named(bench: Bench) -> None:
    assert bench.deploy(INVENTORY.replace("node[2-3]", "node[2-9]")) == 9
    assert "have not registered with Ambari: node4.x.test" in bench.failure
    assert bench.state()["components"] == []


def test_anothers_request_is_waited_for_and_not_aborted(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    import requests

    bench.work.injections.tasks.append(TaskFault(command="STOP", effect="slow", seconds=20, times=None))
    answer = requests.put(
        f"{bench.simulation.url}/api/v1/clusters/c1/services/ZOOKEEPER",
        auth=("admin", PASSWORD),
        headers={"X-Requested-By": "somebody"},
        data='{"RequestInfo":{"context":"Stop by hand"},"Body":{"ServiceInfo":{"state":"INSTALLED"}}}',
        timeout=30,
    )
    assert answer.status_code == 202
    assert bench.deploy() == 0, bench.failure
    told = [event.text for event in bench.events if isinstance(event, Notice)]
    assert any("did not start: Stop by hand" in text for text in told)
    assert any(name.startswith("start ZOOKEEPER_SERVER") for name in bench.changes)
    assert bench.state()["components"] == RUNNING


def test_destroy_removes_the_cluster_and_may_be_run_again(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    table = {"destroy": work.destroy}
    assert bench.deploy(phases=["destroy"], table=table) == 0, bench.failure
    assert bench.world.clusters == {}
    assert bench.state()["blueprints"] == 0
    assert not bench.world.versions
    assert bench.deploy(phases=["destroy"], table=table) == 0, bench.failure
    assert bench.changes == []


def test_destroy_of_a_half_made_cluster_aborts_first_so_that_the_server_goes_on(bench: Bench) -> None:
    bench.work.injections.tasks.append(TaskFault(host="node2.x.test", command="INSTALL"))
    assert bench.deploy() == 9
    assert bench.deploy(phases=["destroy"], table={"destroy": work.destroy}) == 0, bench.failure
    for name in SERVERS:
        bench.world.register(bench.world.hosts[name])
    assert bench.deploy() == 0, bench.failure
    assert bench.state()["components"] == RUNNING


def test_no_secret_is_told(bench: Bench, tmp_path: Path) -> None:
    bench.work.injections.tasks.append(
        TaskFault(host="node2.x.test", command="INSTALL", stderr=f"Fail: login with {PASSWORD} refused")
    )
    assert bench.deploy() == 9
    told = "\n".join(event.model_dump_json() for event in bench.events)
    assert "login with *** refused" in told
    written = [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(PASSWORD in text for text in [told, *written])


AUTO = """
cluster: c1
ambari: {url: URL, password: "env:TEST_AMBARI_PASSWORD", poll: 2s}
repositories: [{url: "http://repository.test/el8"}]
layout: auto
services: [ZOOKEEPER, KAFKA]
groups: {all: {hosts: ["node[1-3].x.test"]}}
"""


def test_the_stack_advisor_places_components_and_a_second_deployment_changes_nothing(bench: Bench) -> None:
    assert bench.deploy(AUTO) == 0, bench.failure
    placed = {component for _, component, _ in bench.state()["components"]}
    assert {"ZOOKEEPER_SERVER", "ZOOKEEPER_CLIENT", "KAFKA_BROKER"} <= placed
    assert bench.deploy(AUTO) == 0, bench.failure
    assert bench.changes == []


def test_a_deployment_ends_with_links(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    told = [event.text for event in bench.events if isinstance(event, Notice)]
    assert f"ZOOKEEPER: {bench.simulation.url}/#/main/services/ZOOKEEPER/summary" in told
