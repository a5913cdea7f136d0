"""A rehearsal of an upgrade of the stack: its steps on a simulated cluster, and nothing anywhere else."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.ssh import Fleet
from bigtop_builder.cli import app
from bigtop_builder.model.event import Change
from tests.fast.moving_cluster import SERVERS
from tests.fast.test_cli import project as project
from tests.fast.test_stack_upgrade import AFTER, NEXT, Hadoop

RANGER = {f"ranger_3_3_0-{part}": "2.4.0-1" for part in ("admin", "usersync", "tagsync")}


class Real(ThreadingHTTPServer):
    """Stands for the real server and notes whoever connects."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.callers: list[object] = []

    def verify_request(self, request: Any, client_address: Any) -> bool:
        self.callers.append(client_address)
        return False


class Rehearsals:
    """Rehearsals of the cluster of the upgrade's own tests, on this machine."""

    def __init__(self, folder: Path, inventory: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.inventory, self.capsys = folder, inventory, capsys

    def call(self, *arguments: str, stack: str = NEXT, more: str = "") -> tuple[int, str]:
        text = self.inventory.replace("stack: {}", f"stack: {stack}") + more
        (self.folder / "rehearsed.yaml").write_text(text)
        code = app.run(("deploy", "rehearsed.yaml", *arguments))
        captured = self.capsys.readouterr()
        told = captured.out + captured.err
        assert "Traceback" not in told
        return code, told

    def changes(self, *arguments: str) -> list[tuple[str | None, str]]:
        """What the rehearsal of an upgrade from 3.2.0 changes, in order."""
        events = ("--events", "events.jsonl", "--summary", "summary.json")
        code, told = self.call("--rehearse", "--from-stack", "3.2.0", *arguments, *events)
        assert code == 0, told
        found = [json.loads(line) for line in (self.folder / "events.jsonl").read_text().splitlines()]
        assert {one["state"] for one in found if one["event"] == "change"} == {"done"}
        return [(one["host"], one["name"]) for one in found if one["event"] == "change"]


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hadoop]:
    """The cluster of three that is really upgraded, on a simulated server of its own."""
    folder = tmp_path / "real"
    folder.mkdir()
    cluster = Hadoop(folder, monkeypatch)
    with cluster.bench:
        yield cluster


@pytest.fixture
def rehearsals(
    project: Path, real: Hadoop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Rehearsals]:
    """Calls that reach neither a server nor a host, whose passwords nobody has, and that start no process."""

    def never(*args: object, **more: object) -> None:
        raise AssertionError("a rehearsal does not do this")

    monkeypatch.setattr(Fleet, "__init__", never)
    monkeypatch.setattr(subprocess, "Popen", never)
    monkeypatch.delenv("TEST_AMBARI_PASSWORD")
    repository = real.publish("new", [f"{name}-{evr}" for name, evr in {**AFTER, **RANGER}.items()])
    with Real() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        inventory = real.inventory.replace("URL", url).replace("REPOSITORY", f"file://{repository}")
        yield Rehearsals(project, inventory, capsys)
        server.shutdown()
        assert server.callers == [], "nothing is asked of the real server"


STEPS = [
    "version definition BIGTOP-3.3.0",
    "install bigtop-select-3.3.0-1",
    "install hadoop_3_3_0-3.3.6-1",
    "agents find the packages of BIGTOP-3.3.0 on all hosts",
    "HDFS: prepare a rolling upgrade",
    "stack BIGTOP-3.2.0 -> BIGTOP-3.3.0",
    "configurations cluster-env",
    "stop ZOOKEEPER_SERVER on node1.x.test (wave 1 of 3",
    "start ZOOKEEPER_SERVER on node3.x.test (wave 3 of 3",
    "stop DATANODE on node2.x.test; NAMENODE on node1.x.test",
    "start DATANODE on node3.x.test (wave 2 of 2",
    "restart HDFS_CLIENT on node1.x.test",
]
FINAL = ["finalize BIGTOP-3.3.0", "HDFS: finalize the rolling upgrade"]


def test_the_steps_of_an_upgrade_in_their_order(rehearsals: Rehearsals) -> None:
    names = [name for _, name in rehearsals.changes()]
    places = [next(place for place, name in enumerate(names) if name.startswith(step)) for step in STEPS]
    assert places == sorted(places)
    assert not {*FINAL} & {*names}
    code, told = rehearsals.call("--rehearse", "--from-stack", "3.2.0")
    assert code == 0
    assert "the simulated cluster has BIGTOP-3.2.0, with the inventory's hosts and configurations" in told
    assert "/BIGTOP/3.3.0/upgrades/bigtop-builder-3.2.0-to-3.3.0.xml" in told
    assert "BIGTOP-3.3.0 is not final: stack.version: 3.2.0 goes back" in told
    assert "nothing real was touched" in told


def test_an_upgrade_that_ends_final(rehearsals: Rehearsals) -> None:
    assert [name for _, name in rehearsals.changes("--finalize-upgrade")][-2:] == FINAL
    summary = json.loads((rehearsals.folder / "summary.json").read_text())
    assert (summary["exit_code"], summary["rehearsal"]) == (0, True)


def test_it_tells_what_the_real_upgrade_does(rehearsals: Rehearsals, real: Hadoop) -> None:
    rehearsed = rehearsals.changes("--finalize-upgrade")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_AMBARI_PASSWORD", "correct-horse")
        real.publish("former", [f"{name}-{evr}" for name, evr in real.old.items()])
        real.up()
        assert real.deploy(NEXT, finalize=True) == 0, real.bench.failure
    done = [(one.host, one.name) for one in real.bench.events if isinstance(one, Change)]
    ours = [name for host, name in rehearsed if host is None]
    assert ours == [name for host, name in done if host is None]
    for server in SERVERS:
        assert [name for host, name in rehearsed if host == server] == [name for host, name in done if host == server]


REFUSED = {
    "an older version after a newer one": (
        ("--rehearse", "--from-stack", "3.3.0"),
        "{version: 3.2.0}",
        9,
        "(stack.version): the cluster c1 has the stack BIGTOP-3.3.0, which is newer than BIGTOP-3.2.0",
        "There is a way back only until an upgrade is finalized. Set stack.version: 3.3.0.",
    ),
    "the same version": (
        ("--rehearse", "--from-stack", "3.3.0"),
        NEXT,
        2,
        "(stack.version): --from-stack 3.3.0: the inventory has this version too",
        "Set stack.version to the version to upgrade to.",
    ),
    "a version that there is not": (
        ("--rehearse", "--from-stack", "3.2.1"),
        NEXT,
        2,
        "--from-stack 3.2.1: there is no stack BIGTOP-3.2.1",
        "Did you mean 3.2.0",
    ),
    "no rehearsal": (
        ("--from-stack", "3.2.0"),
        NEXT,
        2,
        "--from-stack needs --rehearse",
        "the server is asked for the stack that the cluster has",
    ),
    "no restarts": (
        ("--rehearse", "--from-stack", "3.2.0", "--restart", "none"),
        NEXT,
        9,
        "an upgrade of the stack restarts everything",
        "Leave --restart none out.",
    ),
    "an upgrade pack from nowhere": (
        ("--rehearse", "--print", "upgrade-pack"),
        NEXT,
        2,
        "the simulated cluster has no stack that could be upgraded",
        "Name the version that it has: --from-stack VERSION.",
    ),
}


@pytest.mark.parametrize(("arguments", "stack", "code", "words", "hint"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(
    rehearsals: Rehearsals, arguments: tuple[str, ...], stack: str, code: int, words: str, hint: str
) -> None:
    found, told = rehearsals.call(*arguments, stack=stack)
    assert found == code, told
    assert words in told
    assert f"hint: {hint}" in told or hint in told.partition("hint: ")[2]


def test_what_the_inventory_lacks_is_told_as_without_an_upgrade(rehearsals: Rehearsals) -> None:
    """The cluster cannot be created then, but that is not what is wrong."""
    more = "configurations:\n  ranger-env: {some_password: {secret: env:TEST_NOWHERE}}\n"
    code, told = rehearsals.call("--rehearse", "--from-stack", "3.2.0", more=more)
    assert code == 2
    assert "(configurations.ranger-env.some_password" in told
    assert "the environment variable TEST_NOWHERE is not set" in told
    assert "cannot be created" not in told


def test_what_only_the_new_stack_has_comes_with_the_upgrade(
    rehearsals: Rehearsals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DEFAULT", "correct-staple")
    rehearsals.inventory = (
        rehearsals.inventory.replace("[DATANODE,", "[RANGER_ADMIN, RANGER_USERSYNC, DATANODE,")
        + "default_password: env:TEST_DEFAULT\n"
    )
    names = [name for _, name in rehearsals.changes()]
    places = [names.index(name) for name in ("stack BIGTOP-3.2.0 -> BIGTOP-3.3.0", "service RANGER")]
    assert places == sorted(places)
    assert "start RANGER_ADMIN on node3.x.test; RANGER_USERSYNC on node3.x.test" in names


def test_an_upgrade_pack_without_a_server(rehearsals: Rehearsals) -> None:
    code, told = rehearsals.call("--rehearse", "--from-stack", "3.2.0", "--print", "upgrade-pack")
    assert code == 0
    assert "<source>3.2.0</source>" in told


def test_without_a_former_version_it_says_how_to_rehearse_the_steps(rehearsals: Rehearsals) -> None:
    code, told = rehearsals.call("--rehearse")
    assert code == 0, told
    assert (
        "the cluster is created with BIGTOP-3.3.0; --from-stack 3.2.0 rehearses the steps of an upgrade to it" in told
    )
    assert "from-stack" not in rehearsals.call("--rehearse", stack="{version: 3.2.0}")[1]


class Guarded(SimpleHTTPRequestHandler):
    """A repository that asks for user and password."""

    def do_GET(self) -> None:
        if self.headers["Authorization"] == f"Basic {base64.b64encode(b'reader-of-it:horse-battery').decode()}":
            super().do_GET()
        else:
            self.send_error(401)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_a_repository_that_asks_for_a_password(rehearsals: Rehearsals, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents then leave the files of repositories to the hosts, and find the packages there all the same."""
    monkeypatch.setenv("TEST_USER", "reader-of-it")
    monkeypatch.setenv("TEST_PASSWORD", "horse-battery")
    found = re.search(r"file://([^\"]+)", rehearsals.inventory)
    assert found is not None
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=found[1])) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        login = "credentials: {user: env:TEST_USER, password: env:TEST_PASSWORD}"
        url = f'"http://127.0.0.1:{server.server_address[1]}", {login}'
        rehearsals.inventory = rehearsals.inventory.replace(f'"{found[0]}"', url)
        assert FINAL[0] in [name for _, name in rehearsals.changes("--finalize-upgrade")]
        code, told = rehearsals.call("--rehearse")
        assert code == 0, told
        monkeypatch.delenv("TEST_PASSWORD")
        code, told = rehearsals.call("--rehearse", "--from-stack", "3.2.0")
        assert code == 2
        assert "(repositories[0].credentials.password): the environment variable TEST_PASSWORD is not set" in told
        server.shutdown()
