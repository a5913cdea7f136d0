"""Clusters of the simulated server through its API: what was recorded of deployments, failures and deletions."""

from __future__ import annotations

import pytest

from bigtop_builder.ambari_simulator.agents.packages import pick
from bigtop_builder.ambari_simulator.engine.engine import INSTANT
from bigtop_builder.ambari_simulator.engine.injection import TaskFault
from tests.fast.simulated_cluster import DEMO_GROUP, Site


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_deployment_begins_without_tasks_and_ends_with_all_of_them(site: Site) -> None:
    """As 127-138: task_count 0 first, physical requests for each host, tasks numbered from 10000."""
    site.blueprint({"g1": DEMO_GROUP})
    number = site.create()
    first = site.request(number)
    assert (first["request_status"], first["task_count"], first["progress_percent"]) == ("PENDING", 0, 0.0)
    listed = site.call("GET", "clusters/c1/requests")["items"]
    assert [one["Requests"]["id"] for one in listed] == [number]
    site.wait(60)
    last = site.request(number)
    assert (last["request_status"], last["task_count"], last["pending_host_request_count"]) == ("COMPLETED", 9, 0)
    assert (last["start_time"], last["end_time"], last["type"]) == (-1, -1, None)
    assert min(task["id"] for task in site.tasks(number)) == 10000
    listed = site.call("GET", "clusters/c1/requests?fields=Requests/request_context")["items"]
    contexts = [one["Requests"]["request_context"] for one in listed]
    assert contexts[:2] == [f"{verb} components on host {site.host(1)}" for verb in ("Install", "Start")]
    assert len(contexts) == 6
    assert number not in [one["Requests"]["id"] for one in listed]
    assert site.states() == ["STARTED"] * 3


def test_a_host_that_never_comes_leaves_the_request_completed(site: Site) -> None:
    """As 479."""
    site.world.hosts.pop(site.host(3))
    site.blueprint({"g1": DEMO_GROUP})
    number = site.create()
    site.wait(60)
    found = site.request(number)
    assert (found["request_status"], found["progress_percent"]) == ("COMPLETED", 100.0)
    assert (found["task_count"], found["completed_task_count"], found["pending_host_request_count"]) == (6, 6, 1)
    waiting = [task for task in site.tasks(number) if task["status"] == "PENDING"]
    assert {task["host_name"] for task in waiting} == {"PENDING HOST ASSIGNMENT : HOSTGROUP=g1"}


def test_a_host_that_comes_late_is_taken() -> None:
    site = Site(hosts=2, late=1)
    site.blueprint({"g1": DEMO_GROUP})
    number = site.create()
    site.wait(60)
    assert site.request(number)["pending_host_request_count"] == 1
    site.world.register(site.world.hosts[site.host(3)])
    site.wait(60)
    assert site.request(number)["pending_host_request_count"] == 0
    assert site.states() == ["STARTED"] * 3


def test_a_failed_installation_is_never_followed_by_its_start(site: Site) -> None:
    """As 108-124, 641 and 753: FAILED below 100 %, the start PENDING, then ABORTED by itself without an attempt."""
    site.work.injections.tasks.append(TaskFault(host=site.host(1), role="ZOOKEEPER_CLIENT", command="INSTALL"))
    site.blueprint({"g1": DEMO_GROUP})
    number = site.create(hosts=1)
    while site.request(number)["request_status"] != "FAILED" or site.request(number)["queued_task_count"]:
        site.wait(0.5)
    site.wait(1)
    found = site.request(number)
    assert found["progress_percent"] == pytest.approx(200 / 3)
    by_name = {(task["role"], task["command"]): task for task in site.tasks(number)}
    assert by_name["ZOOKEEPER_CLIENT", "INSTALL"]["status"] == "FAILED"
    assert by_name["ZOOKEEPER_SERVER", "INSTALL"]["status"] == "ABORTED"
    start = by_name["ZOOKEEPER_SERVER", "START"]
    assert (start["status"], start["exit_code"], start["start_time"]) == ("PENDING", 999, -1)
    assert by_name["ZOOKEEPER_CLIENT", "INSTALL"]["exit_code"] == 0
    assert site.states() == ["INSTALL_FAILED"]
    abort = {"Requests": {"request_status": "ABORTED", "abort_reason": "cleanup"}}
    site.call("PUT", f"clusters/c1/requests/{number}", abort, status=200)
    assert site.request(number)["progress_percent"] == pytest.approx(200 / 3)
    site.wait(10)
    assert (site.request(number)["request_status"], site.request(number)["progress_percent"]) == ("FAILED", 100.0)
    started = site.request(number + 4)
    assert (started["request_status"], started["start_time"] > 0) == ("ABORTED", True)
    (dropped,) = site.tasks(number + 4)
    assert (dropped["status"], dropped["attempt_cnt"], dropped["start_time"]) == ("ABORTED", 0, -1)
    refused = site.call("PUT", "clusters/c1/services/ZOOKEEPER", {"ServiceInfo": {"state": "STARTED"}}, status=400)
    assert "currentState=INSTALL_FAILED, newDesiredState=STARTED" in refused["message"]
    again = site.service("INSTALLED")
    site.wait(30)
    assert again is not None
    assert site.request(again)["request_status"] == "COMPLETED"


def test_agents_repeat_a_failing_command_unless_told_otherwise() -> None:
    site = Site(hosts=1)
    site.blueprint({"g1": DEMO_GROUP}, command_retry_enabled="true")
    site.work.injections.tasks.append(TaskFault(command="START", times=3))
    number = site.create(hosts=1)
    site.wait(15)
    assert site.request(number)["request_status"] == "IN_PROGRESS"
    site.wait(60)
    assert site.request(number)["request_status"] == "COMPLETED"


def test_what_is_lost_or_in_maintenance_is_left_out_without_a_word(site: Site) -> None:
    """As 302-318 and 493."""
    site.deployed()
    site.world.hosts[site.host(3)].lost_at = site.now
    site.wait(200)
    assert site.states() == ["STARTED", "STARTED", "UNKNOWN"]
    stop = site.service("INSTALLED")
    assert stop is not None
    site.wait(30)
    assert site.request(stop)["request_status"] == "COMPLETED"
    assert {task["host_name"] for task in site.tasks(stop)} == {site.host(1), site.host(2)}
    path = f"clusters/c1/hosts/{site.host(1)}/host_components/ZOOKEEPER_SERVER"
    site.call("PUT", path, {"HostRoles": {"maintenance_state": "ON"}}, status=200)
    start = site.service("STARTED")
    assert start is not None
    site.wait(30)
    assert {task["host_name"] for task in site.tasks(start) if task["command"] == "START"} == {site.host(2)}
    site.world.register(site.world.hosts[site.host(3)])
    assert site.states() == ["INSTALLED", "STARTED", "STARTED"]


def test_an_agent_that_dies_at_work_ends_its_task_aborted(site: Site) -> None:
    """As 408-412."""
    site.deployed()
    site.service("INSTALLED")
    site.wait(30)
    site.work.injections.tasks.append(TaskFault(host=site.host(1), command="START", effect="hang"))
    start = site.service("STARTED")
    assert start is not None
    site.wait(10)
    site.world.hosts[site.host(1)].lost_at = site.now
    site.wait(100)
    assert site.request(start)["request_status"] == "IN_PROGRESS"
    site.wait(56)
    assert site.request(start)["request_status"] == "ABORTED"
    assert site.states() == ["UNKNOWN", "STARTED", "STARTED"]


def test_nothing_to_do_is_an_empty_answer(site: Site) -> None:
    site.deployed()
    assert site.call("PUT", "clusters/c1/services/ZOOKEEPER", {"ServiceInfo": {"state": "STARTED"}}, status=200) is None


def test_a_changed_configuration_makes_stale_and_a_restart_cures(site: Site) -> None:
    """As 385-397; a restart without the cluster's name chooses nothing (206)."""
    site.deployed()
    path = "clusters/c1/configurations?type=zoo.cfg&tag=TOPOLOGY_RESOLVED"
    known = site.call("GET", path, status=200)["items"][0]["properties"]
    wanted = {"type": "zoo.cfg", "tag": "t2", "properties": {**known, "tickTime": "2500"}}
    answer = site.call("PUT", "clusters/c1", {"Clusters": {"desired_config": [wanted]}}, status=200)
    assert answer["resources"][0]["service_config_version"] == 3
    stale = "clusters/c1/host_components?HostRoles/stale_configs=true"
    assert len(site.call("GET", stale)["items"]) == 6
    body = {
        "RequestInfo": {"command": "RESTART", "context": "stale", "operation_level": "host_component"},
        "Requests/resource_filters": [{"hosts_predicate": "HostRoles/stale_configs=true"}],
    }
    assert site.call("POST", "clusters/c1/requests", body, status=201) is None
    body["Requests/resource_filters"] = [{"hosts_predicate": "HostRoles/stale_configs=true&HostRoles/cluster_name=c1"}]
    number = site.call("POST", "clusters/c1/requests", body, status=202)["Requests"]["id"]
    site.wait(30)
    assert site.request(number)["request_status"] == "COMPLETED"
    assert site.call("GET", stale)["items"] == []
    assert site.call("PUT", "clusters/c1", {"Clusters": {"desired_config": [wanted | {"tag": "t3"}]}}) is None


def test_a_dead_process_is_seen_at_the_agents_next_look(site: Site) -> None:
    site.deployed()
    site.crew.agent.running.discard((site.host(2), "ZOOKEEPER_SERVER"))
    site.wait(20)
    assert site.states() == ["STARTED", "INSTALLED", "STARTED"]


def critical(site: Site) -> list[tuple[str, str | None]]:
    found = site.call("GET", "clusters/c1/alerts?fields=Alert/state,Alert/definition_name,Alert/host_name")["items"]
    alerts = [one["Alert"] for one in found]
    return [(one["definition_name"], one["host_name"]) for one in alerts if one["state"] == "CRITICAL"]


def alert_times(site: Site) -> dict[tuple[str, str | None], int]:
    found = site.call("GET", "clusters/c1/alerts?fields=Alert/latest_timestamp,Alert/definition_name,Alert/host_name")
    alerts = [one["Alert"] for one in found["items"]]
    return {(one["definition_name"], one["host_name"]): one["latest_timestamp"] for one in alerts}


def test_a_process_that_dies_after_its_start_is_started_until_the_agent_looks(site: Site) -> None:
    """As DataNodes did whose START was COMPLETED (651)."""
    site.deployed()
    site.service("INSTALLED")
    site.wait(30)
    site.work.injections.tasks.append(TaskFault(host=site.host(2), command="START", effect="die", seconds=20))
    number = site.service("STARTED")
    site.wait(15)
    assert number is not None
    assert {task["status"] for task in site.tasks(number)} == {"COMPLETED"}
    assert site.states() == ["STARTED"] * 3
    site.wait(20)
    assert site.states() == ["STARTED", "INSTALLED", "STARTED"]


def test_starts_go_in_stages_by_what_needs_what(site: Site) -> None:
    """Recorded (655), with DataNodes on three hosts and everything else on the first."""
    first = ["NAMENODE", "RESOURCEMANAGER", "HISTORYSERVER", "SPARK_JOBHISTORYSERVER", "ZOOKEEPER_SERVER"]
    clients = ["HDFS_CLIENT", "YARN_CLIENT", "MAPREDUCE2_CLIENT", "TEZ_CLIENT", "SPARK_CLIENT", "ZOOKEEPER_CLIENT"]
    servers = [*first, "APP_TIMELINE_SERVER", "TIMELINE_READER", "SECONDARY_NAMENODE", "DATANODE", "NODEMANAGER"]
    site.blueprint({"g1": [*servers, *clients]})
    number = site.create(hosts=1)
    site.wait(120)
    (start,) = (one for one in site.work.engine.requests.values() if one.id == number + 4)
    assert [sorted({task.role for task in stage}) for stage in start.stages] == [
        ["DATANODE", "NAMENODE", "ZOOKEEPER_SERVER"],
        ["APP_TIMELINE_SERVER", "HISTORYSERVER", "RESOURCEMANAGER", "SECONDARY_NAMENODE", "TIMELINE_READER"],
        ["NODEMANAGER"],
        ["SPARK_JOBHISTORYSERVER"],
    ]
    for service in ("HDFS", "YARN"):
        stopped = site.service("INSTALLED", name=service)
        assert stopped is not None
        site.wait(30)
        assert {task["status"] for task in site.tasks(stopped)} == {"COMPLETED"}


def test_agents_look_at_alerts_once_a_minute_and_report_only_changes(site: Site) -> None:
    """As 663, 676, 708 and 710: what did not change keeps its time, whatever happened since."""
    site.blueprint({"g1": DEMO_GROUP})
    site.create(provision_action="INSTALL_ONLY")
    site.wait(30)
    assert site.call("GET", "clusters/c1/alerts")["items"] == []
    site.wait(35)
    down = [("zookeeper_server_process", site.host(number)) for number in (1, 2, 3)]
    assert critical(site) == [("zookeeper_server_process_percent", None), *down]
    site.service("STARTED")
    site.wait(15)
    assert site.states() == ["STARTED"] * 3
    assert critical(site) == [("zookeeper_server_process_percent", None), *down], "nobody has looked since the start"
    first = alert_times(site)
    site.wait(60)
    assert critical(site) == []
    later = alert_times(site)
    assert later["zookeeper_server_process", site.host(1)] > first["zookeeper_server_process", site.host(1)]
    assert later["ambari_agent_ulimit", site.host(1)] == first["ambari_agent_ulimit", site.host(1)]
    site.wait(600)
    assert alert_times(site) | later == alert_times(site)


def test_definitions_have_the_recorded_fields(site: Site) -> None:
    """As 686."""
    site.deployed()
    path = "clusters/c1/alert_definitions?fields=AlertDefinition/name,AlertDefinition/service_name,"
    path += "AlertDefinition/component_name,AlertDefinition/interval,AlertDefinition/source/type&minimal_response=true"
    found = {
        one["AlertDefinition"]["name"]: one["AlertDefinition"] for one in site.call("GET", path, status=200)["items"]
    }
    own = found["zookeeper_server_process"]
    assert (own["service_name"], own["component_name"], own["interval"]) == ("ZOOKEEPER", "ZOOKEEPER_SERVER", 1)
    assert own["source"] == {"type": "PORT"}
    assert found["ambari_server_agent_heartbeat"]["interval"] == 2


def test_after_a_restart_of_the_server_states_come_back_as_recorded(site: Site) -> None:
    """As 700 to 707: lost without a heartbeat, waiting for status updates, known; clients keep their state."""
    site.deployed()
    hosts = "hosts?fields=Hosts/host_state,Hosts/host_status,Hosts/last_heartbeat_time,Hosts/last_registration_time"

    def host_states() -> set[tuple[str, str, bool]]:
        found = [one["Hosts"] for one in site.call("GET", hosts)["items"]]
        return {(one["host_state"], one["host_status"], one["last_heartbeat_time"] > 0) for one in found}

    assert host_states() == {("HEALTHY", "HEALTHY", True)}
    site.work.restart_server()
    site.wait(4)
    assert host_states() == {("HEARTBEAT_LOST", "UNKNOWN", False)}
    assert site.states() == ["UNKNOWN"] * 3
    assert site.states("ZOOKEEPER_CLIENT") == ["INSTALLED"] * 3
    site.wait(6)
    assert host_states() == {("WAITING_FOR_HOST_STATUS_UPDATES", "UNKNOWN", True)}
    assert site.states() == ["UNKNOWN"] * 3
    site.wait(2)
    assert host_states() == {("HEALTHY", "HEALTHY", True)}
    site.wait(1)
    assert site.states() == ["STARTED"] * 3


def test_a_cluster_with_a_configuration_group_is_not_deleted_until_the_server_restarts(site: Site) -> None:
    """As 610 and 611."""
    site.deployed()
    group = {"group_name": "g", "tag": "ZOOKEEPER", "hosts": [], "desired_configs": []}
    site.call("POST", "clusters/c1/config_groups", [{"ConfigGroup": group}], status=201)
    site.service("INSTALLED")
    site.wait(30)
    refused = site.call("DELETE", "clusters/c1", status=500)
    assert refused["message"].startswith("Internal server error, please refer the exception by")
    (number,) = site.world.clusters["c1"].groups
    site.call("DELETE", f"clusters/c1/config_groups/{number}", status=200)
    site.call("DELETE", "clusters/c1", status=500)
    site.work.restart_server()
    site.wait(20)
    site.call("DELETE", "clusters/c1", status=200)


def test_deleting_under_an_unfinished_request_stops_the_scheduler_until_a_restart(site: Site) -> None:
    """The HAZARD of the live notes; and hosts of a deleted cluster have to register again (372-383)."""
    site.work.injections.tasks.append(TaskFault(role="ZOOKEEPER_CLIENT", command="INSTALL"))
    site.blueprint({"g1": DEMO_GROUP})
    created = site.create("c0", hosts=1)
    while site.request(created, "c0")["request_status"] != "FAILED":
        site.wait(0.5)
    site.call("DELETE", "clusters/c0", status=200)
    number = site.create("c1")
    site.wait(600)
    found = site.request(number)
    assert (found["request_status"], found["pending_host_request_count"]) == ("PENDING", 1)
    site.work.restart_server()
    site.wait(15)
    site.wait(60)
    assert site.request(number)["request_status"] == "COMPLETED"
    assert site.request(number)["pending_host_request_count"] == 0


def test_what_runs_cannot_be_deleted(site: Site) -> None:
    site.deployed()
    for path in (
        f"clusters/c1/hosts/{site.host(1)}/host_components/ZOOKEEPER_SERVER",
        "clusters/c1/services/ZOOKEEPER",
        f"clusters/c1/hosts/{site.host(1)}",
        "clusters/c1",
    ):
        site.call("DELETE", path, status=500)
    site.service("INSTALLED")
    site.wait(30)
    site.call("DELETE", "clusters/c1", status=200)
    site.call("GET", "clusters/c1", status=404)


def test_hosts_are_added_by_blueprint_with_their_groups_configurations() -> None:
    site = Site(hosts=4)
    site.deployed()
    entry = [{"blueprint": "zk", "host_group": "g1", "host_name": site.host(4)}]
    number = site.call("POST", "clusters/c1/hosts", entry, status=202)["Requests"]["id"]
    site.wait(60)
    assert site.request(number)["request_context"] == "Logical Request: Scale Cluster 'c1' (+1 hosts)"
    assert site.states() == ["STARTED"] * 4
    assert "already in the cluster" in site.call("POST", "clusters/c1/hosts", entry, status=400)["message"]
    entry[0]["host_group"] = "nope"
    site.call("POST", "clusters/c1/hosts", entry, status=400)


def test_upgrades_find_no_pack(site: Site) -> None:
    site.deployed()
    body = {"Upgrade": {"repository_version_id": "1", "upgrade_type": "NON_ROLLING"}}
    answer = site.call("POST", "clusters/c1/upgrades", body, status=500)
    assert "Could not locate non_rolling upgrade pack for stack BIGTOP-3.2.0" in answer["message"]


def test_a_missing_package_fails_with_the_agents_words() -> None:
    site = Site(hosts=1)
    site.crew.agent.available = lambda url: frozenset({"bigtop-select"})
    site.world.versions[1].systems["redhat8"] = {"repositories": [{"repo_id": "B", "base_url": "http://r/"}]}
    site.blueprint({"g1": DEMO_GROUP})
    number = site.create(hosts=1)
    site.wait(60)
    (failed,) = (task for task in site.tasks(number) if task["status"] == "FAILED")
    reason = "No package found for zookeeper_${stack_version}(expected name: zookeeper_3_2_0)"
    assert failed["stderr"].endswith(reason)


@pytest.mark.parametrize(
    ("version", "available", "picked"),
    [
        ("3.2.0", ["zookeeper_3_2_0", "zookeeper_3_1_0"], "zookeeper_3_1_0"),
        ("3.2.0", ["zookeeper_3_3_0"], "zookeeper_3_3_0"),
        ("3.2.0-1", ["zookeeper_3_2_0"], "zookeeper_3_2_0_1"),
        ("3.2.0", ["zookeeper_3_2_0-server", "zookeeper"], None),
    ],
)
def test_an_agent_picks_the_first_name_that_matches(version: str, available: list[str], picked: str | None) -> None:
    assert pick(["zookeeper_{version}"], available, version).names == ((picked,) if picked else ())


def test_a_thousand_hosts_are_deployed_on_paper() -> None:
    site = Site(hosts=1000, pace=INSTANT, seconds=0)
    site.blueprint({"g1": DEMO_GROUP})
    number = site.create(hosts=1000)
    site.wait(1)
    found = site.request(number)
    assert (found["request_status"], found["task_count"]) == ("COMPLETED", 3000)


def test_a_page_of_tasks_is_cut_twice() -> None:
    """HostRoleCommandDAO.findAll of 2.7 to 3.0: by position all after the first page is lost; by id nothing is."""
    site = Site()
    site.blueprint({"g1": DEMO_GROUP})
    number = site.create()
    site.wait(10)
    path = f"clusters/c1/requests/{number}/tasks?sortBy=Tasks/id.asc&page_size=4"
    first = site.call("GET", path)
    assert (len(first["items"]), first["itemTotal"]) == (4, "4")
    assert site.call("GET", f"{path}&from=4")["items"] == []
    last = first["items"][-1]["Tasks"]["id"]
    assert [one["Tasks"]["id"] for one in site.call("GET", f"{path}&Tasks/id>{last}")["items"]] == [
        *range(last + 1, last + 5)
    ]
