"""Where a cluster stands between two versions of its stack, what changes in configurations, and the upgrade pack."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bigtop_builder.cluster.stack_upgrade import (
    UpgradeView,
    configuration_changes,
    pack_name,
    pack_path,
    shown_changes,
    stand,
    upgrade_pack,
)
from bigtop_builder.hosts.upgrade import upgrade_hive_schema

PACK = pack_name("3.2.0", "3.3.0")


def _last(direction: str, status: str, **more: Any) -> UpgradeView:
    return UpgradeView(7, direction, status, "3.3.0", more.pop("pack", PACK), **more)


HOLDING = _last("UPGRADE", "HOLDING")
ABORTED = _last("UPGRADE", "ABORTED")
BACKWARD = _last("DOWNGRADE", "HOLDING")
STANDINGS: list[tuple[str, str, UpgradeView | None, str, str]] = [
    ("3.2.0", "3.2.0", None, "none", ""),
    ("3.2.0", "3.3.0", None, "begin", ""),
    ("3.9.0", "3.10.0", None, "begin", ""),
    ("3.10.0", "3.9.0", None, "none", "is newer than BIGTOP-3.9.0"),
    ("3.3.0", "3.3.0", HOLDING, "forward", ""),
    ("3.3.0", "3.3.0", _last("UPGRADE", "HOLDING_FAILED"), "forward", ""),
    ("3.3.0", "3.2.0", HOLDING, "back", ""),
    ("3.3.0", "3.2.0", ABORTED, "back", ""),
    ("3.3.0", "3.3.0", ABORTED, "none", "that was aborted: it can only go back"),
    ("3.3.0", "3.4.0", HOLDING, "none", "has an unfinished upgrade from BIGTOP-3.2.0 to 3.3.0"),
    ("3.2.0", "3.2.0", BACKWARD, "backward", ""),
    ("3.2.0", "3.3.0", BACKWARD, "none", "is on its way back to BIGTOP-3.2.0"),
    ("3.3.0", "3.2.0", _last("UPGRADE", "COMPLETED"), "none", "is newer than BIGTOP-3.2.0"),
    ("3.3.0", "3.3.0", _last("UPGRADE", "COMPLETED"), "none", ""),
    ("3.2.0", "3.3.0", _last("DOWNGRADE", "COMPLETED"), "begin", ""),
    ("3.3.0", "3.3.0", _last("UPGRADE", "ABORTED", suspended=True), "none", "was paused in Ambari"),
    ("3.2.0", "3.2.0", _last("UPGRADE", "HOLDING", pack="their-pack"), "none", "with the upgrade pack their-pack"),
    ("3.2.0", "3.3.0", _last("UPGRADE", "ABORTED", pack="their-pack"), "begin", ""),
]


@pytest.mark.parametrize(("present", "wanted", "last", "course", "refusal"), STANDINGS)
def test_where_a_cluster_stands(present: str, wanted: str, last: UpgradeView | None, course: str, refusal: str) -> None:
    found = stand("BIGTOP", wanted, f"BIGTOP-{present}", wanted, last)
    assert (found.course, refusal in found.refusal, bool(refusal)) == (course, True, bool(found.refusal))
    assert bool(found.hint) == bool(found.refusal)
    if course in ("back", "backward", "forward"):
        assert found.source == "3.2.0"


def test_another_stack_and_other_packages_of_an_unfinished_upgrade_are_refused() -> None:
    assert "has the stack HDP-3.1.0, not BIGTOP-3.3.0" in stand("BIGTOP", "3.3.0", "HDP-3.1.0", "3.3.0", None).refusal
    assert "unfinished upgrade" in stand("BIGTOP", "3.3.0", "BIGTOP-3.3.0", "3.3.1", HOLDING).refusal


def test_what_the_merge_of_configurations_does() -> None:
    old = {"a-site": {"same": "1", "moved": "old", "mine": "old", "gone": "x", "renamed": "keep me", "dropped": "d"}}
    new = {
        "a-site": {"same": "1", "moved": "new", "mine": "new", "heir": "keep me", "fresh": "f", "dropped": "e"},
        "b-site": {"only": "new", "some_password": "hidden"},
    }
    present = {"a-site": {"same": "1", "moved": "old", "mine": "changed", "gone": "x", "renamed": "keep me"}}
    found = configuration_changes(old, new, present)
    assert found.added == {
        "a-site": {"heir": "keep me", "fresh": "f"},
        "b-site": {"only": "new", "some_password": "hidden"},
    }
    assert found.changed == {"a-site": {"moved": ("old", "new")}}
    assert found.kept == {"a-site": {"mine": ("changed", "new")}}
    assert found.renamed == {"a-site": {"renamed": "heir"}}
    assert found.unknown == {"a-site": ["gone"]}
    lines = shown_changes(found)
    assert "-a-site/moved: old" in lines
    assert "+a-site/moved: new" in lines
    assert "+b-site/some_password: ***" in lines
    assert "a-site/mine stays changed: it was changed; the new stack's default is new" in lines
    assert "a-site/gone is unknown to the new stack: Ambari keeps it" in lines
    assert "a-site/renamed may be called heir in the new stack: Ambari keeps it and adds the other" in lines


def test_the_pack_has_nothing_that_keeps_hosts_from_commands() -> None:
    root = ElementTree.fromstring(upgrade_pack("BIGTOP", "3.2.0"))
    assert root.findtext("source-stack") == "BIGTOP-3.2.0"
    kind = "{http://www.w3.org/2001/XMLSchema-instance}type"
    assert [task.get(kind) for task in root.iterfind("order//task")] == ["manual", "server_action"]
    # Without it the server's own checks end with a NullPointerException.
    assert root.find("prerequisite-checks/configuration") is not None
    assert pack_path("BIGTOP", "3.2.0", "3.3.0").endswith("/BIGTOP/3.3.0/upgrades/bigtop-builder-3.2.0-to-3.3.0.xml")


@pytest.mark.parametrize(("current", "ran"), [(True, ["-info"]), (False, ["-info", "-upgradeSchema"])])
def test_the_schema_of_hive_is_upgraded_if_it_is_older(tmp_path: Path, current: bool, ran: list[str]) -> None:
    log, tool = tmp_path / "log", tmp_path / "bin" / "schematool"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/bash\necho "$@" >> {log}\n[ "$3" != -info ] || exit {0 if current else 1}\n')
    tool.chmod(0o755)
    operation = upgrade_hive_schema(str(tmp_path), "postgres")
    su = 'su() { shift 3; bash -c "$2"; }\n'
    subprocess.run(["bash", "-euo", "pipefail", "-c", su + operation.script], check=True, capture_output=True)
    assert log.read_text().splitlines() == [f"-dbType postgres {word}" for word in ran]
    assert "no way back" in operation.detail
