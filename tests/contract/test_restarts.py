"""What is seen after the server or an agent has restarted: nothing is true before the agents have reported."""

from __future__ import annotations

from tests.contract.clusters import COMPONENT, NAME, SERVICE, Cluster, healthy


def test_after_a_restart_states_are_unknown_until_agents_report(running: Cluster) -> None:
    """Recordings 700 to 707."""
    running.server.needs("restart")
    assert running.are("STARTED")
    running.server.restart()
    states = running.states()
    hosts = {host.name: host.state for host in running.client.hosts()}
    if running.server.real:
        # A real server may be fast: either nothing is known yet, or all of it is right.
        assert set(states.values()) <= {"UNKNOWN", "STARTED"}
    else:
        assert set(states.values()) == {"UNKNOWN"}
        assert set(hosts.values()) <= {"HEARTBEAT_LOST", "WAITING_FOR_HOST_STATUS_UPDATES", "UNKNOWN", "INIT"}
    running.server.wait("every host healthy", lambda: healthy(running.server))
    running.server.wait("the states as they were", lambda: running.are("STARTED"))


def test_desired_states_and_configurations_survive_a_restart(running: Cluster) -> None:
    running.server.needs("restart")
    before = running.client.desired_configurations(NAME)
    running.server.restart()
    assert running.client.desired_configurations(NAME) == before
    found = list(running.client.host_components(NAME, component=COMPONENT))
    assert {one.desired_state for one in found} == {"STARTED"}
    running.server.wait("every host healthy", lambda: healthy(running.server))
    running.server.wait("the states as they were", lambda: running.are("STARTED"))


def test_a_lost_agents_components_are_unknown_and_left_out(running: Cluster) -> None:
    running.server.needs("agents")
    host = running.server.hosts[2]
    running.server.stop_agent(host)
    try:
        running.server.wait(
            "the heartbeat lost",
            lambda: next(one for one in running.client.hosts() if one.name == host).state == "HEARTBEAT_LOST",
        )
        running.server.wait("an unknown state", lambda: running.states()[host] == "UNKNOWN")
        request = running.client.set_services(NAME, "INSTALLED", [SERVICE], "contract: without one")
        view = running.end(request)
        assert view.status == "COMPLETED", "the server says nothing of the host that it left out"
        assert host not in {task.host for task in running.tasks(view.id)}
    finally:
        running.server.start_agent(host)
    running.server.wait("every host healthy", lambda: healthy(running.server))
    running.server.wait("a known state", lambda: running.states()[host] in ("STARTED", "INSTALLED"))
