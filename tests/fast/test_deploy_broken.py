"""Clusters that were left half made, hosts that do not come or are lost: recognised, told, mended by running again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.ambari.progress import RequestView, unfinished
from bigtop_builder.flow.deploy import phases as work
from bigtop_builder.model.event import Notice
from tests.fast.deploying import INVENTORY, PASSWORD, Bench
from tests.fast.test_deploy import RUNNING

WIDER = INVENTORY.replace("node[2-3]", "node[2-4]")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def ends_well(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.state()["components"] == RUNNING
    assert bench.deploy() == 0, bench.failure
    assert bench.changes == []


def post(bench: Bench, path: str, body: str) -> int:
    import requests

    answer = requests.post(
        f"{bench.simulation.url}/api/v1/{path}",
        auth=("admin", PASSWORD),
        headers={"X-Requested-By": "somebody"},
        data=body,
        timeout=30,
    )
    return answer.status_code


def test_hosts_of_a_removed_cluster_that_are_not_taken_are_told_and_no_longer_waited_for(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(phases=["destroy"], table={"destroy": work.destroy}) == 0, bench.failure
    assert bench.deploy() == 9
    assert "node1.x.test: it is HEALTHY but was not assigned" in bench.failure
    assert "restart" in bench.failure
    began = bench.now
    assert bench.deploy() == 0, bench.failure
    assert bench.now - began < 300, "the request that waits for nothing is not waited for"
    ends_well(bench)


def test_requests_that_wait_for_nothing_are_over_once_others_came_after_them() -> None:
    empty = RequestView(7, "Logical Request: Provision Cluster 'c1'", "PENDING", 0.0, logical=True)
    later = RequestView(8, "Stop", "COMPLETED", 100.0, tasks=1, completed=1)
    assert unfinished([empty]) == [empty], "it may have been made just now"
    assert unfinished([empty, later]) == []
    waiting = RequestView(7, empty.context, "PENDING", 0.0, logical=True, pending_hosts=1)
    assert unfinished([waiting, later]) == [waiting]


def test_a_cluster_of_which_a_creation_left_only_the_name_is_made_anew(bench: Bench) -> None:
    assert bench.deploy(phases=["repository", "layout"]) == 0, bench.failure
    assert bench.deploy(dry_run=True) == 0, bench.failure
    assert post(bench, "clusters/c1", '{"Clusters": {"version": "BIGTOP-3.2.0"}}') == 201
    assert bench.deploy() == 9
    assert "empty cluster c1, which was not created by a deployment" in bench.failure
    assert post(bench, "blueprints/c1-0123456789ab", BLUEPRINT) == 201
    assert bench.deploy() == 0, bench.failure
    assert "cluster c1 removed: its creation was interrupted" in bench.changes
    ends_well(bench)


BLUEPRINT = """{"Blueprints": {"stack_name": "BIGTOP", "stack_version": "3.2.0"}, "host_groups": [
    {"name": "all", "cardinality": "3", "components": [{"name": "ZOOKEEPER_SERVER"}, {"name": "ZOOKEEPER_CLIENT"}]}]}"""


def test_an_agent_that_is_lost_while_its_host_joins_is_told(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    bench.host("node4.x.test")
    bench.world.hosts["node4.x.test"].lost_at = bench.now
    bench.pass_time(200)
    assert bench.deploy(WIDER) == 9
    assert "node4.x.test" in bench.failure
    assert bench.deploy(WIDER) == 9, "as long as it is lost"
    bench.world.register(bench.world.hosts["node4.x.test"])
    assert bench.deploy(WIDER) == 0, bench.failure
    assert ("node4.x.test", "ZOOKEEPER_SERVER", "STARTED") in bench.state()["components"]
    assert bench.deploy(WIDER) == 0, bench.failure
    assert bench.changes == []


def test_what_is_in_maintenance_is_left_as_it_is(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    component = bench.world.clusters["c1"].components["node2.x.test", "ZOOKEEPER_SERVER"]
    component.maintenance = "ON"
    for state in ("INSTALLED", "INSTALL_FAILED"):
        component.state = state
        assert bench.deploy() == 0, bench.failure
        assert bench.changes == []
    component.maintenance = "OFF"
    assert bench.deploy() == 0, bench.failure
    assert [event.text for event in bench.events if isinstance(event, Notice)]
    ends_well(bench)


KERBEROS = """
security:
  kerberos: {realm: X.TEST, kdc_hosts: [kdc.x.test], admin_principal: admin/admin, admin_password: "env:TEST_KDC"}
"""


def test_a_cluster_with_kerberos_is_made_and_grows_with_a_fresh_credential(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KDC", "kdc-horse")
    assert bench.deploy(INVENTORY + KERBEROS) == 0, bench.failure
    cluster = bench.world.clusters["c1"]
    assert cluster.security == "KERBEROS"
    assert {one.component for one in cluster.on("node2.x.test")} >= {"KERBEROS_CLIENT"}
    # The server keeps it for an hour and a half.
    cluster.credentials.clear()
    bench.host("node4.x.test")
    assert bench.deploy(WIDER + KERBEROS) == 0, bench.failure
    assert [*cluster.credentials] == ["kdc.admin.credential"]
    assert bench.deploy(WIDER + KERBEROS) == 0, bench.failure
    assert bench.changes == []
    assert bench.deploy(WIDER) == 9
    assert "has the security KERBEROS, but the inventory says NONE" in bench.failure


def test_a_cluster_whose_kdc_is_somebody_elses_needs_no_administrator(bench: Bench) -> None:
    """Ambari demands a credential all the same, and never uses it."""
    foreign = "security: {kerberos: {realm: X.TEST, kdc_type: none, manage_krb5_conf: false}}\n"
    assert bench.deploy(INVENTORY + foreign) == 0, bench.failure
    cluster = bench.world.clusters["c1"]
    assert cluster.security == "KERBEROS"
    environment = cluster.desired["kerberos-env"].properties
    assert (environment["kdc_type"], environment["manage_identities"]) == ("none", "false")
    assert cluster.desired["krb5-conf"].properties["manage_krb5_conf"] == "false"
    bench.host("node4.x.test")
    assert bench.deploy(WIDER + foreign) == 0, bench.failure
    assert bench.deploy(WIDER + foreign) == 0, bench.failure
    assert bench.changes == []
