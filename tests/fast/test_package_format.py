"""Entries of file lists, how rpm writes them, and what is said of rpm's own directives in a component file."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.model.component import FileEntry, Package
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationErrors, RecipeError
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.package_format import FORMATS
from bigtop_builder.recipe.rpm_format import RpmFormat, file_entries, file_line, flow_mapping
from tests.fast.conftest import ProjectFolder

RPM = RpmFormat()

LINES = (
    ("%config /a", {"path": "/a", "config": True}),
    ("%config(noreplace) /a", {"path": "/a", "config": "noreplace"}),
    ("%doc /a", {"path": "/a", "doc": True}),
    ("%license /a", {"path": "/a", "license": True}),
    ("%ghost /a", {"path": "/a", "ghost": True}),
    ("%dir /a", {"path": "/a", "dir": True}),
    ("%exclude /a/*.jar", {"path": "/a/*.jar", "exclude": True}),
    ("%exclude %dir /a", {"path": "/a", "exclude": True, "dir": True}),
    ("%attr(0750,redis,hadoop) /a", {"path": "/a", "mode": "0750", "owner": "redis", "group": "hadoop"}),
    ("%attr(-,redis,-) /a", {"path": "/a", "owner": "redis"}),
    ("%attr(1777,-,-) /a", {"path": "/a", "mode": "1777"}),
    ("%dir %attr(-,a,b) /a", {"path": "/a", "dir": True, "owner": "a", "group": "b"}),
    ("%attr(-,a,b) %dir /a", {"path": "/a", "owner": "a", "group": "b", "dir": True}),
    ("%config(noreplace) %attr(0640,-,-) {{ c }}/x", {"path": "{{ c }}/x", "config": "noreplace", "mode": "0640"}),
)


def packages(*files: str, more: str = "") -> str:
    return f"[{{name: 'a{{{{ suffix }}}}', summary: a, files: [{', '.join(files)}]{more}}}]"


def problem(project: ProjectFolder) -> BigtopBuilderError:
    with pytest.raises(BigtopBuilderError) as caught:
        open_project(project.settings()).evaluate("a", "el8")
    return caught.value


def spec(project: ProjectFolder) -> str:
    space = open_project(project.settings())
    evaluated = space.evaluate("a", "el8")
    assert not isinstance(evaluated, Refusal)
    return space.spec(evaluated)


@pytest.mark.parametrize(("line", "entry"), LINES)
def test_an_entry_is_written_as_rpm_reads_it_and_back(line: str, entry: dict[str, Any]) -> None:
    assert file_line(FileEntry.model_validate(entry)) == line
    assert file_entries(line) == [entry]
    assert yaml.safe_load(flow_mapping(entry)) == entry


def test_what_an_entry_denies_is_not_written() -> None:
    assert file_line(FileEntry.model_validate({"dir": False, "path": "/a", "config": False})) == "/a"


def test_folders_keep_their_modes_on_request() -> None:
    package = Package.model_validate({"name": "a", "summary": "a", "files": ["/a"], "keep_folder_modes": True})
    assert RPM.file_list(package) == ["%defattr(-,root,root,-)", "/a"]


def test_the_paths_of_a_package_are_those_it_does_not_exclude() -> None:
    files = ["/a", {"path": "/b", "config": True}, {"path": "/c", "exclude": True}]
    assert Package.model_validate({"name": "a", "summary": "a", "files": files}).paths == ["/a", "/b"]


def test_every_format_is_known_by_its_name_and_names_its_files() -> None:
    assert {name: known.name for name, known in FORMATS.items()} == {"rpm": "rpm"}
    assert FORMATS["rpm"].file_name("a", "1.0", "2.el8", "noarch") == "a-1.0-2.el8.noarch.rpm"


def test_entries_and_paths_reach_the_spec_and_an_empty_one_is_dropped(project: ProjectFolder) -> None:
    project.component(
        "a",
        packages=packages(
            "'{{ parent_dir }}/x'",
            "{path: '{{ parent_dir }}/conf', config: noreplace, mode: \"0640\", owner: '{{ name }}', group: root}",
            '\'{{ "/y" if version == "2" }}\'',
            '{path: \'{{ "/z" if version == "2" }}\', exclude: true}',
        ),
    )
    listed = spec(project).partition("%defattr(-,root,root,755)\n")[2].split()
    assert listed == ["/usr/bigtop/1.0/x", "%config(noreplace)", "%attr(0640,a,root)", "/usr/bigtop/1.0/conf"]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("%config(noreplace) {{ conf }}", 'Write: {path: "{{ conf }}", config: noreplace}'),
        ("%attr(0755,solr,solr) /var/log/solr", 'Write: {path: /var/log/solr, mode: "0755", owner: solr, group: solr}'),
        ("%dir /etc/a", "Write: {path: /etc/a, dir: true}"),
        ("%doc README LICENSE", "Write: {path: README, doc: true}, {path: LICENSE, doc: true}"),
        ("%defattr(-,root,root,-)", "keep_folder_modes: true"),
        ("%verify(not md5) /etc/a", "No key of an entry"),
        ("%config(missingok) /etc/a", "No key of an entry"),
    ],
)
def test_a_directive_of_rpm_in_an_overlay_is_an_error_that_shows_the_entry(
    project: ProjectFolder, line: str, hint: str
) -> None:
    listed = f'[{{name: a, summary: a, files: [\n  /opt/a,\n  "{line}"]}}]'
    file = project.component("a", packages=listed)
    error = problem(project)
    assert isinstance(error, RecipeError)
    assert error.message == f"'files' takes paths and entries, not the syntax of rpm: {line}"
    assert error.hint and hint in error.hint
    assert str(error.location) == f"{file}:6:3 (packages[0].files[1])"


def test_every_such_line_is_reported_at_once(project: ProjectFolder) -> None:
    project.component("a", packages=packages("'%doc /a'", "/b", "{path: '%dir /c'}", more=", when: 'false'"))
    error = problem(project)
    assert isinstance(error, ConfigurationErrors)
    assert [one.location.path for one in error.errors if one.location] == [
        "packages[0].files[0]",
        "packages[0].files[2]",
    ]


def test_a_directive_that_a_template_renders_is_an_error_as_well(project: ProjectFolder) -> None:
    project.component("a", packages=packages("\"{{ '%exclude ' ~ '/opt/' ~ name }}\""))
    error = problem(project)
    assert isinstance(error, RecipeError)
    assert error.hint == "Write: {path: /opt/a, exclude: true}"
    assert error.location and error.location.path == "packages[0].files[0]"


def test_a_macro_at_the_beginning_of_a_path_is_a_path(project: ProjectFolder) -> None:
    project.component("a", packages=packages("'%{_bindir}/a'"))
    assert "\n%{_bindir}/a\n" in spec(project)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{config: true}", "the key 'path' is missing"),
        ("{path: /a, config: often}", "must be true, false or 'noreplace'"),
        ("{path: /a, confg: true}", "unknown key 'confg'"),
        ("{path: /a, mode: 755}", "must be text"),
        ('{path: /a, mode: "rwx"}', "is invalid"),
        ("[/a]", "must be text or a mapping"),
    ],
)
def test_a_mistake_in_an_entry_is_told_with_its_place(project: ProjectFolder, entry: str, message: str) -> None:
    project.component("a", packages=packages(entry))
    error = problem(project)
    assert message in error.message
    assert error.location and error.location.path.startswith("packages[0].files[0]")


def test_a_platform_with_an_unknown_format_is_an_error(project: ProjectFolder) -> None:
    project.write("overlay/platforms/el8.yaml", "package_format: rpn\n")
    project.component("a")
    with pytest.raises(BigtopBuilderError, match="there is no package format 'rpn'") as caught:
        open_project(project.settings()).plan(Request(everything=True, platforms=("el8",)))
    assert caught.value.hint == "Did you mean rpm?"
    assert caught.value.location and caught.value.location.path == "package_format"


@pytest.mark.parametrize("line", ["%config " + "{{" * 500_000, "%doc " * 200_000 + "/a", "%attr(" * 200_000])
def test_a_long_line_of_a_file_list_is_refused_without_reading_it(line: str) -> None:
    assert RPM.correction(line) is not None
