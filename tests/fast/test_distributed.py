"""Builds on a cluster: what is placed where, what arrives, and what happens when workers are lost."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.dask_cluster.access import Access
from bigtop_builder.adapter.dask_cluster.worker import Link
from bigtop_builder.adapter.sources.download_store import stored
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.flow.build.builder import build
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import Result, RunResult
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.distributed.executor import DaskExecutor
from bigtop_builder.flow.distributed.outcome import failure_elsewhere, failures_elsewhere
from bigtop_builder.flow.packagings import PACKAGINGS
from bigtop_builder.model.digest import of_tree
from bigtop_builder.model.errors import EngineError, ExitCode
from bigtop_builder.model.event import AnyEvent, Failure, Notice, StepStarted, TaskFinished
from bigtop_builder.model.project import Choice
from bigtop_builder.recipe.settings import load_settings
from tests.fast.conftest import ProjectFolder
from tests.fast.paper_cluster import FolderResults, PaperCluster, PaperHost, paper_cluster, sleeping, until
from tests.fast.test_planning import COMPILED, SHA, SOURCE, workspace


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[PaperCluster]:
    with paper_cluster(tmp_path / "machines") as made:
        yield made


def small(project: ProjectFolder) -> Project:
    """Component b builds on a, c stands alone; no images were made."""
    project.component("a", COMPILED, versions=SOURCE % SHA)
    project.component("b", COMPILED + "depends: {build: [a]}\n", versions=SOURCE % SHA)
    project.component("c")
    project.stack(a="1", b="1", c="1")
    return workspace(project, **{"executor.lease": "5s", "executor.patience": "2s"})


@pytest.fixture
def space(project: ProjectFolder) -> Project:
    return small(project)


class Watched:
    """A build in a thread of its own, and its events."""

    def __init__(self, space: Project, cluster: PaperCluster, **more: Any) -> None:
        self.events: list[AnyEvent] = []
        self.done: RunResult | None = None
        self.error: BaseException | None = None
        executor = DaskExecutor(Access(cluster.address, "client"), cluster.results)
        request = Request(everything=True, platforms=("el8",), **more)

        def work() -> None:
            try:
                self.done = build(space, request, self.events.append, PACKAGINGS, executor)
            except BaseException as error:
                self.error = error

        self.thread = threading.Thread(target=work)
        self.thread.start()

    def end(self) -> RunResult:
        self.thread.join(120)
        if self.error is not None:
            raise self.error
        assert self.done is not None
        return self.done

    def notices(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Notice))


def test_orders_go_to_workers_and_what_they_make_comes_back(space: Project, cluster: PaperCluster) -> None:
    cluster.join("one")
    cluster.join("two")
    watched = Watched(space, cluster)
    done = watched.end()
    assert done.exit_code == ExitCode.DONE, watched.notices()
    assert sorted(cluster.built) == sorted(task.id for task in done.plan.tasks if task.action == "build")
    assert "building on 2 workers (2 slots)" in watched.notices()
    # Packages are here, staged trees only where others get them.
    for task in done.plan.tasks:
        assert cluster.results.has(task.kind, task.key)
        assert space.store.has(task.kind, task.key) == (task.kind == "package")
    for event in watched.events:
        if isinstance(event, StepStarted) and event.step != "image":
            assert event.log is not None and Path(event.log).is_relative_to(space.store.root / "runs")
            assert f"{event.task} is built on " in Path(event.log).read_text()
    assert space.plan(Request(everything=True, platforms=("el8",))).nothing_to_do


def test_a_long_log_arrives_as_the_worker_has_it(space: Project, cluster: PaperCluster, tmp_path: Path) -> None:
    def chatty(host: PaperHost, order: WorkOrder, log: LogWriter, cancelled: threading.Event) -> None:
        for number in range(3000):
            log.write(b"%05d " % number * 20 + b"\n")

    space.file = space.file.model_copy(update={"limits": space.file.limits.model_copy(update={"log_size": "100k"})})
    cluster.join("one", chatty)
    watched = Watched(space, cluster)
    assert watched.end().exit_code == ExitCode.DONE
    here, there = (
        {path.parts[-3:]: path.read_bytes() for path in store.glob("runs/*/logs/*/*/*.log")}
        for store in (space.store.root, tmp_path / "machines" / "one")
    )
    assert here == there and here
    assert all(b"left out here" in text for text in here.values())


def test_logs_arrive_while_their_step_runs(space: Project, cluster: PaperCluster) -> None:
    release = threading.Event()

    def waiting(host: PaperHost, order: WorkOrder, log: LogWriter, cancelled: threading.Event) -> None:
        log.note("it goes on")
        release.wait(30)

    cluster.join("one", waiting)
    watched = Watched(space, cluster)
    try:
        until(lambda: any(b"it goes on" in path.read_bytes() for path in space.store.root.glob("runs/*/logs/**/*.log")))
    finally:
        release.set()
    assert watched.end().exit_code == ExitCode.DONE


def test_a_lost_worker_s_task_is_given_to_another(space: Project, cluster: PaperCluster) -> None:
    cluster.join("one", sleeping(60))
    watched = Watched(space, cluster)
    until(lambda: cluster.built)
    cluster.join("two")
    until(lambda: "two has joined" in watched.notices())
    cluster.lose("one")
    done = watched.end()
    assert done.exit_code == ExitCode.DONE, watched.notices()
    assert "the worker one was lost" in watched.notices()
    twice = [task for task in cluster.built if cluster.built.count(task) == 2]
    assert twice and max(cluster.built.count(task) for task in cluster.built) == 2


def test_a_task_that_loses_two_workers_is_not_tried_again(space: Project, cluster: PaperCluster) -> None:
    for name in ("one", "two", "three"):
        cluster.join(name, sleeping(60, "a"))
    watched = Watched(space, cluster)
    first = "a@debian-bootstrap/compile"
    for count in (1, 2):
        until(lambda count=count: cluster.built.count(first) == count)  # type: ignore[misc]
        cluster.lose(next(name for name, host in cluster.hosts.items() if host.built[-1:] == [first]))
    done = watched.end()
    failure = done.results[first].failure
    assert failure is not None and "the workers that built this were lost" in failure.message
    assert failure.exit_code == ExitCode.ENGINE and cluster.built.count(first) == 2


def test_a_worker_that_stops_in_good_order_passes_its_task_on(space: Project, cluster: PaperCluster) -> None:
    cluster.join("one", sleeping(60))
    watched = Watched(space, cluster)
    until(lambda: cluster.built)
    cluster.join("two")
    until(lambda: "two has joined" in watched.notices())
    cluster.stop("one")
    assert watched.end().exit_code == ExitCode.DONE


def test_a_worker_of_another_version_is_refused(space: Project, cluster: PaperCluster) -> None:
    cluster.join("old", facts={"version": "0.0.1"})
    cluster.join("new")
    watched = Watched(space, cluster)
    assert watched.end().exit_code == ExitCode.DONE
    assert "the worker old is left out: it has bigtop-builder 0.0.1" in watched.notices()
    assert not cluster.hosts["old"].built


def test_without_a_worker_the_run_ends_and_says_what_to_do(space: Project, cluster: PaperCluster) -> None:
    with pytest.raises(EngineError, match="no worker of bigtop-builder has joined") as raised:
        Watched(space, cluster).end()
    assert "bigtop-builder worker" in (raised.value.hint or "")
    cluster.join("old", facts={"version": "0.0.1"})
    with pytest.raises(EngineError, match=r"no worker of the cluster can take part:\nthe worker old"):
        Watched(space, cluster).end()


def test_a_task_that_no_worker_has_the_memory_for_fails_and_says_so(space: Project, cluster: PaperCluster) -> None:
    cluster.join("tiny", facts={"memory": 1 << 30})
    done = Watched(space, cluster, keep_going=True).end()
    failures = [result.failure.message for result in done.results.values() if result.failure]
    assert failures and all("it has 1.0 GiB of memory" in text for text in failures)


def test_a_worker_whose_image_has_other_packages_gets_no_orders(space: Project, cluster: PaperCluster) -> None:
    cluster.join("one")
    cluster.join("two")
    cluster.join("odd", fingerprints=lambda kind: "other")
    watched = Watched(space, cluster)
    assert watched.end().exit_code == ExitCode.DONE
    assert "the worker odd is left out: its image" in watched.notices()
    assert not cluster.hosts["odd"].built


def test_a_worker_that_is_slow_to_begin_gets_its_images_once_more(
    space: Project, cluster: PaperCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, begun = Link.begin, []

    def slow(link: Link) -> None:
        begun.append(link)
        if len(begun) == 1:
            raise TimeoutError
        begin(link)

    monkeypatch.setattr(Link, "begin", slow)
    cluster.join("one")
    assert Watched(space, cluster).end().exit_code == ExitCode.DONE and len(cluster.built) == 5


def test_why_no_worker_has_its_images_is_told(
    space: Project, cluster: PaperCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(link: Link) -> None:
        raise TimeoutError("the scheduler is busy")

    monkeypatch.setattr(Link, "begin", busy)
    cluster.join("one")
    with pytest.raises(EngineError, match=r"could make its images: .* the scheduler is busy"):
        Watched(space, cluster).end()


@pytest.fixture
def own_sources(project: ProjectFolder, tmp_path: Path) -> Project:
    """Component a is made from a file beside it, b from the user's own tree, c from the user's own archive."""
    content = b"an archive"
    digest = hashlib.sha256(content).hexdigest()
    versions = f'{{"1": {{sources: [{{alternatives: [{{file: x.tgz, sha256: "{digest}"}}]}}]}}}}'
    (project.component("a", COMPILED, versions=versions).parent / "x.tgz").write_bytes(content)
    project.component("b", COMPILED, versions=SOURCE % SHA)
    project.component("c", COMPILED, versions=SOURCE % SHA)
    project.stack(a="1", b="1", c="1")
    tree = tmp_path / "tree"
    (tree / "src").mkdir(parents=True)
    (tree / ".git").mkdir()
    (tree / "src" / "run.sh").write_text("#!/bin/sh\n")
    (tree / "src" / "run.sh").chmod(0o755)
    (tree / "link").symlink_to("src/run.sh")
    (tmp_path / "own.tgz").write_bytes(b"another archive")
    return workspace(project, {"b": Choice(source=str(tree)), "c": Choice(source=str(tmp_path / "own.tgz"))})


def test_files_of_this_machine_travel_through_the_results(
    own_sources: Project, cluster: PaperCluster, tmp_path: Path
) -> None:
    seen: dict[str, object] = {}

    def look(host: PaperHost, order: WorkOrder, log: LogWriter, cancelled: threading.Event) -> None:
        if order.local_copy is None:
            files = [stored(host.store.root, one.digest) for source in order.sources for one in source.alternatives]
            seen[order.component] = [path.read_bytes() for path in files if path]
        elif (path := Path(order.local_copy)).is_dir():
            mode = (path / "src" / "run.sh").stat().st_mode & 0o777
            seen[order.component] = of_tree(path), sorted(one.name for one in path.iterdir()), mode
        else:
            seen[order.component] = path.name, path.read_bytes()
        assert order.local_source is None or Path(order.local_source).parent == tmp_path

    def compiling(host: PaperHost, order: WorkOrder, *rest: Any) -> None:
        if order.kind == "compile":
            look(host, order, *rest)

    cluster.join("one", compiling)
    assert Watched(own_sources, cluster).end().exit_code == ExitCode.DONE
    assert seen == {
        "a": [b"an archive"],
        "b": (of_tree(tmp_path / "tree"), ["link", "src"], 0o755),
        "c": ("own.tgz", b"another archive"),
    }


def test_without_a_key_nothing_of_this_machine_is_sent(
    own_sources: Project, cluster: PaperCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(FolderResults, "push_source", lambda *_: False)
    cluster.join("one")
    done = Watched(own_sources, cluster, keep_going=True).end()
    failures = {name: result.failure for name, result in done.results.items() if result.failure}
    assert {one.exit_code for one in failures.values() if one} == {ExitCode.USAGE}
    assert "tree is on this machine alone" in str(failures["b@debian-bootstrap/compile"])
    assert "x.tgz is on this machine alone" in str(failures["a@debian-bootstrap/compile"]) and not cluster.built


def test_a_source_that_the_worker_s_results_lack_is_told(
    own_sources: Project, cluster: PaperCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderResults, "fetch_source", lambda *_: False)
    cluster.join("one")
    done = Watched(own_sources, cluster, keep_going=True).end()
    failures = {name: result.failure for name, result in done.results.items() if result.failure}
    assert "the store of results does not have" in str(failures["b@debian-bootstrap/compile"])


def test_a_failure_lies_on_its_worker(space: Project, cluster: PaperCluster) -> None:
    def broken(host: PaperHost, order: WorkOrder, log: LogWriter, cancelled: threading.Event) -> Result:
        failure = Failure(
            step="compile", message="no", log=str(log.path), shell=f"bigtop-builder shell {order.component}"
        )
        return Result(order.task, order.kind, order.platform, "failed", failure=failure)

    cluster.join("one", broken)
    watched = Watched(space, cluster, keep_going=True)
    done = watched.end()
    failure = done.results["a@debian-bootstrap/compile"].failure
    assert failure is not None and failure.shell == "ssh -t one shell a"
    assert failure.log is not None and Path(failure.log).is_relative_to(space.store.root)
    known = {one.task: one for one in failures_elsewhere(space.store)}
    assert known["a@debian-bootstrap/compile"].worker == "one"
    away = failure_elsewhere(space.store, "a")
    assert away is not None and away.command == "ssh -t one shell a"
    assert failure_elsewhere(space.store, "a@el7") is None
    ended = [event for event in watched.events if isinstance(event, TaskFinished) and event.state == "failed"]
    assert all(one.failure and one.failure.rerun for one in ended)


def test_two_runs_on_one_cluster_do_not_build_a_key_twice(
    space: Project, cluster: PaperCluster, tmp_path: Path
) -> None:
    cluster.join("one", sleeping(0.3))
    cluster.join("two", sleeping(0.3))
    settings = load_settings(space.settings.root, {"store": str(tmp_path / "other")}, {"HOME": str(tmp_path)})
    from bigtop_builder.flow.open_project import open_project

    other = open_project(replace(settings))
    both = [Watched(space, cluster), Watched(other, cluster)]
    for watched in both:
        assert watched.end().exit_code == ExitCode.DONE, watched.notices()
    keys = {task.id for task in both[0].end().plan.tasks}
    assert sorted(cluster.built) == sorted(keys)


def test_a_cancelled_run_ends_what_its_workers_do(space: Project, cluster: PaperCluster) -> None:
    ended = threading.Event()

    def long(host: PaperHost, order: WorkOrder, log: LogWriter, cancelled: threading.Event) -> None:
        assert cancelled.wait(30)
        ended.set()
        sleeping(0)(host, order, log, cancelled)

    cluster.join("one", long)
    executor = DaskExecutor(Access(cluster.address, "client"), cluster.results)
    cancelled = threading.Event()
    results: list[Result] = []
    space.store.open()
    run = space.store.start_run()
    from bigtop_builder.flow.build.images import needed_images
    from bigtop_builder.flow.build.steps import work_order

    plan = space.plan(Request(everything=True, platforms=("el8",)))
    with executor.open(space, Request(), run, lambda event: None, cancelled) as execution:
        execution.prepare_images(needed_images(space, plan))
        plan = space.plan(Request(everything=True, platforms=("el8",)))
        execution.submit(work_order(space, plan.tasks[0], PACKAGINGS), results.append)
        until(lambda: cluster.built)
        execution.cancel()
    # On a busy machine the news that it has begun may come after the cancellation, which then waits for nobody.
    until(ended.is_set)
    assert [result.state for result in results] == ["cancelled"]
    run.close()


def test_a_store_without_shared_results_is_noticed(space: Project, cluster: PaperCluster, tmp_path: Path) -> None:
    cluster.join("one")
    from tests.fast.paper_cluster import FolderResults

    cluster.hosts["one"].results.root = tmp_path / "elsewhere"  # type: ignore[attr-defined]
    here = FolderResults(tmp_path / "here")
    cluster.results = here
    done = Watched(space, cluster, keep_going=True).end()
    failures = [result.failure for result in done.results.values() if result.failure]
    assert failures and "does not have it" in failures[0].message


@pytest.fixture
def both(project: ProjectFolder) -> Project:
    """Component b is native and builds on a, which is not, for two architectures."""
    project.component("a", COMPILED, versions=SOURCE % SHA)
    project.component("b", "arch: native\ndepends: {build: [a]}\n" + COMPILED, versions=SOURCE % SHA)
    project.stack(a="1", b="1")
    rules = {"executor.lease": "5s", "executor.patience": "2s", "native": "label"}
    return workspace(project, architectures=["x86_64", "aarch64"], **rules)


def test_a_worker_of_another_architecture_takes_the_native_tasks_of_its_own(
    both: Project, cluster: PaperCluster
) -> None:
    cluster.join("arm", facts={"machine": "aarch64", "slots": 2})
    cluster.join("intel")
    watched = Watched(both, cluster)
    done = watched.end()
    assert done.exit_code == ExitCode.DONE, watched.notices()
    label = "b@debian-bootstrap"
    assert sorted(cluster.hosts["arm"].built) == [f"{label}.aarch64/compile", f"{label}.aarch64/package"]
    assert sorted(cluster.hosts["intel"].built) == [
        *("a@debian-bootstrap/compile", "a@el8/package"),
        *(f"{label}/compile", f"{label}/package"),
    ]
    assert {order.machine for order in cluster.hosts["arm"].orders} == {"aarch64"}
    assert both.plan(Request(everything=True, platforms=("el8",))).nothing_to_do


def test_without_a_worker_of_an_architecture_its_tasks_fail_and_say_so(both: Project, cluster: PaperCluster) -> None:
    cluster.join("intel")
    watched = Watched(both, cluster, keep_going=True)
    done = watched.end()
    failures = {task: result.failure for task, result in done.results.items() if result.failure}
    assert set(failures) == {"b@debian-bootstrap.aarch64/compile"}
    failure = failures["b@debian-bootstrap.aarch64/compile"]
    assert failure.exit_code == ExitCode.ENGINE and "it builds on x86_64, not on aarch64" in failure.message
    assert len(cluster.hosts["intel"].built) == 4
