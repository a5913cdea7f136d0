"""When a request is over and how it ended, on recorded requests; and following one of many tasks."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.ambari.following import Follower
from bigtop_builder.adapter.ambari.progress import (
    RequestView,
    is_finished,
    is_stuck,
    may_be_stuck,
    outcome,
    physical_host,
    physical_requests,
)
from bigtop_builder.adapter.ambari.request import TaskView, request_view, task_view
from tests.fast.ambari_replay import Call, Server
from tests.transcripts import needs_transcripts, transcript, transcripts


def view(number: int) -> RequestView:
    return request_view(transcript(number).json)


def tasks(number: int) -> list[TaskView]:
    return [task_view(item["Tasks"]) for item in transcript(number).json["tasks"]]


@needs_transcripts
@pytest.mark.parametrize(
    ("number", "ended"),
    [
        (108, "running"),  # right after it was made: no task yet
        (137, "completed"),
        (222, "waiting"),  # no host can be assigned
        (335, "waiting"),
        (479, "waiting"),  # COMPLETED and 100 %, and a host never came
        (111, "running"),  # FAILED, and will stay at 66 %
        (402, "running"),  # a task hangs
        (406, "aborted"),
        (279, "running"),  # FAILED at 83 %, two tasks still run
        (559, "failed"),
        (566, "completed"),
        (490, "completed"),
    ],
)
def test_outcome_of_recorded_requests(number: int, ended: str) -> None:
    assert outcome(view(number)) == ended
    assert is_finished(view(number)) == (ended in ("completed", "failed", "aborted"))


@needs_transcripts
def test_a_failed_request_is_not_over_while_tasks_run() -> None:
    """``request_status`` says FAILED early."""
    looks = [request_view(one.json) for one in transcripts() if re.match(r"\d+-fail-start-poll", one.name)]
    early = [look for look in looks if look.status == "FAILED" and look.percent < 100]
    assert early
    assert all((outcome(look), look.running > 0) == ("running", True) for look in early)


@needs_transcripts
def test_running_tasks_are_reckoned_from_the_percentage() -> None:
    compared = 0
    for one in transcripts():
        if one.json and "Requests" in one.json and "tasks" in one.json and "task_count" in one.json["Requests"]:
            look = request_view(one.json)
            statuses = [item["Tasks"]["status"] for item in one.json["tasks"] if "status" in item["Tasks"]]
            assert look.running == statuses.count("IN_PROGRESS"), one.name
            if look.pending_hosts == 0:
                assert look.counts.get("PENDING", 0) == statuses.count("PENDING"), one.name
            compared += 1
    assert compared > 20


@needs_transcripts
def test_a_failed_installation_leaves_a_logical_request_stuck() -> None:
    assert may_be_stuck(view(111))
    assert is_stuck(tasks(111))
    assert not may_be_stuck(view(137))
    assert not is_stuck(tasks(137))
    assert may_be_stuck(view(534))
    # Its other hosts wait for nothing of the broken one: their start may still come.
    assert not may_be_stuck(view(402))


def task(id: int, host: str, command: str, status: str) -> TaskView:
    return TaskView(id, 1, 0, host, "X", command, f"X {command}", status, 1, None, None)


@pytest.mark.parametrize(
    ("what", "stuck"),
    [
        ([("a", "INSTALL", "FAILED"), ("a", "START", "PENDING")], True),
        ([("a", "INSTALL", "ABORTED"), ("a", "START", "PENDING")], True),
        ([("a", "INSTALL", "FAILED"), ("b", "START", "PENDING")], False),
        ([("a", "INSTALL", "FAILED"), ("a", "START", "PENDING"), ("b", "START", "IN_PROGRESS")], False),
        ([("a", "INSTALL", "FAILED"), ("a", "START", "PENDING"), ("b", "INSTALL", "QUEUED")], False),
        ([("a", "START", "FAILED"), ("a", "START", "PENDING")], False),
        ([("a", "INSTALL", "FAILED")], False),
        ([], False),
    ],
)
def test_stuck(what: list[tuple[str, str, str]], stuck: bool) -> None:
    assert is_stuck([task(number, *parts) for number, parts in enumerate(what)]) is stuck


@pytest.mark.parametrize(
    ("status", "percent", "logical", "ended"),
    [
        ("PENDING", 0.0, False, "running"),
        ("PENDING", -1.0, False, "running"),
        ("COMPLETED", -1.0, False, "completed"),
        ("COMPLETED", 100.0, False, "completed"),
        ("ABORTED", -1.0, False, "aborted"),
        ("PENDING", -1.0, True, "running"),
        ("COMPLETED", 100.0, True, "running"),
    ],
)
def test_a_request_without_tasks(status: str, percent: float, logical: bool, ended: str) -> None:
    assert outcome(RequestView(1, "x", status, percent, logical=logical)) == ended


@needs_transcripts
def test_the_physical_requests_of_a_logical_one() -> None:
    listed = [request_view(item) for item in transcript(138).json["items"]]
    logical = view(137)
    hosts = {one.host for one in tasks(137)}
    found = physical_requests(logical, listed, hosts)
    assert len(found) == 6
    assert {physical_host(one) for one in found} == hosts
    assert physical_requests(logical, [replace(one, id=1) for one in listed], hosts) == []
    assert physical_host(logical) is None


class Deployment:
    """A logical request of ``hosts`` × 20 tasks that goes on with each look at it; the first START of every fortieth
    host fails. Speaks only what the follower asks: a header, and tasks by status, end and id, in pages."""

    def __init__(self, hosts: int) -> None:
        self.now = 0
        self.tasks = [
            {
                "id": 10000 + host * 20 + place,
                "request_id": 7,
                "stage_id": host,
                "host_name": f"n{host:04}",
                "role": f"ROLE_{place}",
                "command": "INSTALL" if place < 10 else "START",
                "status": "PENDING",
                "start_time": -1,
                "end_time": -1,
                "attempt_cnt": 1,
            }
            for host in range(hosts)
            for place in range(20)
        ]
        self.outputs: list[int] = []
        self.largest = 0

    def step(self) -> None:
        """Ends what runs and begins the next task of each host."""
        self.now += 1
        for begin in range(0, len(self.tasks), 20):
            mine = self.tasks[begin : begin + 20]
            for current in mine:
                if current["status"] == "IN_PROGRESS":
                    fails = current["role"] == "ROLE_10" and (begin // 20) % 40 == 0
                    current.update(status="FAILED" if fails else "COMPLETED", end_time=self.now * 5000)
            for waiting in mine:
                if waiting["status"] == "PENDING":
                    waiting.update(status="IN_PROGRESS", start_time=self.now * 5000)
                    break

    def respond(self, call: Call) -> None:
        if call.place.endswith("/tasks"):
            self.answer_tasks(call)
            return
        counts = [task["status"] for task in self.tasks]
        done = counts.count("COMPLETED") + counts.count("FAILED")
        running = counts.count("IN_PROGRESS")
        about = {
            "id": 7,
            "request_context": "Logical Request: Provision Cluster 'c1'",
            "request_status": "FAILED" if "FAILED" in counts else "IN_PROGRESS",
            "progress_percent": (done + 0.35 * running) / len(counts) * 100,
            "task_count": len(counts),
            "completed_task_count": done,
            "failed_task_count": counts.count("FAILED"),
            "pending_host_request_count": 0,
        }
        call.reply(200, json.dumps({"Requests": about}))

    def answer_tasks(self, call: Call) -> None:
        wanted = re.search(r"Tasks/status\.in\(([^)]*)\)", call.query)
        since = re.search(r"Tasks/end_time>=(\d+)", call.query)
        ids = re.search(r"Tasks/id\.in\(([^)]*)\)", call.query)
        statuses = set(wanted[1].split(",")) if wanted else set()
        chosen = set(map(int, ids[1].split(","))) if ids else set()
        found = [
            task
            for task in self.tasks
            if task["id"] in chosen
            or (task["status"] in statuses and not ids)
            or (since and int(str(task["end_time"])) >= int(since[1]))
        ]
        after = re.search(r"Tasks/id>(\d+)", call.query)
        size = re.search(r"sortBy=Tasks/id.asc&page_size=(\d+)", call.query)
        assert size is not None
        page = [task for task in found if after is None or int(str(task["id"])) > int(after[1])][: int(size[1])]
        if "Tasks/stderr" in call.query:
            self.outputs += [int(str(task["id"])) for task in page]
            page = [{**task, "stderr": "No package found"} for task in page]
        # As the real server does, whatever there is beyond.
        body = json.dumps({"itemTotal": str(len(page)), "items": [{"Tasks": task} for task in page]})
        self.largest = max(self.largest, len(body))
        call.reply(200, body)


def test_following_many_tasks_takes_few_calls() -> None:
    deployment = Deployment(hosts=200)
    ended: dict[int, str] = {}
    with Server(deployment.respond) as server, Ambari(server.url, "admin", "admin") as ambari:
        follower = Follower(ambari, "c1", 7)
        look = follower.look()
        assert (look.outcome, look.changed) == ("running", ())
        for _ in range(30):
            deployment.step()
            before = ambari.calls
            look = follower.look()
            assert ambari.calls - before <= 8
            failed_now = {int(str(task["id"])) for task in deployment.tasks if task["status"] == "FAILED"}
            ended.update({task.id: task.status for task in look.changed if task.status != "IN_PROGRESS"})
            assert failed_now == {id for id, status in ended.items() if status == "FAILED"}, "shown within one look"
            assert all(task.stderr for task in look.changed if task.status == "FAILED")
            before = ambari.calls
            again = follower.look()
            assert (again.changed, ambari.calls - before) == ((), 1), "nothing changed: one call"
            if look.over:
                break
        assert (look.over, look.outcome) == (True, "failed")
        assert len(ended) == 4_000
        assert len(deployment.outputs) == 5, "output is fetched of failed tasks only, once"
        assert deployment.largest < 300_000


def test_tasks_of_many_pages_come_once_each() -> None:
    deployment = Deployment(hosts=125)
    with Server(deployment.respond) as server, Ambari(server.url, "admin", "admin") as ambari:
        found = [task.id for task in ambari.tasks("c1", 7, statuses=["PENDING"])]
        assert found == [task["id"] for task in deployment.tasks]
        assert len(server.calls) == 3


@needs_transcripts
def test_following_a_recorded_failure_to_its_end() -> None:
    """The logical request of an installation that failed: over, although the server never says so."""

    def respond(call: Call) -> None:
        if call.place.endswith("/tasks"):
            items = [{"Tasks": item["Tasks"]} for item in transcript(111).json["tasks"]]
            call.reply(200, json.dumps({"items": items}))
        else:
            call.replay(transcript(111))

    with Server(respond) as server, Ambari(server.url, "admin", "admin") as ambari:
        look = Follower(ambari, "c0", 2).look()
        assert (look.over, look.outcome) == (True, "failed")
        assert {(task.command, task.status) for task in look.changed} == {("INSTALL", "ABORTED"), ("INSTALL", "FAILED")}
        failed = next(task for task in look.changed if task.status == "FAILED")
        assert failed.stderr.rstrip().endswith("(expected name: zookeeper_3_2_0_9)")
