"""Versions of configurations: listed, compared without secrets, and gone back to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.ambari_simulator.engine.cluster_state import ConfigVersion
from bigtop_builder.cli.app import run as command
from bigtop_builder.cluster.config_history import PropertyChange, change_lines, version_changes, version_range
from bigtop_builder.cluster.configuration import Configuration, value_lines
from bigtop_builder.flow.deploy import phases
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.event import Change, Notice
from tests.fast.deploying import HEAD, INVENTORY, Bench

FASTER = INVENTORY.replace("tickTime: 2000", "tickTime: 2500")
HDFS = (
    HEAD
    + """\
groups:
  first:
    hosts: [node1.x.test]
    components: [NAMENODE, ZOOKEEPER_SERVER, DATANODE]
  others:
    hosts: ["node[2-3].x.test"]
    components: [SECONDARY_NAMENODE, DATANODE, ZOOKEEPER_SERVER]
"""
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def back(bench: Bench, version: int, inventory: str = FASTER, *, service: str = "ZOOKEEPER", **more: Any) -> int:
    table = {"rollback": partial(phases.rollback, service=service, version=version)}
    return bench.deploy(inventory, phases=["rollback"], table=table, **more)  # type: ignore[arg-type]


def current(bench: Bench, service: str = "ZOOKEEPER") -> list[int]:
    versions = bench.world.clusters["c1"].service_versions
    return [one.version for one in versions if one.service == service and one.current and one.group == -1]


def notices(bench: Bench) -> str:
    return "\n".join(event.text for event in bench.events if isinstance(event, Notice))


def cli(bench: Bench, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    name, *rest = arguments
    # A page in JSON is the whole answer; messages for people are on the other stream.
    found = command([name, "-C", str(bench.folder), "inventory.yaml", *rest])
    printed = capsys.readouterr()
    assert found == code, printed
    return printed.out + printed.err


def test_the_history_names_the_run_and_the_current_version(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.deploy() == 0, bench.failure
    monkeypatch.setattr("tests.fast.deploying.open_deployment", _named("20261128-183000-abcd"))
    assert bench.deploy(FASTER) == 0, bench.failure
    rows = cli(bench, capsys, "config-history", "ZOOKEEPER").splitlines()
    assert [row[0] for row in rows] == [" ", " ", "*"]
    assert rows[2].endswith("Default  changed by bigtop-builder deploy, run 20261128-183000-abcd")
    assert "UTC  admin" in rows[2]
    found = json.loads(cli(bench, capsys, "config-history", "ZOOKEEPER", "--json"))
    assert [(one["version"], one["current"]) for one in found["versions"]] == [(1, False), (2, False), (3, True)]
    assert found["versions"][2]["stack"] == "BIGTOP-3.2.0"
    every = json.loads(cli(bench, capsys, "config-history", "--json"))
    assert {one["service"] for one in every["versions"]} == {"ZOOKEEPER"}
    _compare(bench, capsys)
    _mistakes(bench, capsys)
    store = ("--store", str(bench.folder / "store"))
    asked = cli(bench, capsys, "rollback", "ZOOKEEPER", "2", *store, code=2)
    assert "ZOOKEEPER back to configuration version 2" in asked
    assert "hint: Add --yes." in asked
    assert bench.state()["tickTime"] == "2500"
    said = cli(bench, capsys, "rollback", "ZOOKEEPER", "2", "--yes", *store)
    assert "+zoo.cfg/tickTime: 2000" in said
    assert "ZOOKEEPER_SERVER on node1.x.test, node2.x.test, node3.x.test" in said
    rows = cli(bench, capsys, "config-history", "ZOOKEEPER").splitlines()
    assert re.search(r"back to version 2: bigtop-builder rollback, run \d{8}-\d{6}-[0-9a-f]{4}$", rows[-1])


def _named(run: str) -> Any:
    from bigtop_builder.flow.deploy.deployment import open_deployment

    return partial(open_deployment, run=run)


def _compare(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    for diff in ("2..3", "2"):
        shown = cli(bench, capsys, "config-history", "ZOOKEEPER", "--diff", diff)
        assert "-zoo.cfg/tickTime: 2000\n+zoo.cfg/tickTime: 2500" in shown
    assert "+zoo.cfg/tickTime: 2000" in cli(bench, capsys, "config-history", "ZOOKEEPER", "--diff", "3..2")
    assert "versions 3 and 3 have the same" in cli(bench, capsys, "config-history", "ZOOKEEPER", "--diff", "3")
    found = json.loads(cli(bench, capsys, "config-history", "ZOOKEEPER", "--diff", "2", "--json"))
    assert found["compared"] == [2, 3]
    assert found["changes"] == [{"type": "zoo.cfg", "name": "tickTime", "old": "2000", "new": "2500"}]


MISTAKES = [
    (["config-history", "--diff", "1..2"], "--diff needs a service"),
    (["config-history", "ZOOKEEPER", "--diff", "one"], "'one' is not a range of versions"),
    (["config-history", "ZOOKEEPER", "--diff", "1..7"], "ZOOKEEPER has no configuration version 7"),
    (["config-history", "ZOOKEPER"], "the cluster c1 has no service ZOOKEPER"),
    (["config-history", "KAFKA"], "Known: ZOOKEEPER."),
    (["rollback", "ZOOKEEPER", "0"], "Input should be greater than or equal to 1"),
    (["rollback", "ZOOKEEPER", "last"], "Input should be a valid integer"),
    (["rollback", "ZOOKEEPER"], "VERSION"),
    (["rollback", "ZOOKEEPER", "9", "--dry-run"], "ZOOKEEPER has no configuration version 9"),
]


def _mistakes(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in MISTAKES:
        said = cli(bench, capsys, *arguments, "--store", str(bench.folder / "store"), code=2)
        assert message in said, (arguments, said)


def test_secrets_are_masked_and_references_are_no_difference() -> None:
    old = {
        "ssl-server": Configuration(
            {"ssl.server.keystore.password": "SECRET:ssl-server:1:ssl.server.keystore.password", "a": "1"}
        ),
        "own-env": Configuration({"db_password": "old-one", "content": "x"}, {"final": {"content": "true"}}),
    }
    new = {
        "ssl-server": Configuration(
            {"ssl.server.keystore.password": "SECRET:ssl-server:2:ssl.server.keystore.password", "a": "2"}
        ),
        "own-env": Configuration({"db_password": "new-one", "content": "x"}),
        "more-site": Configuration({"api.token": "t0p", "empty.password": ""}),
    }
    changes = version_changes(old, new)
    assert changes == (
        PropertyChange("more-site", "api.token", None, "(secret)"),
        PropertyChange("more-site", "empty.password", None, ""),
        PropertyChange("own-env", "content (final)", "true", None),
        PropertyChange("own-env", "db_password", "(secret)", "(secret)"),
        PropertyChange("ssl-server", "a", "1", "2"),
    )
    assert "-own-env/content (final): true" in change_lines(changes)
    first = version_changes({"t": Configuration({"p": "plain"})}, {"t": Configuration({"p": "SECRET:t:2:p"})})
    assert first == (PropertyChange("t", "p", "plain", "(secret)"),)


@pytest.mark.parametrize("text", ["", "3..", "..5", "a..b", "3...5", "-1", "3-5"])
def test_a_range_that_is_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a range of versions"):
        version_range(text)
    assert (version_range("3"), version_range(" 3..15 ")) == ((3, None), (3, 15))


def test_the_way_back_makes_a_new_version_and_says_what_must_restart(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(FASTER) == 0, bench.failure
    assert back(bench, 2, dry_run=True) == 0, bench.failure
    (planned,) = [event for event in bench.events if isinstance(event, Change)]
    assert planned.state == "planned"
    assert "-zoo.cfg/tickTime: 2500\n+zoo.cfg/tickTime: 2000" in planned.detail
    assert "to restart afterwards: ZOOKEEPER_CLIENT on node1.x.test, node2.x.test" in planned.detail
    assert bench.state()["tickTime"] == "2500"
    assert back(bench, 2) == 0, bench.failure
    assert (bench.state()["tickTime"], current(bench)) == ("2000", [4])
    assert "ZOOKEEPER_SERVER on node1.x.test, node2.x.test, node3.x.test" in notices(bench)
    assert "bigtop-builder deploy inventory.yaml --phase start" in notices(bench)
    assert "inventory.yaml gives other values" in notices(bench)
    assert "zoo.cfg/tickTime: 2500 (the version has 2000)" in notices(bench)
    assert bench.world.clusters["c1"].service_versions[-1].note == "back to version 2: bigtop-builder rollback"
    # A repetition finds everything done.
    assert back(bench, 2, INVENTORY) == 0, bench.failure
    assert (bench.changes, current(bench), notices(bench)) == ([], [4], "")
    # The restarts alone leave the configuration as it is.
    assert bench.deploy(FASTER, phases=["start"]) == 0, bench.failure
    assert (bench.state()["tickTime"], len(bench.changes)) == ("2000", 4)


def test_a_rollback_whose_answer_is_lost_is_seen_as_done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(FASTER) == 0, bench.failure
    real = Ambari.roll_back_service

    def lost(self: Ambari, *arguments: Any) -> None:
        real(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ambari, "roll_back_service", lost)
        with pytest.raises(KeyboardInterrupt):
            back(bench, 2)
    assert back(bench, 2, INVENTORY) == 0, bench.failure
    assert (bench.changes, current(bench), bench.state()["tickTime"]) == ([], [4], "2000")


def test_what_ambari_did_not_take_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(FASTER) == 0, bench.failure
    monkeypatch.setattr(Ambari, "roll_back_service", lambda self, *arguments: None)
    assert back(bench, 2) == 9
    assert "accepted the rollback of ZOOKEEPER but has another version of zoo.cfg" in bench.failure


def test_a_version_of_a_configuration_group(bench: Bench) -> None:
    own = INVENTORY + "  zookeeper-env: {zk_server_heapsize: 512m}\n"
    grouped = own.replace(
        "    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]\n  others:",
        "    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]\n"
        "    configurations: {zoo.cfg: {initLimit: 20}}\n  others:",
    )
    assert bench.deploy(own) == 0, bench.failure
    assert bench.deploy(grouped) == 0, bench.failure
    assert bench.deploy(grouped.replace("initLimit: 20", "initLimit: 30")) == 0, bench.failure
    versions = [(one.version, one.group_name, one.current) for one in bench.world.clusters["c1"].service_versions]
    assert versions[1:] == [(2, "Default", True), (3, "c1:first", False), (4, "c1:first", True)]
    assert back(bench, 3, grouped) == 0, bench.failure
    (group,) = bench.world.clusters["c1"].groups.values()
    assert group.configurations["zoo.cfg"].properties["initLimit"] == "20"
    assert "ZOOKEEPER_SERVER on node1.x.test." in notices(bench)
    # The group goes, and with it the way back to its versions.
    assert bench.deploy(own) == 0, bench.failure
    assert back(bench, 3, own) == 2
    assert "of a configuration group that no longer exists" in bench.failure


def _another_stack(cluster: Any) -> None:
    cluster.service_versions[1].stack = "BIGTOP-3.1.0"


def _without_a_type(cluster: Any) -> None:
    second = cluster.service_versions[1]
    second.stack = cluster.stack.id
    second.configurations = [one for one in second.configurations if one.type != "zookeeper-env"]


REFUSED: list[tuple[str, int, Any, int, str, str]] = [
    ("ZOOKEPER", 2, None, 2, "the cluster c1 has no service ZOOKEPER", "ZOOKEEPER"),
    ("HDFS", 2, None, 2, "the cluster c1 has no service HDFS", "Known: ZOOKEEPER."),
    ("ZOOKEEPER", 9, None, 2, "ZOOKEEPER has no configuration version 9", "Its versions: 1, 2, 3."),
    ("ZOOKEEPER", 2, _another_stack, 2, "version 2 of ZOOKEEPER is of the stack BIGTOP-3.1.0", "this stack"),
    ("ZOOKEEPER", 2, _without_a_type, 2, "version 2 of ZOOKEEPER has no zookeeper-env", "Choose a later version"),
]


def test_what_cannot_be_rolled_back_to(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(FASTER) == 0, bench.failure
    for service, version, prepare, code, message, hint in REFUSED:
        if prepare is not None:
            prepare(bench.world.clusters["c1"])
        for dry_run in (True, False):
            assert back(bench, version, service=service, dry_run=dry_run) == code
            assert message in bench.failure
            assert hint in bench.failure
            assert bench.changes == []
    bench.world.clusters.clear()
    assert back(bench, 2) == 9
    assert "there is no cluster c1" in bench.failure


def test_an_inventory_without_ambari(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inventory.yaml").write_text(
        "cluster: c1\ngroups: {a: {hosts: [n1.x.test]}}\nstandalone: {redis: {hosts: [n1.x.test], packages: [redis]}}\n"
    )
    for arguments in (["config-history"], ["rollback", "HDFS", "1"]):
        name, *rest = arguments
        assert command([name, "-C", str(tmp_path), "inventory.yaml", *rest, "--store", str(tmp_path / "store")]) == 2
        assert "the inventory has no Ambari" in capsys.readouterr().err


def test_versions_of_different_groups_are_not_compared(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    grouped = INVENTORY.replace(
        "    hosts: [node1.x.test]\n", "    hosts: [node1.x.test]\n    configurations: {zoo.cfg: {initLimit: 20}}\n"
    )
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(grouped) == 0, bench.failure
    said = cli(bench, capsys, "config-history", "ZOOKEEPER", "--diff", "2..3", code=2)
    assert "version 2 of ZOOKEEPER is of the group Default, version 3 of c1:first" in said


def test_masters_that_share_a_type_restart_too(bench: Bench) -> None:
    """Which components a changed type concerns is Ambari's to say: YARN's run with core-site, too."""
    both = HDFS.replace(
        "DATANODE]\n  others",
        "DATANODE, RESOURCEMANAGER, APP_TIMELINE_SERVER, NODEMANAGER, YARN_CLIENT,\n      ZOOKEEPER_CLIENT]\n  others",
    )
    both = both.replace('hosts: ["node[2-3].x.test"]', "hosts: [node2.x.test]")
    both += "configurations:\n  core-site: {io.file.buffer.size: 4096}\n"
    both += "  hdfs-site: {dfs.client.read.shortcircuit: 'false'}\n"
    assert bench.deploy(both) == 0, bench.failure
    assert bench.deploy(both.replace("4096", "8192")) == 0, bench.failure
    versions = [one.version for one in bench.world.clusters["c1"].service_versions if one.service == "HDFS"]
    assert back(bench, versions[-2], both, service="HDFS") == 0, bench.failure
    assert "NODEMANAGER on node1.x.test" in notices(bench)


def test_the_simulated_server_keeps_what_is_of_no_use(bench: Bench) -> None:
    """An unknown version is refused with the real server's own words, and nothing is changed."""
    assert bench.deploy() == 0, bench.failure
    cluster = bench.world.clusters["c1"]
    before = dict(cluster.desired)
    from bigtop_builder.adapter.ambari.errors import NotFoundError
    from tests.fast.deploying import PASSWORD

    with Ambari(bench.simulation.url, "admin", PASSWORD) as client, pytest.raises(NotFoundError) as refused:
        client.roll_back_service("c1", "ZOOKEEPER", 9, "")
    assert "serviceName={} and version={} not found" in refused.value.answer
    assert cluster.desired == before
    assert replace(cluster.desired["zoo.cfg"]) == cluster.desired["zoo.cfg"]
    assert isinstance(cluster.desired["zoo.cfg"], ConfigVersion)


def test_the_blueprint_with_its_groups_is_not_gone_back_to(bench: Bench) -> None:
    inventory = INVENTORY.replace("tickTime: 2000", 'tickTime: 2000, example.address: "%HOSTGROUP::others%:1"')
    assert bench.deploy(inventory) == 0, bench.failure
    assert back(bench, 1, inventory) == 2
    assert "version 1 of ZOOKEEPER has names of groups where hosts should be: zoo.cfg/example.address" in bench.failure


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("1", "2", ["-t/n: 1", "+t/n: 2"]),
        (None, "a\nb", ["+t/n: a", "+b"]),
        ("a\nb", None, ["-t/n: a", "-b"]),
        ("a\nb\n-- c\nd", "a\nB\n-- e\nd", ["t/n:", "-b", "--- c", "+B", "+-- e"]),
        ("same", "same\nmore", ["t/n:", "+more"]),
    ],
)
def test_a_long_value_is_shown_by_its_lines_that_differ(old: str | None, new: str | None, lines: list[str]) -> None:
    assert value_lines("t/n", old, new) == lines
