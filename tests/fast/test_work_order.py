"""Work orders are plain data: those of every task of the stack survive ``pickle`` and JSON."""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.remote_source import fetch_source
from bigtop_builder.flow.build.result import Result
from bigtop_builder.flow.build.steps import work_order
from bigtop_builder.flow.build.work_order import WorkOrder, from_json, to_json
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.packagings import PACKAGINGS
from bigtop_builder.model.event import Failure, Reproduced
from bigtop_builder.model.outcome import Artifact
from bigtop_builder.model.project import Choice
from bigtop_builder.recipe.settings import load_settings
from tests.fast.conftest import ProjectFolder
from tests.fast.test_bigtop_route import EVERYTHING, Tree
from tests.golden import cases

PLATFORMS = ("el7", "el8", "el9", "debian-bootstrap")
PLAIN = (str, int, float, bool, bytes, type(None))


def orders(project: Project, *components: str, platforms: tuple[str, ...] = PLATFORMS) -> list[WorkOrder]:
    plan = project.plan(Request(selectors=components, platforms=platforms, force=True))
    assert not plan.refusals
    return [work_order(project, task, PACKAGINGS) for task in plan.tasks]


def leaves(value: Any) -> Iterator[Any]:
    """Everything that a value is made of, down to what is no container."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def check(order: WorkOrder) -> None:
    assert pickle.loads(pickle.dumps(order)) == order
    assert from_json(to_json(order)) == order
    assert from_json(to_json(order)).files == order.files
    assert {type(leaf) for leaf in leaves(order)} <= set(PLAIN), order.task


@pytest.mark.parametrize("choices", [{}, "variants"], ids=["defaults", "other variants"])
def test_every_order_of_the_stack_survives_pickle_and_json(choices: Any, tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {"native": "label", "store": str(tmp_path / "store")}, {})
    project = open_project(settings)
    components = sorted({case.partition("@")[0] for case in cases()})
    if choices:
        loaded = {name: project.catalog.component(name).component for name in components}
        other = {
            name: next(one for one in component.variants if one != component.variant)
            for name, component in loaded.items()
            if len(component.variants) > 1
        }
        components = sorted(other)
        project = open_project(settings, {name: Choice(variant=variant) for name, variant in other.items()})
    project.store.open()
    found = orders(project, *components)
    for order in found:
        check(order)
    assert {order.component for order in found} >= set(components)
    assert {order.platform for order in found} == set(PLATFORMS)
    packages = [order for order in found if order.kind == "package"]
    assert all(order.spec and order.packages and order.package_files for order in packages)
    assert all(set(order.images) == {"package", "host"} for order in packages)
    if not choices:
        assert {"noarch", project.arch} == {order.arch for order in packages}
        assert any(order.patches for order in found) and any(order.caches for order in found)


def test_every_order_of_a_bigtop_tree_survives_pickle_and_json(project: ProjectFolder) -> None:
    tree = Tree(project)
    tree.settings()
    found = orders(tree.opened(), *EVERYTHING, platforms=("el7", "el8"))
    for order in found:
        check(order)
    assert {order.packaging for order in found} == {"bigtop"}
    assert {order.component for order in found} == set(EVERYTHING)


def test_a_path_in_an_order_is_one_of_a_local_source(project: ProjectFolder, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    project.component("a", "build: {script: make}\ninstall: echo\n")
    local = {"a": Choice(source=str(tmp_path / "mine"))}
    for choices in ({}, local):
        space = open_project(project.settings(), choices)
        space.store.open()
        for order in orders(space, "a"):
            paths = {leaf for leaf in leaves(order) if isinstance(leaf, str) and str(project.root) in leaf}
            assert paths == ({str(tmp_path / "mine")} if choices and order.kind == "compile" else set())


def test_what_a_fetched_source_is_goes_with_the_order(project: ProjectFolder, tmp_path: Path) -> None:
    tree = tmp_path / "own"
    tree.mkdir()
    (tree / "README").write_text("own\n")
    for command in ("init -q -b main", "add .", "-c user.name=a -c user.email=a@b.c commit -qm a", "branch fixes"):
        subprocess.run(["git", "-C", str(tree), *command.split()], check=True)
    head = subprocess.run(["git", "-C", str(tree), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    project.component("a", "build: {script: make}\ninstall: echo\n")
    fetched = fetch_source(project.settings(), "a", f"git+file://{tree}@fixes", offline=False)
    space = open_project(project.settings(), {"a": Choice(source=str(fetched.path))}, {"a": fetched})
    space.store.open()
    order, package = orders(space, "a", platforms=("el8",))
    check(order)
    source = order.facts["own_source"]
    assert source["uri"] == f"git+file://{tree}@fixes"
    assert source["digests"]["gitCommit"] == head.stdout.strip() and len(source["digests"]["sha256"]) == 64
    assert "own_source" not in package.facts


def test_sources_and_patches_are_in_the_order(project: ProjectFolder) -> None:
    source = '{"1": {sources: [{alternatives: [{file: a.tgz, sha256: "%s"}]}]}}'
    project.component(
        "a", "build: {script: make, network: false, timeout: 3h}\ninstall: echo\n", versions=source % ("0" * 64)
    )
    folder = project.overlay / "components" / "a"
    content = b"A r\xe9ason.\n\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-\xff\n+b\n"
    (folder / "patches" / "1").mkdir(parents=True)
    (folder / "patches" / "1" / "0001-x.patch").write_bytes(content)
    space = open_project(project.settings())
    space.store.open()
    order = next(one for one in orders(space, "a", platforms=("el8",)) if one.kind == "compile")
    check(order)
    assert order.source_base == str(folder)
    assert [(patch.name, patch.note, patch.content) for patch in order.patches] == [
        ("0001-x.patch", "A r\ufffdason.", content)
    ]
    assert (order.network, order.build_limits.seconds, order.limits.seconds) == (False, 10800, 1800)
    assert order.forced


def test_what_the_user_set_is_in_the_order(project: ProjectFolder) -> None:
    project.component(
        "a", "variables: {x: '1', y: {z: '1'}}\nbuild: {script: 'echo {{ x }} {{ y.z }}'}\ninstall: echo\n"
    )
    for chosen in ({}, {"x": "2", "y": {"z": "3"}}):
        space = open_project(project.settings(), {"a": Choice(variables=chosen)})
        space.store.open()
        compiled, packaged = sorted(orders(space, "a", platforms=("el8",)), key=lambda order: order.kind)
        assert compiled.script == ("echo 2 3" if chosen else "echo 1 1")
        assert packaged.facts["variables"] == (chosen or None)


def test_limits_of_the_project_replace_those_of_the_component(project: ProjectFolder) -> None:
    project.component("a", "build: {script: make, memory: 8g, cpus: 2}\ninstall: echo\n")
    settings = project.settings(**{"limits.timeout": "10m", "limits.memory": "1g"})
    space = open_project(settings)
    space.store.open()
    for order in orders(space, "a", platforms=("el8",)):
        for limits in (order.limits, order.build_limits):
            assert (limits.seconds, limits.memory, limits.lifetime) == (600, 1 << 30, 600)


def test_results_are_plain_data_too() -> None:
    result = Result(
        "a@el8/package",
        "package",
        "el8",
        "failed",
        artifacts=(Artifact(file="a.rpm", path="/store/a.rpm", size=1, sha256="0" * 64),),
        failure=Failure(step="compile", message="no", last_lines=["x"]),
        notes=("a note",),
        seconds=1.5,
        reproduced=Reproduced(task="a@el8/package", identical=False, differences=["x"]),
    )
    adapter = TypeAdapter(Result)
    assert pickle.loads(pickle.dumps(result)) == result
    assert adapter.validate_json(adapter.dump_json(result)) == result
    assert replace(result, seconds=0.0) != result
