"""Several architectures: what is native is planned for each, what is not once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bigtop_builder.adapter.containers import emulation
from bigtop_builder.adapter.containers.bootstrap import base_tag
from bigtop_builder.adapter.containers.emulation import require_runnable
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.flow.build.images import needed_images
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.steps import work_order
from bigtop_builder.flow.doctor import Finding, examine
from bigtop_builder.flow.packagings import PACKAGINGS
from bigtop_builder.flow.publish.publisher import publish
from bigtop_builder.flow.publish.verifier import verify
from bigtop_builder.model.errors import EngineError
from bigtop_builder.model.platform import Image, Platform
from bigtop_builder.recipe.settings import load_settings
from tests.fast.conftest import ProjectFolder
from tests.fast.test_planning import COMPILED, SHA, SOURCE, actions, finish, plan, with_images, workspace
from tests.rpmfile import Spec, write_rpm

BOTH = Platform(
    name="el8",
    title="Rocky Linux 8",
    family="rhel",
    dist=".el8",
    architectures=["x86_64", "aarch64"],
    payload="w6.gzdio",
    image=Image(reference="rockylinux:8", template="rhel.j2"),
)


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


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        (None, "mips\n", "qemu-user-static"),
        ("", "mips\n", "qemu-user-static"),
        ("enabled\ninterpreter /usr/bin/qemu-mips\nflags: P\n", "lacks the flag F", "qemu-user-static"),
        ("disabled\ninterpreter /usr/bin/qemu-mips\nflags: PF\n", "is disabled", "echo 1 > "),
    ],
)
def test_emulation_must_reach_into_containers(tmp_path: Path, text: str | None, why: str, hint: str) -> None:
    if text is not None:
        (tmp_path / "qemu-mips").write_text(text)
    with pytest.raises(EngineError, match="runs no programs of mips") as raised:
        require_runnable("mips", tmp_path)
    assert why in str(raised.value) and hint in (raised.value.hint or "")
    (tmp_path / "qemu-mips").write_text("enabled\ninterpreter /usr/bin/qemu-mips\nflags: PF\n")
    assert require_runnable("mips", tmp_path) == "emulated by /usr/bin/qemu-mips"


def test_doctor_reports_each_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    monkeypatch.setattr(emulation.require_runnable, "__defaults__", (tmp_path,))
    own = os.uname().machine
    other = {"x86_64": "aarch64"}.get(own, "x86_64")

    def found(**given: object) -> dict[str, Finding]:
        given = {"store": str(tmp_path), "architectures": [own, other], **given}
        settings = load_settings(tmp_path, given, {"HOME": str(tmp_path)})
        return {one.name: one for one in examine(settings, offline=True)}

    assert (found()[own].state, found()[other].state) == ("ok", "failure")
    assert "qemu-user-static" in found()[other].advice
    # On a cluster, its workers build what this machine cannot.
    assert found(**{"executor.dask": "tcp://127.0.0.1:8786"})[other].state == "warning"
    (tmp_path / f"qemu-{other}").write_text("enabled\ninterpreter /usr/bin/qemu\nflags: PF\n")
    assert found()[other] == Finding(other, "ok", "emulated by /usr/bin/qemu")


def problems(folder: Path, signer: Signer, *specs: Spec) -> list[tuple[str, str, str]]:
    """What ``repo verify`` finds in a repository of these packages."""
    packages = [write_rpm(folder / "in", spec) for spec in specs]
    made = publish(packages, folder / "repository", "bigtop-3.2.0", BOTH, signer)
    assert {path.name for path in (made.folder / "packages").iterdir()} == {path.name for path in packages}
    return [(one.kind, one.subject, one.detail) for one in verify(str(made.folder), system=["libc.so.6*"]).problems]


def native(arch: str, **given: object) -> Spec:
    """A native package, whose program is another one on each architecture."""
    return Spec(arch=arch, **{"name": "jsvc", "files": {"/usr/lib/jsvc": arch.encode()}, **given})  # type: ignore[arg-type]


def test_a_repository_holds_the_packages_of_both(tmp_path: Path, signer: Signer) -> None:
    common = Spec(name="utils", requires=["jsvc"], files={"/usr/lib/utils": b"utils"})
    requires = ["libc.so.6(GLIBC_2.17)(64bit)", "utils"]
    specs = (common, native("x86_64", requires=requires), native("aarch64", requires=requires))
    assert problems(tmp_path, signer, *specs) == []


def test_a_host_gets_nothing_of_another_architecture(tmp_path: Path, signer: Signer) -> None:
    common = Spec(name="utils", requires=["jsvc", "none"])
    lib = native("x86_64", name="lib", provides=["libours.so.1()(64bit)"], files={"/usr/lib/ours": b"x86_64"})
    using = native("aarch64", name="using", requires=["libours.so.1()(64bit)"], files={})
    assert problems(tmp_path, signer, common, native("x86_64"), lib, using) == [
        ("requires", "using-0:1.0-1.el8.aarch64", "nothing provides libours.so.1()(64bit)"),
        ("requires", "utils-0:1.0-1.el8.noarch", "nothing provides jsvc on aarch64"),
        ("requires", "utils-0:1.0-1.el8.noarch", "nothing provides none"),
    ]


def test_only_packages_of_one_host_are_in_each_others_way(tmp_path: Path, signer: Signer) -> None:
    other = native("aarch64", name="other", files={"/usr/lib/jsvc": b"another"})
    alone = native("x86_64", name="alone", files={"/usr/lib/other": b"another"})
    # It was noarch once, and is still the newest on x86_64.
    older = Spec(name="other", version="0.9", files={"/usr/lib/other": b"old"})
    found = problems(tmp_path, signer, native("x86_64"), native("aarch64"), other, alone, older)
    assert [(kind, subject, "other-0:1.0-1.el8.aarch64" in detail) for kind, subject, detail in found] == [
        ("files", "alone-0:1.0-1.el8.x86_64", False),
        ("files", "jsvc-0:1.0-1.el8.aarch64", True),
    ]
