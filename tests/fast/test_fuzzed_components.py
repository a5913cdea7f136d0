"""Damaged component files: each plans, or gives an error that says where; never anything else."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.model.errors import BigtopBuilderError
from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.settings import load_settings

NAME = "fuzzed"
SHIPPED = {
    name: (shipped_templates() / "components" / name / "component.yaml")
    .read_text(encoding="utf-8")
    .replace(f"name: {name}\n", f"name: {NAME}\n", 1)
    for name in ("zookeeper", "spark", "bigtop-jsvc")
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=True),
    st.text(max_size=12),
    st.sampled_from(
        ["{{", "{{ nothing }}", "{% if %}", "{{ stack.__class__ }}", "{{ 1/0 }}", "%{", "../..", "${X}", "\x00"]
    ),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inside for place in places(item, (*path, key)))]


def damaged(data: Any, path: tuple[Any, ...], value: Any, how: str) -> Any:
    """The document with the thing at ``path`` replaced, left out, or called otherwise."""
    if not path:
        return value if how == "replace" else data
    copy = dict(data) if isinstance(data, dict) else list(data)
    if len(path) > 1:
        copy[path[0]] = damaged(copy[path[0]], path[1:], value, how)
    elif how == "replace":
        copy[path[0]] = value
    elif isinstance(copy, dict) and how == "rename":
        copy[str(value)] = copy.pop(path[0])
    else:
        del copy[path[0]]
    return copy


def copied(name: str, folder: Path) -> Path:
    """The component's folder under a name that is not shipped: an overlay's file would be laid over the shipped one."""
    shutil.copytree(shipped_templates() / "components" / name, folder / "overlay" / "components" / NAME)
    (folder / "overlay" / "stacks").mkdir()
    return folder


def plan(folder: Path, text: str) -> None:
    """Plan the component with this text for its file; an error must be one for users and say where."""
    stack = {"name": "small", "version": "1.0", "epoch": 1600000000, "components": {}}
    (folder / "overlay" / "stacks" / "small.yaml").write_text(yaml.safe_dump(stack), encoding="utf-8")
    (folder / "overlay" / "components" / NAME / "component.yaml").write_text(text, encoding="utf-8", errors="replace")
    flags = {"stack": "small", "overlays": [str(folder / "overlay")], "store": str(folder / "store")}
    space = open_project(load_settings(folder, flags, {"HOME": str(folder)}))
    try:
        made = space.plan(Request(selectors=(NAME,), platforms=("el8",)))
    except BigtopBuilderError as error:
        assert error.location is not None or error.hint
        assert str(error).strip()
    else:
        assert made.tasks or made.refusals


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_damaged_value_is_told_with_its_place(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    document = yaml.safe_load(SHIPPED[name])
    where = places(document)
    folder = copied(name, tmp_path_factory.mktemp("fuzz"))

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(where), VALUES, st.sampled_from(["replace", "leave out", "rename"]))
    def fuzz(path: tuple[Any, ...], value: Any, how: str) -> None:
        changed = damaged(document, path, value, how)
        # What YAML cannot say is no component file.
        with contextlib.suppress(yaml.YAMLError):
            plan(folder, yaml.safe_dump(changed, sort_keys=False, allow_unicode=True))

    fuzz()


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_damaged_text_is_told_with_its_place(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = SHIPPED[name]
    folder = copied(name, tmp_path_factory.mktemp("fuzz"))

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(text)), st.integers(0, 40), st.text(alphabet="{}[]:-#&*!|>'\"%@`\t\n ab{%", max_size=6))
    def fuzz(start: int, length: int, inserted: str) -> None:
        plan(folder, text[:start] + inserted + text[start + length :])

    fuzz()
