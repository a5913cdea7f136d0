"""Generated files: JSON Schemas, reference pages, the project file that init writes."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

from bigtop_builder.cli.app import app
from bigtop_builder.cli.project_file import SCHEMA_FOLDER, project_file
from bigtop_builder.cli.reference import files
from bigtop_builder.cli.schemas import SCHEMAS, json_schema
from bigtop_builder.model.errors import ExitCode
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.recipe.document import parse
from bigtop_builder.recipe.validation import validate

ROOT = Path(__file__).resolve().parents[2]
GENERATED = files()


@pytest.mark.parametrize("path", sorted(GENERATED))
def test_generated_files_are_fresh(path: str) -> None:
    remedy = "run: python -m bigtop_builder.cli.reference"
    assert (ROOT / path).is_file(), remedy
    assert (ROOT / path).read_text(encoding="utf-8") == GENERATED[path], remedy


def test_nothing_stale_is_left_beside_them() -> None:
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in ("schemas", "docs/reference", "man/man1", "man/man5")
        for path in (ROOT / folder).iterdir()
    }
    assert there == {path for path in GENERATED if path.startswith(("schemas/", "docs/reference/", "man/"))}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_reference_of_a_schema_leads_somewhere(name: str) -> None:
    schema = json_schema(name)
    for reference in re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(schema)):
        assert reference in schema["$defs"]


@pytest.mark.parametrize("path", sorted(path for path in GENERATED if path.startswith("docs/reference/")))
def test_every_row_of_the_reference_has_a_meaning(path: str) -> None:
    tables = re.findall(r"^\|[-:|]+\|\n((?:\|.*\n)+)", GENERATED[path], re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert rows
    assert [row for row in rows if not re.search(r"\w[^|]*\|$", row)] == []


def test_every_exit_code_is_explained() -> None:
    page = GENERATED["docs/reference/exit-codes.md"]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == {int(code) for code in ExitCode}


def test_every_command_has_help_and_stands_in_the_reference() -> None:
    page = GENERATED["docs/reference/command-line.md"]

    def check(path: str, command: object) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            check(f"{path} {name}", inner)
        assert getattr(command, "help", None), path
        if not hasattr(command, "commands"):
            assert f"\n## {path}\n" in page
        for parameter in getattr(command, "params", ()):
            assert getattr(parameter, "help", None), f"{path} {parameter.name}"

    check("bigtop-builder", get_command(app))


def settings_of(text: str) -> str:
    """The project file with every setting put in force."""
    lines = (line for line in text.splitlines() if not line.startswith("##") and "yaml-language-server" not in line)
    return "\n".join(line.removeprefix("#") for line in lines)


def test_the_project_file_of_init_changes_nothing_and_names_every_setting() -> None:
    text = project_file()
    file = Path("bigtop-builder.yaml")
    assert validate(parse(text, file), ProjectFile) == ProjectFile()
    document = parse(settings_of(text), file)
    assert validate(document, ProjectFile) == ProjectFile()
    assert document.data == json.loads(ProjectFile().model_dump_json())


def test_every_setting_of_the_project_file_is_explained() -> None:
    lines = project_file().splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"#\w", line):
            assert before.startswith("## "), line


def test_the_project_file_sets_what_was_given_and_points_editors_to_its_schema() -> None:
    text = project_file(stack="bigtop-3.2.0", platforms=["el8", "el9"])
    project = validate(parse(text, Path("bigtop-builder.yaml")), ProjectFile)
    assert project.platforms == ["el8", "el9"]
    assert text.splitlines()[0] == f"# yaml-language-server: $schema={SCHEMA_FOLDER}/project.json"
