"""Failed compiles that somebody finished by hand: what a plan makes of them, and what happens to their trees."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from bigtop_builder.cli.app import run
from bigtop_builder.flow.build.collector import collect
from bigtop_builder.flow.build.failed_tree import CONTAINER, FAILED, failed_tree, failed_trees, reserved, tree_name
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.step import Between
from bigtop_builder.flow.run.build_state import BuildState
from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError
from bigtop_builder.model.event import StepFinished, StepStarted, TaskFinished
from bigtop_builder.plan.key import BY_HAND
from bigtop_builder.plan.task import FROM_SHELL, Task
from tests.fast.conftest import ProjectFolder
from tests.fast.test_planning import COMPILED, SHA, SOURCE, actions, change, finish, plan, with_images, workspace

COMPILE = "a@debian-bootstrap/compile"


@pytest.fixture
def space(project: ProjectFolder) -> Project:
    project.component("a", COMPILED, versions=SOURCE % SHA)
    project.component("b", COMPILED + "depends: {build: [a]}\n", versions=SOURCE % SHA)
    project.stack(a="1", b="1")
    return with_images(workspace(project), "a", "b")


def fail(space: Project, task: Task, **more: object) -> Path:
    """Keep a tree, as a failure of the task would."""
    folder = space.store.root / FAILED / tree_name(task.id)
    folder.mkdir(parents=True)
    target = task.evaluated.target
    data = {
        "task": task.id,
        "component": task.evaluated.name,
        "platform": (target.builder if task.kind == "compile" else target.platform).name,
        "step": task.kind,
        "key": task.key,
        "ingredients": dict(task.ingredients),
        "failed": time.time(),
    }
    (folder / CONTAINER).write_text(json.dumps(data | more))
    return folder


def test_it_has_keys_of_its_own_and_builds_nothing_else(space: Project) -> None:
    ordinary = plan(space, "a")
    fail(space, ordinary.task(COMPILE))
    first, second = (plan(space, "a", from_shell=token) for token in ("one", "two"))
    assert actions(first)[COMPILE] == ("build", (FROM_SHELL,))
    keys = {(task.id, task.key) for made in (ordinary, first, second) for task in made.tasks}
    assert len(keys) == 6, "three keys of two tasks"
    assert first.task(COMPILE).from_shell == ordinary.task(COMPILE).key
    assert first.task("a@el8/package").compile_key == first.task(COMPILE).key
    finish(space, first)
    later = actions(plan(space, "a"))
    assert later[COMPILE] == ("build", ("the last one was finished by hand in a shell",))
    assert later["a@el8/package"][0] == "build"


def test_what_it_was_compiled_with_is_not_compiled_again(space: Project) -> None:
    fail(space, plan(space, "b").task("b@debian-bootstrap/compile"))
    made = plan(space, "b", from_shell="x")
    assert set(actions(made)) == {"b@debian-bootstrap/compile", "b@el8/package"}


def test_a_tree_of_something_else_is_refused(space: Project, project: ProjectFolder) -> None:
    fail(space, plan(space, "a").task(COMPILE))
    change(project, "a", "make", "make all")
    with pytest.raises(ConfigurationError, match="not what failed any more: compile script changed"):
        plan(with_images(workspace(project), "a", "b"), "a", from_shell="x")
    change(project, "a", "make all", "make")
    change(project, "a", "/opt/a", "/opt/a/lib")
    made = plan(with_images(workspace(project), "a", "b"), "a", from_shell="x")
    assert BY_HAND in made.task(COMPILE).ingredients, "what only packaging looks at may change"


def test_without_a_failed_compile_it_is_said_what_to_do(space: Project) -> None:
    with pytest.raises(NothingSelectedError, match="no failed compile of a") as caught:
        plan(space, "a", from_shell="x")
    assert "Only a compile that failed" in (caught.value.hint or "")
    fail(space, plan(space, "a").task("a@el8/package"))
    with pytest.raises(NothingSelectedError, match="no failed compile of a") as caught:
        plan(space, "a", from_shell="x")
    assert "compiled, and failed later" in (caught.value.hint or "")


def test_a_tree_of_an_older_version_is_refused(space: Project) -> None:
    folder = fail(space, plan(space, "a").task(COMPILE), ingredients=None, failed=None)
    os.utime(folder / CONTAINER, (86400 * 365, 86400 * 365))
    with pytest.raises(ConfigurationError, match=r"failure of 1971.*did not record what it was made from") as raised:
        plan(space, "a", from_shell="x")
    assert raised.value.hint is not None


@pytest.mark.parametrize("option", ["--all", "--with-dependants", "--with-dependencies", "--force"])
def test_options_that_would_compile_more_are_refused(
    project: ProjectFolder, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    arguments = ["build", "a", "--from-shell", option]
    assert run(arguments) == 2
    assert f"--from-shell cannot be used with {option}" in capsys.readouterr().err


def test_what_is_kept_is_read_with_care(space: Project) -> None:
    folder = fail(space, plan(space, "a").task(COMPILE))
    (folder.parent / "half").mkdir()
    (folder.parent / "half" / CONTAINER).write_text('{"task": ')
    assert [tree.task for tree in failed_trees(space.store)] == [COMPILE]
    tree = failed_tree(space.store, COMPILE)
    assert tree is not None and str(folder) in str(tree) and not tree.entered


def test_garbage_collection_leaves_a_tree_that_somebody_is_in(space: Project) -> None:
    folder = fail(space, plan(space, "a").task(COMPILE))
    with reserved(space.store, folder, shared=True) as mine:
        assert mine
        assert not [item for item in collect(space.store, max_age=-1).removed if item.kind == "failed"]
    (removed,) = (item for item in collect(space.store, max_age=-1).removed if item.kind == "failed")
    assert removed.path == folder and not folder.exists()


def test_garbage_collection_says_what_is_lost_with_a_tree(
    space: Project, project: ProjectFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fail(space, plan(space, "a").task(COMPILE))
    used = time.time() - 60
    os.utime(folder, (used, used))
    flags = ["--store", str(space.store.root), "--project", str(project.root / "bigtop-builder.yaml")]
    assert run([*flags, "gc", "--older-than", "1s", "--dry-run"]) == 0
    said = capsys.readouterr()
    assert folder.name in said.out and "keep one that you finished with build NAME --from-shell" in said.err
    assert folder.exists()
    assert run([*flags, "gc", "--older-than", "1s"]) == 0
    assert "cannot enter the tree any more" in capsys.readouterr().err and not folder.exists()


def test_shells_share_a_tree_and_a_build_has_it_alone(space: Project) -> None:
    folder = space.store.root / FAILED / "x"
    with reserved(space.store, folder, shared=True), reserved(space.store, folder, shared=True) as second:
        assert second
        with reserved(space.store, folder) as alone:
            assert not alone


def test_the_time_between_steps_is_counted_under_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("bigtop_builder.flow.build.step.time.monotonic", lambda: now[0])
    between = Between()
    now[0] += 7
    between.spent("wait")
    for preparation, work in ((2, 30), (1, 40)):
        now[0] += preparation
        with between.step():
            now[0] += work
    now[0] += 5
    told: list[StepFinished] = []

    class Listener:
        emit = staticmethod(told.append)

    between.report(Listener(), "a/compile")  # type: ignore[arg-type]
    assert {one.step: one.seconds for one in told} == {"wait": 7, "prepare": 3, "keep": 5}


def test_parts_of_a_step_and_the_image_are_in_the_time_of_a_task() -> None:
    state, task = BuildState(), "a@el8/package"
    for number in (1, 2):
        state.apply(StepStarted(time=number, task=task, step="image"))
        state.apply(StepFinished(time=number, task=task, step="image", ok=True, seconds=4))
    state.apply(StepFinished(time=9, task=task, step="package", ok=True, seconds=2))
    state.apply(TaskFinished(time=9, task=task, state="done", seconds=2.0))
    steps = state.tasks[task].steps
    assert {name: step.seconds for name, step in steps.items()} == {"image": 8, "package": 2}
    assert state.tasks[task].seconds == 10
