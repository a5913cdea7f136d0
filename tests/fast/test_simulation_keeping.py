"""The simulated world in a file: what a new process knows, and how it goes on."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from bigtop_builder.ambari_simulator.engine.injection import HostFault
from bigtop_builder.ambari_simulator.engine.state import Host
from bigtop_builder.ambari_simulator.engine.task import Status, Task
from bigtop_builder.ambari_simulator.persistence import MOST_OUTPUT, MOST_REQUESTS, Keeper, dump, load
from bigtop_builder.model.errors import ConfigurationError
from tests.fast.simulated_cluster import DEMO_GROUP, Site

SEEN = (
    "clusters/c1?fields=Clusters/*,services/*,hosts/*,config_groups/*",
    "clusters/c1?format=blueprint",
    "clusters/c1/host_components?fields=HostRoles/*",
    "clusters/c1/configurations/service_config_versions",
    "clusters/c1/requests?fields=Requests/*",
    "clusters/c1/stack_versions?fields=*",
    "blueprints/zk",
    "version_definitions?fields=*",
    "users?fields=Users/*",
    "hosts?fields=Hosts/host_name,Hosts/cluster_name,Hosts/ip,Hosts/rack_info",
)


def again(former: Site, hosts: int = 3) -> Site:
    """Another process that has read what the former one kept, at the same moment."""
    site = Site(hosts)
    site.now = former.now
    site.crew.agent.running |= former.crew.agent.running  # hosts go on meanwhile
    load(dump(former.world), site.world)
    for one in (site, former):
        one.wait(15)  # until agents have registered again
    return site


def seen(site: Site) -> dict[str, str]:
    """Address -> answer, but for when agents registered and reported: they have done so again."""
    answers = {path: json.dumps(site.call("GET", path, status=200), indent=1) for path in SEEN}
    return {
        path: re.sub(r'"(last_registration_time|last_heartbeat_time|agentTimeStampAtReporting)": \d+', "", text)
        for path, text in answers.items()
    }


def test_processes_on_paper_run_on_without_the_server() -> None:
    site = Site()
    site.deployed()
    other = Site()
    other.now = site.now
    load(dump(site.world), other.world)
    other.crew.find_running(other.world)
    other.wait(60)  # longer than the time between two looks of an agent
    assert other.states() == ["STARTED"] * 3


def test_a_new_process_answers_as_the_former_one() -> None:
    site = Site()
    site.deployed()
    wanted = {"type": "zoo.cfg", "tag": "v2", "properties": {"tickTime": "4000"}}
    site.call("PUT", "clusters/c1", {"Clusters": {"desired_config": [wanted]}}, status=200)
    assert site.states() == ["STARTED"] * 3
    other = again(site)
    assert seen(other) == seen(site)
    assert other.service("INSTALLED") == (site.service("INSTALLED"))


def test_what_was_under_way_goes_on() -> None:
    site = Site(seconds=30)
    site.blueprint({"g1": DEMO_GROUP})
    number = site.create()
    site.wait(10)
    assert {task["status"] for task in site.tasks(number)} >= {"IN_PROGRESS", "QUEUED"}
    other = again(site)
    for _ in range(100):
        other.wait(1)
    assert other.request(number)["request_status"] == "COMPLETED"
    assert other.states() == ["STARTED"] * 3


def test_a_failed_request_stays_failed_and_its_rest_is_aborted() -> None:
    site = Site()
    site.deployed()
    number = site.service("INSTALLED")
    assert number is not None
    site.wait(1.5)
    tasks = site.work.engine.requests[number].tasks
    site.work.engine._end(tasks[0], Status.FAILED, site.now)  # the moment before the server aborts the rest
    other = again(site)
    other.wait(5)
    assert {task["status"] for task in other.tasks(number)} == {"FAILED", "ABORTED"}


def test_a_host_that_was_missing_is_taken_when_it_is_there() -> None:
    site = Site(2)
    site.blueprint({"g1": DEMO_GROUP})
    number = site.create(host_groups=[{"name": "g1", "host_count": 3, "host_predicate": "Hosts/cpu_count>0"}])
    site.wait(60)
    assert site.request(number)["pending_host_request_count"] == 1
    other = again(site, hosts=3)
    other.wait(60)
    assert other.request(number)["pending_host_request_count"] == 0
    assert other.states() == ["STARTED"] * 3


def test_hosts_that_are_no_more_are_forgotten_and_new_ones_register() -> None:
    site = Site(1)
    site.world.hosts["gone.cluster.local"] = Host("gone.cluster.local", "192.0.2.1")
    other = again(site, hosts=2)
    names = [item["Hosts"]["host_name"] for item in other.call("GET", "hosts")["items"]]
    assert names == [Site.host(1), Site.host(2)]


def test_what_is_kept_is_bounded() -> None:
    site = Site(1)
    site.deployed()
    engine = site.work.engine
    for number in range(1000, 1000 + 3 * MOST_REQUESTS):
        former = engine.requests[min(engine.requests)]
        task = Task(number, site.host(1), "A", "ZOOKEEPER", "START", "", status=Status.COMPLETED, stdout="x" * 100_000)
        engine.requests[number] = type(former)(number, "c1", "", site.now, [[task]])
    text = dump(site.world)
    kept = [fields for kind, fields in json.loads(text)["nodes"] if kind == "Request"]
    assert MOST_REQUESTS <= len(kept) < MOST_REQUESTS + 10
    assert len(text) < (MOST_REQUESTS + 10) * (MOST_OUTPUT + 2000) + 1_000_000


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    for text in ("{", "[]", '{"format": 0}', '{"format": 1, "world": {}, "nodes": [["Popen", {}]]}'):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=r"cannot be read from .*world\.json"):
            Keeper(Site(1).world, file).resume()


def test_the_file_is_written_when_something_changed(tmp_path: Path) -> None:
    site, file = Site(1), tmp_path / "world.json"
    keeper = Keeper(site.world, file)
    assert not keeper.resume()
    keeper.keep()
    assert not file.exists()
    site.wait(1)
    keeper.keep()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.stat().st_mtime_ns
    site.call("GET", "clusters", status=200)
    keeper.keep(at_once=True)
    assert file.stat().st_mtime_ns == before
    assert Keeper(Site(1).world, file).resume()


def test_a_slow_host_begins_later_and_a_lost_one_is_gone_at_its_next_command() -> None:
    site = Site()
    slow, lost = site.host(1), site.host(2)
    site.work.injections.hosts += [
        HostFault(host=slow, effect="slow", seconds=40),
        HostFault(host=lost, effect="lost", skip=1),
    ]
    site.blueprint({"g1": DEMO_GROUP})
    number = site.create()
    site.wait(30)
    by_host = {name: [t["status"] for t in site.tasks(number) if t["host_name"] == name] for name in (slow, lost)}
    assert "COMPLETED" not in by_host[slow]
    assert "COMPLETED" in by_host[lost]
    for _ in range(150):
        site.wait(2)
    status = {name: site.call("GET", f"hosts/{name}")["Hosts"]["host_state"] for name in (slow, lost)}
    assert status == {slow: "HEALTHY", lost: "HEARTBEAT_LOST"}
    assert {t["status"] for t in site.tasks(number) if t["host_name"] == slow} == {"COMPLETED"}


def test_a_new_process_does_what_a_restart_of_the_server_does() -> None:
    site = Site()
    site.deployed()
    own = {"repo_id": "BIGTOP-3.2.0", "repo_name": "mine", "base_url": "http://a.test"}
    site.world.versions[1].systems["redhat8"] = {"ambari_managed_repositories": True, "repositories": [own]}
    site.world.clusters["c1"].undeletable = True
    other = again(site)
    names = [one["repo_name"] for one in other.world.versions[1].systems["redhat8"]["repositories"]]
    assert names == ["mine", "bigtop"]
    assert not other.world.clusters["c1"].undeletable
