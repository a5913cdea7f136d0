"""Variables of component files: an overlay, or the user, changes one flag of a script in one line."""

from __future__ import annotations

import difflib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.cli.choices import parse_choices
from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.model.errors import ConfigurationError, Location, RecipeError
from bigtop_builder.model.project import Choice
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.evaluate import Target, evaluate
from bigtop_builder.recipe.settings import load_settings
from bigtop_builder.recipe.template import render, truth

CATALOG = Catalog()
HERE = Location(Path("here"))


def _maven_builds() -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for name in sorted(CATALOG.component_files):
        component = CATALOG.component(name).component
        builds = {key: variant.build for key, variant in component.variants.items()} or {None: component.build}
        found += [(name, variant) for variant, build in builds.items() if build is not None and build.maven]
    return found


def _script(name: str, variant: str | None = None, overlay: Path | None = None, **choice: Any) -> str:
    catalog = Catalog((overlay,)) if overlay else CATALOG
    platform = catalog.platform("el8")
    target = Target(platform, platform, "x86_64")
    chosen = Choice.model_validate({"variant": variant, **choice})
    return evaluate(catalog, catalog.stack("bigtop-3.2.0"), name, target, chosen).build.script


def _overlay(folder: Path, name: str, *lines: str) -> Path:
    file = folder / "components" / name / "component.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")
    return folder


def _changed(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [" ".join(line.removesuffix("\\").split()) for line in lines if line[0] in "+-"]


def test_everything_that_maven_compiles_has_the_same_variables() -> None:
    builds = _maven_builds()
    assert len(builds) >= 15
    for name, _ in builds:
        assert {"maven_args", "maven_properties"} <= set(CATALOG.component(name).component.variables), name


@pytest.mark.parametrize(("name", "variant"), _maven_builds())
def test_one_line_of_an_overlay_changes_one_flag(name: str, variant: str | None, tmp_path: Path) -> None:
    before = _script(name, variant)
    overlay = _overlay(tmp_path, name, 'variables: {maven_properties: {rat.skip: "false", of.ours: "a b"}}')
    after = _script(name, variant, overlay)
    changed = _changed(before, after)
    assert sum("-Drat.skip=false" in line for line in changed) == 1
    assert sum('"-Dof.ours=a b"' in line for line in changed) == 1
    assert "-Drat.skip=true" not in after
    # Nothing else is different: without the two the script is as before.
    both = {"rat.skip": "true", "of.ours": ""} if "-Drat.skip=true" in before else {"rat.skip": "", "of.ours": ""}
    assert _script(name, variant, overlay, variables={"maven_properties": both}) == before
    done = subprocess.run(["bash", "-n"], input=after, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_one_line_changes_profiles_or_modules(tmp_path: Path) -> None:
    overlay = _overlay(tmp_path, "hadoop", "variables: {maven_profiles: dist, maven_modules: ''}")
    assert _changed(_script("hadoop"), _script("hadoop", overlay=overlay)) == [
        '- mvn -B -ntp -Pdist,yarn-ui -pl "!:hadoop-yarn-applications-catalog-webapp,'
        '!:hadoop-yarn-applications-catalog-docker"',
        "+ mvn -B -ntp -Pdist",
    ]


def test_the_command_line_sets_variables_and_keys_of_them() -> None:
    sets = ["hbase.variables.maven_properties.hadoop.profile=2.0", "hbase.variables.maven_opts=-Xmx6g"]
    choice = parse_choices(sets, None, Path())["hbase"]
    assert choice.variables == {"maven_properties": {"hadoop.profile": "2.0"}, "maven_opts": "-Xmx6g"}
    script = _script("hbase", variables=choice.variables)
    assert "-Dhadoop.profile=2.0 \\\n" in script and 'MAVEN_OPTS="-Xmx6g ' in script


@pytest.mark.parametrize(
    ("variables", "message", "hint"),
    [
        ({"maven_profile": "x"}, "hadoop has no variable 'maven_profile'", "Did you mean maven_profiles"),
        ({"maven_profiles": {"a": "b"}}, "the variable maven_profiles of hadoop is a text", ""),
        ({"maven_properties": "-Dx"}, "the variable maven_properties of hadoop is a mapping", ".KEY=VALUE"),
    ],
)
def test_a_wrong_variable_of_the_user_is_refused(variables: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        _script("hadoop", variables=variables)
    assert hint in (caught.value.hint or "")


def test_a_text_and_a_mapping_cannot_both_be_set() -> None:
    with pytest.raises(ConfigurationError, match="both as a text and as a mapping"):
        parse_choices(["hadoop.variables.x=1", "hadoop.variables.x.y=2"], None, Path())
    with pytest.raises(ConfigurationError, match="both as a text and as a mapping"):
        parse_choices(["hadoop.variables.x.y=2", "hadoop.variables.x=1"], None, Path())


def test_a_variable_that_no_template_uses_is_a_mistake_of_the_overlay(tmp_path: Path) -> None:
    overlay = _overlay(tmp_path, "tez", "variables:", "  maven_profile: hadoop3")
    with pytest.raises(RecipeError, match="no template of the component uses the variable 'maven_profile'") as caught:
        _script("tez", overlay=overlay)
    assert caught.value.location is not None and caught.value.location.line == 2
    assert "maven_profiles" in (caught.value.hint or "")


def test_an_overlay_may_add_variables_that_its_own_templates_use(tmp_path: Path) -> None:
    lines = ("variables: {flag: '{{ maven_profiles }}-ours'}", "build: {script: 'make {{ flag }}'}")
    assert _script("tez", overlay=_overlay(tmp_path, "tez", *lines)) == "make hadoop28-ours"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ 'a,b' | flags('-P') }}", "-Pa,b"),
        ("{{ 'all,!linux' | flags('-P') }}", '"-Pall,!linux"'),
        ("{{ '!:a' | flags('-pl ') }}", '-pl "!:a"'),
        ("{{ '' | flags('-P') }}", ""),
        ("{{ {'a': '1', 'b': '', 'c': '$(date) x'} | flags('-D') }}", '-Da=1 \\\n  "-Dc=$(date) x"'),
        ("{{ {'TLS': 'yes'} | flags('') }}", "TLS=yes"),
    ],
)
def test_flags_are_arguments_of_bash(template: str, text: str) -> None:
    assert render(template, {}, HERE) == text


POM = """<project>
  <dependencies>
    <dependency><artifactId>a</artifactId></dependency>
    <dependency>
      <artifactId>b</artifactId>
      <type>test-jar</type>
    </dependency>
    <dependency><artifactId>c</artifactId></dependency>
  </dependencies>
</project>
"""


def test_a_script_drops_elements_from_all_poms(tmp_path: Path) -> None:
    (tmp_path / "module").mkdir()
    for folder in (tmp_path, tmp_path / "module"):
        (folder / "pom.xml").write_text(POM)
    command = render("{{ '<type>test-jar</type>' | drop_from_poms('dependency') }}", {}, HERE)
    subprocess.run(["bash", "-euc", str(command)], cwd=tmp_path, check=True)
    for folder in (tmp_path, tmp_path / "module"):
        text = (folder / "pom.xml").read_text()
        assert re.findall("<artifactId>(.)</artifactId>", text) == ["a", "c"]
        assert text.count("<dependency>") == text.count("</dependency>") == 2


@pytest.mark.parametrize("pattern", ["(", 'a"b', "a\nb"])
def test_patterns_that_no_script_can_hold_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="drop_from_poms"):
        render("{{ pattern | drop_from_poms('dependency') }}", {"pattern": pattern}, HERE)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("version >= '3.3.9'", True),
        ("version < '3.3.9'", False),
        ("version is ge '3.3.9'", True),
        ("'3.3' <= version < '3.4'", True),
        ("version > '3.3.10'", False),
        ("version == '3.3.10'", True),
        ("'3.3.10~rc1' < version", True),
        ("versions.hbase < '2.10'", True),
        ("(versions.hive | default('3.1.3')) < '3.1.20'", True),
        ("3 < 10", True),
    ],
)
def test_templates_compare_texts_as_versions(expression: str, expected: bool) -> None:
    assert truth(expression, {"version": "3.3.10", "versions": {"hbase": "2.4.17"}}, HERE) is expected


def test_a_version_without_quotes_is_told() -> None:
    with pytest.raises(RecipeError, match="put a version in quotes"):
        truth("version >= 3.3", {"version": "3.3.10"}, HERE)


@pytest.mark.parametrize(
    ("version", "profile"), [("3.2.3", "hadoop-3.2"), ("3.3.0", "hadoop-3"), ("3.10.1", "hadoop-3")]
)
def test_a_profile_follows_the_version(version: str, profile: str, tmp_path: Path) -> None:
    script = _script("spark", "source", version=version, source=str(tmp_path))
    assert f"-Pyarn,{profile},hive" in script


def test_a_tree_of_the_user_does_not_name_the_commit_of_the_release(tmp_path: Path) -> None:
    commit = "-DbuildNumber=355fbc14caeaefab08cb2045f2d9d83435c5be70"
    assert commit in _script("tez")
    assert "buildNumber" not in _script("tez", source=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "variables", "flag"),
    [
        ("bigtop-jsvc", {"make_args": "V=1"}, "make V=1\n"),
        ("hadoop-native", {"cmake_properties": {"CMAKE_BUILD_TYPE": "Debug"}}, "-DCMAKE_BUILD_TYPE=Debug "),
        ("kafka", {"gradle_properties": {"scalaVersion": "2.13"}}, "-PscalaVersion=2.13 "),
        ("ranger-native", {"cflags": "-O3"}, "gcc -O3 -o"),
        ("redis", {"make_properties": {"MALLOC": "libc"}}, "MALLOC=libc"),
        ("solr", {"ant_targets": "package"}, " package\n"),
        ("zookeeper-native", {"configure_args": "--with-cppunit"}, "./configure --with-cppunit CFLAGS"),
    ],
)
def test_other_builds_have_variables_too(name: str, variables: dict[str, Any], flag: str, tmp_path: Path) -> None:
    variant = "source" if "source" in CATALOG.component(name).component.variants else None
    before = _script(name, variant)
    overlay = _overlay(tmp_path, name, f"variables: {json.dumps(variables)}")
    after = _script(name, variant, overlay)
    assert flag in after and flag not in before
    assert _script(name, variant, variables=variables) == after


def test_the_command_line_is_laid_over_the_project_file(tmp_path: Path) -> None:
    (tmp_path / "bigtop-builder.yaml").write_text(
        "components: {tez: {variables: {maven_profiles: ours, maven_properties: {tar: '', of.ours: '1'}}}}\n"
    )
    settings = load_settings(tmp_path, {"store": str(tmp_path / "store")}, {})
    given = parse_choices(["tez.variables.maven_properties.of.ours=2"], None, tmp_path)
    script = open_project(settings, given).plan(Request(("tez",))).tasks[0].evaluated.build.script
    assert " -Pours " in script
    assert "-Dof.ours=2 \\\n" in script
    assert "-Dtar" not in script
