"""make stack: which sources a folder lacks and where they are, what is left out; the inventory of its four hosts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from bigtop_builder.hosts import standalone
from bigtop_builder.hosts.facts import HostFacts
from bigtop_builder.recipe.document import load
from bigtop_builder.recipe.inventory import load_inventory

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventories" / "stack-four-hosts.yaml"


@pytest.fixture(scope="module")
def scripts() -> Iterator[tuple[ModuleType, ModuleType]]:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import stack_inventory
        import stack_sources

        yield stack_sources, stack_inventory
    finally:
        sys.path.remove(str(ROOT / "scripts"))


Scripts = tuple[ModuleType, ModuleType]


def test_sources_are_trees_and_archives_by_the_name_of_the_component(tmp_path: Path, scripts: Scripts) -> None:
    (tmp_path / "hadoop").mkdir()
    (tmp_path / "tez.tar.gz").touch()
    (tmp_path / "hive").touch()
    (tmp_path / "hdaoop").mkdir()
    names = ["hadoop", "hadoop-native", "tez", "hive"]
    given = scripts[0].given_sources(tmp_path, names)
    assert given == {
        "hadoop": tmp_path / "hadoop",
        "hadoop-native": tmp_path / "hadoop",
        "tez": tmp_path / "tez.tar.gz",
    }
    assert scripts[0].unknown_entries(tmp_path, names) == ["hdaoop"]


def test_what_lacks_is_listed_with_its_place(scripts: Scripts) -> None:
    lines = scripts[0].report(
        ["hadoop", "hive", "bigtop-utils"],
        {"hadoop": Path("/s/hadoop")},
        {"hadoop": ("a",), "hive": ("Maven org.apache.hive:hive:3.1.3:zip:source-release",), "bigtop-utils": ()},
    )
    assert [line.split(maxsplit=1) for line in lines] == [
        ["hadoop", "/s/hadoop"],
        ["hive", "lacking; published at Maven org.apache.hive:hive:3.1.3:zip:source-release"],
    ]


def run_stack(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "stack.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_a_folder_that_lacks_sources_stops_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "hadoop").mkdir()
    ended = run_stack(str(tmp_path), "--lacking", "stop", "--only", "tez")
    assert ended.returncode == 1 and "==> compile" not in ended.stdout
    assert f"{tmp_path}/hadoop" in ended.stdout
    assert any(line.split()[:1] == ["tez"] and "github.com/apache/tez" in line for line in ended.stdout.splitlines())
    assert "lacks the sources of" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "SOURCES: no such folder; call make stack SOURCES="),
        (("/no/such/folder",), "/no/such/folder: no such folder"),
        ((str(ROOT), "--only", "hadop"), "there is no component hadop"),
    ],
)
def test_mistakes_of_the_caller(arguments: tuple[str, ...], message: str) -> None:
    ended = run_stack(*arguments)
    assert ended.returncode == 1 and message in ended.stderr and "Traceback" not in ended.stderr


ENTRIES: dict[str, Any] = {
    "one": {"packages": ["ours-a", "of-the-system"]},
    "two": {"packages": ["ours-b"], "after": ["one"]},
    "three": {"after": ["two"], "reads": ["one", "two"]},
    "four": {"packages": ["ours-a"], "reads": ["one", "two"]},
}


def test_entries_without_packages_are_left_out_with_all_that_come_after(scripts: Scripts) -> None:
    gone = scripts[1].left_out(ENTRIES, {"ours-a", "ours-b"}, {"ours-a"})
    assert gone == {"two": "there is no package ours-b", "three": "it comes after two"}
    left = scripts[1].reduced({"cluster": "c", "standalone": ENTRIES}, gone)
    assert left == {
        "cluster": "c",
        "standalone": {"one": ENTRIES["one"], "four": {**ENTRIES["four"], "reads": ["one"]}},
    }
    assert scripts[1].left_out(ENTRIES, {"ours-a"}, {"ours-a"}) == {}


def test_the_inventory_plans_every_service_on_bare_hosts() -> None:
    loaded = load_inventory(INVENTORY)
    assert standalone.validate_standalone(loaded) == []
    planned: list[str] = []
    for host in loaded.cluster_hosts:
        facts = HostFacts(name=host, clock=0.0)
        installed = standalone.install(facts, loaded, host)
        for name, _ in standalone.entries_of(loaded, host):
            planned += [one.name for one in standalone.start(facts, loaded, name, installed)]
    assert planned.count("run: format the NameNode") == 1
    assert planned.count("start zookeeper-server") == 3
    assert planned.count("start hadoop-hdfs-datanode") == 3
    assert planned.count("start hive-server2") == 1
    names = [name for name in planned if name.startswith("start ")]
    assert names.index("start hive-metastore") < names.index("start hive-server2")


@pytest.mark.parametrize("missing", ["phoenix", "ranger_3_2_0-hdfs-plugin", "tez_3_2_0", "zookeeper_3_2_0-server"])
def test_the_inventory_is_valid_without_a_component(tmp_path: Path, scripts: Scripts, missing: str) -> None:
    document = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))
    ours = {package for entry in document["standalone"].values() for package in entry.get("packages", ())}
    gone = scripts[1].left_out(document["standalone"], ours, ours - {missing})
    file = tmp_path / "inventory.yaml"
    file.write_text(yaml.safe_dump(scripts[1].reduced(document, gone)), encoding="utf-8")
    loaded = load_inventory(file)
    assert standalone.validate_standalone(loaded) == [] and len(loaded.inventory.standalone) > 5
    written = standalone.install(HostFacts(name="node1.stack.test", clock=0.0), loaded, "node1.stack.test")
    text = b"".join(one.stdin for one in written).decode()
    assert (missing == "ranger_3_2_0-hdfs-plugin") == ("RangerHdfsAuthorizer" not in text)


def test_every_smoke_test_of_the_inventory_exists_and_is_bash() -> None:
    loaded = load_inventory(INVENTORY)
    named = {component for entry in loaded.inventory.standalone.values() for component in entry.smoke}
    assert len(named) == 15
    for component in named:
        for file in (ROOT / "templates" / "components" / component / "tests").glob("*.sh"):
            checked = subprocess.run(["bash", "-n", str(file)], capture_output=True, text=True, check=False)
            assert checked.returncode == 0, checked.stderr


def test_a_test_bed_lends_no_ambari_to_an_inventory_without_one(tmp_path: Path) -> None:
    bed = tmp_path / "bed.yaml"
    bed.write_text("ambari: {url: 'http://10.0.0.1:8080', password: 'env:P'}\nssh: {user: root}\n", encoding="utf-8")
    assert load_inventory(INVENTORY, load(bed)).inventory.ambari is None
    demo = load_inventory(ROOT / "inventories" / "demo.yaml", load(bed))
    assert demo.ambari.url == "http://10.0.0.1:8080"
