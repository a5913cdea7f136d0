"""The generic spec, a block of it overridden, and a component's own."""

from __future__ import annotations

import pytest

from bigtop_builder.flow.open_project import open_project
from bigtop_builder.model.errors import RecipeError
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.spec import render_spec, service_files
from tests.fast.conftest import ProjectFolder


def evaluated(project: ProjectFolder, name: str = "a") -> Evaluated:
    value = open_project(project.settings()).evaluate(name, "el8")
    assert not isinstance(value, Refusal)
    return value


def test_the_generic_spec_names_what_the_component_says(project: ProjectFolder) -> None:
    project.component("a", "description: Holds 100% of it.\n")
    spec = render_spec(evaluated(project))
    assert "Name: a_1_0\n" in spec
    assert "BuildArch: noarch\n" in spec
    assert "%define dist .el8\n" in spec
    assert "Holds 100%% of it." in spec


def test_a_component_overrides_a_block(project: ProjectFolder) -> None:
    project.component("a", "spec_blocks:\n  preamble: 'Vendor: {{ stack.name }}'\n  tail: '%changelog'\n")
    spec = render_spec(evaluated(project))
    assert "Vendor: small\n" in spec
    assert spec.rstrip().endswith("%changelog")


def test_a_component_brings_its_own_spec(project: ProjectFolder) -> None:
    project.component("a", "spec: own.spec.j2\n")
    project.write("overlay/components/a/own.spec.j2", "Name: {{ c.packages[0].name }}\nVersion: {{ version }}\n")
    assert render_spec(evaluated(project)) == "Name: a_1_0\nVersion: 1\n"


def test_a_spec_that_is_not_there_is_named(project: ProjectFolder) -> None:
    project.component("a", "spec: gone.spec.j2\n")
    with pytest.raises(RecipeError, match=r"the spec template gone\.spec\.j2 does not exist"):
        evaluated(project)


def test_a_service_without_command_and_script_is_an_error(project: ProjectFolder) -> None:
    project.component("a", packages="[{name: a, summary: a, services: [{name: s, description: d}]}]")
    workspace = open_project(project.settings())
    with pytest.raises(RecipeError, match="neither a command nor a script"):
        workspace.evaluate("a", "el8")


def test_a_service_gets_the_generic_script(project: ProjectFolder) -> None:
    package = "{name: a, summary: a, services: [{name: s, description: d, user: u, command: /bin/x --y}]}"
    project.component("a", packages=f"[{package}]")
    workspace = open_project(project.settings())
    value = workspace.evaluate("a", "el8")
    assert not isinstance(value, Refusal)
    (script,) = service_files(workspace.catalog, value)
    assert script.name == "services/s"
    assert b"RUN_AS=u\n" in script.content
    assert b"/bin/x --y" in script.content
