"""Evaluation, keys, reasons and plans over a small project, without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import ImageRecord
from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.app import run
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError, RecipeError, StoreError
from bigtop_builder.model.project import Choice
from bigtop_builder.plan.task import Plan
from bigtop_builder.recipe.patches import read_patches
from bigtop_builder.recipe.settings import load_settings
from tests.fast.conftest import ProjectFolder

SOURCE = '{"1": {sources: [{alternatives: [{https: "http://x/a.tgz", sha256: "%s"}]}]}}'
SHA = "0" * 64


def workspace(project: ProjectFolder, choices: dict[str, Choice] | None = None, **flags: object) -> Project:
    made = open_project(project.settings(**flags), choices)
    made.store.open()
    return made


def with_images(space: Project, *names: str) -> Project:
    """Write the records of images, as if they had been made."""
    import dataclasses
    import json

    for name in names:
        evaluated = space.evaluate(name, "el8")
        for kind in ("compile", "package"):
            key = image_key(space.image_spec(evaluated, kind))  # type: ignore[arg-type]
            record = ImageRecord(key, kind, f"sha256:{kind}", kind, f"fingerprint-{kind}", "", "", 0.0)
            path = space.store.root / "images" / f"{key}.json"
            path.write_text(json.dumps(dataclasses.asdict(record)))
    return space


def plan(space: Project, *selectors: str, **more: object) -> Plan:
    return space.plan(Request(selectors=selectors, platforms=("el8",), **more))  # type: ignore[arg-type]


def finish(space: Project, made: Plan) -> None:
    """Put an empty result into the store for every task, as a build would."""
    for task in made.tasks:
        if task.action == "build":
            folder = space.store.root / "work" / "result"
            (folder / ("stage" if task.kind == "compile" else "rpms")).mkdir(parents=True)
            space.store.commit(task.kind, task.key, folder, {"rpms": {}, "notes": []})
            space.store.record_last(task.id, task.key, task.ingredients, 1.0)


def actions(made: Plan) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {task.id: (task.action, task.reasons) for task in made.tasks}


COMPILED = """
build:
  script: make VERSION={{ version }}
install: echo
"""


@pytest.fixture
def built(project: ProjectFolder) -> ProjectFolder:
    project.component("a", COMPILED, versions=SOURCE % SHA)
    project.component("b", COMPILED + "depends: {build: [a]}\n", versions=SOURCE % SHA)
    project.component("c", "depends: {runtime: [a]}\n")
    project.stack(a="1", b="1", c="1")
    space = with_images(workspace(project), "a", "b", "c")
    finish(space, plan(space, "*"))
    return project


def replan(project: ProjectFolder, *selectors: str, choices: dict[str, Choice] | None = None) -> Plan:
    return plan(with_images(workspace(project, choices), "a", "b", "c"), *(selectors or ("*",)))


def change(project: ProjectFolder, name: str, old: str, new: str) -> None:
    path = project.overlay / "components" / name / "component.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_was_built_is_reused(built: ProjectFolder) -> None:
    made = replan(built)
    assert made.nothing_to_do
    assert {task.id for task in made.tasks} == {"a@el8/package", "b@el8/package", "c@el8/package"}


def test_a_changed_script_compiles_anew_and_so_do_those_that_build_on_it(built: ProjectFolder) -> None:
    change(built, "a", "make", "make all")
    found = actions(replan(built))
    assert found["a@debian-bootstrap/compile"] == ("build", ("compile script changed",))
    assert found["b@debian-bootstrap/compile"] == ("build", ("dependency a rebuilt",))
    assert found["a@el8/package"] == ("build", ("recompiled",))
    assert found["c@el8/package"] == ("build", ("dependency a rebuilt",))
    assert "c@debian-bootstrap/compile" not in found


def test_a_changed_file_list_compiles_nothing(built: ProjectFolder) -> None:
    change(built, "a", "/opt/a", "/opt/a/lib")
    found = actions(replan(built, "a"))
    assert found["a@debian-bootstrap/compile"] == ("reuse", ())
    assert found["a@el8/package"] == ("build", ("files of a_1_0 changed",))


def test_a_release_number_or_another_platform_compiles_nothing(built: ProjectFolder) -> None:
    found = actions(replan(built, "a", choices={"a": Choice(release=7)}))
    assert found["a@debian-bootstrap/compile"] == ("reuse", ())
    assert found["a@el8/package"] == ("build", ("release or dist tag changed",))
    space = with_images(workspace(built), "a")
    elsewhere = actions(space.plan(Request(selectors=("a",), platforms=("el7", "el9"))))
    assert elsewhere["a@debian-bootstrap/compile"] == ("reuse", ())
    assert elsewhere["a@el7/package"][0] == elsewhere["a@el9/package"][0] == "build"
    assert len(elsewhere) == 3


def test_a_description_of_a_patch_is_not_part_of_the_key_but_its_content_is(built: ProjectFolder) -> None:
    difference = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-one\n+two\n"
    path = built.write("overlay/components/a/patches/1/0001-fix.patch", "It cures.\n\n" + difference)
    found = actions(replan(built, "a"))
    assert found["a@debian-bootstrap/compile"] == ("build", ("patch 0001-fix added",))
    space = with_images(workspace(built), "a", "b", "c")
    finish(space, plan(space, "*"))
    path.write_text("It cures more than was thought.\n\n" + difference)
    assert replan(built).nothing_to_do
    path.write_text("It cures.\n\n" + difference.replace("two", "three"))
    assert actions(replan(built, "a"))["a@debian-bootstrap/compile"][1] == ("patch 0001-fix changed",)


def test_limits_and_mirrors_are_not_part_of_a_key(built: ProjectFolder) -> None:
    change(built, "a", "build:", "build:\n  memory: 9g\n  timeout: 9h")
    assert replan(built).nothing_to_do
    space = with_images(workspace(built, **{"limits.jobs": 7, "mirrors.preset": "aliyun"}), "a", "b", "c")
    assert plan(space, "*").nothing_to_do


def test_a_new_image_builds_anew(built: ProjectFolder) -> None:
    space = workspace(built)
    for path in (space.store.root / "images").glob("*.json"):
        path.write_text(path.read_text().replace("fingerprint-compile", "another"))
    assert actions(plan(space, "a"))["a@debian-bootstrap/compile"] == ("build", ("builder image changed",))


def test_without_its_image_a_component_is_built(project: ProjectFolder) -> None:
    project.component("a")
    assert actions(plan(workspace(project), "a")) == {"a@el8/package": ("build", ("builder image not made yet",))}


def test_a_missing_result_is_said(built: ProjectFolder) -> None:
    space = workspace(built)
    task = plan(space, "c").tasks[0]
    (space.store.folder("package", task.key) / "manifest.json").unlink()
    assert actions(plan(space, "c"))["c@el8/package"][1] == ("its result is no longer in the store",)


def test_force_builds_what_is_there(built: ProjectFolder) -> None:
    assert actions(plan(with_images(workspace(built), "c"), "c", force=True))["c@el8/package"][0] == "build"
    found = actions(plan(with_images(workspace(built), "a", "b"), "b", force=True))
    assert found["b@debian-bootstrap/compile"] == found["b@el8/package"] == ("build", ("--force",))
    assert found["a@debian-bootstrap/compile"] == ("reuse", ()), "what was not selected was not asked for"


def test_native_code_is_refused_on_an_el_platform_with_the_reason(project: ProjectFolder) -> None:
    project.component("a", "arch: native\n")
    made = plan(workspace(project), "a")
    assert not made.tasks
    assert "native code" in made.refusals[0].reason
    assert "--native label" in made.refusals[0].reason


def test_all_labels_native_code_and_a_name_refuses_it(
    project: ProjectFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.component("a", "arch: native\n")
    monkeypatch.chdir(project.root)
    run(["plan", "a", "--platform", "el8"])
    assert "native code" in capsys.readouterr().out
    run(["plan", "--all", "--platform", "el8"])
    assert "a@debian-bootstrap" in capsys.readouterr().out
    run(["plan", "--all", "--platform", "el8", "--native", "refuse"])
    assert "native code" in capsys.readouterr().out


def test_native_code_can_be_labelled_with_what_it_was_built_on(project: ProjectFolder) -> None:
    project.component("a", "arch: native\n")
    space = workspace(project, native="label")
    made = plan(space, "a")
    assert [task.id for task in made.tasks] == ["a@debian-bootstrap/package"]
    (file,) = made.tasks[0].evaluated.package_files()
    assert file == f"a_1_0-1-1.deb13.{space.arch}.rpm"


def test_selectors(built: ProjectFolder) -> None:
    space = workspace(built)
    assert space.pairs(Request(selectors=("[ab]",), platforms=("el8",))) == [("a", "el8"), ("b", "el8")]
    assert space.pairs(Request(selectors=("b@el7",), platforms=("el8",))) == [("b", "el7")]
    with_needs = Request(selectors=("b",), platforms=("el8",), with_dependencies=True)
    assert space.pairs(with_needs) == [("b", "el8"), ("a", "el8")]
    with_users = Request(selectors=("a",), platforms=("el8",), with_dependants=True)
    assert set(space.pairs(with_users)) == {("a", "el8"), ("b", "el8"), ("c", "el8")}
    with pytest.raises(NothingSelectedError):
        space.pairs(Request())
    with pytest.raises(NothingSelectedError) as unknown:
        space.pairs(Request(selectors=("zzz",)))
    assert unknown.value.hint == "Known: a, b, c."
    with pytest.raises(ConfigurationError) as caught:
        space.pairs(Request(selectors=("a",), platforms=("el88",)))
    assert "el8" in (caught.value.hint or "")


def test_a_cycle_is_shown(project: ProjectFolder) -> None:
    project.component("a", "depends: {runtime: [b]}\n")
    project.component("b", "depends: {build: [a]}\n")
    with pytest.raises(RecipeError, match="a@el8 → b@el8 → a@el8"):
        plan(workspace(project), "a")


def test_an_unknown_dependency_is_named(project: ProjectFolder) -> None:
    project.component("a", "depends: {runtime: [zookeper]}\n")
    with pytest.raises(RecipeError) as caught:
        plan(workspace(project), "a")
    assert "zookeper" in caught.value.message
    assert "zookeeper" in (caught.value.hint or "")
    assert caught.value.location is not None and caught.value.location.path == "depends.runtime[0]"


def test_a_member_of_the_stack_without_a_file_is_named(project: ProjectFolder) -> None:
    project.component("a")
    project.stack(a="1", nosuch="2")
    with pytest.raises(RecipeError, match="'nosuch'") as caught:
        plan(workspace(project), "a")
    assert caught.value.location is not None and caught.value.location.path == "components.nosuch"


def test_two_packages_of_one_name_are_refused(project: ProjectFolder) -> None:
    packages = "[{name: x, summary: x, files: [/x]}, {name: '{{ \"x\" }}', summary: y, files: [/y]}]"
    project.component("a", packages=packages)
    with pytest.raises(RecipeError, match="two packages x") as caught:
        plan(workspace(project), "a")
    assert caught.value.location is not None and caught.value.location.path == "packages[1].name"


def test_a_template_that_is_no_text_is_named(project: ProjectFolder) -> None:
    project.component("a")
    file = project.write("overlay/components/a/files/x.j2", "")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="cannot be read") as caught:
        plan(workspace(project), "a")
    assert caught.value.location is not None and caught.value.location.file == file


def test_a_version_without_a_source_is_named(project: ProjectFolder) -> None:
    project.component("a")
    with pytest.raises(RecipeError) as caught:
        plan(workspace(project, {"a": Choice(version="2")}), "a")
    assert "version 2 of a has no source" in caught.value.message
    assert caught.value.location is not None
    assert caught.value.location.line is not None


def test_a_local_source_makes_any_version_buildable(project: ProjectFolder, tmp_path: Path) -> None:
    project.component("a", COMPILED)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_text("1")
    choices = {"a": Choice(version="2", source=str(tree))}
    first = plan(workspace(project, choices), "a").task("a@debian-bootstrap/compile")
    assert first.evaluated.build.script == "make VERSION=2"
    (tree / "f").write_text("2")
    second = plan(workspace(project, choices), "a").task("a@debian-bootstrap/compile")
    assert first.key != second.key


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("install: '{{ parent_dri }}'\n", "undefined name", "parent_dir"),
        ("install: |\n  one\n  {{ oops }}\n", "undefined name", ""),
        ("install: '{{ stack.nothing }}'\n", "undefined name", ""),
        ("install: '{% if %}'\n", "template is invalid", ""),
        ("install: '{{ 1 / 0 }}'\n", "template fails", ""),
        ("install: \"{{ ''.__class__.__mro__ }}\"\n", "something forbidden", ""),
    ],
)
def test_a_bad_template_names_its_place(project: ProjectFolder, text: str, message: str, hint: str) -> None:
    file = project.component("a", text)
    with pytest.raises(RecipeError) as caught:
        plan(workspace(project), "a")
    error = caught.value
    assert message in error.message
    assert hint in (error.hint or "")
    assert error.location is not None
    assert Path(error.location.file) == file
    assert error.location.path == "install"


def test_bash_is_left_alone(project: ProjectFolder) -> None:
    project.component("a", "install: 'echo ${#list[@]} ${x%.jar} {{ version }}'\n")
    value = workspace(project).evaluate("a", "el8")
    assert value.install == "echo ${#list[@]} ${x%.jar} 1"  # type: ignore[union-attr]


def test_an_option_that_does_not_exist_is_named(project: ProjectFolder) -> None:
    project.component("a", "options: {hadoop: {choices: [provided, bundled], default: provided}}\n")
    with pytest.raises(ConfigurationError) as caught:
        plan(workspace(project, {"a": Choice(options={"hadop": "x"})}), "a")
    assert caught.value.hint == "Did you mean hadoop?"
    with pytest.raises(ConfigurationError) as caught:
        plan(workspace(project, {"a": Choice(options={"hadoop": "x"})}), "a")
    assert "provided, bundled" in (caught.value.hint or "")


def test_an_overlay_changes_a_shipped_component(project: ProjectFolder) -> None:
    project.write("overlay/components/bigtop-utils/component.yaml", "summary: Ours\n")
    project.write("overlay/components/bigtop-utils/files/extra", "x")
    component = workspace(project).catalog.component("bigtop-utils")
    assert component.component.summary == "Ours"
    assert component.component.name == "bigtop-utils"
    assert {"extra", "bigtop-detect-javahome"} <= {Path(name).name for name in component.files()}


DIFFERENCE = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-one\n+two\n"
SHIPPED = "0001-controller-takes-three-arguments.patch"


def test_an_overlay_may_hold_patches_and_files_alone(project: ProjectFolder) -> None:
    folder = "overlay/components/bigtop-jsvc/patches/1.2.4"
    patch = project.write(f"{folder}/{SHIPPED}", DIFFERENCE)
    project.write(f"{folder}/0000-first.patch", DIFFERENCE)
    found = workspace(project).catalog.component("bigtop-jsvc").patches("1.2.4")
    assert [path.name for path in found] == ["0000-first.patch", SHIPPED]
    assert found[1] == patch


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("patches/x.patch", DIFFERENCE, "belongs to no version"),
        ("patches/1.2.5/x.patch", DIFFERENCE, "there is no version 1.2.5 of bigtop-jsvc"),
        ("patches/1.2.4/notes.txt", "x", "is not a patch"),
        ("patches/1.2.4/0002-x.patch", DIFFERENCE, "does not say what it fixes"),
        ("patches/1.2.4/0002-x.patch", "Subject: [PATCH] nothing\n", "changes nothing"),
    ],
)
def test_a_patch_that_cannot_be_used_is_named(project: ProjectFolder, name: str, text: str, said: str) -> None:
    file = project.write(f"overlay/components/bigtop-jsvc/{name}", text)
    with pytest.raises(RecipeError, match=said) as caught:
        read_patches(workspace(project).catalog.component("bigtop-jsvc").patches("1.2.4"))
    assert caught.value.location is not None
    assert file.is_relative_to(caught.value.location.file)


def test_patches_tell_what_they_cure_and_an_empty_one_takes_its_namesake_out(project: ProjectFolder) -> None:
    folder = "overlay/components/bigtop-jsvc/patches/1.2.4"
    project.write(f"{folder}/{SHIPPED}", "")
    mail = "From 0123 Mon Sep 17 00:00:00 2001\nFrom: A B <a@b>\nDate: now\nSubject: [PATCH 1/2] Cure it\n\n"
    project.write(f"{folder}/0002-mail.patch", mail + "By care.\n---\n x | 1 +\n\n" + DIFFERENCE)
    patches = read_patches(workspace(project).catalog.component("bigtop-jsvc").patches("1.2.4"))
    assert [(patch.name, patch.note) for patch in patches] == [("0002-mail.patch", "Cure it By care.")]


def test_a_folder_of_an_overlay_that_no_component_owns_is_named(project: ProjectFolder) -> None:
    project.component("a")
    project.write("overlay/components/bigtop-jscv/patches/x.patch", "x")
    with pytest.raises(ConfigurationError, match="bigtop-jscv") as caught:
        plan(workspace(project), "a")
    assert "bigtop-jsvc" in (caught.value.hint or "")


def test_a_variable_inside_another_is_refused(project: ProjectFolder) -> None:
    environment = {
        "HOME": str(project.root),
        "BIGTOP_BUILDER_MIRRORS": "aliyun",
        "BIGTOP_BUILDER_MIRRORS__PRESET": "none",
    }
    with pytest.raises(ConfigurationError, match="BIGTOP_BUILDER_MIRRORS__PRESET"):
        load_settings(project.root, {}, environment)


def test_the_store_refuses_another_format(tmp_path: Path) -> None:
    Store(tmp_path / "s").open()
    (tmp_path / "s" / "format").write_text("99\n")
    with pytest.raises(StoreError, match="format 99"):
        Store(tmp_path / "s").open()


def test_a_store_of_which_only_some_folders_came_back_is_completed(tmp_path: Path) -> None:
    store = Store(tmp_path / "s").open()
    (store.root / "compile").rmdir()
    (store.root / "work").rmdir()
    run = Store(store.root).open().start_run()
    assert run.work.is_dir()
    run.close()
    assert (store.root / "compile").is_dir()


def test_an_overlay_that_is_no_folder_is_named_with_its_place(project: ProjectFolder) -> None:
    file = project.write("bigtop-builder.yaml", "stack: small\noverlays:\n  - overlay\n  - misng\n")
    with pytest.raises(ConfigurationError, match="misng is not a folder") as caught:
        workspace(project)
    place = caught.value.location
    assert place is not None and (place.file, place.line, place.path) == (file, 4, "overlays[1]")
