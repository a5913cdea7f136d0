"""The disk watch: it stops what writes too much, and nothing else."""

from __future__ import annotations

import threading

import pytest

from bigtop_builder.adapter.containers import disk_watch
from bigtop_builder.adapter.containers.disk_watch import DiskWatch
from bigtop_builder.model.errors import EngineError


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure without the pauses that keep it cheap."""
    monkeypatch.setattr(disk_watch, "INTERVAL", 0.001)
    monkeypatch.setattr(disk_watch, "SHARE", 0)


def test_a_container_is_killed_once_it_has_written_too_much() -> None:
    killed = threading.Event()
    sizes = iter(range(0, 100, 10))
    watch = DiskWatch(50, lambda: next(sizes), killed.set)
    watch.start()
    assert killed.wait(60)
    watch.stop()
    assert watch.exceeded
    assert next(sizes) == 70, "nothing is measured after that"


def test_what_cannot_be_measured_now_is_measured_the_next_time() -> None:
    killed = threading.Event()
    errors = iter([FileNotFoundError("gone"), EngineError("busy")])

    def measure() -> int:
        if error := next(errors, None):
            raise error
        return 100

    watch = DiskWatch(50, measure, killed.set)
    watch.start()
    assert killed.wait(60)
    watch.stop()


def test_a_container_within_its_limit_is_left_alone() -> None:
    measured = threading.Semaphore(0)
    watch = DiskWatch(50, lambda: measured.release() or 50, lambda: pytest.fail("killed"))
    watch.start()
    for _ in range(3):
        assert measured.acquire(timeout=60)
    watch.stop()
    assert not watch.exceeded


def test_a_watch_that_never_started_can_be_stopped() -> None:
    DiskWatch(1, lambda: 2, lambda: pytest.fail("killed")).stop()
