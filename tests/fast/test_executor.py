"""The builder and its executor: what goes out, what comes back; with an executor that builds on paper."""

from __future__ import annotations

import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from bigtop_builder.adapter.store import Run, Store
from bigtop_builder.flow.build.builder import build
from bigtop_builder.flow.build.images import NeededImage
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import Result, RunResult, defect
from bigtop_builder.flow.build.work_order import WorkOrder, from_json, to_json
from bigtop_builder.flow.packagings import PACKAGINGS
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.model.errors import ExitCode, InterruptedRunError
from bigtop_builder.model.event import AnyEvent, Failure, Notice, Reproduced, RunFinished, TaskFinished
from bigtop_builder.model.project import Choice
from bigtop_builder.plan.task import FROM_RESULTS
from tests.fast.conftest import ProjectFolder
from tests.fast.test_planning import COMPILED, SHA, SOURCE, with_images, workspace

Verdict = Callable[[WorkOrder], Result | None]


@dataclass
class PaperExecutor:
    """Puts empty results into the store; orders and results are sent as bytes, as to another machine.

    ``verdict`` replaces the result of an order. ``on_submit`` is called in the thread of the builder.
    """

    verdict: Verdict = lambda order: None
    on_submit: Callable[[WorkOrder], None] = lambda order: None
    orders: list[WorkOrder] = field(default_factory=list)
    images: list[NeededImage] = field(default_factory=list)
    workers: int = 2
    resized: Callable[[], object] = lambda: None
    shares: bool = True
    cancelled: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    @contextmanager
    def open(
        self, project: Project, request: Request, run: Run, emit: Bus, cancelled: threading.Event
    ) -> Iterator[PaperExecutor]:
        self.store, self.slots = project.store, {project.arch: self.workers}
        with ThreadPoolExecutor(self.workers) as self.pool:
            yield self
        self.closed = True

    def prepare_images(self, images: Sequence[NeededImage]) -> bool:
        self.images += images
        return False

    def submit(self, order: WorkOrder, deliver: Callable[[Result], None]) -> None:
        self.on_submit(order)
        sent = to_json(order)
        self.pool.submit(lambda: deliver(self._ended(from_json(sent))))

    def cancel(self) -> None:
        self.cancelled.set()

    def _ended(self, order: WorkOrder) -> Result:
        try:
            result: Result = pickle.loads(pickle.dumps(self._carry_out(order)))
        except BaseException as error:
            # A failed assertion of a verdict too: the builder would wait for a result for ever.
            result = Result(order.task, order.kind, order.platform, "failed", failure=defect(error))
        return result

    def _carry_out(self, order: WorkOrder) -> Result:
        self.orders.append(order)
        result = self.verdict(order)
        if result is None and not order.repeated:
            commit(self.store, order)
        return result or Result(order.task, order.kind, order.platform, "done", seconds=1.5)


def commit(store: Store, order: WorkOrder) -> None:
    folder = store.root / "work" / f"result-{order.key}"
    (folder / ("stage" if order.kind == "compile" else "rpms")).mkdir(parents=True)
    store.commit(order.kind, order.key, folder, {"rpms": {}, "notes": []})


@pytest.fixture
def space(project: ProjectFolder) -> Project:
    """Component b builds on a, c stands alone."""
    project.component("a", COMPILED, versions=SOURCE % SHA)
    project.component("b", COMPILED + "depends: {build: [a]}\n", versions=SOURCE % SHA)
    project.component("c")
    project.stack(a="1", b="1", c="1")
    return with_images(workspace(project), "a", "b", "c")


def run(space: Project, executor: PaperExecutor, **more: object) -> tuple[RunResult, list[AnyEvent]]:
    events: list[AnyEvent] = []
    request = Request(everything=True, platforms=("el8",), rerun_flags=("--store", "x"), **more)  # type: ignore[arg-type]
    return build(space, request, events.append, PACKAGINGS, executor), events


def failed(order: WorkOrder, exit_code: ExitCode) -> Result:
    failure = Failure(step="compile", message="no", exit_code=exit_code)
    return Result(order.task, order.kind, order.platform, "failed", failure=failure)


def test_every_task_goes_out_once_after_what_it_depends_on(space: Project) -> None:
    executor = PaperExecutor()
    done, events = run(space, executor)
    assert done.exit_code == ExitCode.DONE and executor.closed
    tasks = [order.task for order in executor.orders]
    assert sorted(tasks) == sorted(task.id for task in done.plan.tasks)
    assert tasks.index("a@debian-bootstrap/compile") < tasks.index("b@debian-bootstrap/compile")
    by_task = {order.task: order for order in executor.orders}
    dependencies = by_task["b@debian-bootstrap/compile"].dependency_keys
    assert dependencies == {"a": by_task["a@debian-bootstrap/compile"].key}
    ends = {event.task: event for event in events if isinstance(event, TaskFinished)}
    assert set(ends) == set(tasks) and {end.seconds for end in ends.values()} == {1.5}
    names = [image.spec.name for image in executor.images]
    assert len(names) == len(set(names)) and {image.task for image in executor.images} <= set(tasks)


def test_a_failure_blocks_its_dependants_and_says_how_to_repeat(space: Project) -> None:
    def verdict(order: WorkOrder) -> Result | None:
        if order.task != "a@debian-bootstrap/compile":
            return None
        result = failed(order, ExitCode.BUILD)
        assert result.failure is not None
        return replace(result, failure=result.failure.model_copy(update={"shell": "bigtop-builder shell a"}))

    done, events = run(space, PaperExecutor(verdict), keep_going=True)
    states = {name: result.state for name, result in done.results.items()}
    assert states["a@el8/package"] == states["b@el8/package"] == "blocked"
    assert states["c@el8/package"] == "done" and done.exit_code == ExitCode.PART_FAILED
    end = next(event for event in events if isinstance(event, TaskFinished) and event.state == "failed")
    assert end.failure is not None and end.failure.rerun == "bigtop-builder build a@el8 --store x"
    assert end.failure.shell == "bigtop-builder shell a --store x"


def test_a_defect_in_an_executor_suggests_no_repetition(space: Project) -> None:
    done, _ = run(space, PaperExecutor(lambda order: failed(order, ExitCode.DEFECT)))
    failures = [result.failure for result in done.results.values() if result.failure]
    assert failures and all(failure.rerun is None for failure in failures)


def test_a_defect_in_a_verdict_fails_its_task_and_ends_the_run(space: Project) -> None:
    def verdict(order: WorkOrder) -> Result | None:
        raise NameError("name 'x' is not defined")

    done, events = run(space, PaperExecutor(verdict))
    assert done.exit_code == ExitCode.DEFECT
    ends = [event.failure for event in events if isinstance(event, TaskFinished) and event.failure]
    assert {end.message for end in ends} == {"NameError: name 'x' is not defined"}


@pytest.mark.parametrize("kind", [TaskFinished, Reproduced])
def test_a_defect_of_what_watches_ends_the_run_with_its_message(space: Project, kind: type[AnyEvent]) -> None:
    """It is raised in the thread of an executor, where nobody would see it."""
    last: list[AnyEvent] = []

    def watch(event: AnyEvent) -> None:
        last.append(event)
        if isinstance(event, kind):
            raise NameError("name 'x' is not defined")

    def verdict(order: WorkOrder) -> Result | None:
        reproduced = Reproduced(task=order.task, identical=True, differences=[])
        return Result(order.task, order.kind, order.platform, "done", reproduced=reproduced) if order.repeated else None

    executor = PaperExecutor(verdict)
    request = Request(everything=True, platforms=("el8",), check_reproducible=True)
    with pytest.raises(NameError, match="name 'x' is not defined"):
        build(space, request, watch, PACKAGINGS, executor)
    assert isinstance(last[-1], RunFinished) and last[-1].exit_code == ExitCode.DEFECT


def test_a_defect_while_a_shared_result_is_taken_ends_the_run(space: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = space.plan(Request(selectors=("c",), platforms=("el8",)))
    shared = replace(plan, tasks=tuple(replace(task, action="reuse", reasons=(FROM_RESULTS,)) for task in plan.tasks))
    monkeypatch.setattr("bigtop_builder.flow.build.builder.measured_plan", lambda *_: (shared, []))

    def take(kind: str, key: str) -> bool:
        raise NameError("name 'x' is not defined")

    monkeypatch.setattr(space.sharing, "take", take)
    with pytest.raises(NameError):
        build(space, Request(selectors=("c",), platforms=("el8",)), lambda event: None, PACKAGINGS, PaperExecutor())


def test_second_builds_are_orders_too(space: Project) -> None:
    def verdict(order: WorkOrder) -> Result | None:
        if not order.repeated:
            return None
        same = order.component != "b"
        reproduced = Reproduced(task=order.task, identical=same, differences=[] if same else ["x"])
        return Result(order.task, order.kind, order.platform, "done", reproduced=reproduced)

    done, events = run(space, PaperExecutor(verdict), check_reproducible=True)
    assert done.exit_code == ExitCode.NOT_REPRODUCIBLE
    assert list(done.reproduced) == [task.id for task in done.plan.tasks]
    assert {event.task for event in events if isinstance(event, Reproduced)} == set(done.reproduced)


def test_an_interrupt_cancels_the_executor_and_everything_that_has_not_begun(space: Project) -> None:
    executor = PaperExecutor(workers=1, on_submit=lambda order: signal.raise_signal(signal.SIGINT))

    def verdict(order: WorkOrder) -> Result:
        assert executor.cancelled.wait(10)
        return Result(order.task, order.kind, order.platform, "cancelled")

    executor.verdict = verdict
    done, _ = run(space, executor)
    assert {result.state for result in done.results.values()} == {"cancelled"}
    assert done.exit_code == ExitCode.INTERRUPTED and len(executor.orders) == 1


def test_an_interrupt_is_the_exit_code_whatever_failed_before_with_keep_going(space: Project) -> None:
    executor = PaperExecutor(workers=2)
    executor.on_submit = lambda order: signal.raise_signal(signal.SIGINT) if order.component == "a" else None
    executor.verdict = lambda order: (
        failed(order, ExitCode.BUILD)
        if order.component == "c"
        else Result(order.task, order.kind, order.platform, "cancelled")
    )
    done, _ = run(space, executor, keep_going=True)
    assert {result.state for result in done.results.values()} == {"cancelled", "failed"}
    assert done.exit_code == ExitCode.INTERRUPTED


def test_a_choice_that_nothing_depends_on_is_a_warning(space: Project, project: ProjectFolder) -> None:
    chosen = {"c": Choice(release=2), "a": Choice(release=2)}
    narrow = with_images(workspace(project, chosen), "a", "b", "c")
    events: list[AnyEvent] = []
    request = Request(selectors=("b",), platforms=("el8",))
    build(narrow, request, events.append, PACKAGINGS, PaperExecutor())
    warnings = [event.text for event in events if isinstance(event, Notice) and event.level == "warning"]
    assert warnings == ["--set or --source c: c is not selected, and nothing selected depends on it"]


def test_an_interrupt_during_second_builds_ends_the_run(space: Project) -> None:
    def interrupt(order: WorkOrder) -> None:
        if order.repeated:
            signal.raise_signal(signal.SIGINT)
            executor.on_submit = lambda order: None

    executor = PaperExecutor(on_submit=interrupt)
    with pytest.raises(InterruptedRunError):
        run(space, executor, check_reproducible=True)
    assert executor.cancelled.is_set()


def test_an_order_that_cannot_be_written_fails_its_task_alone(space: Project, project: ProjectFolder) -> None:
    patch = project.write(
        "overlay/components/a/patches/1/0001-x.patch", "Why.\n\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    )
    executor = PaperExecutor()
    original = executor.prepare_images

    def prepare(images: Sequence[NeededImage]) -> bool:
        patch.unlink()
        return original(images)

    executor.prepare_images = prepare  # type: ignore[method-assign]
    done, _ = run(with_images(workspace(project), "a", "b", "c"), executor, keep_going=True)
    result = done.results["a@debian-bootstrap/compile"]
    assert result.failure is not None and "0001-x.patch: cannot be read" in result.failure.message
    assert done.results["c@el8/package"].state == "done"
