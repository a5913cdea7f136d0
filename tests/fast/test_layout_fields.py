"""Every field of the inventory is in the table of layout fields, and a change of what is compared is noticed."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from bigtop_builder.cluster.layout_fields import HOST_FIELDS, LAYOUT_FIELDS, row_of
from bigtop_builder.model.inventory import Inventory
from bigtop_builder.recipe.inventory import HostEntry
from tests.fast.deploying import HEAD, Bench

BASE = (
    HEAD
    + """\
groups:
  first:
    hosts: [node1.x.test]
    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]
  others:
    hosts: ["node[2-3].x.test"]
    components: [ZOOKEEPER_SERVER]
configurations:
  zoo.cfg: {tickTime: 2000}
"""
)
EXAMPLES = {
    "groups.*.hosts.*": ("node[2-3].x.test", "node[2-4].x.test"),
    "groups.*.components.*": ("[ZOOKEEPER_SERVER]\n", "[ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]\n"),
    "groups.*.configurations.**": (
        "[ZOOKEEPER_SERVER]\n",
        "[ZOOKEEPER_SERVER]\n    configurations: {zoo.cfg: {initLimit: 11}}\n",
    ),
    "groups.*.rack": ("[ZOOKEEPER_SERVER]\n", "[ZOOKEEPER_SERVER]\n    rack: /r2\n"),
    "hosts.*.rack": ("groups:", "hosts: {node1.x.test: {rack: /r1}}\ngroups:"),
    "configurations.**": ("tickTime: 2000", "tickTime: 3000"),
    "layout.size": ("groups:", "layout: {size: small}\ngroups:"),
    "repositories.*.url": ("repository.test/el8", "mirror.test/el8"),
    "repositories.*.id": ('el8"}', 'el8", id: OTHER-1}'),
    "repositories.*.gpg_key": ('el8"}', 'el8", gpg_key: "http://repository.test/KEY"}'),
    "repositories.*.gpg_check": ('el8", gpg_check: false}', 'el8"}'),
}
"""A change of each compared field: text of the inventory before and after."""
UNCHECKED = BASE.replace('el8"}', 'el8", gpg_check: false}')


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch, hosts=4) as bench:
        yield bench


def fields(annotation: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all values that a model can hold; ``*`` for keys and indexes."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from fields(field.annotation, (*path, name))
    elif get_origin(annotation) in (dict, list):
        yield from fields(get_args(annotation)[-1], (*path, "*"))
    elif get_origin(annotation) in (Union, types.UnionType):
        for choice in get_args(annotation):
            yield from fields(choice, path)
    elif get_origin(annotation) is not None and hasattr(annotation, "__metadata__"):
        yield from fields(get_args(annotation)[0], path)
    elif annotation is not type(None):
        yield path


@pytest.mark.parametrize("path", sorted(set(fields(Inventory))), ids=".".join)
def test_a_field_of_the_inventory_has_a_row(path: tuple[str, ...]) -> None:
    row = row_of(path)
    assert row is not None, "say in cluster/layout_fields.py how it is sent, read and compared"
    assert row.compared != bool(row.because), "either it is compared, or the row says why not"


@pytest.mark.parametrize("path", [("hosts", "*", "new"), ("groups", "*", "new"), ("stack", "new"), ("security", "new")])
def test_a_new_field_has_no_row_by_accident(path: tuple[str, ...]) -> None:
    assert row_of(path) is None


def test_a_row_is_of_a_field() -> None:
    known = list(fields(Inventory))
    assert [row.path for row in LAYOUT_FIELDS if not any(row_of(path) is row for path in known)] == []


def test_a_compared_row_has_an_example() -> None:
    assert {row.path for row in LAYOUT_FIELDS if row.compared} == set(EXAMPLES)


def test_a_host_field_is_an_attribute_of_a_host() -> None:
    assert {field.name for field in HOST_FIELDS} <= set(HostEntry.__dataclass_fields__)


@pytest.mark.parametrize("path", EXAMPLES)
def test_a_change_of_a_compared_field_is_planned_made_and_then_done(bench: Bench, path: str) -> None:
    old, new = EXAMPLES[path]
    base = BASE if old in BASE else UNCHECKED
    assert bench.deploy(base) == 0
    changed = base.replace(old, new, 1)
    assert changed != base
    assert bench.deploy(changed, dry_run=True) == 0
    planned = bench.changes
    assert planned
    assert bench.deploy(changed) == 0
    assert [name for name in planned if name not in bench.changes] == []
    assert bench.deploy(changed) == 0
    assert bench.changes == []


RACK = BASE.replace("groups:", "hosts: {node1.x.test: {rack: /r1}}\ngroups:")
WIDER = BASE.replace("groups:", "hosts: {node1.x.test: {rack: /r1}, node4.x.test: {rack: /r4}}\ngroups:").replace(
    "3]", "4]"
)


def racks(bench: Bench) -> dict[str, str]:
    return {host.name.partition(".")[0]: host.rack for host in bench.world.hosts.values()}


def test_a_host_that_joins_gets_its_rack(bench: Bench) -> None:
    assert bench.deploy(RACK) == 0
    assert racks(bench)["node1"] == "/r1"
    assert bench.deploy(WIDER) == 0
    assert racks(bench) == {"node1": "/r1", "node2": "/default-rack", "node3": "/default-rack", "node4": "/r4"}
    assert "settings of node4.x.test: rack_info /r4" in bench.changes


def test_a_rack_that_changes_is_set_and_one_that_is_not_given_stays(bench: Bench) -> None:
    assert bench.deploy(RACK) == 0
    assert bench.deploy(RACK.replace("/r1", "/r9"), dry_run=True) == 0
    assert bench.changes == ["settings of node1.x.test: rack_info /r9"]
    assert racks(bench)["node1"] == "/r1"
    assert bench.deploy(RACK.replace("/r1", "/r9")) == 0
    assert racks(bench)["node1"] == "/r9"
    assert bench.deploy(BASE) == 0
    assert bench.changes == []
    assert racks(bench)["node1"] == "/r9"
