"""Plans over Bigtop's own packaging: keys, reasons, pins, prerequisites, bad input; without an engine."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError, SourceError
from bigtop_builder.model.project import Choice
from bigtop_builder.model.source import ApacheSource, GitSource, HttpsSource, MavenSource
from bigtop_builder.plan.task import Plan
from bigtop_builder.recipe.bigtop.pins import LOCK_FILE, LockedSource, lock_text, read_lock
from bigtop_builder.recipe.bigtop.tree import packaging_of
from bigtop_builder.recipe.evaluate import Evaluated
from tests.fast.conftest import ProjectFolder
from tests.fast.test_planning import actions, finish, plan, with_images

TREE = Path(__file__).parent / "data" / "bigtop-tree"
SHA = "a" * 128
OTHER = "b" * 128
COMMIT = "c" * 40
PINS = {
    "ferry": {"sha512": SHA},
    "hadoop": {"sha512": SHA},
    "lantern": {"sha512": SHA},
    "beacon": {"commit": COMMIT},
}
FERRY = "bigtop-packages/src/rpm/ferry/SPECS/ferry.spec"
COMMON = "bigtop-packages/src/common/ferry"
EVERYTHING = ("harbor-utils", "ferry", "hadoop", "lantern", "beacon")


class Tree:
    """A project that packages with a copy of the small tree."""

    def __init__(self, project: ProjectFolder) -> None:
        self.project = project
        self.root = Path(shutil.copytree(TREE, project.root / "tree"))

    def settings(self, *, sources: dict[str, object] | None = None, **packaging: object) -> None:
        """Write the project file again."""
        data = {
            "stack": "small",
            "store": str(self.project.root / "store"),
            "overlays": ["overlay"],
            "packaging": {"bigtop": "tree", **packaging},
            "sources": PINS if sources is None else sources,
        }
        self.project.write("bigtop-builder.yaml", yaml.safe_dump(data))

    def opened(self, choices: dict[str, Choice] | None = None) -> Project:
        made = open_project(self.project.settings(), choices)
        made.store.open()
        return made

    def evaluated(self, name: str) -> Evaluated:
        value = self.opened().evaluate(name, "el8")
        assert isinstance(value, Evaluated), value
        return value

    def refusal(self, name: str) -> str:
        value = self.opened().evaluate(name, "el8")
        assert not isinstance(value, Evaluated)
        return value.reason

    def plan(self, *names: str, **more: object) -> Plan:
        """The plan of some components, as if all images were there."""
        space = self.opened()
        there = [name for name in space.components() if isinstance(space.evaluate(name, "el8"), Evaluated)]
        return plan(with_images(self.opened(), *there), *names, **more)

    def change(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))


@pytest.fixture
def tree(project: ProjectFolder) -> Tree:
    made = Tree(project)
    made.settings()
    return made


@pytest.fixture
def built(tree: Tree) -> Tree:
    finish(tree.opened(), tree.plan(*EVERYTHING))
    assert tree.plan(*EVERYTHING).nothing_to_do
    return tree


def rebuilt(tree: Tree) -> dict[str, tuple[str, ...]]:
    return {name: why for name, (action, why) in actions(tree.plan(*EVERYTHING)).items() if action == "build"}


def test_components_and_versions_are_those_of_the_bill(tree: Tree) -> None:
    space = tree.opened()
    assert space.components() == ["ferry", "hadoop", "lantern", "harbor-utils", "beacon"]
    assert (space.stack.name, space.stack.suffix, space.versions["harbor-utils"]) == ("bigtop-3.5.1", "_3_5_1", "3.5.1")


def test_a_component_is_a_compile_and_a_package_task(tree: Tree) -> None:
    made = tree.plan("harbor-utils")
    assert [task.id for task in made.tasks] == ["harbor-utils@debian-bootstrap/compile", "harbor-utils@el8/package"]


def test_jdk_and_maven_fit_the_release(tree: Tree) -> None:
    assert (tree.evaluated("ferry").build.jdk, tree.evaluated("ferry").build.maven) == (8, "3.8.8")
    tree.change("bigtop.bom", "3.5.1-SNAPSHOT", "3.2.0")
    assert tree.evaluated("ferry").build.maven == "3.6.3"


def test_a_jdk_that_no_image_has_is_refused_with_the_way_out(tree: Tree) -> None:
    tree.change("bigtop.bom", '"8"', '"7"')
    with pytest.raises(ConfigurationError, match="requires JDK 7"):
        tree.opened().evaluate("ferry", "el8")


def test_what_has_no_source_needs_neither_caches_nor_network(tree: Tree) -> None:
    build = tree.evaluated("harbor-utils").build
    assert (build.caches, build.network) == ([], False)


def test_the_layout_comes_from_the_project_file(tree: Tree) -> None:
    tree.settings(suffix=False, parent_dir=None, stamp="20240101")
    packaging = packaging_of(tree.evaluated("ferry"))
    assert (packaging.suffix, packaging.parent_dir, packaging.release) == ("", None, "20240101")


def test_a_chosen_release_number_is_the_components_own_stamp(tree: Tree) -> None:
    space = tree.opened({"ferry": Choice(release=9)})
    assert [space.evaluate(name, "el8").release for name in ("ferry", "hadoop")] == ["9", "1"]  # type: ignore[union-attr]


@pytest.mark.parametrize("choice", [Choice(version="2"), Choice(variant="binary"), Choice(options={"a": "b"})])
def test_what_bigtop_does_not_let_choose_is_an_error(tree: Tree, choice: Choice) -> None:
    with pytest.raises(ConfigurationError, match="cannot be chosen"):
        tree.opened({"ferry": choice}).evaluate("ferry", "el8")


# sources and what they must be


def test_a_source_without_a_digest_is_refused_alone(tree: Tree) -> None:
    tree.settings(sources={"hadoop": {"sha512": SHA}})
    made = tree.plan("ferry", "hadoop", "harbor-utils")
    assert [refusal.component for refusal in made.refusals] == ["ferry"]
    assert "no digest is known for the source of ferry 1.10.2" in made.refusals[0].reason
    assert "--lock" in made.refusals[0].reason
    assert "hadoop@el8/package" in {task.id for task in made.tasks}


def test_the_project_file_names_digests_and_commits(tree: Tree) -> None:
    (ferry,) = tree.evaluated("ferry").sources
    path = "ferry/ferry-1.10.2/apache-ferry-1.10.2.tar.gz"
    assert ferry.alternatives == [ApacheSource(apache=path, sha512=SHA)]
    (beacon,) = tree.evaluated("beacon").sources
    assert isinstance(beacon.alternatives[0], GitSource) and beacon.alternatives[0].commit == COMMIT


def test_the_project_file_may_name_other_places_alone(tree: Tree) -> None:
    elsewhere = {"maven": "org.example:ferry:1.10.2:zip:source-release", "sha512": OTHER}
    tree.settings(sources={"ferry": {"alternatives": [elsewhere]}})
    (source,) = tree.evaluated("ferry").sources
    assert [type(one) for one in source.alternatives] == [MavenSource]


def test_a_component_file_of_the_same_version_is_asked_next(tree: Tree) -> None:
    versions = """
      {"1.10.2": {sources: [{alternatives: [
        {maven: "org.example:ferry:1.10.2:zip:source-release", sha512: "%s"},
        {apache: "ferry/ferry-1.10.2/apache-ferry-1.10.2.tar.gz", sha512: "%s"}]}]}}"""
    tree.project.component("ferry", versions=versions.replace("\n", " ") % (OTHER, SHA))
    tree.settings(sources={})
    (source,) = tree.evaluated("ferry").sources
    assert [one.digest for one in source.alternatives] == [f"sha512:{SHA}", f"sha512:{OTHER}"]
    assert [type(one) for one in source.alternatives] == [ApacheSource, MavenSource]


@pytest.mark.parametrize(
    "versions",
    [
        '{"1.10.1": {sources: [{alternatives: [{https: "http://x/a.tgz", sha512: "%s"}]}]}}',
        '{"1.10.2": {sources: [{alternatives: [{pypi: "ferry==1.10.2", sha512: "%s"}]}]}}',
    ],
)
def test_another_version_or_a_binary_distribution_is_no_source(tree: Tree, versions: str) -> None:
    tree.project.component("ferry", versions=versions % SHA)
    tree.settings(sources={})
    assert "no digest is known" in tree.refusal("ferry")


def test_the_lock_file_is_asked_last_and_by_version(tree: Tree) -> None:
    tree.settings(sources={})
    lock = read_lock(tree.project.root)
    text = lock_text(lock, "lantern", "0.7", LockedSource(address="https://code.example.org/l.zip", sha512=SHA))
    (tree.project.root / LOCK_FILE).write_text(text)
    (source,) = tree.evaluated("lantern").sources
    assert isinstance(source.alternatives[0], HttpsSource) and source.alternatives[0].sha512 == SHA
    again = lock_text(read_lock(tree.project.root), "beacon", "2.0", LockedSource(address="x", commit=COMMIT))
    (tree.project.root / LOCK_FILE).write_text(again)
    assert tree.evaluated("beacon").sources and tree.evaluated("lantern").sources
    tree.change("bigtop.bom", "base = '0.7'", "base = '0.8'")
    assert "no digest is known for the source of lantern 0.8" in tree.refusal("lantern")


def test_a_source_of_the_users_own_needs_no_digest(tree: Tree, tmp_path: Path) -> None:
    tree.settings(sources={})
    value = tree.opened({"ferry": Choice(source=str(tmp_path))}).evaluate("ferry", "el8")
    assert isinstance(value, Evaluated) and value.sources == () and value.local_source == tmp_path


def test_a_source_of_an_unknown_component_is_reported_with_its_line(tree: Tree) -> None:
    tree.settings(sources={"fery": {"sha512": SHA}})
    with pytest.raises(ConfigurationError, match="fery") as caught:
        _ = tree.opened().stack
    assert caught.value.location is not None and caught.value.location.line
    assert "ferry" in (caught.value.hint or "")


# prerequisites


def test_selected_prerequisites_come_first(tree: Tree) -> None:
    made = tree.plan("harbor-utils", "ferry")
    assert "harbor-utils@debian-bootstrap/compile" in made.task("ferry@debian-bootstrap/compile").depends


def test_prerequisites_that_are_not_selected_are_ignored(tree: Tree) -> None:
    assert [task.evaluated.name for task in tree.plan("ferry").tasks] == ["ferry", "ferry"]


def test_with_dependencies_pulls_prerequisites_in(tree: Tree) -> None:
    made = tree.plan("ferry", with_dependencies=True)
    assert {task.evaluated.name for task in made.tasks} == {"ferry", "hadoop", "harbor-utils"}


def test_a_prerequisite_that_is_no_component_counts_only_when_it_is_pulled_in(tree: Tree) -> None:
    assert tree.plan("beacon").tasks
    with pytest.raises(ConfigurationError, match="'lost'"):
        tree.plan("beacon", with_dependencies=True)


# keys and reasons


def test_a_changed_spec_builds_that_component_and_what_comes_after(built: Tree) -> None:
    built.change(FERRY, "Summary: Carries things", "Summary: Carries all")
    assert rebuilt(built) == {
        "ferry@debian-bootstrap/compile": ("spec changed",),
        "ferry@el8/package": ("recompiled",),
    }


def test_an_added_patch_is_the_reason(built: Tree) -> None:
    (built.root / COMMON / "patch3-more.diff").write_text("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-b\n+c\n")
    assert rebuilt(built)["ferry@debian-bootstrap/compile"] == ("patch patch3-more added",)


def test_a_changed_script_is_the_reason(built: Tree) -> None:
    built.change(f"{COMMON}/install_ferry.sh", "install", "/usr/bin/install")
    assert rebuilt(built)["ferry@debian-bootstrap/compile"] == ("file install_ferry.sh changed",)


def test_another_version_in_the_bill_builds_those_whose_files_name_it(built: Tree) -> None:
    built.change("bigtop.bom", "base = '0.7'", "base = '0.8'")
    assert {name.split("@")[0] for name in rebuilt(built)} == {"lantern"}
    built.change("bigtop.bom", "base = '3.3.6'", "base = '3.3.7'")
    why = rebuilt(built)["ferry@debian-bootstrap/compile"]
    assert "HADOOP_VERSION in the bill of materials changed" in why


def test_another_platform_compiles_nothing_that_cannot_see_it(built: Tree) -> None:
    made = with_images(built.opened(), "ferry").plan(Request(selectors=EVERYTHING, platforms=("el9",)))
    assert {task.action for task in made.tasks if task.kind == "compile"} == {"reuse"}
    built.change(FERRY, "BuildArch: noarch", "BuildArch: noarch\n%if 0%{?rhel} >= 9\n%endif")
    finish(built.opened(), built.plan(*EVERYTHING))
    made = with_images(built.opened(), "ferry").plan(Request(selectors=("ferry",), platforms=("el9",)))
    mine = [task.action for task in made.tasks if task.evaluated.name == "ferry"]
    assert mine == ["build", "build"]


def test_where_the_tree_lies_and_when_it_was_committed_are_not_in_keys(built: Tree) -> None:
    built.root.rename(built.project.root / "moved")
    built.root = built.project.root / "moved"
    built.settings(bigtop="moved")
    script = built.root / "packages.gradle"
    os.utime(script, (1_700_000_000, 1_700_000_000))
    assert built.plan(*EVERYTHING).nothing_to_do


def test_another_way_of_packaging_is_one_reason(built: Tree) -> None:
    built.project.component("ferry", "build: {script: make}\n", versions='{"1.10.2": {}}')
    built.project.stack(ferry="1.10.2")
    built.project.write(
        "bigtop-builder.yaml", f"stack: small\nstore: {built.project.root / 'store'}\noverlays: [overlay]\n"
    )
    found = actions(built.plan("ferry"))
    assert found["ferry@debian-bootstrap/compile"] == ("build", ("another packaging than last time",))


# trees


def archive(tree: Tree, name: str = "bigtop-3.5.1") -> Path:
    path = tree.project.root / "bigtop.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tree.root, name)
    return path


def test_a_release_archive_gives_the_same_keys_and_is_unpacked_once(built: Tree) -> None:
    archive(built)
    built.settings(bigtop="bigtop.tar.gz")
    shutil.rmtree(built.root)
    assert built.plan(*EVERYTHING).nothing_to_do
    unpacked = built.project.root / "store" / "cache" / "bigtop"
    before = [path.stat().st_ino for path in sorted(unpacked.rglob("*"))]
    assert built.plan(*EVERYTHING).nothing_to_do
    assert before == [path.stat().st_ino for path in sorted(unpacked.rglob("*"))]


def test_an_archive_that_climbs_out_is_refused_and_leaves_nothing(tree: Tree) -> None:
    path = tree.project.root / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(TREE / "bigtop.bom", "bigtop/../../../evil")
    tree.settings(bigtop="evil.tar.gz")
    with pytest.raises(SourceError, match="leaves the archive"):
        tree.opened().components()
    assert not list(tree.project.root.glob("**/evil"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "does not exist"),
        ("overlay", "not a tree of Apache Bigtop"),
        ("bigtop-builder.yaml", "cannot be unpacked"),
    ],
)
def test_a_path_that_is_not_a_tree_is_reported(tree: Tree, path: str, message: str) -> None:
    tree.settings(bigtop=path)
    with pytest.raises((ConfigurationError, SourceError), match=message):
        tree.opened().components()


def test_an_archive_of_something_else_is_named_itself(tree: Tree) -> None:
    (tree.root / "bigtop.bom").unlink()
    path = archive(tree)
    tree.settings(bigtop="bigtop.tar.gz")
    with pytest.raises(ConfigurationError, match="not a tree of Apache Bigtop") as caught:
        tree.opened().components()
    assert caught.value.location is not None and caught.value.location.file == path


def test_an_unknown_construct_in_the_bill_is_an_error_with_its_line(tree: Tree) -> None:
    tree.change("bigtop.bom", "  stack {", "  while (true) { }\n  stack {")
    with pytest.raises(ConfigurationError) as caught:
        tree.opened().components()
    assert caught.value.location is not None and caught.value.location.line == 5


def test_what_is_not_in_the_bill_cannot_be_selected(tree: Tree) -> None:
    with pytest.raises(NothingSelectedError, match="zookeeper"):
        tree.opened().plan(Request(selectors=("zookeeper",), platforms=("el8",)))


def test_a_prerequisite_that_is_built_counts_without_being_selected(built: Tree) -> None:
    assert built.plan("ferry").nothing_to_do
    built.change("bigtop-packages/src/common/harbor-utils/harbor-detect", "true", "false")
    why = actions(built.plan("ferry"))["ferry@debian-bootstrap/compile"]
    assert why == ("build", ("dependency hadoop removed", "dependency harbor-utils removed"))
