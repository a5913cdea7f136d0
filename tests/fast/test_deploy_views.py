"""The views of a deployment: the fold, lines, JUnit, JSON, status; and that no secret is in any of them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from rich.console import Console

from bigtop_builder.ambari_simulator.engine.injection import TaskFault
from bigtop_builder.cli import app
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.cli.views.ci import GitHubView
from bigtop_builder.cli.views.closing import headline
from bigtop_builder.cli.views.cluster_status import status_text
from bigtop_builder.cli.views.junit import junit
from bigtop_builder.cli.views.plain import PlainView
from bigtop_builder.cli.views.summary import json_data, markdown
from bigtop_builder.cli.views.terminal import TerminalView
from bigtop_builder.flow.deploy.status import AlertStatus, ClusterStatus, HostStatus, ServiceStatus
from bigtop_builder.flow.run.state import RunState
from bigtop_builder.model.event import (
    AmbariTask,
    AnyEvent,
    Change,
    CheckFinished,
    ClusterTarget,
    Failure,
    HostFailed,
    Notice,
    Phase,
    PhaseFinished,
    PhaseStarted,
    PlannedTask,
    RequestProgress,
    RunFinished,
    RunStarted,
    TaskFinished,
)
from tests.fast.deploying import INVENTORY, PASSWORD, Bench
from tests.fast.test_cli import project as project

DIFF = "--- /dev/null\n+++ /etc/x\n@@ -0,0 +1 @@\n+a"


def started(*phases: Phase, dry_run: bool = False, rehearsal: bool = False) -> RunStarted:
    return RunStarted(
        run="r1",
        kind="deploy",
        command=["bigtop-builder", "deploy", "c.yaml"],
        store="/store",
        phases=list(phases),
        target=ClusterTarget(cluster="c1", hosts=["n1.x", "n2.x"], dry_run=dry_run, rehearsal=rehearsal),
    )


def task(status: str, **more: Any) -> AmbariTask:
    return AmbariTask(
        phase="cluster", request=1, task=7, host="n1.x", role="ZK", command="START", status=status, **more
    )


FAILED: list[AnyEvent] = [
    started("check", "prepare", "cluster", "start"),
    PhaseStarted(phase="check"),
    CheckFinished(phase="check", check="clock", level="ok", message="2 hosts"),
    CheckFinished(phase="check", check="disk", level="ok", message="2 hosts"),
    CheckFinished(phase="check", check="memory", host="n2.x", level="warning", message="little", hint="more"),
    PhaseFinished(phase="check", state="unchanged", seconds=0.5),
    PhaseStarted(phase="prepare"),
    Change(phase="prepare", host="n1.x", name="write /etc/x", state="done", detail=DIFF),
    Change(phase="prepare", host="n2.x", name="write /etc/x", state="done", detail=DIFF),
    HostFailed(phase="prepare", host="n3.x", kind="unreachable", message="no \x1b[31mroute", hint="is it on?"),
    PhaseFinished(phase="prepare", state="changed", changes=2, seconds=2),
    PhaseStarted(phase="cluster"),
    RequestProgress(phase="cluster", request=1, context="Install", status="PENDING", percent=-1, pending_hosts=1),
    task("IN_PROGRESS"),
    task(
        "FAILED", seconds=3.0, cause="the disk is full", hint="free it", last_lines=["\x00<boom> & co"], logs=["/l/1"]
    ),
    Notice(text="careful", level="warning"),
    PhaseFinished(
        phase="cluster",
        state="failed",
        seconds=4,
        failure=Failure(step="cluster", message="request 1 failed\n1 task", hint="mend it", exit_code=9),
    ),
    RunFinished(exit_code=9, seconds=6.5),
]


def shown(events: list[AnyEvent], **options: Any) -> tuple[str, RunState]:
    out, state = io.StringIO(), RunState()
    view = PlainView(out, **options)
    for event in events:
        state.apply(event)
        view(event, state)
    return out.getvalue(), state


@pytest.mark.parametrize("phase", get_args(Phase))
def test_every_phase_has_its_lines(phase: Phase) -> None:
    out, _ = shown([started(phase), PhaseStarted(phase=phase), PhaseFinished(phase=phase, state="unchanged")])
    assert f"· {phase}: " in out


def test_the_fold_counts_what_was_done() -> None:
    _, state = shown(FAILED)
    deploy = state.deploy
    assert (deploy.changes, state.exit_code, headline(state)) == (2, 9, "failed in cluster on cluster c1")
    assert deploy.failed is deploy.phases["cluster"]
    assert deploy.phases["cluster"].tasks == {"IN_PROGRESS": 1, "FAILED": 1}
    assert deploy.phases["start"].state == "waiting"
    assert deploy.logs() == [("n1.x ZK START", "/l/1")]


def test_lines_show_everything_once_and_last_what_failed() -> None:
    text, _ = shown(FAILED)
    assert text == (
        "run r1: cluster c1, 2 hosts\n"
        "checking inventory, repository and hosts\n"
        "  ✓ clock, disk: 2 hosts\n"
        "  ! n2.x: memory: little\n"
        "      hint: more\n"
        "· check: ok in 0.5s\n"
        "preparing hosts\n"
        "  ✓ n1.x: write /etc/x\n"
        "      --- /dev/null\n"
        "      +++ /etc/x\n"
        "      @@ -0,0 +1 @@\n"
        "      +a\n"
        "  ✓ n2.x: write /etc/x (same as on n1.x)\n"
        "  ✗ n3.x unreachable: no route\n"
        "      hint: is it on?\n"
        "✓ prepare: changed: 2 in 2.0s\n"
        "cluster\n"
        "  request 1 PENDING 0%, 1 host pending: Install\n"
        "  ▸ n1.x: ZK START IN_PROGRESS\n"
        "  ✗ n1.x: ZK START FAILED  3.0s\n"
        "      cause: the disk is full\n"
        "      hint: free it\n"
        "      | <boom> & co\n"
        "      log: /l/1\n"
        "  careful\n"
        "✗ cluster: failed in 4.0s\n"
        "\n"
        "cluster failed: request 1 failed\n"
        "  1 task\n"
        "  hint: mend it\n"
        "failed in 6.5s (exit 9)\n"
    )


def test_quiet_lines_show_only_what_went_wrong() -> None:
    text, _ = shown(FAILED, quiet=True)
    assert "✓" not in text and "preparing" not in text and "IN_PROGRESS" not in text
    for wrong in ("memory: little", "n3.x unreachable", "the disk is full", "careful", "failed in 6.5s (exit 9)"):
        assert wrong in text


def test_colours_change_no_word() -> None:
    plain, _ = shown(FAILED)
    coloured, _ = shown(FAILED, colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_the_terminal_shows_the_same_lines_and_ambaris_tasks_below() -> None:
    out, state = io.StringIO(), RunState()
    view = TerminalView(Console(file=out, force_terminal=True, width=160, no_color=True))
    footers = []
    for event in FAILED:
        state.apply(event)
        view(event, state)
        below = io.StringIO()
        Console(file=below, width=160).print(view.render())
        footers.append(below.getvalue().strip())
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).replace("\r", "\n")
    plain, _ = shown(FAILED)
    live = [line for line in plain.splitlines() if not line.startswith("  request 1")]
    assert [line for line in text.splitlines() if line in live and line] == [line for line in live if line]
    assert "-1%, ZK START on n1" in footers
    assert footers[-1] == ""


def test_a_pipeline_gets_no_command_that_a_task_printed() -> None:
    events = [*FAILED[:-2], Notice(text="##[error]planted"), *FAILED[-2:]]
    out, state = io.StringIO(), RunState()
    view = GitHubView(out)
    for event in events:
        state.apply(event)
        view(event, state)
    assert "##[" not in out.getvalue() and "planted" in out.getvalue()


def test_the_page_has_a_table_of_phases_and_the_digest() -> None:
    _, state = shown(FAILED)
    page = markdown(state).splitlines()
    assert page[0] == "## bigtop-builder: failed in cluster on cluster c1"
    assert "| ✓ | prepare | changed | 2 | 2.0s |  |" in page
    assert "cluster failed: request 1 failed" in page


def test_a_run_with_tasks_and_phases_shows_both() -> None:
    task = PlannedTask(task="a@p/package", component="a", platform="p", kind="package", action="build", key="")
    first = started("start").model_copy(update={"tasks": [task]})
    events: list[AnyEvent] = [
        first,
        TaskFinished(task="a@p/package", state="done", seconds=2),
        PhaseStarted(phase="start"),
        PhaseFinished(phase="start", state="changed", changes=1, seconds=3),
        RunFinished(exit_code=0, seconds=5),
    ]
    text, state = shown(events)
    for line in ("✓ a@p/package done in 2.0s", "✓ start: changed: 1 in 3.0s", "1 change made in 5.0s"):
        assert line in text.splitlines()
    assert headline(state) == "1 done in 5.0s; 1 change on cluster c1"
    suites = [suite.get("name") for suite in ElementTree.fromstring(junit(state)).iter("testsuite")]
    assert suites == ["build r1", "deploy c1"]
    assert {"components", "phases"} <= json_data(state).keys()
    page = markdown(state)
    assert "| ✓ | a | p | done | 2.0s | 0 |" in page and "| ✓ | start | changed | 1 | 3.0s |  |" in page


@pytest.mark.parametrize(
    ("first", "changes", "last"),
    [
        (started("check"), 0, "no problems found (1.0s)"),
        (started("verify"), 0, "all checks passed (1.0s)"),
        (started("destroy"), 0, "nothing to remove (1.0s)"),
        (started("check", "start"), 0, "nothing to change: everything matches the inventory (1.0s)"),
        (started("start"), 1, "1 change made in 1.0s"),
        (started("start", dry_run=True), 2, "2 changes to make; nothing was changed (1.0s)"),
        (started("start", rehearsal=True), 2, "rehearsed in 1.0s: the plan succeeds; nothing real was touched"),
    ],
)
def test_the_last_line_says_how_it_ended(first: RunStarted, changes: int, last: str) -> None:
    phase = first.phases[-1]
    end = PhaseFinished(phase=phase, state="changed" if changes else "unchanged", changes=changes)
    text, _ = shown([first, PhaseStarted(phase=phase), end, RunFinished(exit_code=0, seconds=1)])
    assert text.splitlines()[-1] == last


def test_junit_is_xml_with_a_case_for_whatever_failed() -> None:
    _, state = shown(FAILED)
    root = ElementTree.fromstring(junit(state))
    cases = {(case.get("classname"), case.get("name")): case for case in root.iter("testcase")}
    failures = {key for key, case in cases.items() if case.find("failure") is not None}
    assert failures == {("prepare", "n3.x"), ("cluster", "n1.x: ZK START")}, "one failure is one case"
    assert cases["deploy", "cluster"].find("skipped") is not None
    assert cases["deploy", "start"].find("skipped") is not None
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == (str(len(cases)), "2", "2")
    assert cases["cluster", "n1.x: ZK START"].findtext("failure") == "<boom> & co"
    twice = [event for event in FAILED for _ in range(2)]
    assert len(list(ElementTree.fromstring(junit(shown(twice)[1])).iter("testcase"))) == len(cases)


def test_json_has_everything_in_plain_types() -> None:
    _, state = shown(FAILED)
    data = json.loads(json.dumps(json_data(state)))
    assert [phase["state"] for phase in data["phases"]] == ["unchanged", "changed", "failed", "waiting"]
    assert data["phases"][1]["hosts"][0] == {
        "host": "n3.x",
        "kind": "unreachable",
        "message": "no \x1b[31mroute",
        "hint": "is it on?",
        "last_lines": [],
    }
    assert data["phases"][2]["failed_tasks"][0]["cause"] == "the disk is full"
    assert data["phases"][2]["failure"]["exit_code"] == 9
    assert data["notices"] == [{"level": "warning", "text": "careful"}]


def cluster_status(**more: Any) -> ClusterStatus:
    return ClusterStatus("c1", url="http://a:8080", server_version="3.0.0.0", version="BIGTOP-3.2.0", **more)


def test_status_tells_why_it_is_not_green() -> None:
    status = cluster_status(
        exists=True,
        hosts=[HostStatus("n1.x", "g", "HEALTHY", 2), HostStatus("n2.x", "g", "HEARTBEAT_LOST", 2, ("ZK",))],
        services=[ServiceStatus("ZOOKEEPER", "STARTED", 1, 2, 4, stale=1, maintenance=False)],
        alerts=[
            AlertStatus("CRITICAL", "n2.x", "ZooKeeper process", "Connection refused"),
            AlertStatus("CRITICAL", "n1.x", "ZooKeeper process", "Connection refused", outdated=True),
            AlertStatus("WARNING", "n1.x", "disk", "90%"),
        ],
        unknown_alerts="24 of 68 alerts are UNKNOWN: Ulimit",
        heard_seconds=8.4,
    )
    lines = status_text(status, Invocation()).splitlines()
    assert lines[0] == "Ambari 3.0.0.0 at http://a:8080"
    assert "✗  n2.x  g  HEARTBEAT_LOST  2 components  down: ZK" in lines
    assert "✗  ZOOKEEPER  STARTED  1 of 2 running  1 component with outdated configuration" in lines
    assert "as Ambari last heard from all agents 8 s ago; it sees up to 20 s later that a process has ended" in lines
    assert "CRITICAL  n1.x  ZooKeeper process  before the last change: Connection refused" in lines
    assert "24 of 68 alerts are UNKNOWN: Ulimit" in lines
    assert lines[-1] == "not green: 1 host, 1 service, 1 critical alert"
    assert status.data()["green"] is False


def test_status_of_a_cluster_that_is_not_there() -> None:
    text = status_text(cluster_status(exists=False), Invocation())
    assert text.endswith("not green: there is no cluster; bigtop-builder deploy creates it")
    assert status_text(ClusterStatus("c1"), Invocation()) == "green: everything matches the inventory"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def test_no_secret_is_shown_or_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when a failed task prints them, plain or in the forms that shells and URLs give them."""
    secret = 'p&ss w"rd/€'
    monkeypatch.setenv("TEST_SECRET", secret)
    text = f"Fail: login with {secret} and {PASSWORD} and {json.dumps(secret)}"
    fault = TaskFault(role="ZOOKEEPER_SERVER", command="START", times=None, stderr=text, stdout=text)
    bench.work.injections.tasks.append(fault)
    state, out = RunState(), io.StringIO()
    view = PlainView(out)

    def watch(event: AnyEvent) -> None:
        state.apply(event)
        view(event, state)

    inventory = INVENTORY.replace("tickTime: 2000", "tickTime: 2000, custom: {secret: 'env:TEST_SECRET'}")
    assert bench.deploy(inventory, watch=watch) == 9
    assert state.deploy.logs()
    written = "".join(path.read_text() for path in (bench.folder / "logs").iterdir())
    events = "".join(event.model_dump_json() for event in bench.events)
    assert "login with" in written and "login with" in out.getvalue()
    for place in (
        written,
        events,
        out.getvalue(),
        junit(state).decode(),
        json.dumps(json_data(state), ensure_ascii=False),
    ):
        assert secret not in place
        assert json.dumps(secret)[1:-1] not in place
        assert PASSWORD not in place


@pytest.mark.parametrize("word", ["cluster", "done", "change", "n", "phase"])
def test_a_secret_that_is_one_of_our_own_words_breaks_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("TEST_SECRET", word)
    inventory = INVENTORY.replace("tickTime: 2000", "tickTime: 2000, custom: {secret: 'env:TEST_SECRET'}")
    assert bench.deploy(inventory) == 0, bench.failure


def test_runs_and_logs_of_a_deployment_that_failed_early(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "inv.yaml").write_text("cluster: c1\ngroups: {a: {hosts: [n1.x.test]}}\nssh: {key: nope}\n")
    assert app.run(["deploy", "inv.yaml", "--store", "store"]) == 2
    (project / "store" / "runs" / "20200101-000000-abcd").mkdir()
    capsys.readouterr()
    assert app.run(["runs", "--store", "store"]) == 0
    newest, oldest = capsys.readouterr().out.splitlines()
    assert "exit 2" in newest and "failed in check on cluster c1" in newest
    assert oldest.split() == ["20200101-000000-abcd", "no", "record"]
    run = newest.split()[0]
    assert app.run(["logs", "--run", run, "--store", "store"]) == 0
    assert "check failed: " in capsys.readouterr().out
