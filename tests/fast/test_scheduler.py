"""The scheduler: any graph, any order of endings, any failures; and how close it comes to the bound."""

from __future__ import annotations

import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.model.errors import RecipeError
from bigtop_builder.plan.scheduler import Outcome, Scheduler, Settle, Start, Work, critical_path


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Work]:
    """Acyclic graphs: a task depends only on tasks before it."""
    count = draw(st.integers(0, 14))
    work: dict[str, Work] = {}
    for number in range(count):
        depends = draw(st.lists(st.integers(0, max(0, number - 1)), max_size=3, unique=True)) if number else []
        after = draw(st.lists(st.integers(0, max(0, number - 1)), max_size=2, unique=True)) if number else []
        work[f"t{number}"] = Work(
            tuple(f"t{one}" for one in depends),
            tuple(f"t{one}" for one in after),
            draw(st.floats(0.1, 100, allow_nan=False)),
            reused=draw(st.booleans()),
        )
    return work


def run(
    work: dict[str, Work],
    jobs: int,
    keep_going: bool,
    failing: set[str],
    chooser: random.Random,
    how: Outcome = "failed",
) -> tuple[Scheduler, list[str]]:
    """Run to the end, letting running tasks end in a random order; gives what started, in order."""
    scheduler = Scheduler(work, jobs, keep_going)
    started: list[str] = []
    running: list[str] = []

    def follow(instructions: list[Start | Settle]) -> None:
        for instruction in instructions:
            if isinstance(instruction, Start):
                for need in work[instruction.task].depends:
                    assert scheduler.states[need] in ("done", "reused")
                for need in work[instruction.task].after:
                    assert need in scheduler.states
                started.append(instruction.task)
                running.append(instruction.task)
                assert len(running) <= jobs

    follow(scheduler.begin())
    while running:
        task = running.pop(chooser.randrange(len(running)))
        follow(scheduler.finished(task, how if task in failing else "done"))
    return scheduler, started


@given(graphs(), st.integers(1, 4), st.booleans(), st.randoms(use_true_random=False), st.data())
def test_every_task_ends_once_and_after_what_it_depends_on(
    work: dict[str, Work], jobs: int, keep_going: bool, chooser: random.Random, data: st.DataObject
) -> None:
    failing = data.draw(st.sets(st.sampled_from(sorted(work)))) if work else set()
    how: Outcome = data.draw(st.sampled_from(["failed", "out of reach"]))
    scheduler, started = run(work, jobs, keep_going, failing, chooser, how)
    assert scheduler.over
    assert set(scheduler.states) == set(work)
    assert len(started) == len(set(started))
    assert not {name for name in started if work[name].reused}
    failed = {name for name in started if name in failing}
    for name, state in scheduler.states.items():
        broken = [need for need in work[name].depends if scheduler.states[need] not in ("done", "reused")]
        if broken:
            assert state in ("blocked", "cancelled") or (work[name].reused and state == "cancelled")
        elif keep_going or how == "out of reach":
            assert state == ("failed" if name in failed else "reused" if work[name].reused else "done")
    if not failed:
        assert set(scheduler.states.values()) <= {"done", "reused"}


@given(graphs(), st.integers(1, 4), st.randoms(use_true_random=False), st.data())
def test_cancelling_starts_nothing_more(
    work: dict[str, Work], jobs: int, chooser: random.Random, data: st.DataObject
) -> None:
    scheduler = Scheduler(work, jobs)
    running = [one.task for one in scheduler.begin() if isinstance(one, Start)]
    assert not [one for one in scheduler.cancel() if isinstance(one, Start)]
    for task in running:
        assert not [one for one in scheduler.finished(task, "cancelled") if isinstance(one, Start)]
    assert scheduler.over
    assert set(scheduler.states.values()) <= {"cancelled", "reused"}


def test_a_dependant_of_a_failure_is_blocked_by_name() -> None:
    scheduler = Scheduler({"a": Work(), "b": Work(("a",)), "c": Work(("b",)), "d": Work()}, 1, keep_going=True)
    scheduler.begin()
    instructions = scheduler.finished("a", "failed")
    assert Settle("b", "blocked", "a") in instructions
    assert Settle("c", "blocked", "a") in instructions
    assert Start("d") in instructions


def test_a_source_out_of_reach_holds_up_only_what_builds_on_it() -> None:
    work = {"hadoop": Work(), "tez": Work(("hadoop",)), "hive": Work(after=("hadoop", "tez")), "other": Work()}
    scheduler = Scheduler(work, 2)
    assert scheduler.begin() == [Start("hadoop"), Start("other")]
    instructions = scheduler.finished("hadoop", "out of reach")
    assert instructions == [Settle("tez", "blocked", "hadoop"), Start("hive")]
    assert scheduler.states["hadoop"] == "failed"


def test_a_cycle_is_an_error_that_shows_it() -> None:
    with pytest.raises(RecipeError, match="a → b → a"):
        Scheduler({"a": Work(("b",)), "b": Work(("a",))}, 1)


def test_an_ending_of_what_does_not_run_is_refused() -> None:
    scheduler = Scheduler({"a": Work()}, 1)
    with pytest.raises(ValueError, match="not running"):
        scheduler.finished("a", "done")


def makespan(work: dict[str, Work], jobs: int) -> float:
    """Simulated wall time when every task takes its expected seconds."""
    scheduler = Scheduler(work, jobs)
    clock, running = 0.0, []
    instructions = scheduler.begin()
    while True:
        for instruction in instructions:
            if isinstance(instruction, Start):
                heapq.heappush(running, (clock + work[instruction.task].seconds, instruction.task))
        if not running:
            return clock
        clock, task = heapq.heappop(running)
        instructions = scheduler.finished(task, "done")


@given(graphs(), st.integers(1, 4))
def test_the_makespan_keeps_grahams_bound(work: dict[str, Work], jobs: int) -> None:
    """List scheduling never takes longer than (2 - 1/m) times the best possible (Graham 1969)."""
    total = sum(item.seconds for item in work.values() if not item.reused)
    bound = max(critical_path(work), total / jobs)
    assert makespan(work, jobs) <= (2 - 1 / jobs) * bound + 1e-6


def test_pools_have_slots_of_their_own_and_may_grow() -> None:
    work = {name: Work(pool=name[0]) for name in ("a1", "a2", "a3", "b1", "b2", "c1", "c2")}
    scheduler = Scheduler(work, {"a": 2, "b": 1})
    assert set(scheduler.begin()) == {Start("a1"), Start("a2"), Start("b1"), Start("c1")}
    assert scheduler.finished("b1", "done") == [Start("b2")]
    assert scheduler.resize({"a": 3, "b": 1}) == [Start("a3")]
    assert scheduler.resize({"a": 1, "b": 1}) == [] and {"a1", "a2", "a3"} <= scheduler.running
    assert scheduler.cancel() == [Settle("c2", "cancelled")]
