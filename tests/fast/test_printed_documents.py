"""``deploy --print`` gives what a server takes: posted by hand, it makes the cluster that ``deploy`` makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.cli.app import run
from tests.fast.deploying import INVENTORY, PASSWORD, Bench
from tests.fast.handmade import client_of

DETAILS = """
hosts: {node2.x.test: {rack: /r2}}
"""


def test_what_is_printed_makes_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    inventory = (
        INVENTORY.replace("tickTime: 2000", "tickTime: {value: 2600, final: true}").replace(
            "ZOOKEEPER_CLIENT]\nconf", "ZOOKEEPER_CLIENT]\n    configurations: {zoo.cfg: {initLimit: 11}}\nconf"
        )
        + DETAILS
    )
    with Bench(tmp_path, monkeypatch) as bench:
        assert bench.deploy(inventory, phases=["repository"]) == 0, bench.failure

        def printed(what: str) -> Any:
            capsys.readouterr()
            assert run(["deploy", "inventory.yaml", "--print", what]) == 0
            return json.loads(capsys.readouterr().out)

        client = client_of(bench)
        blueprint, template = printed("blueprint"), printed("template")
        assert PASSWORD not in json.dumps([blueprint, template])
        client.create_blueprint(template["blueprint"], blueprint)
        client.create_cluster("c1", template)
        bench.pass_time(120)
        assert bench.deploy(inventory, dry_run=True) == 0, bench.failure
        assert bench.changes == []
        # The blueprint is also what ``inventory import`` reads.
        for name, document in (("blueprint", blueprint), ("template", template)):
            (tmp_path / f"{name}.json").write_text(json.dumps(document))
        arguments = ["blueprint.json", "template.json", "--cluster", "c1", "--url", bench.simulation.url]
        assert run(["inventory", "import", *arguments]) == 0
        monkeypatch.setenv("AMBARI_PASSWORD", PASSWORD)
        assert bench.deploy((tmp_path / "c1.yaml").read_text(), dry_run=True) == 0, bench.failure
        assert bench.changes == []
