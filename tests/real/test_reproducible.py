"""Two builds of the same key give the same bytes: every component of the stack, built in two stores."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bigtop_builder.adapter.rpmheader import PackagedFile, RpmHeader, read_header
from bigtop_builder.adapter.rpmpayload import payload_files
from bigtop_builder.adapter.store import remove_tree
from tests.real.conftest import Tool
from tests.real.lending import lend

PROJECT = {
    "stack": "bigtop-3.2.0",
    # The one platform that both native and Java components of this stack can be built for everywhere.
    "platforms": ["debian-bootstrap"],
    "components": {"spark": {"variant": "binary", "options": {"hadoop": "bundled"}}},
}
DERIVED = {"files", "sigmd5", "sha256", "payload_offset", "signature"}
"""Header fields that differ because something else does."""


@pytest.fixture
def second_store(tmp_path: Path, shared_store: Path) -> Iterator[Path]:
    """A store without results, made when the shared one has all; it takes too much room to be kept."""
    store = tmp_path / "store"
    yield store
    if store.exists():
        remove_tree(store)


def packages(root: Path, store: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    """Build the whole stack: packages by file name, and the summary."""
    root.mkdir()
    (root / "bigtop-builder.yaml").write_text(yaml.safe_dump(PROJECT))
    summary = Tool(root, store).json("build", "--all")
    return {path.name: path for path in (root / "output").rglob("*.rpm")}, summary


def difference(one: Path, two: Path) -> str:
    """The first thing in which two packages differ, in words."""
    first, second = read_header(one), read_header(two)
    for field in dataclasses.fields(RpmHeader):
        mine, other = getattr(first, field.name), getattr(second, field.name)
        if field.name not in DERIVED and mine != other:
            return f"{field.name}: {mine!r} and {other!r}"
    paths = [{file.path: file for file in header.files} for header in (first, second)]
    if missing := paths[0].keys() ^ paths[1].keys():
        return f"only one of them has {min(missing)}"
    for path, file in paths[0].items():
        if file != paths[1][path]:
            return f"{path}: {_difference_of_files(file, paths[1][path])}{_inside(path, one, two)}"
    return "every file and field is equal, but not the order or the compression of the payload"


def _difference_of_files(one: PackagedFile, two: PackagedFile) -> str:
    values = [(name, value, getattr(two, name)) for name, value in dataclasses.asdict(one).items()]
    return ", ".join(f"{name} {mine} and {other}" for name, mine, other in values if mine != other)


def _inside(path: str, one: Path, two: Path) -> str:
    """Which entry of an archive differs."""
    contents = [_content(rpm, path) for rpm in (one, two)]
    if contents[0] == contents[1] or not all(zipfile.is_zipfile(io.BytesIO(content)) for content in contents):
        return ""
    archives = [zipfile.ZipFile(io.BytesIO(content)) for content in contents]
    entries = [[(entry.filename, entry.date_time, entry.CRC) for entry in archive.infolist()] for archive in archives]
    pairs = zip(entries[0], entries[1], strict=False)
    return next((f"; in it {mine} and {other}" for mine, other in pairs if mine != other), "; in it the last entries")


def _content(rpm: Path, path: str) -> bytes:
    return next((member.read() for member in payload_files(rpm) if member.path == path), b"")


def test_two_builds_of_every_component_are_the_same_to_the_byte(
    tmp_path: Path, shared_store: Path, second_store: Path
) -> None:
    first, _ = packages(tmp_path / "first", shared_store)
    lend(shared_store, second_store, "images", "sources", "cache")
    second, summary = packages(tmp_path / "second", second_store)
    assert {component["state"] for component in summary["components"]} == {"done"}
    assert first.keys() == second.keys()
    components = {read_header(path).source_rpm for path in second.values()}
    assert len(components) == 7, components
    problems = [
        f"{name}: {difference(first[name], second[name])}"
        for name in sorted(first)
        if first[name].read_bytes() != second[name].read_bytes()
    ]
    assert not problems, "\n".join(problems)
