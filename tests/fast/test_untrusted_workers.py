"""What a worker of a cluster says is not believed further than it must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.build.result import Result
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.distributed.attempt import Attempt
from bigtop_builder.flow.distributed.messages import RemoteOrder
from bigtop_builder.flow.distributed.outcome import failures_elsewhere, keep_shell, taken_over
from bigtop_builder.model.errors import ExitCode
from bigtop_builder.model.event import AnyEvent, Artifact, Failure, Notice
from tests.fast.conftest import ProjectFolder
from tests.fast.test_executor import PaperExecutor, run
from tests.fast.test_planning import COMPILED, SHA, SOURCE, with_images, workspace


@pytest.fixture
def order(project: ProjectFolder) -> WorkOrder:
    project.component("a", COMPILED, versions=SOURCE % SHA)
    executor = PaperExecutor()
    run(with_images(workspace(project), "a"), executor)
    return next(one for one in executor.orders if one.kind == "compile")


@pytest.mark.parametrize("state", ["done", "reused", "failed", "cancelled"])
def test_files_of_a_worker_are_not_taken(order: WorkOrder, tmp_path: Path, state: Any) -> None:
    named = Artifact(file="../../.bashrc", path="/etc/passwd", size=1, sha256="0" * 64)
    said = Result(order.task, order.kind, order.platform, state, artifacts=(named,))
    store = Store(tmp_path / "mine").open()
    assert taken_over(None, store, order, "w", said).artifacts == ()  # type: ignore[arg-type]


def test_a_defect_while_packages_are_fetched_is_a_result(order: WorkOrder, tmp_path: Path) -> None:
    said = Result(order.task, "package", order.platform, "done")
    packaging = replace(order, kind="package")
    ended = taken_over(None, Store(tmp_path / "mine").open(), packaging, "w", said)  # type: ignore[arg-type]
    assert ended.state == "failed" and ended.failure is not None and ended.failure.exit_code == ExitCode.DEFECT


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("ssh -t build@w1 bigtop-builder --store /s shell a", True),
        ("ssh -t build@w1", False),
        ("ssh -t -oProxyCommand=reboot w1 true", False),
        ("ssh -t w1 -oProxyCommand=reboot true", False),
        ("reboot", False),
        ("ssh -t 'w1", False),
    ],
)
def test_a_shell_runs_nothing_on_this_machine(order: WorkOrder, tmp_path: Path, command: str, kept: bool) -> None:
    store = Store(tmp_path / "mine").open()
    failure = Failure(step="compile", message="no", exit_code=ExitCode.BUILD, shell=command)
    keep_shell(store, order, "w1", Result(order.task, order.kind, order.platform, "failed", failure=failure))
    assert [one.command for one in failures_elsewhere(store)] == ([command] if kept else [])


def test_logs_and_events_stay_within_their_task(order: WorkOrder, tmp_path: Path) -> None:
    store, events = Store(tmp_path / "mine").open(), list[AnyEvent]()
    this = store.start_run()
    message = RemoteOrder(name="1", run="r", lease=60, log_size=1000, images=(), order=order)
    attempt = Attempt(message, lambda _: None, this, events.append, worker="w1")
    attempt.take_in({"attempt": "1", "task": "/etc/x", "step": "compile", "log": b"line"})
    assert this.log(order.task, "compile").read_bytes() == b"line"
    for bad in ({"step": "../../x", "task": "t", "log": b"x"}, {"step": "s"}, {"event": "no json"}, {"event": "{}"}):
        attempt.take_in({"attempt": "1", **bad})
    assert len(events) == 4 and all(isinstance(event, Notice) for event in events)
    attempt.take_in({"event": '{"event": "task_started", "task": "somebody/else", "time": 1.0}'})
    assert [getattr(event, "task", None) for event in events][-1] in (order.task, None)
    written = set(this.folder.rglob("*.log"))
    assert written == {this.log(order.task, "compile")}
    result = attempt.with_own_log(Result("another", "package", "el9", "failed"))
    assert (result.task, result.kind, result.platform) == (order.task, order.kind, order.platform)
    this.close()
