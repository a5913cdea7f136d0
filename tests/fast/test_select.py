"""distro-select and conf-select, run as the files that are shipped, on a stack root of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bigtop_builder.recipe.catalog import shipped_templates

FILES = shipped_templates() / "components" / "bigtop-select" / "files"

WANTED_BY_AMBARI = [
    "hadoop-client",
    "hadoop-hdfs-client",
    "hadoop-hdfs-datanode",
    "hadoop-hdfs-dfsrouter",
    "hadoop-hdfs-journalnode",
    "hadoop-hdfs-namenode",
    "hadoop-hdfs-secondarynamenode",
    "hadoop-hdfs-zkfc",
    "hadoop-mapreduce-client",
    "hadoop-mapreduce-historyserver",
    "hadoop-yarn-client",
    "hadoop-yarn-nodemanager",
    "hadoop-yarn-registrydns",
    "hadoop-yarn-resourcemanager",
    "hadoop-yarn-timelinereader",
    "hadoop-yarn-timelineserver",
    "hbase-client",
    "hbase-master",
    "hbase-regionserver",
    "hive-client",
    "hive-metastore",
    "hive-server2",
    "hive-webhcat",
    "kafka-broker",
    "spark-client",
    "spark-historyserver",
    "spark-thriftserver",
    "livy-client",
    "livy-server",
    "flink-client",
    "flink-historyserver",
    "solr-server",
    "tez-client",
    "zeppelin-server",
    "zookeeper-client",
    "zookeeper-server",
    "ranger-admin",
    "ranger-kms",
    "ranger-usersync",
    "ranger-tagsync",
]
"""The keys of the Ambari BIGTOP stack's stack_packages."""


def _runs(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "-c", "pass"], capture_output=True, timeout=30).returncode == 0


def _pythons() -> list[list[str]]:
    """How the tools may be started: by their own first line, by Python 3, and by Python 2.7 where there is one."""
    candidates = [["python2.7"], ["env", "PYENV_VERSION=2.7.18", "python2.7"]]
    return [[], [sys.executable], *[found for found in candidates if _runs(found)][:1]]


@pytest.fixture(params=_pythons(), ids=lambda command: " ".join(command[-1:]) or "itself")
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    return Host(tmp_path, request.param)


class Host:
    """A stack root, a folder of commands and one of configuration, below a temporary folder."""

    def __init__(self, root: Path, python: list[str]) -> None:
        self.python = python
        self.stack, self.commands, self.etc = root / "bigtop", root / "bin", root / "etc"
        self.tools, self.log = root / "tools", root / "alternatives.log"
        for folder in (self.commands, self.etc, self.tools, root / "path"):
            folder.mkdir()
        for tool in ("distro-select", "conf-select"):
            shutil.copy(FILES / tool, self.tools / tool)
        (self.tools / "params.py").write_text(
            f"stack_root = {str(self.stack)!r}\nstack_version = '3.2.0'\n"
            f"command_folder = {str(self.commands)!r}\nconf_folder = {str(self.etc)!r}\n"
        )
        alternatives = root / "path" / "alternatives"
        alternatives.write_text(f'#!/bin/sh\necho "$@" >> {self.log}\n')
        alternatives.chmod(0o755)
        self.path = f"{root / 'path'}:{os.environ['PATH']}"

    def install(self, version: str, *folders: str) -> None:
        for folder in folders:
            (self.stack / version / "usr/lib" / folder).mkdir(parents=True)

    def run(self, tool: str, *arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            [*self.python, str(self.tools / tool), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PATH": self.path},
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def link(self, package: str) -> str:
        return str((self.stack / "current" / package).readlink())


def test_packages_are_those_that_ambari_asks_for(host: Host) -> None:
    lines = [line.strip() for line in host.run("distro-select", "packages").splitlines()]
    assert set(WANTED_BY_AMBARI) <= set(lines)
    assert lines[0] == "Packages:" and "Aliases:" in lines
    for package in WANTED_BY_AMBARI:
        assert package in lines[: lines.index("Aliases:")]


def test_versions_are_sorted_by_number_and_nothing_else_is_one(host: Host) -> None:
    for entry in ("3.10.0", "3.2.0", "3.2.0-1", "current", "share", "lost+found", "ranger-hdfs-plugin"):
        (host.stack / entry).mkdir(parents=True)
    (host.stack / "3.3.0").write_text("a file")
    assert host.run("distro-select", "versions").split() == ["3.2.0", "3.2.0-1", "3.10.0"]


def test_a_host_without_the_stack_has_no_versions(host: Host) -> None:
    assert host.run("distro-select", "versions") == ""
    assert host.run("distro-select", "status", "spark-client") == "spark-client - None\n"


def test_set_links_the_package_its_followers_and_its_commands(host: Host) -> None:
    host.install("3.2.0", "hadoop", "hadoop-hdfs", "hive")
    host.run("distro-select", "set", "hadoop-client", "3.2.0")
    assert host.link("hadoop-client") == str(host.stack / "3.2.0/usr/lib/hadoop")
    assert host.link("hive-client") == str(host.stack / "3.2.0/usr/lib/hive")
    assert str((host.commands / "hdfs").readlink()) == str(host.stack / "current/hadoop-hdfs-client/../../bin/hdfs")
    assert host.run("distro-select", "status", "hadoop-client") == "hadoop-client - 3.2.0\n"
    # A follower that is not installed is linked all the same, and has no version until it is.
    assert host.run("distro-select", "status", "tez-client") == "tez-client - None\n"


def test_set_moves_to_another_version_and_rpm_mode_does_not(host: Host) -> None:
    for version in ("3.2.0", "3.3.0"):
        host.install(version, "spark")
    host.run("distro-select", "set", "spark-client", "3.2.0")
    host.run("distro-select", "--rpm-mode", "set", "spark-client", "3.3.0")
    assert host.run("distro-select", "status", "spark-client") == "spark-client - 3.2.0\n"
    host.run("distro-select", "set", "spark-client", "3.3.0")
    assert host.run("distro-select", "status", "spark-client") == "spark-client - 3.3.0\n"
    assert not [path for path in (host.stack / "current").iterdir() if path.name.count(".")]


def test_set_of_an_alias_sets_all_its_members(host: Host) -> None:
    host.install("3.2.0", "hive", "hive-hcatalog")
    host.run("distro-select", "set", "hive-server", "3.2.0")
    names = {path.name for path in (host.stack / "current").iterdir()}
    assert names == {"hive-metastore", "hive-server2", "hive-webhcat"}


def test_set_all_knows_every_package(host: Host) -> None:
    host.install("3.2.0", "zookeeper")
    host.run("distro-select", "set", "all", "3.2.0")
    assert set(WANTED_BY_AMBARI) <= {path.name for path in (host.stack / "current").iterdir()}


def test_a_folder_in_the_way_is_an_error_and_nothing_is_changed(host: Host) -> None:
    host.install("3.2.0", "hive", "hive-hcatalog")
    (host.stack / "current" / "hive-webhcat").mkdir(parents=True)
    assert "is not a link" in host.run("distro-select", "set", "hive-server", "3.2.0", fails=True)
    assert [path.name for path in (host.stack / "current").iterdir()] == ["hive-webhcat"]


def test_a_command_that_is_a_file_is_left_alone(host: Host) -> None:
    host.install("3.2.0", "spark")
    (host.commands / "spark-shell").write_text("mine")
    assert "spark-shell" in host.run("distro-select", "set", "spark-client", "3.2.0")
    assert (host.commands / "spark-shell").read_text() == "mine"
    assert (host.commands / "spark-submit").is_symlink()


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "spark-client"),
        ("set", "spark-client", "9.9.9"),
        ("set", "no-such", "3.2.0"),
        ("status", "no-such"),
        ("versions", "more"),
        ("frobnicate",),
        ("--frobnicate",),
    ],
)
def test_mistakes_are_errors(host: Host, arguments: tuple[str, ...]) -> None:
    host.install("3.2.0", "spark")
    assert host.run("distro-select", *arguments, fails=True).startswith("ERROR: ")
    assert not (host.stack / "current").exists()


def test_supports(host: Host) -> None:
    assert host.run("distro-select", "supports", "livy-server") == "livy-server\n"
    assert host.run("distro-select", "supports", "all", fails=True) == "None\n"


def test_conf_select_creates_and_sets(host: Host) -> None:
    host.install("3.2.0", "zookeeper")
    etc = host.stack / "3.2.0/etc/zookeeper"
    given = ("--package", "zookeeper", "--stack-version", "3.2.0", "--conf-version", "1")
    assert host.run("conf-select", "dry-run-create", *given).strip() == str(etc / "conf.dist.1")
    assert not etc.exists()
    for _ in range(2):
        assert host.run("conf-select", "create-conf-dir", *given).strip() == str(etc / "conf.dist.1")
    host.run("conf-select", "set-conf-dir", *given)
    assert str((host.stack / "3.2.0/usr/lib/zookeeper/conf").readlink()) == str(host.etc / "zookeeper/conf")
    assert host.log.read_text().splitlines() == [
        f"--install {host.etc}/zookeeper/conf zookeeper-conf {etc}/conf.dist.1 30",
        f"--set zookeeper-conf {etc}/conf.dist.1",
    ]


def test_conf_select_of_hcatalog_is_about_two_folders(host: Host) -> None:
    host.install("3.2.0", "hive-hcatalog/etc")
    given = ("--package=hive-hcatalog", "--stack-version=3.2.0")
    host.run("conf-select", "create-conf-dir", *given)
    host.run("conf-select", "set-conf-dir", *given)
    assert str((host.stack / "3.2.0/usr/lib/hive-hcatalog/etc/webhcat").readlink()) == str(
        host.etc / "hive-webhcat/conf"
    )
    assert "hive-webhcat-conf" in host.log.read_text() and "hive-hcatalog-conf" in host.log.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("set-conf-dir", "-p", "zookeeper", "-s", "3.2.0", "-c", "7"),
        ("set-conf-dir", "-p", "zookeeper", "-s", "9.9.9"),
        ("set-conf-dir", "-p", "spark", "-s", "3.2.0"),
        ("set-conf-dir", "-p", "no-such", "-s", "3.2.0"),
        ("set-conf-dir", "-p", "zookeeper"),
        ("frobnicate", "-p", "zookeeper", "-s", "3.2.0"),
    ],
)
def test_conf_select_mistakes_are_errors(host: Host, arguments: tuple[str, ...]) -> None:
    host.install("3.2.0", "zookeeper")
    assert host.run("conf-select", *arguments, fails=True).startswith("ERROR: ")
    assert not host.log.exists()
