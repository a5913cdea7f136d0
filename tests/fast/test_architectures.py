"""Several architectures: what is native is planned for each, what is not once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigtop_builder.adapter.containers.bootstrap import base_tag
from bigtop_builder.adapter.containers.emulation import require_runnable
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.flow.build.images import needed_images
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.steps import work_order
from bigtop_builder.flow.packagings import PACKAGINGS
from bigtop_builder.model.errors import EngineError
from tests.fast.conftest import ProjectFolder
from tests.fast.test_planning import COMPILED, SHA, SOURCE, actions, finish, plan, with_images, workspace


@pytest.fixture
def two(project: ProjectFolder) -> Project:
    """Component b is native and builds on a, which is not; c is native and stands alone."""
    project.component("a", COMPILED, versions=SOURCE % SHA)
    project.component("b", "arch: native\ndepends: {build: [a]}\n" + COMPILED, versions=SOURCE % SHA)
    project.component("c", "arch: native\n" + COMPILED, versions=SOURCE % SHA)
    project.stack(a="1", b="1", c="1")
    return workspace(project, architectures=["x86_64", "aarch64"], native="label")


def test_native_components_are_planned_for_each_architecture(two: Project) -> None:
    made = plan(two, "*")
    assert set(actions(made)) == {
        "a@debian-bootstrap/compile",
        "a@el8/package",
        "b@debian-bootstrap/compile",
        "b@debian-bootstrap/package",
        "b@debian-bootstrap.aarch64/compile",
        "b@debian-bootstrap.aarch64/package",
        "c@debian-bootstrap/compile",
        "c@debian-bootstrap/package",
        "c@debian-bootstrap.aarch64/compile",
        "c@debian-bootstrap.aarch64/package",
    }
    foreign = made.task("b@debian-bootstrap.aarch64/compile")
    own = made.task("b@debian-bootstrap/compile")
    assert foreign.dependency_keys == own.dependency_keys and foreign.key != own.key
    assert "a@debian-bootstrap/compile" in foreign.depends
    order = work_order(two, foreign, PACKAGINGS)
    assert (order.machine, order.arch, order.platform) == ("aarch64", "aarch64", "debian-bootstrap")
    assert made.task("a@el8/package").evaluated.target.arch == "x86_64"


def test_images_are_needed_for_each_architecture(two: Project) -> None:
    images = needed_images(two, plan(two, "*"))
    assert {image.spec.machine for image in images} == {"x86_64", "aarch64"}
    assert len({image_key(image.spec) for image in images}) == len(images)
    assert base_tag("bookworm", "m", "x86_64") != base_tag("bookworm", "m", "aarch64")


def test_another_first_architecture_builds_what_is_native_nowhere(project: ProjectFolder, two: Project) -> None:
    arm = workspace(project, architectures=["aarch64"], native="label")
    assert {task.evaluated.target.arch for task in plan(arm, "*").tasks} == {"aarch64"}
    assert all(".aarch64" not in task.id for task in plan(arm, "*").tasks)


def test_one_architecture_has_the_keys_of_always(project: ProjectFolder, two: Project) -> None:
    alone = workspace(project, native="label", architectures=["x86_64"])
    both = {task.id: task.key for task in plan(two, "*").tasks}
    assert {task.id: task.key for task in plan(alone, "*").tasks}.items() <= both.items()


def test_everything_is_reused_once_both_are_built(two: Project) -> None:
    with_images(two, "a", "b", "c")
    made = two.plan(Request(everything=True, platforms=("el8",)))
    finish(two, made)
    again = two.plan(Request(everything=True, platforms=("el8",)))
    reused = {task.id for task in again.tasks if task.action == "reuse" and task.kind == "package"}
    assert reused == {"a@el8/package", "b@debian-bootstrap/package", "c@debian-bootstrap/package"}
    assert {task.reasons for task in again.tasks if task.action == "build"} == {("builder image not made yet",)}


@pytest.mark.parametrize("text", ["", "enabled\ninterpreter /x\nflags: P\n", "disabled\nflags: PF\n"])
def test_emulation_must_reach_into_containers(tmp_path: Path, text: str) -> None:
    if text:
        (tmp_path / "qemu-mips").write_text(text)
    with pytest.raises(EngineError, match="runs no programs of mips") as raised:
        require_runnable("mips", tmp_path)
    assert "qemu-user-static" in (raised.value.hint or "")
    (tmp_path / "qemu-mips").write_text("enabled\ninterpreter /usr/bin/qemu\nflags: PF\n")
    require_runnable("mips", tmp_path)
