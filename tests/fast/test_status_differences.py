"""``status`` compares the cluster with the inventory as a dry run of ``deploy`` does."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.cli.app import run
from bigtop_builder.model.event import Change, Notice
from tests.fast.deploying import INVENTORY, PASSWORD, Bench
from tests.fast.handmade import client_of


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AMBARI_PASSWORD", PASSWORD)
    with Bench(tmp_path, monkeypatch) as bench:
        assert bench.deploy() == 0, bench.failure
        yield bench


def status(bench: Bench, inventory: str, *options: str) -> int:
    (bench.folder / "inventory.yaml").write_text(textwrap.dedent(inventory).replace("URL", bench.simulation.url))
    return run(["status", "inventory.yaml", *options])


MISSING_SERVICE = INVENTORY.replace(
    "hosts: [node1.x.test]\n    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]",
    "hosts: [node1.x.test]\n    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT, KAFKA_BROKER]",
)


@pytest.mark.parametrize(
    ("inventory", "told", "count"),
    [
        (MISSING_SERVICE, "service KAFKA", "1 host, 5 differences"),
        (INVENTORY.replace("tickTime: 2000", "tickTime: 4000"), "configurations zoo.cfg", "1 difference"),
        (f'{INVENTORY}stack: {{repository_version: "3.2.1"}}\n', "packages 3.2.0 -> 3.2.1", "1 difference"),
        (INVENTORY.replace("/el8", "/el8-new"), "repositories of BIGTOP-3.2.0", "2 differences"),
        (INVENTORY.replace("node[2-3]", "node2"), "has more than the inventory says", "1 difference"),
        (
            f"{INVENTORY}hosts: {{node1.x.test: {{rack: /r1}}}}\n",
            "settings of node1.x.test: rack_info /r1",
            "1 difference",
        ),
        (
            INVENTORY.replace(
                "ZOOKEEPER_CLIENT]\nconf", "ZOOKEEPER_CLIENT]\n    configurations: {zoo.cfg: {initLimit: 11}}\nconf"
            ),
            "configuration group c1:others of ZOOKEEPER",
            "1 difference",
        ),
    ],
)
def test_what_deploy_would_change_is_not_green(
    bench: Bench, capsys: pytest.CaptureFixture[str], inventory: str, told: str, count: str
) -> None:
    assert inventory != INVENTORY
    assert status(bench, INVENTORY) == 0
    assert capsys.readouterr().out.endswith("green: everything matches the inventory\n")
    assert status(bench, inventory) == 4
    text = capsys.readouterr().out
    assert told in text
    assert text.splitlines()[-1] == f"not green: {count}"


def test_a_version_that_no_deployment_moves_to_is_no_difference(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without repositories a deployment moves nothing, and says so: status compares with what it would do."""
    plain = INVENTORY.replace('repositories: [{url: "http://repository.test/el8"}]\n', "")
    other = f'{plain}stack: {{repository_version: "3.2.1"}}\n'
    assert status(bench, other) == 0
    assert "packages" not in capsys.readouterr().err
    assert bench.deploy(other, dry_run=True) == 0, bench.failure
    assert bench.changes == []
    (warning,) = [event.text for event in bench.events if isinstance(event, Notice) and event.level == "warning"]
    assert "the cluster has the packages of 3.2.0, not 3.2.1; without repositories" in warning
    assert bench.deploy(plain) == 0, bench.failure
    assert not [event for event in bench.events if isinstance(event, Notice) and event.level == "warning"]


def test_the_differences_are_those_of_a_dry_run(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    changed = MISSING_SERVICE.replace("tickTime: 2000", "tickTime: 4000")
    assert bench.deploy(changed, phases=["repository", "cluster"], dry_run=True) == 0, bench.failure
    planned = [(event.name, event.detail) for event in bench.events if isinstance(event, Change)]
    assert status(bench, changed, "--json") == 4
    found = json.loads(capsys.readouterr().out)["differences"]
    assert [(one["name"], one["detail"]) for one in found] == planned and len(planned) > 2


def test_the_values_are_shown_on_demand_and_passwords_never(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    client = client_of(bench)
    tag = client.desired_configurations("c1")["zoo.cfg"]
    before = client.configuration("c1", "zoo.cfg", tag).changed({"site.keystore.password": "swordfish"})
    client.put_configurations("c1", {"zoo.cfg": before}, "by hand", services={"zoo.cfg": "ZOOKEEPER"})
    changed = INVENTORY.replace("tickTime: 2000", "tickTime: 4000, site.keystore.password: hunter22")
    assert status(bench, changed) == 4
    assert "tickTime" not in capsys.readouterr().out
    assert status(bench, changed, "--diff") == 4
    text = capsys.readouterr().out
    assert "-zoo.cfg/tickTime: 2000" in text and "+zoo.cfg/tickTime: 4000" in text
    assert "-zoo.cfg/site.keystore.password: ***" in text
    assert "swordfish" not in text and "hunter22" not in text


def test_a_component_that_is_not_installed_is_a_difference(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    client = client_of(bench)
    client.set_host_components("c1", "INSTALLED", "node1.x.test", ["ZOOKEEPER_SERVER"])
    bench.pass_time(60)
    next(
        one for one in bench.world.clusters["c1"].on("node2.x.test") if one.component == "ZOOKEEPER_CLIENT"
    ).state = "INSTALL_FAILED"
    assert status(bench, INVENTORY) == 4
    assert "install ZOOKEEPER_CLIENT on node2.x.test" in capsys.readouterr().out
