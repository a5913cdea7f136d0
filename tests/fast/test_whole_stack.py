"""The whole stack as its component files have it: every service of Ambari finds its packages, paths and names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from bigtop_builder.cli.app import run
from bigtop_builder.cluster.demand_check import OfferedPackage, check_stack
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.publish.stack_check import names_known
from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.settings import load_settings
from tests.golden import PACKAGES

SELECTOR = shipped_templates() / "components" / "bigtop-select" / "files" / "distro-select"
STACK = {
    "zookeeper": "3.5.9",
    "hadoop": "3.3.4",
    "hbase": "2.4.13",
    "hive": "3.1.3",
    "tez": "0.10.1",
    "kafka": "2.8.1",
    "spark": "3.2.3",
    "flink": "1.15.3",
    "solr": "8.11.2",
    "zeppelin": "0.10.1",
    "livy": "0.7.1",
    "phoenix": "5.1.2",
    "bigtop-groovy": "2.5.4",
    "bigtop-jsvc": "1.2.4",
    "bigtop-utils": "3.2.0",
    "bigtop-select": "3.2.0",
    "sqoop": "1.4.7",
    "ranger": "2.4.0",
}
"""Bigtop 3.2.0 with what its users added."""


def offered() -> Iterator[OfferedPackage]:
    """The packages that were made from staged trees of the right shape."""
    for file in sorted(PACKAGES.glob("*.txt")):
        if "@source" in file.name:
            continue
        for text in file.read_text(encoding="utf-8").split("== ")[1:]:
            head, *lines = text.splitlines()
            name, release = head.split(" ")
            needs = [line.split(" ")[1] for line in lines if line.startswith("requires ")]
            given = [line.split(" ")[1] for line in lines if line.startswith("provides ")]
            paths = [line.split(" ")[2] for line in lines if re.match(r"[-dl][-r]", line)]
            yield OfferedPackage(name, release.rpartition(".")[0], tuple(given), tuple(needs), frozenset(paths))


@pytest.mark.parametrize(
    ("version", "line", "family"),
    [("3.2.0", "2.8", "redhat7"), ("3.2.0", "3.0", "redhat8"), ("3.2.0", "3.0", "redhat9")],
)
def test_every_service_of_ambari_finds_what_it_asks_for(version: str, line: Literal["2.8", "3.0"], family: str) -> None:
    stack = load_stack("BIGTOP", version, line)
    components = [name for service in stack.services.values() for name in service.components]
    known = names_known(SELECTOR.read_text(encoding="utf-8"))
    findings = check_stack(list(offered()), stack, components, family=family, version=version, selector=known)
    assert [f"{one.subject} for {one.wanted_by}: {one.message}" for one in findings if one.level == "error"] == []


@pytest.mark.parametrize(("line", "platform"), [("2.8", "el7"), ("3.0", "el8"), ("3.0", "openeuler22")])
def test_the_planned_packages_answer_ambari(
    line: str, platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["repo", "check-stack", "--planned", "--all", "--builder", "platform"]
    assert run([*arguments, "--ambari", line, "--platform", platform]) == 0


def test_the_stack_has_the_versions_of_its_release(tmp_path: Path) -> None:
    space = open_project(load_settings(tmp_path, {}, {"HOME": str(tmp_path)}))
    assert STACK.items() <= space.stack.components.items()
    assert {"ambari", "ambari-metrics", "ambari-infra-solr", "redis"} <= set(space.stack.components)
    assert space.stack.components["redis"].startswith("7.")


@pytest.mark.parametrize("platform", ["el7", "el8", "el9", "openeuler22", "kylin10", "debian-bootstrap"])
def test_the_whole_stack_plans_on_every_platform(platform: str, tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {"native": "label"}, {"HOME": str(tmp_path)})
    made = open_project(settings).plan(Request(everything=True, platforms=(platform,)))
    assert not made.refusals
    assert {task.evaluated.name for task in made.tasks} >= STACK.keys()
