"""The simulated server against exchanges of a real one: minimal responses, the stack's repositories, configurations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bigtop_builder.ambari_simulator.agents.repository_files import unreadable
from bigtop_builder.ambari_simulator.engine.cluster_state import Cluster, ConfigGroup, ConfigVersion, Service
from bigtop_builder.ambari_simulator.rest.dispatch import respond
from tests.fast.recorded_server import Recorded, recorded
from tests.fast.simulated_cluster import Site


def asked(site: Site, one: Recorded, uri: str = "") -> tuple[int, Any]:
    """Status and document of the simulated server's answer to a recorded call."""
    with site.world.lock:
        reply = respond(
            site.registry,
            site.world,
            site.world.users["admin"],
            one.method,
            uri or one.uri,
            host=one.host,
            content="" if one.body is None else json.dumps(one.body),
        )
    return reply.status, json.loads(json.dumps(reply.document))


def configured(site: Site) -> Cluster:
    """Cluster h1 with the recorded versions of zoo.cfg, and its group."""
    cluster = Cluster(1, "h1", site.world.stacks["BIGTOP", "3.2.0"], 0.0)
    site.world.clusters["h1"] = cluster
    cluster.services["ZOOKEEPER"] = Service("ZOOKEEPER", 1)
    properties = recorded(605).answer["items"][0]["properties"]
    cluster.put("zoo.cfg", "INITIAL", {"tickTime": "2000"}, {})
    cluster.put("zoo.cfg", "TOPOLOGY_RESOLVED", properties, {})
    (group,) = (item["ConfigGroup"] for item in recorded(601).answer["items"])
    cluster.groups[102] = ConfigGroup(
        102,
        group["group_name"],
        "ZOOKEEPER",
        [host["host_name"] for host in group["hosts"]],
        {"zoo.cfg": ConfigVersion("zoo.cfg", "others", 1, {"tickTime": "2500"})},
        group["description"],
    )
    return cluster


@pytest.mark.parametrize("number", [601, 602, 604, 605, 606, 607])
def test_groups_and_configurations_are_printed_as_recorded(number: int) -> None:
    site, one = Site(), recorded(number)
    configured(site)
    assert asked(site, one) == (one.status, one.answer)


def test_attributes_are_printed_as_recorded() -> None:
    site, one = Site(), recorded(762)
    cluster = configured(site)
    site.world.clusters["h8"] = cluster
    attributes = one.answer["items"][0]["properties_attributes"]
    cluster.put("hdfs-site", "TOPOLOGY_RESOLVED", {"dfs.replication": "3"}, attributes)
    assert asked(site, one) == (200, one.answer)


def test_a_type_without_properties_is_printed_without_the_key() -> None:
    site = Site()
    configured(site).put("zookeeper-logsearch-conf", "t1", {}, {})
    uri = "/api/v1/clusters/h1/configurations?type=zookeeper-logsearch-conf&tag=t1"
    _, document = asked(site, recorded(604), uri)
    assert set(document["items"][0]) == {"href", "tag", "type", "version", "Config"}


@pytest.mark.parametrize("number", [758, 759])
def test_a_changed_configuration_is_answered_as_recorded(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing for cluster-env; the service's new version for a type of a service."""
    site, one = Site(), recorded(number)
    cluster = configured(site)
    site.world.clusters["h8"], cluster.name = site.world.clusters.pop("h1"), "h8"
    cluster.services["HDFS"] = Service("HDFS", 1)
    kinds = recorded(759).answer["resources"][0]["configurations"][0]["propertiesTypes"]
    of_site = {name: [kind] for kind, names in kinds.items() for name in names}
    monkeypatch.setitem(cluster.stack.services["HDFS"].property_types, "hdfs-site", of_site)
    for kind in ("cluster-env", "hdfs-site"):
        cluster.put(kind, "INITIAL", {"a": "1"}, {})
        cluster.put(kind, "TOPOLOGY_RESOLVED", {"a": "2"}, {})
    for _ in range(2):
        cluster.note_service("HDFS", 0.0, "admin", None)
    assert asked(site, one) == (200, one.answer)


def systems(document: Any) -> Any:
    return document["operating_systems"]


def test_the_stacks_repositories_are_printed_as_recorded() -> None:
    status, document = asked(Site(), recorded(632))
    assert status == 200
    strip = {"tags", "applicable_services"}

    def plain(items: Any) -> Any:
        return [
            {
                **item["OperatingSystems"],
                "repositories": [
                    {name: value for name, value in one["Repositories"].items() if name not in strip}
                    for one in item["repositories"]
                ],
            }
            for item in items
        ]

    found = plain(document["items"])
    for system in found:
        system.setdefault("ambari_managed_repositories", True)
    assert found == plain(recorded(632).answer["items"])


def test_a_repository_of_another_name_gets_one_of_the_same_id_beside_it() -> None:
    """733 registers ``bigtop-3.2.0``, 734 shows two repositories; under the name ``bigtop`` there is one (740, 660)."""
    site = Site()
    site.world.versions.clear()
    site.world.counters["version"] = 50
    assert asked(site, recorded(733)) == (201, recorded(733).answer)
    status, document = asked(site, recorded(734))
    assert status == 200
    assert systems(document) == systems(recorded(734).answer)

    site = Site()
    site.world.versions.clear()
    assert asked(site, recorded(740)) == (201, recorded(740).answer)
    for number in (660, 661):
        status, document = asked(site, recorded(number))
        assert status == 200
        assert systems(document) == systems(recorded(number).answer)


def test_the_servers_start_adds_what_a_name_lacks_and_nothing_else() -> None:
    site = Site()
    site.world.versions.clear()
    asked(site, recorded(740))
    cluster = configured(site)
    assert cluster.services["ZOOKEEPER"].repository == 1
    site.work.restart_server()
    for number in (730, 731):
        assert systems(asked(site, recorded(number))[1]) == systems(recorded(number).answer)
    (one,) = site.world.versions[1].systems["redhat8"]["repositories"]
    one["repo_name"] = "bigtop-3.2.0"
    site.work.restart_server()
    site.work.restart_server()
    names = [one["repo_name"] for one in site.world.versions[1].systems["redhat8"]["repositories"]]
    assert names == ["bigtop-3.2.0", "bigtop"]


def test_a_version_that_no_service_uses_is_left_alone_by_the_start() -> None:
    site = Site()
    site.world.versions.clear()
    asked(site, recorded(740))
    site.world.versions[1].systems["redhat8"]["repositories"][0]["repo_name"] = "mine"
    site.work.restart_server()
    assert len(site.world.versions[1].systems["redhat8"]["repositories"]) == 1


def test_tasks_of_roles_on_a_host_cannot_be_asked_for() -> None:
    site, one = Site(), recorded(644)
    status, document = asked(site, one)
    assert status == one.status == 500
    text = "Internal server error, please refer the exception by "
    assert document["message"].startswith(text) and one.answer["message"].startswith(text)


def test_agents_refuse_files_with_a_section_twice() -> None:
    path = "/etc/yum.repos.d/ambari-bigtop-1.repo"
    assert unreadable({path: "[a]\nname=100% of it\n[b]\n"}) is None
    told = unreadable({path: "[a]\nbaseurl=x\n\n[a]\n"})
    assert told is not None
    assert told.endswith(
        f"configparser.DuplicateSectionError: While reading from '{path}' [line  4]: section 'a' already exists"
    )
