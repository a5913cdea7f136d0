"""Ambari and Ambari Metrics in their two lines: Python 2 where there is one, Python 3 otherwise."""

from __future__ import annotations

import subprocess

import pytest

from bigtop_builder.flow.open_project import open_project
from bigtop_builder.hosts.agent import CONFIGURATION
from bigtop_builder.hosts.ambari_properties import PROPERTIES
from bigtop_builder.hosts.database import RESOURCES
from bigtop_builder.model.errors import RecipeError
from bigtop_builder.model.project import Choice
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.settings import load_settings
from tests.golden import PACKAGES, TESTS


def evaluated(name: str, version: str, platform: str) -> Evaluated:
    found = open_project(load_settings(TESTS, {}, {}), {name: Choice(version=version)}).evaluate(name, platform)
    assert not isinstance(found, Refusal), found.reason
    return found


def requirements(name: str, version: str, platform: str) -> dict[str, set[str]]:
    found = evaluated(name, version, platform)
    return {package.name: {entry for entry in package.requires if entry} for package in found.packages}


@pytest.mark.parametrize(
    ("version", "platform", "server", "agent"),
    [
        ("3.0.0.0", "el9", {"python3", "python3-distro"}, {"python3", "python3-rpm"}),
        ("2.8.0.0", "el7", {"python >= 2.6"}, {"python >= 2.6", "rpm-python"}),
        ("2.8.0.0", "el8", {"python2"}, {"python2", "python2-rpm"}),
    ],
)
def test_ambari_asks_for_the_python_of_its_line(version: str, platform: str, server: set[str], agent: set[str]) -> None:
    found = requirements("ambari", version, platform)
    assert {name for name in found["ambari-server"] if "python" in name} == server
    assert {name for name in found["ambari-agent"] if "python" in name} == agent


def test_ambari_2_is_not_packaged_where_there_is_no_python_2() -> None:
    with pytest.raises(RecipeError, match="no package left"):
        evaluated("ambari", "2.8.0.0", "el9")


def test_metrics_of_ambari_2_leave_only_the_sinks_where_there_is_no_python_2() -> None:
    assert set(requirements("ambari-metrics", "3.0.0", "el9")) == {"ambari-metrics-hadoop-sink"}
    assert "python-devel" in requirements("ambari-metrics", "3.0.0", "el7")["ambari-metrics-monitor"]


@pytest.mark.parametrize("version", ["2.8.0.0", "3.0.0.0"])
def test_ambari_packages_have_the_four_numbers_by_which_a_server_looks_for_its_agents(version: str) -> None:
    found = evaluated("ambari", version, "el7")
    assert f"ambari-agent-{version}-1.el7.noarch.rpm" in found.package_files()
    assert f"-Drevision={version}-1 " in found.build.script
    assert "unknown" not in found.build.script


@pytest.mark.parametrize("version", ["2.8.0.0", "3.0.0.0"])
def test_scripts_of_the_packages_are_shell(version: str) -> None:
    scripts = [text for package in evaluated("ambari", version, "el7").packages for text in package.scripts.values()]
    assert len(scripts) == 10
    for text in scripts:
        subprocess.run(["sh", "-n"], input=text, text=True, check=True, timeout=10)


def test_the_packages_hold_what_the_deployer_looks_for() -> None:
    held = (PACKAGES / "ambari.txt").read_text(encoding="utf-8")
    for path in (PROPERTIES, CONFIGURATION, f"{RESOURCES}/Ambari-DDL-MySQL-CREATE.sql", "/etc/init.d/ambari-server"):
        assert f" {path}\n" in held
