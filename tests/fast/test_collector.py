"""Garbage collection: what goes, in which order, and what stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bigtop_builder.adapter.store import MANIFEST, Store
from bigtop_builder.flow.build.collector import KEPT_RUNS, collect

DAY = 86_400


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def result(store: Store, name: str, *, size: int = 1000, days: float = 0) -> str:
    folder = store.root / "work" / name
    (folder / "rpms").mkdir(parents=True)
    (folder / "rpms" / "a.rpm").write_bytes(bytes(size))
    store.commit("package", name, folder, {})
    used = time.time() - days * DAY
    os.utime(store.folder("package", name) / MANIFEST, (used, used))
    return name


def source(store: Store, name: str, *, size: int = 1000, days: float = 0) -> Path:
    path = store.root / "sources" / "sha256" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - days * DAY,) * 2)
    return path


def left(store: Store) -> set[str]:
    return {path.name for path in (store.root / "package").iterdir()}


def test_nothing_goes_without_a_limit(store: Store) -> None:
    result(store, "a", days=1000)
    assert collect(store).removed == ()
    assert left(store) == {"a"}


def test_what_was_not_used_for_long_goes(store: Store) -> None:
    result(store, "old", days=31)
    result(store, "young", days=29)
    collected = collect(store, max_age=30 * DAY)
    assert [item.name for item in collected.removed] == ["old"]
    assert left(store) == {"young"}
    assert list((store.root / "work").iterdir()) == []


def test_use_keeps_young(store: Store) -> None:
    result(store, "a", days=31)
    store.touch("package", "a")
    assert collect(store, max_age=30 * DAY).removed == ()


def test_the_longest_unused_go_until_the_size_fits(store: Store) -> None:
    for name, days in (("b", 2), ("a", 3), ("c", 1)):
        result(store, name, size=10_000, days=days)
    collected = collect(store, max_size=25_000)
    assert [item.name for item in collected.removed] == ["a"]
    assert left(store) == {"b", "c"}
    assert 20_000 <= collected.kept_bytes <= 25_000
    assert 10_000 <= collected.freed_bytes < 11_000


def test_a_dry_run_tells_the_same_and_removes_nothing(store: Store) -> None:
    result(store, "old", days=31)
    (store.root / "work" / "dead").mkdir()
    foretold = collect(store, max_age=30 * DAY, dry_run=True)
    assert left(store) == {"old"}
    assert (store.root / "work" / "dead").is_dir()
    done = collect(store, max_age=30 * DAY)
    assert (foretold.removed, foretold.freed_bytes) == (done.removed, done.freed_bytes)


def test_what_a_live_run_counts_on_stays_and_counts(store: Store) -> None:
    result(store, "needed", size=10_000, days=100)
    result(store, "other", size=10_000, days=1)
    run = store.start_run()
    run.protect(["needed"])
    collected = collect(store, max_age=50 * DAY, max_size=15_000)
    assert [item.name for item in collected.removed] == ["other"]
    assert left(store) == {"needed"}
    assert collected.protected == 1
    run.close()
    assert [item.name for item in collect(store, max_age=50 * DAY).removed] == ["needed"]


def test_downloads_and_caches_stay_while_a_run_goes_on(store: Store) -> None:
    path = source(store, "f" * 64, days=100)
    partial = store.root / "sources" / "partial" / "sha256-x.part"
    partial.parent.mkdir()
    partial.write_bytes(b"half")
    cache = store.root / "cache" / "maven" / "g"
    cache.mkdir(parents=True)
    (cache / "a.jar").write_bytes(b"jar")
    for one in (partial, cache, cache.parent):
        os.utime(one, (time.time() - 100 * DAY,) * 2)
    run = store.start_run()
    assert collect(store, max_age=DAY, max_size=0).removed == ()
    run.close()
    kinds = {item.kind for item in collect(store, max_age=DAY).removed}
    assert kinds == {"source", "partial", "cache"}
    assert not path.exists()
    assert not partial.exists()
    assert not cache.parent.exists()


def test_the_newest_runs_keep_their_logs(store: Store) -> None:
    for number in range(KEPT_RUNS + 3):
        folder = store.root / "runs" / f"20260101-{number:06}-aaaa"
        folder.mkdir()
        (folder / "events.jsonl").write_text("{}\n")
        os.utime(folder, (time.time() - 100 * DAY,) * 2)
    removed = [item.name for item in collect(store, max_age=DAY).removed]
    assert removed == [f"20260101-{number:06}-aaaa" for number in range(3)]


def test_what_a_killed_collection_had_begun_is_ended_by_the_next(store: Store) -> None:
    grave = store.root / "work" / "gone-1234"
    (grave / "rpms").mkdir(parents=True)
    assert store.dead_work() == ["gone-1234"]
    store.remove_dead_work()
    assert not grave.exists()
