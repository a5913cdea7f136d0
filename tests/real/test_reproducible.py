"""Two builds of the same key give the same bytes: components of every kind, built in two stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bigtop_builder.adapter.rpm.difference import package_differences
from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.adapter.store import remove_tree
from tests.real.conftest import Tool
from tests.real.lending import lend

PROJECT = {
    "stack": "bigtop-3.2.0",
    # The one platform that both native and Java components of this stack can be built for everywhere.
    "platforms": ["debian-bootstrap"],
    "components": {"spark": {"variant": "binary", "options": {"hadoop": "bundled"}}},
}

NAMES = [
    "bigtop-utils",
    "bigtop-select",
    "bigtop-jsvc",
    "bigtop-groovy",
    "zookeeper",
    "zookeeper-native",
    "spark",
    "redis",
]


@pytest.fixture
def second_store(tmp_path: Path, shared_store: Path) -> Iterator[Path]:
    """A store without results, made when the shared one has all; it takes too much room to be kept."""
    store = tmp_path / "store"
    yield store
    if store.exists():
        remove_tree(store)


def packages(root: Path, store: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    """Build the components: packages by file name, and the summary."""
    root.mkdir()
    (root / "bigtop-builder.yaml").write_text(yaml.safe_dump(PROJECT))
    summary = Tool(root, store).json("build", *NAMES)
    return {path.name: path for path in (root / "output").rglob("*.rpm")}, summary


def test_two_builds_are_the_same_to_the_byte(tmp_path: Path, shared_store: Path, second_store: Path) -> None:
    first, _ = packages(tmp_path / "first", shared_store)
    lend(shared_store, second_store, "images", "sources", "cache")
    second, summary = packages(tmp_path / "second", second_store)
    assert {component["state"] for component in summary["components"]} == {"done"}
    assert first.keys() == second.keys()
    components = {read_header(path).source_rpm for path in second.values()}
    assert len(components) == len(NAMES), components
    problems = [
        f"{name}: {difference}"
        for name in sorted(first)
        for difference in package_differences(first[name], second[name])
    ]
    assert not problems, "\n".join(problems)
