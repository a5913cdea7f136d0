"""Properties that a deployment recommends under the inventory's own: sizes, and what follows from the packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.repository.metadata import package_chunks, write_repodata
from bigtop_builder.ambari_simulator.agents.paper import PaperAgent
from bigtop_builder.flow.deploy import phases as work
from bigtop_builder.model.event import Notice
from bigtop_builder.model.inventory import Inventory
from tests.fast.deploying import Bench
from tests.fast.served import address
from tests.fast.test_restarts import HADOOP
from tests.rpmfile import Spec, write_rpm

NATIVE = "/usr/bigtop/3.2.0/usr/lib/hadoop/lib/native/libhadoop.so"
DEFAULT = HADOOP.replace('dfs.client.read.shortcircuit: "false", ', "")
SHORT = "dfs.client.read.shortcircuit"


def repository(folder: Path, **files: str) -> str:
    """A repository with Hadoop's package; the address for an inventory. ``files``: by the end of a package's name."""
    chunks = []
    contents = {"hadoop_3_2_0": "/usr/bigtop/3.2.0/usr/lib/hadoop/hadoop-common.jar"}
    contents |= {f"hadoop_3_2_0-{name}": file for name, file in files.items()}
    for name, file in contents.items():
        path = write_rpm(folder / "packages", Spec(name=name, version="3.3.4", release="1", files={file: b"x"}))
        chunks.append(package_chunks(path, path.name))
    write_repodata(folder, chunks, len(chunks))
    return address(folder)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def at(text: str, url: str) -> str:
    return text.replace("http://repository.test/el8", url)


def configured(bench: Bench) -> dict[str, dict[str, str]]:
    blueprint = next(iter(bench.world.blueprints.values()))
    return {kind: dict(values) for kind, values in blueprint.configurations.items()}


def told(bench: Bench) -> str:
    return "\n".join(event.text for event in bench.events if isinstance(event, Notice))


def test_without_native_hadoop_short_circuit_reads_are_off_and_a_line_says_why(bench: Bench, tmp_path: Path) -> None:
    text = at(DEFAULT, repository(tmp_path / "repository"))
    assert bench.deploy(text) == 0, bench.failure
    assert configured(bench)["hdfs-site"][SHORT] == "false"
    assert f"hdfs-site/{SHORT}=false: no installed package has {NATIVE} (hadoop_3_2_0-native)" in told(bench)
    assert bench.deploy(text) == 0, bench.failure
    assert bench.changes == [], "a second deployment decides alike"


def test_with_native_hadoop_on_every_host_nothing_is_set(bench: Bench, tmp_path: Path) -> None:
    url = repository(tmp_path / "repository", native=NATIVE)
    assert bench.deploy(at(DEFAULT, url) + "prepare: {packages: [hadoop_3_2_0-native]}\n") == 0, bench.failure
    assert SHORT not in configured(bench)["hdfs-site"]


def test_who_wants_short_circuit_reads_gets_them(bench: Bench, tmp_path: Path) -> None:
    text = at(HADOOP.replace('shortcircuit: "false"', 'shortcircuit: "true"'), repository(tmp_path / "repository"))
    assert bench.deploy(text) == 0, bench.failure
    assert configured(bench)["hdfs-site"][SHORT] == "true"


def test_an_unreadable_repository_is_a_warning_and_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    assert bench.deploy(at(DEFAULT, address(tmp_path / "none"))) == 0, bench.failure
    assert SHORT not in configured(bench)["hdfs-site"]
    assert "unknown what the packages hold" in told(bench)


SMALL = HADOOP + "layout: {size: small}\n"


def test_small_sets_sizes_under_the_inventory_s_own(bench: Bench) -> None:
    own = SMALL.replace("zoo.cfg: {", "yarn-env: {resourcemanager_heapsize: 300}\n  zoo.cfg: {")
    assert bench.deploy(own) == 0, bench.failure
    found = configured(bench)
    assert found["yarn-env"]["resourcemanager_heapsize"] == "300"
    assert found["yarn-env"]["nodemanager_heapsize"] == "256"
    assert found["yarn-site"]["yarn.nodemanager.resource.memory-mb"] == "1536"
    assert found["hdfs-site"]["dfs.replication"] == "3"
    assert "layout.size small" in told(bench)
    assert bench.deploy(own) == 0, bench.failure
    assert bench.changes == []


def test_a_dry_run_and_print_show_the_sizes(bench: Bench) -> None:
    seen: list[dict[str, Any]] = []

    def show(deployment: Any) -> str:
        seen.append(work.blueprint_body(deployment))
        return ""

    assert bench.deploy(SMALL, phases=["layout"], table={"layout": show}, dry_run=True) == 0, bench.failure
    configurations = {kind: body["properties"] for one in seen[0]["configurations"] for kind, body in one.items()}
    assert configurations["hadoop-env"]["namenode_heapsize"] == "256m"


def test_from_facts_takes_the_memory_that_agents_report(bench: Bench) -> None:
    for host in bench.world.hosts.values():
        host.memory_kb = 32 << 20
    text = HADOOP + "layout: {size: from-facts}\n"
    assert bench.deploy(text) == 0, bench.failure
    large = int(configured(bench)["yarn-site"]["yarn.nodemanager.resource.memory-mb"])
    assert 8 << 10 < large < 26 << 10
    assert bench.deploy(text) == 0, bench.failure
    assert bench.changes == []


def test_from_facts_without_a_memory_is_an_error_with_its_place(bench: Bench) -> None:
    bench.world.hosts["node3.x.test"].memory_kb = 0
    assert bench.deploy(HADOOP + "layout: {size: from-facts}\n") == 2
    assert "the memory of node3.x.test is unknown" in bench.failure


def test_layout_is_a_word_or_a_mapping() -> None:
    groups = {"all": {"hosts": ["n1.x.org"]}}
    for given, placement, size in (
        ("auto", "auto", None),
        ({"size": "small"}, "groups", "small"),
        ({"by": "auto", "size": "from-facts"}, "auto", "from-facts"),
    ):
        inventory = Inventory.model_validate({"cluster": "c1", "groups": groups, "layout": given})
        assert (inventory.placement, inventory.size) == (placement, size)


def test_agents_look_at_repositories_again_at_once(bench: Bench) -> None:
    assert isinstance(bench.agent, PaperAgent)
    assert bench.deploy(HADOOP) == 0, bench.failure
    template = configured(bench)["cluster-env"]["repo_suse_rhel_template"]
    assert "metadata_expire=1" in template.splitlines()
