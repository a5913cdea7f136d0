"""Stand-alone entries: their order, their mistakes, the operations that they ask for, health checks that really run."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.flow.hosts.apply_standalone import apply_standalone, verify_standalone
from bigtop_builder.hosts import standalone
from bigtop_builder.hosts.facts import HostFacts, Wanted
from bigtop_builder.hosts.services import restart_mark
from bigtop_builder.hosts.standalone import Probe, install, order, probes, start, validate_standalone
from bigtop_builder.model.event import CheckFinished, Notice
from bigtop_builder.recipe.inventory import LoadedInventory
from tests.fast.local_hosts import LocalFleet
from tests.fast.test_operations import THERE, file, package
from tests.fast.test_preparation import inventory, names

TWO = """\
standalone:
  worker:
    hosts: [all]
    after: [master]
    packages: [spark-worker, tools]
    files: {/etc/worker: {content: "master={{ services['master'][0] }} me={{ host }} of {{ hosts | length }}\\n"}}
    select: {spark-client: "3.2.0"}
    services: [{name: worker, health: {http: "http://{host}:81/"}}]
  master:
    hosts: [node1.example.com]
    packages: [spark-master, tools]
    select: {spark-client: "3.2.0"}
    services: [{name: master, health: {port: 7077, within: 5s}}]
"""
BOTH: dict[str, Any] = {
    "packages": package("spark-worker") | package("spark-master") | package("tools"),
    "files": {"/etc/worker": file("master=node1.example.com me=node1.example.com of 2\n")},
    "selectors": {"spark-client": "3.2.0"},
    "services": {"worker": THERE, "master": THERE},
}


def facts(name: str = "node1.example.com", **known: Any) -> HostFacts:
    return HostFacts(name=name, clock=0.0, **known)


def plan(loaded: LoadedInventory, known: HostFacts) -> list[str]:
    installed = install(known, loaded, known.name)
    entries = [name for name, _ in standalone.entries_of(loaded, known.name)]
    return [
        *names(installed), *(name for entry in entries for name in names(start(known, loaded, entry, installed)))
    ]  # fmt: skip


def test_a_bare_host_gets_packages_first_and_services_in_their_order(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, TWO)
    assert order(loaded) == ("master", "worker")
    assert plan(loaded, facts()) == [
        "install spark-master tools spark-worker",
        "write /etc/worker",
        "select spark-client",
        "enable master",
        "start master",
        "enable worker",
        "start worker",
    ]
    assert plan(loaded, facts("node2.example.com"))[0] == "install spark-worker tools"
    (written,) = (one for one in install(facts(), loaded, "node2.example.com") if one.name.startswith("write"))
    assert written.stdin == b"master=node1.example.com me=node2.example.com of 2\n"


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({}, []),
        ({"files": {}}, ["write /etc/worker", "restart worker"]),
        ({"selectors": {"spark-client": "3.1.0"}}, ["select spark-client", "restart master", "restart worker"]),
        ({"files": {**BOTH["files"], restart_mark("master"): file("")}}, ["restart master"]),
        ({"services": {"master": THERE}}, ["enable worker", "start worker"]),
        (
            {"packages": package("spark-worker") | package("tools")},
            ["install spark-master", "restart master"],
        ),
    ],
)
def test_what_changes_restarts_the_services_that_stand_on_it(
    tmp_path: Path, changed: dict[str, Any], wanted: list[str]
) -> None:
    assert plan(inventory(tmp_path, TWO), facts(**{**BOTH, **changed})) == wanted


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("{a: {hosts: [all], after: [bb]}, b: {hosts: [all]}}", "no stand-alone entry bb", "standalone.a.after[0]"),
        (
            "{a: {hosts: [all], after: [b]}, b: {hosts: [all], after: [c]}, c: {hosts: [all], after: [b]}}",
            "wait for each other: b -> c -> b",
            "standalone.b.after",
        ),
        ("{a: {hosts: [all], after: [a]}}", "a -> a", "standalone.a.after"),
        ("{a: {hosts: [all], reads: [bb]}, b: {hosts: [all]}}", "no stand-alone entry bb", "standalone.a.reads[0]"),
        (
            "{a: {hosts: [all], run: [{name: n, command: '{{ hots }}', unless: 'true'}]}}",
            "undefined name: hots",
            "standalone.a.run[0].command",
        ),
        ("{a: {hosts: [all], files: {/x: {content: '{{ hots }}'}}}}", "undefined name: hots", "standalone.a.files./x"),
        (
            "{a: {hosts: [all], files: {/x: {content: a}}}, b: {hosts: [all], files: {/x: {content: b}}}}",
            "a also writes /x on the same host",
            "standalone.b.files./x",
        ),
        (
            "{a: {hosts: [all], select: {s: '1'}}, b: {hosts: [all], select: {s: '2'}}}",
            "a selects s 1 on the same host",
            "standalone.b.select.s",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, message: str, place: str) -> None:
    (error,) = validate_standalone(inventory(tmp_path, f"standalone: {text}\n"))
    assert message in error.message and error.location is not None and error.location.path.startswith(place)


def test_a_sound_inventory_has_no_mistakes(tmp_path: Path) -> None:
    assert validate_standalone(inventory(tmp_path, TWO)) == []


def run(found: Sequence[Probe]) -> list[tuple[int, str]]:
    outputs = [LocalFleet.of("a").hosts["a"].run(f"set -euo pipefail\n{probe.script}") for probe in found]
    return [(output.code, output.stderr.strip()) for output in outputs]


def test_health_is_seen_by_port_address_and_command(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        health = [f"port: {port}", "command: 'echo first; echo no >&2; exit 3'", "http: 'http://127.0.0.1:1/'"]
        services = ", ".join(f"{{name: s{index}, health: {{{one}}}}}" for index, one in enumerate(health))
        loaded = inventory(tmp_path, f"standalone: {{e: {{hosts: [all], services: [{services}]}}}}\n")
        well, command, address = run(probes(loaded, "e", "localhost", within=1))
    assert well == (0, "")
    assert command[0] == 1 and command[1].endswith("is not healthy after 1 s: no")
    assert address[0] == 1 and "curl: (7)" in address[1]


CHAIN = """\
standalone:
  first:
    hosts: [node1.example.com]
    services: [{name: no-such-service-of-ours, enabled: false, health: {command: "true"}}]
  second:
    hosts: [node2.example.com]
    after: [first]
    services: [{name: another-service-of-ours, enabled: false}]
"""


def test_what_starts_after_an_entry_that_failed_is_not_tried(tmp_path: Path) -> None:
    events: list[Any] = []
    fleet: Any = LocalFleet.of("node1.example.com", "node2.example.com")
    result = apply_standalone(inventory(tmp_path, CHAIN), fleet, events.append, dry_run=False)
    assert set(result.failed) == {"node1.example.com"} and result.changes == 0
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "second is not started: first is not healthy"
    ]


def test_a_dry_run_tells_every_entry(tmp_path: Path) -> None:
    events: list[Any] = []
    fleet: Any = LocalFleet.of("node1.example.com", "node2.example.com")
    result = apply_standalone(inventory(tmp_path, CHAIN), fleet, events.append, dry_run=True)
    assert not result.failed
    assert [(event.host, event.name) for event in events] == [
        ("node1.example.com", "start no-such-service-of-ours"),
        ("node2.example.com", "start another-service-of-ours"),
    ]


def test_verify_tells_what_is_not_as_it_should_be(tmp_path: Path) -> None:
    events: list[Any] = []
    fleet: Any = LocalFleet.of("node1.example.com", "node2.example.com")
    result = verify_standalone(inventory(tmp_path, CHAIN), fleet, events.append)
    assert set(result.failed) == set(fleet.hosts)
    told = {(event.host, event.check, event.level) for event in events if isinstance(event, CheckFinished)}
    assert told == {
        ("node1.example.com", "stand-alone", "error"),
        ("node1.example.com", "stand-alone first", "ok"),
        ("node2.example.com", "stand-alone", "error"),
    }
    assert all(host.runs <= 2 for host in fleet.hosts.values())


ONCE = """\
standalone:
  conf:
    hosts: [all]
    files: {/etc/app.conf: {content: "x\\n"}}
  app:
    hosts: [all]
    reads: [conf]
    run:
      - {name: format it, command: "touch {{ host }}.done", unless: "test -e {{ host }}.done", user: app}
    services: [{name: app}]
"""


def test_a_command_runs_once_before_the_services_of_its_entry(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, ONCE)
    assert plan(loaded, facts()) == ["write /etc/app.conf", "run: format it", "enable app", "start app"]
    (condition,) = standalone.wanted(loaded, "node1.example.com").conditions
    key, _, script = condition.partition(" ")
    assert "runuser -u app" in script and "node1.example.com.done" in script
    done = facts(conditions=(key,), files={"/etc/app.conf": file("x\n")}, services={"app": THERE})
    assert plan(loaded, done) == []
    # The condition holds for the host that it was asked on, not for others.
    assert "run: format it" in plan(loaded, facts("node2.example.com", conditions=(key,)))


def test_services_are_restarted_after_a_change_of_what_they_read(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, ONCE)
    (key, _, _) = standalone.wanted(loaded, "node1.example.com").conditions[0].partition(" ")
    changed = facts(conditions=(key,), services={"app": THERE})
    assert plan(loaded, changed) == ["write /etc/app.conf", "restart app"]


def run_once(tmp_path: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run the operation of a command that is done when a file exists."""
    mark = tmp_path / "mark"
    text = f"""\
standalone:
  app:
    hosts: [all]
    run: [{{name: make it, command: {json.dumps(command.format(mark=mark))}, unless: "test -e {mark}"}}]
"""
    (operation,) = start(facts(), inventory(tmp_path, text), "app", ())
    # The test may run as any user: the switch of users is another program's matter.
    script = operation.script.replace("runuser -u root -- ", "")
    return subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False)


def test_what_was_done_in_the_meantime_is_not_done_again(tmp_path: Path) -> None:
    (tmp_path / "mark").touch()
    assert run_once(tmp_path, "exit 1").returncode == 0


def test_a_command_that_fails_or_does_not_do_its_work_is_an_error(tmp_path: Path) -> None:
    assert run_once(tmp_path, "exit 7").returncode == 7
    idle = run_once(tmp_path, "true")
    assert idle.returncode == 1 and "it ran, but this still fails: test -e" in idle.stderr
    assert run_once(tmp_path, "touch {mark}").returncode == 0


def test_conditions_are_facts(tmp_path: Path) -> None:
    wanted = Wanted(conditions=("yes true", "no exit 3", f"file test -e {tmp_path}", "quoted [ 'a b' = \"a b\" ]"))
    ran = subprocess.run(["bash", "-c", HostFacts.script(wanted)], capture_output=True, text=True, check=True)
    assert sorted(HostFacts.parse("n", ran.stdout).conditions) == ["file", "quoted", "yes"]
