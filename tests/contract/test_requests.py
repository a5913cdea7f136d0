"""Requests and their tasks: progress, failures, what is left of a request after one, and aborts."""

from __future__ import annotations

from tests.contract.clusters import COMPONENT, ENDED, NAME, SERVICE, Cluster


def test_progress_grows_to_a_hundred_and_counts_fit(running: Cluster) -> None:
    request = running.client.restart(NAME, SERVICE, COMPONENT, running.server.hosts)
    assert request is not None
    seen = []

    def over() -> bool:
        view = running.client.request(NAME, request)
        seen.append(view.percent)
        assert view.tasks == len(running.server.hosts)
        assert sum(view.counts.values()) == view.tasks
        return view.status in ENDED

    running.server.wait("the end of the restart", over)
    assert seen == sorted(seen), "progress went back"
    assert seen[-1] == 100


def test_tasks_have_host_role_times_and_output(running: Cluster) -> None:
    running.stop()
    request = running.client.set_services(NAME, "STARTED", [SERVICE], "contract: start")
    view = running.end(request)
    tasks = running.tasks(view.id)
    # Clients are installed again before anything starts.
    assert {(task.host, task.role) for task in tasks if task.command == "START"} == {
        (host, COMPONENT) for host in running.server.hosts
    }
    for task in tasks:
        assert task.start is not None
        assert task.end is not None
        assert task.start <= task.end
    running.server.wait("ZooKeeper started", lambda: running.are("STARTED"))


def test_a_failed_task_fails_its_request_and_says_why(running: Cluster) -> None:
    server, host = running.server, running.server.hosts[1]
    server.needs("agents")
    running.stop()
    with server.broken_start(host):
        request = running.client.set_services(NAME, "STARTED", [SERVICE], "contract: start")
        view = running.end(request)
        assert view.status == "FAILED"
        assert view.counts["FAILED"] == 1
        (failed,) = (task for task in running.tasks(view.id) if task.status == "FAILED")
        assert (failed.host, failed.role) == (host, COMPONENT)
        assert failed.stderr.strip(), "nothing to tell the user"
        others = {task.status for task in running.tasks(view.id)} - {"FAILED"}
        assert others <= {"COMPLETED", "ABORTED"}
        server.wait("nothing under way", lambda: not running.client.requests(NAME, unfinished_only=True))
        assert running.states()[host] == "INSTALLED"
    running.start()


def test_the_newest_requests_are_listed_with_their_context(running: Cluster) -> None:
    request = running.client.restart(NAME, SERVICE, COMPONENT, [running.server.hosts[0]], "contract: by name")
    assert request is not None
    running.end(request)
    found = {view.id: view for view in running.client.requests(NAME)}
    assert found[request].context == "contract: by name"
    assert found[request].status == "COMPLETED"
