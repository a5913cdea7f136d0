"""A running cluster: requests and tasks, states, versions, service checks, alerts."""

from __future__ import annotations

import time

import pytest

from bigtop_builder.adapter.ambari.errors import ConflictError, InUseError
from tests.contract.clusters import (
    COMPONENT,
    COMPONENTS,
    NAME,
    SERVICE,
    VERSION,
    Cluster,
    blueprint,
    create,
    remove,
    stack,
)
from tests.contract.servers import Server


def test_creation_is_a_logical_request_with_a_task_for_each_component(server: Server) -> None:
    remove(server)
    made = create(server)
    client = server.client
    view = client.request(NAME, made)
    assert view.logical
    assert view.percent == 100
    tasks = list(client.tasks(NAME, made))
    assert len(tasks) == view.tasks == len(server.hosts) * 3, "INSTALL of two components and START of one"
    assert {task.status for task in tasks} == {"COMPLETED"}
    assert made not in [other.id for other in client.requests(NAME)], "only its physical requests are listed"


def test_a_cluster_has_its_services_hosts_and_configurations(running: Cluster) -> None:
    view = running.client.cluster(NAME)
    assert view is not None
    assert set(view.hosts) == set(running.server.hosts)
    assert view.services == (SERVICE,)
    assert {"cluster-env", "zoo.cfg", "zookeeper-env"} <= set(view.desired_configs)


def test_components_report_the_version_of_their_packages(running: Cluster) -> None:
    found = list(running.client.host_components(NAME, component=COMPONENT))
    assert {one.version for one in found} == {VERSION}
    assert {one.stale for one in found} == {False}


def test_stop_and_start_go_through_the_states(running: Cluster) -> None:
    running.stop()
    assert set(running.states().values()) == {"INSTALLED"}
    assert running.client.set_services(NAME, "INSTALLED", [SERVICE], "again") is None, "nothing to do is no request"
    running.start()
    assert set(running.states().values()) == {"STARTED"}


def test_a_cluster_with_its_name_exists(running: Cluster) -> None:
    with pytest.raises(ConflictError):
        running.client.create_blueprint(NAME, blueprint(COMPONENTS))
    with pytest.raises(ConflictError):
        running.client.create_empty_cluster(NAME, f"{stack().name}-{VERSION}")


def test_started_parts_cannot_be_removed(running: Cluster) -> None:
    client, host = running.client, running.server.hosts[0]
    with pytest.raises(InUseError):
        client.delete_host_component(NAME, host, COMPONENT)
    with pytest.raises(InUseError):
        client.delete_service(NAME, SERVICE)
    with pytest.raises(InUseError):
        client.delete_cluster(NAME)
    with pytest.raises(InUseError):
        client.delete_blueprint(NAME)
    assert set(running.states().values()) == {"STARTED"}


def test_the_service_check_succeeds(running: Cluster) -> None:
    request = running.client.service_check(NAME, SERVICE, stack().check_command(SERVICE))
    assert running.end(request).status == "COMPLETED"
    (task,) = running.tasks(request)
    assert task.host in running.server.hosts
    assert task.command == "SERVICE_CHECK"


def test_a_dead_process_is_seen_within_a_minute_and_started_again(running: Cluster) -> None:
    host = running.server.hosts[0]
    running.server.kill(host, COMPONENT)
    running.server.wait("the dead process", lambda: running.states()[host] == "INSTALLED", within=60)
    one = next(running.client.host_components(NAME, host=host, component=COMPONENT))
    assert one.desired_state == "STARTED"
    request = running.client.set_host_components(NAME, "STARTED", host, [COMPONENT])
    assert running.end(request).status == "COMPLETED"
    assert running.states()[host] == "STARTED"


def test_maintenance_leaves_a_component_out(running: Cluster) -> None:
    host = running.server.hosts[2]
    running.client.set_maintenance(NAME, host, COMPONENT, True)
    try:
        request = running.client.set_services(NAME, "INSTALLED", [SERVICE], "all but one")
        assert running.end(request).status == "COMPLETED"
        assert running.states()[host] == "STARTED"
    finally:
        running.client.set_maintenance(NAME, host, COMPONENT, False)


def test_alerts_carry_the_time_at_which_an_agent_looked(running: Cluster) -> None:
    """They are not computed when they are asked for: an agent looks once a minute."""
    fields = "fields=Alert/label,Alert/latest_timestamp,Alert/host_name,Alert/state"

    def seen() -> dict[tuple[str, str], float]:
        items = running.server.raw("GET", f"clusters/{NAME}/alerts?{fields}").json()["items"]
        found = [one["Alert"] for one in items if one["Alert"].get("host_name")]
        return {(one["label"], one["host_name"]): one["latest_timestamp"] / 1000 for one in found}

    first = running.server.wait("alerts", seen)
    assert all(stamp <= time.time() + 60 for stamp in first.values())
    time.sleep(2)
    second = seen()
    assert any(second[key] == stamp for key, stamp in first.items() if key in second), "looked at twice in two seconds"
