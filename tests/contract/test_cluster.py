"""A running cluster: requests and tasks, states, versions, service checks, alerts."""

from __future__ import annotations

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
    if server.client.cluster(NAME) is not None:
        server.needs("agents")
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
    running.server.needs("agents")
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


def test_an_alert_is_what_an_agent_saw_when_it_last_looked(running: Cluster) -> None:
    """It is not computed when it is asked for, and an agent reports only what has changed since."""
    running.server.needs("agents")
    host, label = running.server.hosts[1], "ZooKeeper Server Process"
    where = (
        f"clusters/{NAME}/alerts?Alert/label={label}&Alert/host_name={host}&fields=Alert/state,Alert/latest_timestamp"
    )

    def seen() -> tuple[str, int] | None:
        found = [one["Alert"] for one in running.server.raw("GET", where).json()["items"]]
        return (found[0]["state"], found[0]["latest_timestamp"]) if found else None

    running.server.wait("a good alert", lambda: (seen() or ("", 0))[0] == "OK")
    _, before = seen() or ("", 0)
    running.server.kill(host, COMPONENT)
    assert seen() == ("OK", before), "the alert knew of the dead process before anybody had looked"
    running.server.wait("the alert of the dead process", lambda: (seen() or ("", 0))[0] == "CRITICAL")
    assert (seen() or ("", 0))[1] > before
    request = running.client.set_host_components(NAME, "STARTED", host, [COMPONENT])
    assert request is None or running.end(request).status == "COMPLETED"
