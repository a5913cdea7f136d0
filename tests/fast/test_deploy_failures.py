"""Failed tasks of a deployment: equal ones are shown once, lasting ones are not tried again, causes are not source."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bigtop_builder.ambari_simulator.engine.injection import TaskFault
from bigtop_builder.cli.views.plain import PlainView
from bigtop_builder.flow.deploy.verification import run_job
from bigtop_builder.flow.run.state import RunState
from bigtop_builder.model.event import CheckFinished, Notice, RequestProgress
from bigtop_builder.model.inventory import Job
from tests.fast.deploying import INVENTORY, Bench

PASSING = "java.net.BindException: Address already in use"
FAIL = "resource_management.core.exceptions.Fail: "


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        assert one.deploy() == 0, one.failure
        yield one


def stop_everything(bench: Bench, stderr: str, times: int | None = None) -> None:
    """All servers die, and their next starts fail: all, or the first ``times``."""
    bench.agent.running.clear()
    bench.pass_time(60)
    bench.work.injections.tasks.append(TaskFault(command="START", times=times, stderr=stderr))


def shown(bench: Bench) -> str:
    out, state = io.StringIO(), RunState()
    view = PlainView(out)
    for event in bench.events:
        state.apply(event)
        view(event, state)
    return out.getvalue()


def tries(bench: Bench) -> int:
    return len({event.request for event in bench.events if isinstance(event, RequestProgress)})


def test_equal_failures_have_one_digest(bench: Bench) -> None:
    stop_everything(bench, f"first line\n{FAIL}ensemble is broken", times=3)
    assert bench.deploy() == 0, bench.failure
    first, *others = bench.failed_tasks
    assert len(others) == 2 and first.same_as is None and first.last_lines
    for task in others:
        assert task.same_as == f"ZOOKEEPER_SERVER on {first.host}"
        assert task.cause == first.cause and not task.last_lines and task.logs
    text = shown(bench)
    assert text.count("first line") == 1 and text.count("cause: ensemble") == 1
    assert f"ZOOKEEPER_SERVER START FAILED, as ZOOKEEPER_SERVER on {first.host}" in text


def test_a_failure_that_is_tried_again_is_shown_once(bench: Bench) -> None:
    """On a real server: three hosts, three attempts, nine equal tracebacks."""
    stop_everything(bench, "2026-11-28 03:34:35,433 - trying\nTraceback (most recent call last):\nOdd: broken")
    assert bench.deploy() == 9
    failed = bench.failed_tasks
    assert (len(failed), tries(bench)) == (9, 3)
    assert [bool(task.last_lines) for task in failed] == [True] + [False] * 8
    assert {task.same_as for task in failed[1:]} == {f"ZOOKEEPER_SERVER on {failed[0].host}"}
    assert shown(bench).count("Odd: broken") == 1
    assert all(task.logs for task in failed)


def test_the_error_at_the_end_names_cause_and_hosts_once(bench: Bench) -> None:
    stop_everything(bench, PASSING)
    assert bench.deploy() == 9
    hosts = ", ".join(task.host for task in bench.failed_tasks[-3:])
    assert f"failed: ZOOKEEPER_SERVER START on {hosts}: another process uses the port" in bench.failure
    assert bench.failure.count("another process uses the port") == 1
    assert "ss -ltnp" in bench.failure and "run the deployment again" in bench.failure


def test_what_may_pass_is_tried_again_and_what_lasts_is_not(bench: Bench) -> None:
    stop_everything(bench, PASSING)
    assert bench.deploy() == 9
    assert tries(bench) == 3
    bench.work.injections.clear()
    stop_everything(bench, f"{FAIL}Stack features not defined by stack")
    assert bench.deploy() == 9
    assert tries(bench) == 1
    assert not [event for event in bench.events if isinstance(event, Notice) and "trying again" in event.text]
    bench.work.injections.clear()
    assert bench.deploy() == 0, bench.failure


def test_a_failed_installation_of_the_simulation_has_source_lines_and_its_cause(bench: Bench) -> None:
    bench.agent.available = lambda url: frozenset({"bigtop-select"})
    more = INVENTORY.replace(
        "hosts: [node1.x.test]\n    components: [", "hosts: [node1.x.test]\n    components: [KAFKA_BROKER, "
    )
    assert bench.deploy(more) == 9
    task = bench.failed_tasks[0]
    assert task.cause == "no repository of the host has a package kafka_3_2_0"
    assert 'raise Fail("No package found for {0}(expected name: {1})"' in Path(task.logs[0]).read_text()
    assert not any("raise" in line for line in task.last_lines)


@pytest.mark.parametrize(
    ("code", "expect", "begin"), [(1, None, "exited with 1: "), (0, "Pi is", "its output does not match 'Pi is': ")]
)
def test_a_failed_job_shows_its_errors_and_not_its_progress(code: int, expect: str | None, begin: str) -> None:
    output = SimpleNamespace(
        code=code,
        stdout="",
        stderr="26/11/28 03:40:00 INFO A: up\njava.io.IOException: gone\n\tat x.Y\n26/11/28 03:40:01 INFO A: down\n",
    )
    events: list[CheckFinished] = []
    fleet = SimpleNamespace(remote=lambda host: SimpleNamespace(run=lambda *_, **__: output))
    connections: Any = SimpleNamespace(fleet=fleet)
    world: Any = SimpleNamespace(loaded=SimpleNamespace(members=lambda names: ["n1"]))
    reporter: Any = SimpleNamespace(emit=events.append, phase="verify")
    job = Job(on="n1", command="run", expect=expect)
    assert not run_job(connections, world, reporter, "job pi", job)
    assert events[0].message == f"{begin}java.io.IOException: gone"
