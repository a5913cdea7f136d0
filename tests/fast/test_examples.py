"""The overlays in examples/: they are short, they plan, and they build what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.model.project import Choice
from bigtop_builder.recipe.catalog import Catalog, shipped_templates
from bigtop_builder.recipe.evaluate import Evaluated, Target, evaluate
from bigtop_builder.recipe.settings import load_settings

EXAMPLES = shipped_templates().parent / "examples"


def _tasks(example: str, name: str, store: Path, **options: str) -> dict[str, Evaluated]:
    settings = load_settings(EXAMPLES / example, {"store": str(store)}, {})
    project = open_project(settings, {name: Choice(options=options)} if options else {})
    return {task.kind: task.evaluated for task in project.plan(Request((name,))).tasks}


@pytest.mark.parametrize(("example", "name"), [("hadoop-3.3.6", "hadoop"), ("hbase-2.4.17", "hbase")])
def test_another_version_takes_fewer_than_15_lines(example: str, name: str) -> None:
    files = [f"components/{name}/component.yaml", "stacks/bigtop-3.2.0.yaml", "bigtop-builder.yaml"]
    assert sum(len((EXAMPLES / example / file).read_text().splitlines()) for file in files) < 15


def test_hadoop_3_3_6(tmp_path: Path) -> None:
    hadoop = _tasks("hadoop-3.3.6", "hadoop", tmp_path, yarn_ui="no", site="no")["compile"]
    assert hadoop.version == "3.3.6"
    assert "-Dversion-info.scm.commit=1be78238728da9266a4f88195058f08fd012bf9c \\\n" in hadoop.build.script
    assert "-Dversion-info.scm.branch=rel/release-3.3.6 \\\n" in hadoop.build.script
    assert 'cp -R "hadoop-dist/target/hadoop-3.3.6" "$STAGE/dist"' in hadoop.build.script
    assert [patch.name for patch in hadoop.patches] == ["0001-httpfs-script-finds-hdfs.patch"]
    # It needs ZooKeeper 3.6, which the stack does not have.
    assert "zookeeper.version" not in hadoop.build.script
    assert "zookeeper-[0-9]" not in hadoop.install
    assert "hadoop_3_2_0-hdfs-3.3.6-1.el8.noarch.rpm" in hadoop.package_files()


def test_other_components_are_built_against_the_other_hadoop(tmp_path: Path) -> None:
    assert "-Dhadoop.version=3.3.6 \\\n" in _tasks("hadoop-3.3.6", "tez", tmp_path)["compile"].build.script


def test_hadoop_native_3_3_6(tmp_path: Path) -> None:
    settings = load_settings(EXAMPLES / "hadoop-3.3.6", {"store": str(tmp_path), "builder": "platform"}, {})
    tasks = open_project(settings).plan(Request(("hadoop-native",))).tasks
    assert {task.evaluated.version for task in tasks} == {"3.3.6"}
    assert [source.name for source in tasks[0].evaluated.sources] == ["main", "protobuf"]


def test_hbase_2_4_17(tmp_path: Path) -> None:
    hbase = _tasks("hbase-2.4.17", "hbase", tmp_path)["compile"]
    assert hbase.version == "2.4.17"
    assert "revision=7fd096f39b4284da9a71da3ce67c48d259ffa79a" in hbase.build.script
    # What the shipped patch cures is in this release.
    assert hbase.patches == ()
    assert "hbase_3_2_0-2.4.17-1.el8.noarch.rpm" in hbase.package_files()


@pytest.mark.parametrize(
    ("version", "zookeeper", "stacks_own"),
    [("3.3.4", "3.5.9", True), ("3.3.6", "3.5.9", False), ("3.3.6", "3.7.2", True), ("3.3.10", "3.10.0", True)],
)
def test_hadoop_uses_the_zookeeper_of_the_stack_if_it_can(
    version: str, zookeeper: str, stacks_own: bool, tmp_path: Path
) -> None:
    catalog = Catalog()
    platform = catalog.platform("el8")
    for name in ("hadoop", "hadoop-native"):
        choice = Choice(version=version, source=str(tmp_path))
        stack, target = catalog.stack("bigtop-3.2.0"), Target(platform, platform, "x86_64")
        made = evaluate(catalog, stack, name, target, choice, {"zookeeper": zookeeper})
        assert (f"-Dzookeeper.version={zookeeper} \\\n" in made.build.script) is stacks_own
        assert ("zookeeper.version" in made.build.script) is stacks_own
        if name == "hadoop":
            assert ("/usr/lib/zookeeper/zookeeper.jar" in made.install) is stacks_own
