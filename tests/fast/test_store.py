"""The store: whole results, locks that die with their holder, runs and what they leave."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bigtop_builder.adapter import store as module
from bigtop_builder.adapter.store import MANIFEST, Store, remove_tree, write_atomically
from bigtop_builder.model.errors import StoreError

KEY = "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def result(store: Store, text: str) -> Path:
    """A finished package result in some scratch."""
    folder = store.root / "work" / f"scratch-{text}"
    (folder / "rpms").mkdir(parents=True)
    (folder / "rpms" / "a-1.rpm").write_text(text)
    return folder


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_result_is_there_once_it_is_committed(store: Store) -> None:
    folder = result(store, "one")
    assert not store.has("package", KEY)
    place = store.commit("package", KEY, folder, {"key": KEY})
    assert store.has("package", KEY)
    assert store.manifest("package", KEY) == {"key": KEY}
    assert [path.read_text() for path in store.packages(KEY)] == ["one"]
    assert place == store.root / "package" / KEY
    assert not folder.exists()


def test_of_two_results_of_one_key_the_first_stays(store: Store) -> None:
    store.commit("package", KEY, result(store, "one"), {"by": 1})
    store.commit("package", KEY, result(store, "two"), {"by": 2})
    assert store.manifest("package", KEY) == {"by": 1}
    assert [path.read_text() for path in store.packages(KEY)] == ["one"]
    assert list((store.root / "work").iterdir()) == []


def test_a_folder_without_a_manifest_is_no_result_and_gives_way(store: Store) -> None:
    (store.folder("package", KEY) / "rpms").mkdir(parents=True)
    assert not store.has("package", KEY)
    store.commit("package", KEY, result(store, "one"), {})
    assert store.has("package", KEY)
    assert store.packages(KEY)


def test_processes_that_commit_one_key_at_once_give_one_whole_result(store: Store) -> None:
    code = """
import sys
from pathlib import Path
from bigtop_builder.adapter.store import Store
store, name = Store(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    folder = store.root / "work" / f"{name}-{number}"
    (folder / "rpms").mkdir(parents=True)
    for part in "ab":
        (folder / "rpms" / f"{part}.rpm").write_text(name)
    store.commit("package", f"{number:064}", folder, {"by": name})
"""
    workers = [python(code, str(store.root), name) for name in ("one", "two", "three")]
    assert [said(worker) for worker in workers] == ["ready"] * 3
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=60)
        assert worker.returncode == 0
    for number in range(20):
        key = f"{number:064}"
        assert {path.read_text() for path in store.packages(key)} == {store.manifest("package", key)["by"]}
        assert len(store.packages(key)) == 2
    assert list((store.root / "work").iterdir()) == []


def test_a_damaged_manifest_is_said_with_its_place(store: Store) -> None:
    store.commit("compile", KEY, result(store, "one"), {})
    (store.folder("compile", KEY) / MANIFEST).write_text("{")
    with pytest.raises(StoreError, match="is damaged") as caught:
        store.manifest("compile", KEY)
    assert KEY in str(caught.value.hint)


def test_a_lock_ends_with_the_process_that_held_it(store: Store) -> None:
    code = """
import sys
from pathlib import Path
from bigtop_builder.adapter.store import Store
with Store(Path(sys.argv[1])).locked("compile-x"):
    print("held", flush=True)
    sys.stdin.read()
"""
    holder = python(code, str(store.root))
    assert said(holder) == "held"
    with store.locked("compile-x", wait=False) as mine:
        assert not mine
    kill(holder)
    with store.locked("compile-x", wait=False) as mine:
        assert mine


def test_shared_locks_keep_out_only_who_wants_it_alone(store: Store) -> None:
    with store.locked("x", shared=True), store.locked("x", shared=True, wait=False) as second:
        assert second
        with store.locked("x", wait=False) as alone:
            assert not alone


def test_a_run_lives_as_long_as_its_process(store: Store) -> None:
    code = """
import sys
from pathlib import Path
from bigtop_builder.adapter.store import Store
run = Store(Path(sys.argv[1])).start_run()
run.protect(["k1", "k2"])
(run.work / "scratch").mkdir()
print(run.id, flush=True)
sys.stdin.read()
"""
    process = python(code, str(store.root))
    run = said(process)
    assert store.is_live(run)
    assert store.live_runs() == [run]
    assert store.protected_keys() == {"k1", "k2"}
    assert store.dead_work() == []
    assert store.remove_dead_work() == []
    kill(process)
    assert not store.is_live(run)
    assert store.protected_keys() == set()
    assert store.dead_work() == [run]
    assert store.remove_dead_work() == [run]
    assert list((store.root / "work").iterdir()) == []


def test_scratch_that_cannot_go_yet_stops_no_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("busy", "free"):
        (store.root / "work" / name).mkdir()
    remove = module.remove_tree

    def busy(folder: Path) -> None:
        if folder.name == "busy":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        remove(folder)

    monkeypatch.setattr(module, "remove_tree", busy)
    assert store.remove_dead_work() == ["free"]
    assert store.dead_work() == ["busy"]


def test_a_run_that_ends_leaves_its_log_and_no_scratch(store: Store) -> None:
    run = store.start_run()
    run.log("a@b/compile", "fetch").write_text("said")
    run.close()
    assert not run.work.exists()
    assert (store.root / "runs" / run.id / "logs" / "a@b" / "compile" / "fetch.log").read_text() == "said"
    assert not store.is_live(run.id)


def test_the_newest_state_of_a_task_is_remembered(store: Store) -> None:
    assert store.last("a@el8/package") is None
    assert store.last_ingredients("a@el8/package") is None
    store.record_last("a@el8/package", "k1", {"script": "1"}, 1.23456)
    store.record_last("a@el8/package", "k2", {"script": "2"}, 2.0)
    assert store.last("a@el8/package") == {"key": "k2", "ingredients": {"script": "2"}, "seconds": 2.0}
    assert store.last_ingredients("a@el8/package") == {"script": "2"}
    next((store.root / "last").iterdir()).write_text("{")
    assert store.last("a@el8/package") is None


def test_a_write_that_fails_leaves_the_old_text_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, "no space left at"),
        (errno.EDQUOT, "no space left at"),
        (errno.EROFS, "cannot be written: Read-only"),
        (errno.EACCES, "cannot be written: Permission"),
        (errno.EIO, "fails: Input/output error"),
    ],
)
def test_trouble_with_the_disk_is_told_in_words(number: int, text: str) -> None:
    with pytest.raises(StoreError, match=text), module.translated(Path("/store")):
        raise OSError(number, os.strerror(number))


def test_another_format_is_refused(store: Store) -> None:
    (store.root / "format").write_text("7\n")
    with pytest.raises(StoreError, match="has format 7"):
        Store(store.root).open()


def test_a_store_whose_making_was_killed_is_made_whole(tmp_path: Path) -> None:
    (tmp_path / "compile").mkdir()
    assert json.loads((Store(tmp_path).open().root / "format").read_text()) == 1
    assert (tmp_path / "work").is_dir()


def test_a_place_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError):
        Store(tmp_path / "store").open()


def test_a_folder_that_fills_while_it_is_removed_is_emptied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    (tree / "task" / "deep").mkdir(parents=True)
    rmdir, late = os.rmdir, ["late"]

    def filled(name: str, *, dir_fd: int | None = None) -> None:
        if name == "task" and late:
            (tree / name / late.pop()).mkdir()
        rmdir(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", filled)
    remove_tree(tree)
    assert not tree.exists()
    assert not late


def test_a_tree_is_removed_by_several_at_once(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for outer in range(30):
        for inner in range(10):
            folder = tree / str(outer) / str(inner)
            folder.mkdir(parents=True)
            (folder / "file").write_text("x")
    failures: list[BaseException] = []

    def remove() -> None:
        try:
            remove_tree(tree)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=remove) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert not tree.exists()


def test_two_remove_the_same_tree_at_once(tmp_path: Path) -> None:
    for number in range(20):
        top = tmp_path / f"run{number}"
        for folder in range(30):
            (top / "task" / f"{folder}" / "deeper" / "deepest").mkdir(parents=True)
        problems: list[OSError] = []

        def remove(place: Path, problems: list[OSError] = problems) -> None:
            try:
                remove_tree(place)
            except OSError as error:
                problems.append(error)

        threads = [threading.Thread(target=remove, args=(place,)) for place in (top / "task", top)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # The inner one may find its folder filled again by what the outer one left to it; the outer one ends the work.
        assert not top.exists(), problems
