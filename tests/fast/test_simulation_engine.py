"""The engine of requests alone: states, failures, aborts, waiting for each other, time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.ambari_simulator.engine.engine import AUTOMATIC_ABORT, Engine, Pace
from bigtop_builder.ambari_simulator.engine.java_hash_order import hash_order
from bigtop_builder.ambari_simulator.engine.task import ACTIVE, Order, Outcome, Request, Status, Task, fold, progress

OK, BAD = Outcome(True), Outcome(False, stderr="it broke")


class Run:
    """An engine whose orders are answered by hand."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.engine = Engine(Pace(), lambda order, now: self.orders.append(order), lambda task, before: None)
        self.now = 0.0
        self.numbers = 0

    def task(self, host: str, role: str = "A", command: str = "START", **more: float) -> Task:
        self.numbers += 1
        return Task(self.numbers, host, role, "S", command, f"{role} {command}", **more)

    def submit(self, *stages: list[Task], number: int = 1, follows: Request | None = None) -> Request:
        request = Request(number, "c1", "", self.now, list(stages), follows=follows)
        self.engine.submit(request, self.now)
        return request

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.engine.advance(self.now)

    def answer(self, task: Task, outcome: Outcome) -> None:
        self.engine.report(task, task.tries, outcome, self.now)


def statuses(request: Request) -> list[str]:
    return [task.status.value for task in request.tasks]


def test_an_agent_works_on_one_task_at_a_time_and_progress_counts_9_and_35_percent() -> None:
    run = Run()
    request = run.submit([run.task("h1"), run.task("h1", "B"), run.task("h2")])
    assert (request.status, progress(request.tasks)) == ("PENDING", 0.0)
    run.wait(1)
    assert statuses(request) == ["QUEUED"] * 3
    assert progress(request.tasks) == pytest.approx(9)
    run.wait(1)
    assert statuses(request) == ["IN_PROGRESS", "QUEUED", "IN_PROGRESS"]
    assert progress(request.tasks) == pytest.approx((35 + 9 + 35) / 3)
    run.answer(request.tasks[0], OK)
    assert statuses(request) == ["COMPLETED", "IN_PROGRESS", "IN_PROGRESS"]


def test_a_stage_waits_for_the_one_before() -> None:
    run = Run()
    request = run.submit([run.task("h1")], [run.task("h2")])
    run.wait(2)
    assert statuses(request) == ["IN_PROGRESS", "PENDING"]
    run.answer(request.tasks[0], OK)
    run.wait(2)
    assert statuses(request) == ["COMPLETED", "IN_PROGRESS"]


def test_a_failure_shows_while_others_run_and_a_second_later_the_rest_is_aborted() -> None:
    run = Run()
    request = run.submit([run.task("h1"), run.task("h2")], [run.task("h1", "B")])
    run.wait(2)
    run.answer(request.tasks[0], BAD)
    assert request.status == "FAILED"
    assert statuses(request) == ["FAILED", "IN_PROGRESS", "PENDING"]
    run.wait(1)
    assert statuses(request) == ["FAILED", "ABORTED", "ABORTED"]
    assert run.orders[-1].cancel
    assert AUTOMATIC_ABORT in request.tasks[1].stderr
    assert [task.exit_code for task in request.tasks] == [0, 0, 999]


def test_requests_that_share_a_host_wait_and_others_run_side_by_side() -> None:
    run = Run()
    first = run.submit([run.task("h1"), run.task("h2")], number=1)
    second = run.submit([run.task("h2")], number=2)
    third = run.submit([run.task("h3")], number=3)
    run.wait(3)
    assert (first.status, second.status, third.status) == ("IN_PROGRESS", "PENDING", "IN_PROGRESS")
    for task in first.tasks:
        run.answer(task, OK)
    run.wait(2)
    assert second.status == "IN_PROGRESS"


def test_what_follows_a_failure_is_aborted_without_an_attempt() -> None:
    """As 641 and 753: pending for a moment, then the request begins, and ends with tasks that never did."""
    run = Run()
    install = run.submit([run.task("h1", command="INSTALL")], number=1)
    start = run.submit([run.task("h1")], [run.task("h1")], number=2, follows=install)
    run.wait(2)
    run.answer(install.tasks[0], BAD)
    run.wait(1)
    assert (install.status, start.status, start.started) == ("FAILED", "PENDING", None)
    run.wait(5)
    assert (start.status, start.started is not None) == ("ABORTED", True)
    assert {(task.attempts, task.started, task.exit_code) for task in start.tasks} == {(0, None, 999)}


def test_tasks_of_a_failed_stage_were_attempted_and_those_of_later_stages_were_not() -> None:
    """As 650: an aborted task that waited in the stage has a start and an attempt, one of a later stage has neither."""
    run = Run()
    request = run.submit([run.task("h1"), run.task("h1"), run.task("h1")], [run.task("h1")])
    run.wait(2)
    failing, _, waiting = request.stages[0]
    run.answer(failing, BAD)
    run.wait(2)
    assert request.status == "FAILED"
    assert (waiting.status, waiting.attempts, waiting.started) == ("ABORTED", 1, failing.started)
    (later,) = request.stages[1]
    assert (later.status, later.attempts, later.started) == ("ABORTED", 0, None)
    assert {task.exit_code for task in (waiting, later)} == {999}


def test_a_retried_command_stays_in_progress_until_its_time_is_over() -> None:
    run = Run()
    request = run.submit([run.task("h1", command="INSTALL", retry_for=600)])
    run.wait(2)
    tries = 0
    while request.tasks[0].status is Status.IN_PROGRESS:
        tries += 1
        run.answer(request.tasks[0], BAD)
        run.wait(64)
    assert request.tasks[0].status is Status.FAILED
    assert 10 <= tries <= 16
    assert f"Command failed after {tries} tries" in request.tasks[0].stdout


def test_a_retried_command_that_works_at_last_is_completed() -> None:
    run = Run()
    request = run.submit([run.task("h1", retry_for=600)])
    run.wait(2)
    run.answer(request.tasks[0], BAD)
    run.wait(2)
    run.answer(request.tasks[0], OK)
    assert (request.status, request.tasks[0].tries) == ("COMPLETED", 2)


def test_answers_that_come_too_late_count_for_nothing() -> None:
    run = Run()
    request = run.submit([run.task("h1")])
    run.wait(2)
    run.engine.abort(request, "operator asked", run.now)
    run.answer(request.tasks[0], OK)
    assert statuses(request) == ["ABORTED"]
    assert request.tasks[0].stderr == "\nCommand aborted. Reason: 'operator asked'"


def test_a_command_that_hangs_is_timed_out() -> None:
    run = Run()
    request = run.submit([run.task("h1")])
    run.wait(2 + 899)
    assert request.status == "IN_PROGRESS"
    run.wait(1)
    assert request.status == "TIMEDOUT"


def test_a_dead_agent_ends_its_own_tasks_only() -> None:
    run = Run()
    request = run.submit([run.task("h1"), run.task("h2")])
    run.wait(2)
    run.engine.silent.add("h1")
    run.engine.lose("h1", run.now)
    assert statuses(request) == ["ABORTED", "IN_PROGRESS"]
    assert request.tasks[0].stderr == ""
    run.answer(request.tasks[1], OK)
    assert request.status == "ABORTED"


def test_a_poisoned_scheduler_runs_nothing_until_the_server_is_restarted() -> None:
    run = Run()
    run.engine.poisoned = "gone"
    request = run.submit([run.task("h1")])
    run.wait(1000)
    assert request.status == "PENDING"
    run.engine.restart(["c1"], run.now)
    run.wait(2)
    assert request.status == "IN_PROGRESS"


def test_a_fold_prefers_what_failed() -> None:
    assert fold([]) == "COMPLETED"
    assert fold(["PENDING", "COMPLETED"]) == "IN_PROGRESS"
    assert fold(["PENDING", "FAILED"]) == "FAILED"
    assert fold(["ABORTED", "COMPLETED"]) == "ABORTED"
    assert fold(["ABORTED", "IN_PROGRESS"]) == "IN_PROGRESS"


def test_names_stand_in_the_order_of_javas_hash_maps() -> None:
    """As the tasks of exchange 534 stand, and the hosts of 137."""
    names = ["ZOOKEEPER_SERVER", "ZOOKEEPER_CLIENT", "SPARK_CLIENT", "SPARK_JOBHISTORYSERVER"]
    assert hash_order(names) == ["SPARK_CLIENT", "ZOOKEEPER_SERVER", "SPARK_JOBHISTORYSERVER", "ZOOKEEPER_CLIENT"]
    hosts = [f"node{number}.cluster.local" for number in (1, 2, 3)]
    assert hash_order(hosts) == [hosts[1], hosts[0], hosts[2]]


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.lists(st.lists(st.sampled_from(["h1", "h2", "h3"]), min_size=1), min_size=1)),
        st.tuples(st.just("answer"), st.booleans()),
        st.tuples(st.just("abort"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.floats(0, 3)),
    ),
    max_size=40,
)


@given(EVENTS)
def test_whatever_happens_everything_ends_and_an_agent_has_one_task(events: list[tuple[str, object]]) -> None:
    run = Run()
    requests: list[Request] = []
    for kind, value in events:
        if kind == "submit":
            assert isinstance(value, list)
            stages = [[run.task(host, f"R{place}") for place, host in enumerate(stage)] for stage in value]
            requests.append(run.submit(*stages, number=len(requests) + 1))
        elif kind == "answer":
            running = [task for request in requests for task in request.tasks if task.status is Status.IN_PROGRESS]
            for task in running[:1]:
                run.answer(task, OK if value else BAD)
        elif kind == "abort" and isinstance(value, int) and value < len(requests):
            run.engine.abort(requests[value], "asked", run.now)
        elif isinstance(value, float):
            run.wait(value)
        busy = [task.host for request in requests for task in request.tasks if task.status is Status.IN_PROGRESS]
        assert len(busy) == len(set(busy))
    for _ in range(2000):
        running = [task for request in requests for task in request.tasks if task.status is Status.IN_PROGRESS]
        for task in running:
            run.answer(task, OK)
        run.wait(1)
        if not any(request.active for request in requests):
            break
    assert not any(task.status in ACTIVE for request in requests for task in request.tasks)
