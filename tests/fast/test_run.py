"""A run's bracket: its first and last event, signals, errors; and reading back what it recorded."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.run.records import find_run, newest_runs, read_events
from bigtop_builder.flow.run.run import SIGNALS, ActiveRun, record_run
from bigtop_builder.model.errors import AmbariError, BigtopBuilderError, ExitCode, StoreError
from bigtop_builder.model.event import AnyEvent, Notice, RunFinished, RunStarted


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def record(store: Store, body: Callable[[ActiveRun], object], **more: Any) -> list[AnyEvent]:
    """Run ``body`` in a recorded run, and return what its watcher saw. An error stays in the events."""
    seen: list[AnyEvent] = []
    try:
        with record_run(store, store.start_run(), seen.append, "build", **more) as active:
            body(active)
    except (BigtopBuilderError, KeyboardInterrupt, ZeroDivisionError):
        pass
    return seen


def fail(error: BaseException) -> Callable[[ActiveRun], object]:
    def body(_: ActiveRun) -> None:
        raise error

    return body


def test_a_run_begins_and_ends_with_one_event_each(store: Store) -> None:
    def body(active: ActiveRun) -> None:
        active.emit(Notice(text="hello"))
        active.exit_code = ExitCode.PART_FAILED

    first, notice, last = record(store, body)
    assert isinstance(first, RunStarted) and isinstance(notice, Notice) and isinstance(last, RunFinished)
    assert first.store == str(store.root) and first.command[0] == "bigtop-builder"
    assert last.exit_code == ExitCode.PART_FAILED
    run = find_run(store, None)
    assert (run.id, run.status, run.live) == (first.run, "exit 4", False)
    assert list(read_events(run.folder / "events.jsonl")) == [first, notice, last]
    assert not (store.root / "work" / run.id).exists()


@pytest.mark.parametrize(
    ("error", "code", "notice"),
    [
        (AmbariError("no word of pa55", hint="again"), ExitCode.AMBARI, "no word of ***\nagain"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, None),
        (ZeroDivisionError(), ExitCode.DEFECT, None),
    ],
)
def test_an_error_decides_the_exit_code(store: Store, error: BaseException, code: ExitCode, notice: str | None) -> None:
    events = record(store, fail(error), redact=lambda text: text.replace("pa55", "***"))
    assert [event.text for event in events if isinstance(event, Notice)] == ([notice] if notice else [])
    last = events[-1]
    assert isinstance(last, RunFinished) and last.exit_code == code
    assert find_run(store, None).status == f"exit {int(code)}"


def test_a_log_that_cannot_be_written_still_shows_the_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def body(active: ActiveRun) -> None:
        def full(_: bytes) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(active.emit, "_write", full)
        active.emit(Notice(text="lost"))

    *_, error, last = record(store, body)
    assert isinstance(error, Notice) and error.text == "the disk is full"
    assert isinstance(last, RunFinished) and last.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_and_the_second_stops(store: Store, number: signal.Signals) -> None:
    asked: list[str] = []
    former = signal.getsignal(number)

    def body(active: ActiveRun) -> None:
        active.wake = lambda: asked.append("wake")
        os.kill(os.getpid(), number)
        assert active.cancelled.is_set()
        asked.append("goes on")
        os.kill(os.getpid(), number)
        asked.append("never")

    events = record(store, body)
    assert asked == ["wake", "goes on"]
    assert isinstance(events[-1], RunFinished) and events[-1].exit_code == ExitCode.INTERRUPTED
    assert signal.getsignal(number) is former


def test_a_run_outside_of_the_main_thread_leaves_signals_alone(store: Store) -> None:
    seen: list[AnyEvent] = []
    thread = threading.Thread(target=lambda: seen.extend(record(store, lambda _: None)))
    thread.start()
    thread.join()
    assert [event.event for event in seen] == ["run_started", "run_finished"]


def test_a_run_without_a_record_is_only_shown(store: Store) -> None:
    seen: list[AnyEvent] = []
    with record_run(store, None, seen.append, "build"):
        pass
    assert [event.event for event in seen] == ["run_started", "run_finished"]
    assert list(newest_runs(store, 9)) == []


def test_a_deployment_recorded_by_an_older_version_is_read(store: Store) -> None:
    """Such a log begins with an event that no longer exists."""
    run = store.start_run()
    started = {"time": 5.0, "event": "deploy_started", "run": run.id, "command": ["deploy"], "store": "/s"}
    lines: list[dict[str, Any]] = [
        {**started, "cluster": "c1", "hosts": ["n1"], "phases": ["check"], "dry_run": False, "rehearsal": False},
        {"time": 6.0, "event": "phase_started", "phase": "check"},
        {"time": 7.0, "event": "phase_finished", "phase": "check", "state": "changed", "changes": 2, "seconds": 1.0},
        {"time": 8.0, "event": "run_finished", "exit_code": 0, "seconds": 3.0},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run.folder / "events.jsonl").write_text(text, encoding="utf-8")
    run.close()
    found = find_run(store, None)
    assert (found.status, found.state.has_phases, found.state.started) == ("done", True, 6.0)
    assert found.state.deploy.changes == 2
