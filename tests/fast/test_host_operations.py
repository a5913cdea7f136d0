"""Operations done by the host's bash: their order, outcomes, content, and what a failure leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.flow.hosts.operations import apply
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.script import parse, render
from bigtop_builder.model.errors import ExitCode, UnreachableHostError
from bigtop_builder.model.event import Change, HostFailed
from tests.fast.local_hosts import LocalFleet


def do(fleet: LocalFleet, plan: dict[str, tuple[Operation, ...]], *, dry_run: bool = False) -> tuple[Any, list[Any]]:
    events: list[Any] = []
    return apply(fleet, plan, phase="prepare", emit=events.append, dry_run=dry_run), events  # type: ignore[arg-type]


def test_operations_run_in_order_in_one_round_trip_and_get_their_own_content(tmp_path: Path) -> None:
    fleet = LocalFleet.of("a")
    first, second = bytes(range(256)) * 1000, b"secret 'quoted' $HOME\n"
    plan = (
        Operation("one", "", f"cat > {tmp_path}/one", first),
        Operation("two", "", f"! read -r line; test -f {tmp_path}/one; touch {tmp_path}/two"),
        Operation("unread", "", "true", b"x" * 300_000),
        Operation("three", "", f"test -f {tmp_path}/two; cat > {tmp_path}/three", second),
    )
    result, events = do(fleet, {"a": plan})
    assert result.changed == {"a": 4} and not result.failed and result.error() is None
    assert [(event.name, event.state) for event in events] == [
        ("one", "done"), ("two", "done"), ("unread", "done"), ("three", "done")
    ]  # fmt: skip
    assert (tmp_path / "one").read_bytes() == first and (tmp_path / "three").read_bytes() == second
    assert fleet.hosts["a"].runs == 1


def test_the_first_failure_stops_its_host_and_no_other(tmp_path: Path) -> None:
    fleet = LocalFleet.of("bad", "good", "gone")
    fleet.hosts["gone"].lost = True
    bad = (
        Operation("well", "", "true"),
        Operation("ill", "", "seq 100\necho because >&2\nfalse\ntouch never"),
        Operation("after", "", f"touch {tmp_path}/after"),
    )
    good = (Operation("write", "", f"touch {tmp_path}/good"),)
    result, events = do(fleet, {"bad": bad, "good": good, "gone": good})
    assert (tmp_path / "good").exists() and not (tmp_path / "after").exists()
    assert result.changed == {"good": 1} and set(result.failed) == {"bad", "gone"}
    lost = {event.host: event for event in events if isinstance(event, HostFailed)}
    assert (lost["gone"].kind, lost["bad"].kind) == ("unreachable", "failed")
    assert (
        lost["bad"].last_lines[-1] == "because" and lost["bad"].last_lines[0] == "62" and "ill" in lost["bad"].message
    )
    assert [event.state for event in events if isinstance(event, Change) and event.host == "bad"] == ["done", "failed"]
    error = result.error()
    assert error is not None and error.exit_code == ExitCode.HOST
    assert "1 unreachable (gone)" in error.message and "1 failed (bad)" in error.message


def test_content_that_does_not_arrive_whole_changes_nothing(tmp_path: Path) -> None:
    fleet = LocalFleet.of("a")
    fleet.hosts["a"].cut = 100
    plan = (
        Operation("first", "", f"touch {tmp_path}/first"),
        Operation("write", "", f"cat > {tmp_path}/file", b"much" * 1000),
    )
    result, events = do(fleet, {"a": plan})
    assert set(result.failed) == {"a"} and list(tmp_path.iterdir()) == []
    assert "did not arrive completely" in events[-1].last_lines[-1]


def test_a_dry_run_tells_all_and_speaks_to_nobody() -> None:
    fleet = LocalFleet.of("a")
    fleet.hosts["a"].lost = True
    result, events = do(fleet, {"a": (Operation("one", "the difference", "false"),)}, dry_run=True)
    assert result.changed == {"a": 1} and not result.failed
    assert [(event.state, event.detail) for event in events] == [("planned", "the difference")]


def test_hosts_without_operations_are_left_alone() -> None:
    fleet = LocalFleet.of("a")
    result, events = do(fleet, {"a": ()})
    assert result.changes == 0 and events == [] and fleet.hosts["a"].runs == 0


def test_a_daemon_that_keeps_its_output_open_does_not_hold_the_work_up() -> None:
    fleet = LocalFleet.of("a")
    result, _ = do(fleet, {"a": (Operation("start", "", "sleep 40 & disown"), Operation("next", "", "true"))})
    assert result.changed == {"a": 2}


def test_what_an_operation_sets_is_gone_in_the_next_and_exit_ends_only_its_own(tmp_path: Path) -> None:
    plan = (
        Operation("sets", "", "x=1; cd /tmp; exit 0"),
        Operation("asks", "", f'[ -z "${{x-}}" ]; [ "$PWD" = / ]; touch {tmp_path}/seen'),
    )
    result, _ = do(LocalFleet.of("a"), {"a": plan})
    assert not result.failed and (tmp_path / "seen").exists()


@pytest.mark.parametrize("script", ["false; true", "false | true", 'echo "$unset"'])
def test_every_step_of_an_operation_must_succeed(script: str) -> None:
    result, _ = do(LocalFleet.of("a"), {"a": (Operation("x", "", script),)})
    assert set(result.failed) == {"a"}


def test_checks_go_on_past_a_failure() -> None:
    operations = [Operation("no", "", "echo why; false"), Operation("yes", "", "true")]
    script, stdin = render(operations, "mark", keep_going=True)
    output = LocalFleet.of("a").hosts["a"].run(script, stdin=stdin)
    assert [(outcome.index, outcome.code, outcome.lines) for outcome in parse(output.stdout, "mark")] == [
        (0, 1, ("why",)), (1, 0, ())
    ]  # fmt: skip


def test_secrets_are_in_standard_input_alone() -> None:
    script, stdin = render([Operation("x", "", "cat >/dev/null", b"hunter2")], "mark")
    assert "hunter2" not in script and b"hunter2" not in stdin, "encoded: not even a trace of the shell shows it"


def test_a_lost_connection_is_not_a_failure_of_the_host() -> None:
    fleet = LocalFleet.of("a")
    fleet.hosts["a"].lost = True
    result, events = do(fleet, {"a": (Operation("x", "", "true"),)})
    assert isinstance(result.failed["a"], UnreachableHostError) and events[0].kind == "unreachable"
