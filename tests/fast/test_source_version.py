"""Versions: what a source tree says, what patches are for, what rpm permits."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bigtop_builder.flow.build.component_compile import other_version
from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationError, Location, RecipeError
from bigtop_builder.model.evr import compare_evr, parse_evr
from bigtop_builder.model.project import Choice
from bigtop_builder.plan.task import Plan
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.evaluate import Evaluated, Target, evaluate
from bigtop_builder.recipe.rpm_format import RpmFormat
from bigtop_builder.recipe.settings import load_settings
from bigtop_builder.recipe.source_version import StatedVersion, same_version, stated_version
from bigtop_builder.recipe.spec import render_spec

POM = """<?xml version="1.0"?>
<!-- <version>0</version> -->
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <parent>
    <version>21</version>
  </parent>
{}  <properties><revision>3.3.6-SNAPSHOT</revision></properties>
  <dependencies><dependency><version>9</version></dependency></dependencies>
</project>
"""


def _tree(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "text", "version", "line"),
    [
        ("pom.xml", POM.format("  <version>3.3.6</version>\n"), "3.3.6", 7),
        ("pom.xml", POM.format("  <version>${revision}</version>\n"), "3.3.6-SNAPSHOT", 8),
        ("pom.xml", POM.format(""), "21", 5),
        ("gradle.properties", "# version=1\nscalaVersion=2.13\nversion=2.8.2\n", "2.8.2", 3),
        ("build.gradle", "allprojects {\n  version = '1.2'\n}\n", "1.2", 2),
        ("lucene/version.properties", "version.base=8.11.3\n", "8.11.3", 1),
        ("build.xml", '<project>\n  <property name="version" value="1.4.8" />\n</project>\n', "1.4.8", 2),
        ("ivy.xml", '<ivy-module>\n<info organisation="a" module="b" revision="1.9"/>\n', "1.9", 2),
        ("src/version.h", '#define REDIS_VERSION "7.0.15"\n', "7.0.15", 1),
        ("VERSION", "4.5\n", "4.5", 1),
    ],
)
def test_a_tree_states_its_version(name: str, text: str, version: str, line: int, tmp_path: Path) -> None:
    stated = stated_version(_tree(tmp_path, name, text))
    assert stated == StatedVersion(version, tmp_path / name, line)


@pytest.mark.parametrize(
    ("name", "text", "script"),
    [
        ("README", "3.3.6", ""),
        ("pom.xml", POM.format("  <version>${revision}</version>\n"), "mvn -Drevision=2.8.0-1 package"),
        ("pom.xml", POM.format("  <version>${elsewhere}</version>\n"), ""),
        ("pom.xml", "<project", ""),
        ("pom.xml", "\0\xff", ""),
        ("build.gradle", 'version = "${base}-x"\n', ""),
    ],
)
def test_a_tree_may_state_no_version(name: str, text: str, script: str, tmp_path: Path) -> None:
    assert stated_version(_tree(tmp_path, name, text), script) is None


@pytest.mark.parametrize(
    ("stated", "version", "same"),
    [
        ("3.3.4", "3.3.4", True),
        ("0.7.1-incubating", "0.7.1", True),
        ("3.1.0-SNAPSHOT", "3.1.0~20250513", True),
        ("3.3.4-SNAPSHOT", "3.3.4", False),
        ("3.3.6", "3.3.4", False),
        ("3.1.1", "3.1.0~20250513", False),
    ],
)
def test_which_versions_are_the_same(stated: str, version: str, same: bool) -> None:
    assert same_version(stated, version) is same


def _plan(tree: Path, store: Path, component: str = "hadoop", **choice: Any) -> Plan:
    settings = load_settings(tree, {"store": str(store)}, {})
    project = open_project(settings, {component: Choice.model_validate({"source": str(tree), **choice})})
    return project.plan(Request((component,)))


def test_a_tree_of_another_version_is_refused_when_it_is_planned(tmp_path: Path) -> None:
    tree = _tree(tmp_path / "tree", "pom.xml", POM.format("  <version>3.3.6</version>\n"))
    with pytest.raises(ConfigurationError, match=r"the source tree is hadoop 3\.3\.6, not 3\.3\.4") as caught:
        _plan(tree, tmp_path / "store")
    assert (caught.value.location, caught.value.exit_code) == (Location(tree / "pom.xml", 7), 2)
    assert "--set hadoop.version=3.3.6" in (caught.value.hint or "")
    for version in ("3.3.6", "3.3.4"):
        tasks = _plan(tree, tmp_path / "store", version=version).tasks
        assert {task.evaluated.version for task in tasks} == {version}


def test_a_tree_is_not_given_to_a_variant_that_compiles_nothing(tmp_path: Path) -> None:
    tree = _tree(tmp_path / "tree", "pom.xml", POM.format("  <version>3.2.3</version>\n"))
    with pytest.raises(ConfigurationError, match=r"tree is a source tree, which spark's variant 'binary'") as caught:
        _plan(tree, tmp_path / "store", component="spark")
    assert caught.value.exit_code == 2
    assert "--set spark.variant=source" in (caught.value.hint or "")
    for variant in ("source", "binary"):
        tasks = _plan(tree, tmp_path / "store", component="spark", variant=variant).tasks
        assert {task.evaluated.variant for task in tasks if task.evaluated.name == "spark"} == {variant}
    # Kafka's jars are published, but its scripts come from the tree; and what is no source tree may be a distribution.
    kafka = _tree(tmp_path / "kafka", "gradle.properties", "version=2.8.1\n")
    assert _plan(kafka, tmp_path / "store", component="kafka").tasks
    assert _plan(_tree(tmp_path / "dist", "RELEASE", "3.2.3\n"), tmp_path / "store", component="spark").tasks


def test_an_archive_of_another_version_is_refused_when_it_is_unpacked(tmp_path: Path) -> None:
    tree, archive = _tree(tmp_path / "src", "gradle.properties", "version=2.8.2\n"), tmp_path / "kafka.tgz"
    facts = {"component": "kafka", "version": "2.8.1", "script": "", "version_chosen": False}
    with pytest.raises(ConfigurationError, match=r"the source tree is kafka 2\.8\.2, not 2\.8\.1") as caught:
        other_version(cast(WorkOrder, SimpleNamespace(**facts)), archive, tree)
    assert caught.value.location == Location(archive / "gradle.properties", 1)
    chosen = cast(WorkOrder, SimpleNamespace(**facts | {"version_chosen": True}))
    assert other_version(chosen, archive, tree) == (
        f"{archive}/gradle.properties:1: the source tree is kafka 2.8.2, not 2.8.1, which was chosen"
    )
    assert other_version(cast(WorkOrder, SimpleNamespace(**facts | {"version": "2.8.2"})), archive, tree) is None


@pytest.mark.parametrize(
    ("upstream", "legal"),
    [
        ("3.3.6", "3.3.6"),
        ("3.1.1-TDP-0.1.0-SNAPSHOT", "3.1.1_TDP_0.1.0~SNAPSHOT"),
        ("3.1.1-TDP-0.1.0", "3.1.1_TDP_0.1.0"),
        ("2.0.0-alpha-1", "2.0.0~alpha_1"),
        ("3.0.0-beta1-SNAPSHOT", "3.0.0~beta1~SNAPSHOT"),
        ("1.0-RC2", "1.0~RC2"),
        ("1.0-M1", "1.0~M1"),
        ("1.0-developer", "1.0_developer"),
        ("3.3.6.3.3.6.0-1", "3.3.6.3.3.6.0_1"),
        ("3.1.0~20250513", "3.1.0~20250513"),
    ],
)
def test_versions_are_made_legal_for_rpm(upstream: str, legal: str) -> None:
    assert RpmFormat().version(upstream) == legal


def test_legal_versions_keep_their_order() -> None:
    ordered = [
        "3.1.1-SNAPSHOT",
        "3.1.1",
        "3.1.1-TDP-0.1.0-SNAPSHOT",
        "3.1.1-TDP-0.1.0",
        "3.1.1-TDP-0.2.0",
        "3.1.1-TDP-0.10.0",
        "3.1.2",
    ]
    evrs = [parse_evr(RpmFormat().version(version) + "-1") for version in ordered]
    assert [compare_evr(one, other) for one, other in itertools.pairwise(evrs)] == [-1] * 6


def _evaluated(name: str, overlay: Path | None = None, **choice: Any) -> Evaluated:
    catalog = Catalog((overlay,) if overlay else ())
    platform = catalog.platform("el8")
    target = Target(platform, platform, "x86_64")
    return evaluate(catalog, catalog.stack("bigtop-3.2.0"), name, target, Choice.model_validate(choice))


def test_files_have_upstreams_version_and_packages_a_legal_one(tmp_path: Path) -> None:
    version = "3.1.1-TDP-0.1.0-SNAPSHOT"
    hadoop = _evaluated("hadoop", version=version, source=str(tmp_path))
    assert f"hadoop-dist/target/hadoop-{version}" in hadoop.build.script
    assert "Version: 3.1.1_TDP_0.1.0~SNAPSHOT\n" in render_spec(hadoop)
    assert "hadoop_3_2_0-3.1.1_TDP_0.1.0~SNAPSHOT-1.el8.noarch.rpm" in hadoop.package_files()


PATCH = "It cures.\n\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"


def _patches(folder: Path, *names: str) -> Path:
    for name in names:
        _tree(folder, f"components/tez/patches/{name}", PATCH)
    return folder


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("0.10.0", []),
        ("0.10.2", ["range"]),
        ("0.10.3", ["range", "own"]),
        ("0.10.3-TDP-1.0", ["range"]),
        ("0.10.4", ["open"]),
        ("0.20", ["open"]),
    ],
)
def test_patches_are_for_ranges_of_versions(version: str, names: list[str], tmp_path: Path) -> None:
    overlay = _patches(tmp_path, "0.10.2..0.10.3/1-range.patch", "0.10.4../1-open.patch", "0.10.3/2-own.patch")
    _tree(overlay, "components/tez/component.yaml", 'versions: {"0.10.3": {}}\n')
    patches = _evaluated("tez", overlay, version=version, source=str(tmp_path)).patches
    assert [patch.name.split("-")[1].removesuffix(".patch") for patch in patches] == names


def test_numbers_in_the_names_of_patches_are_in_order(tmp_path: Path) -> None:
    overlay = _patches(tmp_path, "0.10.1/patch10-b.patch", "0.10.1/patch2-a.patch", "0.10.1/patch010-a.patch")
    names = [patch.name for patch in _evaluated("tez", overlay).patches if patch.name.startswith("patch")]
    assert names == ["patch2-a.patch", "patch010-a.patch", "patch10-b.patch"]


def test_a_range_that_has_no_version_is_refused(tmp_path: Path) -> None:
    overlay = _patches(tmp_path, "3.4..3.3/x.patch")
    with pytest.raises(RecipeError, match=r"no version is from 3\.4 to 3\.3"):
        _evaluated("tez", overlay)


def test_a_misspelt_version_of_patches_says_how_ranges_are_written(tmp_path: Path) -> None:
    overlay = _patches(tmp_path, ">=9/x.patch")
    with pytest.raises(BigtopBuilderError) as caught:
        _evaluated("tez", overlay)
    assert caught.value.message == "there is no version >=9 of tez"
