"""The simulated server upgrades a cluster's stack like the real one of 3.0 that was asked what it permits."""

from __future__ import annotations

from typing import Any

import pytest

from bigtop_builder.ambari_simulator.engine.stack_upgrade import offer_packs
from bigtop_builder.ambari_simulator.engine.state import RepositoryVersion
from tests.fast.simulated_cluster import Site

UP: dict[str, Any] = {"Upgrade": {"repository_version_id": "2", "upgrade_type": "ROLLING", "direction": "UPGRADE"}}
DOWN: dict[str, Any] = {"Upgrade": {"upgrade_type": "ROLLING", "direction": "DOWNGRADE"}}
ABORT: dict[str, Any] = {"Upgrade": {"request_status": "ABORTED", "suspended": "false"}}
DISTRIBUTE: dict[str, Any] = {"stack": "BIGTOP", "version": "3.3.0", "repository_version": "3.3.0"}


@pytest.fixture
def site() -> Site:
    site = Site()
    site.deployed()
    site.world.versions[2] = RepositoryVersion(2, "BIGTOP", "3.3.0", "3.3.0", "BIGTOP-3.3.0")
    offer_packs(site.world)
    return site


def _upgrades(site: Site) -> list[tuple[str, str]]:
    found = site.call("GET", "clusters/c1/upgrades?fields=Upgrade/direction,Upgrade/request_status")["items"]
    return [(one["Upgrade"]["direction"], one["Upgrade"]["request_status"]) for one in found]


def _stack(site: Site) -> str:
    return str(site.call("GET", "clusters/c1?fields=Clusters/version")["Clusters"]["version"])


def _begin(site: Site, body: Any) -> int:
    answer = site.call("POST", "clusters/c1/upgrades", body, status=201)
    return int(answer["resources"][0]["Upgrade"]["request_id"])


def _release(site: Site, request: int) -> None:
    groups = site.call("GET", f"clusters/c1/upgrades/{request}/upgrade_groups?fields=upgrade_items/UpgradeItem/*")
    group = groups["items"][0]["UpgradeGroup"]["group_id"]
    where = f"clusters/c1/upgrades/{request}/upgrade_groups/{group}/upgrade_items/1"
    site.call("PUT", where, {"UpgradeItem": {"status": "COMPLETED"}}, status=200)


def test_packs_are_listed_with_the_stack_that_they_lead_to(site: Site) -> None:
    found = site.call("GET", "stacks/BIGTOP/versions?fields=Versions/upgrade_packs")["items"]
    packs = {one["Versions"]["stack_version"]: one["Versions"]["upgrade_packs"] for one in found}
    assert packs == {"3.2.0": [], "3.3.0": ["bigtop-builder-3.2.0-to-3.3.0"]}


def test_an_upgrade_moves_the_stack_at_once_and_holds(site: Site) -> None:
    number = _begin(site, UP)
    assert (_stack(site), _upgrades(site)) == ("BIGTOP-3.3.0", [("UPGRADE", "HOLDING")])
    fields = "HostRoles/version,HostRoles/upgrade_state,HostRoles/desired_repository_version"
    roles = [one["HostRoles"] for one in site.call("GET", f"clusters/c1/host_components?fields={fields}")["items"]]
    assert {(one["version"], one["upgrade_state"], one["desired_repository_version"]) for one in roles} == {
        ("3.2.0", "IN_PROGRESS", "3.3.0")
    }
    again = site.call("POST", "clusters/c1/upgrades", UP, status=500)["message"]
    assert f"Unable to perform upgrade as another upgrade (request ID {number}) is in progress" in again
    packages = {"ClusterStackVersions": DISTRIBUTE}
    assert "Cannot install packages" in site.call("POST", "clusters/c1/stack_versions", packages, status=400)["message"]


def test_what_has_not_moved_is_named_at_the_end(site: Site) -> None:
    number = _begin(site, UP)
    _release(site, number)
    assert _upgrades(site) == [("UPGRADE", "HOLDING_FAILED")]
    where = f"clusters/c1/upgrades/{number}/upgrade_groups?fields=upgrade_items/tasks/Tasks/stderr"
    groups = site.call("GET", where)["items"]
    said = groups[1]["upgrade_items"][0]["tasks"][0]["Tasks"]["stderr"]
    assert "ZOOKEEPER_SERVER on host node1.cluster.local" in said
    for one in site.world.clusters["c1"].components.values():
        one.version = "3.3.0"
    retry = f"clusters/c1/upgrades/{number}/upgrade_groups/2/upgrade_items/2"
    site.call("PUT", retry, {"UpgradeItem": {"status": "COMPLETED"}}, status=400)
    site.call("PUT", retry, {"UpgradeItem": {"status": "PENDING"}}, status=200)
    assert _upgrades(site) == [("UPGRADE", "COMPLETED")]


def test_the_way_back_needs_an_aborted_upgrade_and_is_begun_as_often_as_one_likes(site: Site) -> None:
    before = site.call("GET", "clusters/c1?fields=Clusters/desired_configs")["Clusters"]["desired_configs"]
    number = _begin(site, UP)
    site.call("POST", "clusters/c1/upgrades", DOWN, status=500)
    refused = site.call("PUT", f"clusters/c1/upgrades/{number}", {"Upgrade": {"request_status": "ABORTED"}}, status=400)
    assert "suspended property is required" in refused["message"]
    site.call("PUT", f"clusters/c1/upgrades/{number}", ABORT, status=200)
    assert _stack(site) == "BIGTOP-3.3.0"
    for _ in range(2):
        _release(site, _begin(site, DOWN))
    assert _stack(site) == "BIGTOP-3.2.0"
    assert _upgrades(site) == [("UPGRADE", "ABORTED"), ("DOWNGRADE", "COMPLETED"), ("DOWNGRADE", "COMPLETED")]
    assert site.call("GET", "clusters/c1?fields=Clusters/desired_configs")["Clusters"]["desired_configs"] == before


def test_only_a_distribution_by_agents_resolves_a_version(site: Site) -> None:
    def state() -> str:
        where = "clusters/c1/stack_versions?fields=ClusterStackVersions/state&ClusterStackVersions/id=2"
        return str(site.call("GET", where)["items"][0]["ClusterStackVersions"]["state"])

    assert state() == "NOT_REQUIRED"
    forced = {"ClusterStackVersions": {**DISTRIBUTE, "force": "true"}}
    site.call("POST", "clusters/c1/stack_versions", forced, status=201)
    assert (state(), site.world.versions[2].resolved) == ("INSTALLED", False)
    site.call("POST", "clusters/c1/stack_versions", {"ClusterStackVersions": DISTRIBUTE}, status=202)
    site.wait(60)
    assert (state(), site.world.versions[2].resolved) == ("INSTALLED", True)
    unknown = {"ClusterStackVersions": {**DISTRIBUTE, "repository_version": "3.3.9"}}
    site.call("POST", "clusters/c1/stack_versions", unknown, status=400)
