"""No name in a file becomes a path unchecked: each of these is an error with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigtop_builder.model.bundle import BundledFile
from bigtop_builder.model.component import Component, Package
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors, RecipeError
from bigtop_builder.model.inventory import Inventory
from bigtop_builder.model.platform import Platform
from bigtop_builder.model.project import Choice, ProjectFile
from bigtop_builder.model.stack import Stack
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.document import parse
from bigtop_builder.recipe.validation import validate
from tests.fast.conftest import ProjectFolder

FILE = Path("some.yaml")
SHA = "ab" * 32
BAD = {
    "climbing": "../../etc/passwd",
    "climbing inside": "a/../../b",
    "absolute": "/etc/passwd",
    "the folder above": "..",
    "too long": "n" * 255,
    "an escape sequence": '"a\\e[31mb"',
    "a line's end": '"a\\nb"',
    "a zero": '"a\\0b"',
    "a control character of C1": '"a\\x9bb"',
    "another direction": '"a\\u202eb"',
    "invisible": '"a\\u200bb"',
    "another separator": '"a\\\\..\\\\b"',
    "an option": '"-rf"',
    "nothing": '""',
}
HEAD = "name: a\nsummary: a\n"
VERSIONS = 'versions: {"1": {}}\n'


def component(source: str = "", package: str = "", rest: str = "") -> str:
    sources = f"{{sources: [{{{source}}}]}}" if source else "{}"
    return f'{HEAD}versions: {{"1": {sources}}}\npackages: [{{name: a, summary: a{package}}}]\n{rest}'


PLACES = {
    "a PyPI file": (Component, f"alternatives: [{{pypi: a==1, file: NAME, sha256: {SHA}}}]"),
    "a Debian file": (Component, f"alternatives: [{{debian: redis, file: NAME, sha256: {SHA}}}]"),
    "a Debian section": (Component, f"alternatives: [{{debian: redis, file: a, section: NAME, sha256: {SHA}}}]"),
    "a source": (Component, f"name: NAME, alternatives: [{{https: 'https://a/b', sha256: {SHA}}}]"),
}
PACKAGE = {
    "a package": "NAME",
    "a service": "a, services: [{name: NAME, description: a, command: a}]",
    "a service's script": "a, services: [{name: a, description: a, script: NAME}]",
    "a link": "a, alternatives: [{link: /a, name: NAME, path: /b}]",
    "a user": "a, users: [{name: NAME, home: /}]",
}
MORE = {
    "a version": (Component, f"{HEAD}versions: {{NAME: {{}}}}\npackages: [{{name: a, summary: a}}]\n"),
    "a component": (Component, f"name: NAME\nsummary: a\n{VERSIONS}packages: [{{name: a, summary: a}}]\n"),
    "a spec template": (Component, f"{HEAD}{VERSIONS}packages: [{{name: a, summary: a}}]\nspec: NAME\n"),
    "a variant": (
        Component,
        f"{HEAD}{VERSIONS}packages: [{{name: a, summary: a}}]\nvariants: {{NAME: {{build: {{}}}}}}",
    ),
    "a dependency": (Component, f"{HEAD}{VERSIONS}packages: [{{name: a, summary: a}}]\ndepends: {{build: [NAME]}}\n"),
    "a stack": (Stack, 'name: NAME\nversion: "1"\nepoch: 1\ncomponents: {a: "1"}\n'),
    "a stack's version": (Stack, 'name: a\nversion: NAME\nepoch: 1\ncomponents: {a: "1"}\n'),
    "a stack's component": (Stack, 'name: a\nversion: "1"\nepoch: 1\ncomponents: {NAME: "1"}\n'),
    "a platform": (Platform, "name: NAME\ntitle: a\n"),
    "an image template": (Platform, "name: a\ntitle: a\nimage: {template: NAME}\n"),
    "a Debian suite": (Platform, "name: a\ntitle: a\nimage: {template: a, debootstrap: NAME}\n"),
    "a package format": (Platform, "name: a\npackage_format: NAME\n"),
    "the project's stack": (ProjectFile, "stack: NAME\n"),
    "the project's platform": (ProjectFile, "platforms: [NAME]\n"),
    "a chosen version": (ProjectFile, "components: {a: {version: NAME}}\n"),
    "a chosen component": (ProjectFile, "components: {NAME: {}}\n"),
    "a pinned source": (
        ProjectFile,
        f"sources: {{a: {{alternatives: [{{pypi: a==1, file: NAME, sha256: {SHA}}}]}}}}\n",
    ),
    "a cluster": (Inventory, "cluster: NAME\n"),
    "a group": (Inventory, "cluster: a\ngroups: {NAME: {}}\n"),
    "a stand-alone service": (Inventory, "cluster: a\nstandalone: {NAME: {hosts: [a]}}\n"),
    "a job": (Inventory, "cluster: a\njobs: {NAME: {on: a, command: a}}\n"),
}
ALL = {
    **{place: (model, component(text)) for place, (model, text) in PLACES.items()},
    **{
        place: (Component, f"{HEAD}{VERSIONS}packages: [{{summary: a, name: {text}}}]\n")
        for place, text in PACKAGE.items()
    },
    **MORE,
}


def mistakes(text: str, model: type) -> list[ConfigurationError]:
    with pytest.raises(ConfigurationError) as caught:
        validate(parse(text, FILE), model)
    error = caught.value
    return error.errors if isinstance(error, ConfigurationErrors) else [error]


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize(("model", "text"), ALL.values(), ids=ALL)
def test_a_name_that_is_no_name_is_refused_with_its_line(model: type, text: str, bad: str) -> None:
    line = next(number for number, one in enumerate(text.splitlines(), 1) if "NAME" in one)
    found = mistakes(text.replace("NAME", bad), model)
    quoted = bad.strip('"')[:12]
    here = [
        error for error in found if error.location and error.location.line == line and "missing" not in error.message
    ]
    assert here, (quoted, found)


@pytest.mark.parametrize("bad", [bad for name, bad in BAD.items() if name not in ("an option",)])
def test_a_target_folder_stays_in_the_source_tree(bad: str) -> None:
    text = component(f"into: {bad}, alternatives: [{{https: 'https://a/b', sha256: {SHA}}}]")
    assert any("into" in (error.location.path if error.location else "") for error in mistakes(text, Component))


@pytest.mark.parametrize(
    "alternative",
    [
        "https: 'https://example.com/a/..'",
        'https: "https://example.com/a\\e[31m"',
        f"https: 'https://example.com/{'n' * 255}'",
        "apache: 'zookeeper/..'",
        'apache: "zookeeper/a\\nb"',
        'maven: "a:b\\e[2J:1"',
        f"maven: 'a:{'n' * 255}:1'",
        'git: "https://example.com/\\e[2J", commit: ' + "ab" * 20,
        'file: "a\\0b"',
        f"file: '{'n' * 255}'",
        "file: 'a/..'",
    ],
)
def test_a_source_whose_file_has_no_safe_name_is_refused(alternative: str) -> None:
    digest = "" if alternative.startswith("git") else f", sha256: {SHA}"
    found = mistakes(component(f"alternatives: [{{{alternative}{digest}}}]"), Component)
    assert found[0].location is not None
    assert found[0].location.line == 3


@pytest.mark.parametrize("bad", ["../b", "/b", "a\x1b[31m", "a/./b", "", "n" * 255, "a\n", "\u202eb", "a//b"])
def test_a_path_of_a_bundle_stays_in_it(bad: str) -> None:
    with pytest.raises(ValueError, match="not a relative path"):
        BundledFile(path=bad, size=1, sha256=SHA)


@pytest.mark.parametrize(
    "setting",
    ["store", "output", "repository", "overlays: [", "network: {ca_bundle", "signing: {homedir", "packaging: {bigtop"],
)
@pytest.mark.parametrize("bad", ['"a\\0b"', '"a\\e[31mb"', "n" * 256, f"'{'n/' * 3000}'"])
def test_a_path_of_the_project_is_one_that_a_file_system_takes(setting: str, bad: str) -> None:
    colon = "" if setting.endswith("[") else ": "
    text = f"{setting}{colon}{bad}" + ("]" if "[" in setting else "}" if "{" in setting else "")
    assert mistakes(text, ProjectFile)[0].location is not None


@pytest.mark.parametrize("path", ["etc/x", "/etc/../x", '"/etc/\\e[31m"', "/" + "n" * 255])
def test_a_path_on_a_host_is_absolute_and_goes_down(path: str) -> None:
    text = f"cluster: a\nstandalone: {{a: {{hosts: [b], files: {{{path}: {{content: a}}}}}}}}\n"
    assert any("files" in (error.location.path if error.location else "") for error in mistakes(text, Inventory))


def test_a_template_is_checked_when_it_is_rendered(project: ProjectFolder) -> None:
    from tests.fast.test_planning import plan, workspace

    file = project.component("a", "")
    source = f"into: '{{{{ up }}}}', alternatives: [{{https: 'https://a/b', sha256: {SHA}}}]"
    file.write_text(component(source, rest="variables: {up: '{{ \"{{ x }}\" }}/../..'}\n"))
    with pytest.raises(RecipeError, match="stays below its folder") as caught:
        plan(workspace(project), "a")
    assert caught.value.location is not None
    assert caught.value.location.file == file
    assert "into" in caught.value.location.path


@pytest.mark.parametrize("name", ["../a", "a\x1b[31m", "n" * 255])
def test_a_choice_on_the_command_line_is_checked(name: str) -> None:
    for field in ("version", "variant"):
        with pytest.raises(ValueError, match="String should"):
            Choice.model_validate({field: name})


def overlay(tmp_path: Path) -> Path:
    folder = tmp_path / "overlay" / "components" / "a"
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text(component())
    return folder


@pytest.mark.parametrize("name", ["a\x1b[31m.patch", "a\nb.patch", "n" * 240 + ".patch", "a\u202e.patch"])
def test_the_name_of_a_patch_is_checked(tmp_path: Path, name: str) -> None:
    folder = overlay(tmp_path)
    (folder / "patches" / "1").mkdir(parents=True)
    (folder / "patches" / "1" / name).write_text("Note\n--- a\n+++ b\n")
    with pytest.raises(RecipeError, match="name of the file"):
        Catalog((tmp_path / "overlay",)).component("a").patches("1")


@pytest.mark.parametrize("kind", ["files", "patches/1"])
def test_a_link_in_an_overlay_leads_nowhere_else(tmp_path: Path, kind: str) -> None:
    folder = overlay(tmp_path)
    (tmp_path / "secret").write_text("secret")
    (folder / kind).mkdir(parents=True)
    (folder / kind / "a.patch").symlink_to(tmp_path / "secret")
    loaded = Catalog((tmp_path / "overlay",)).component("a")
    with pytest.raises(RecipeError, match="outside the overlay"):
        loaded.files() if kind == "files" else loaded.patches("1")


def test_a_link_inside_an_overlay_is_followed(tmp_path: Path) -> None:
    folder = overlay(tmp_path)
    (folder / "files").mkdir()
    (folder / "files" / "a").write_text("a")
    (folder / "files" / "b").symlink_to("a")
    assert set(Catalog((tmp_path / "overlay",)).component("a").files()) == {"a", "b"}


def test_a_package_has_templates_in_component_files_alone() -> None:
    with pytest.raises(ValueError, match="without folders"):
        Package(name="{{ x }}/../a", summary="a")
