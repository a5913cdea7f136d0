"""The display of a build: logs, counters, speeds, expected times and waiting tasks, at every width."""

from __future__ import annotations

import io
import itertools
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bigtop_builder.cli.invocation import Invocation, Progress, colours
from bigtop_builder.cli.views.build_display import BuildDisplay
from bigtop_builder.cli.views.ci import GitHubView, GitLabView
from bigtop_builder.cli.views.log_tail import READ, LogTail, counted
from bigtop_builder.cli.views.plain import PlainView
from bigtop_builder.cli.views.terminal import TerminalView
from bigtop_builder.cli.views.watch import Watch
from bigtop_builder.flow.run.state import RunState, fold
from bigtop_builder.model.event import (
    AnyEvent,
    RunFinished,
    RunStarted,
    StepFinished,
    StepProgress,
    StepStarted,
    TaskFinished,
    TaskStarted,
)
from bigtop_builder.model.outcome import Artifact
from tests.fast.test_views import planned

MAVEN = "[INFO] Building Apache Tez :: Runtime Library 0.10.1                     [7/31]"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "compile.log"
    path.write_text(
        f"{MAVEN}\n[INFO] ---< org.apache.tez >---\n\x1b[31m[INFO] Compiling 113 files\x1b[0m " + "x" * 200 + "\n"
    )
    return path


def events(log: Path) -> list[AnyEvent]:
    """One component compiles and one fetches; one waits for the first, one for a slot."""
    tasks = [
        planned("tez@debian/compile").model_copy(update={"expected": 720.0}),
        planned("spark@debian/compile"),
        planned("tez@el8/package").model_copy(update={"waits_for": ["tez@debian/compile"]}),
        *(planned(f"c{number}@el8/package") for number in range(9)),
    ]
    fetch = itertools.starmap(
        lambda time, done: StepProgress(
            time=time, task="spark@debian/compile", step="fetch", done=done, total=100 << 20, note="http://a/b.tgz"
        ),
        [(101.0, 10 << 20), (102.0, 20 << 20), (103.0, 30 << 20)],
    )
    return [
        RunStarted(time=100, run="r1", command=[], store="/s", tasks=tasks),
        TaskStarted(time=100, task="tez@debian/compile"),
        StepStarted(time=100, task="tez@debian/compile", step="compile", log=str(log)),
        TaskStarted(time=100, task="spark@debian/compile"),
        StepStarted(time=100, task="spark@debian/compile", step="fetch"),
        *fetch,
    ]


def rendered(log: Path, width: int, height: int = 40, *, verbose: bool = False) -> list[str]:
    lines = BuildDisplay(verbose=verbose).lines(fold(events(log)), 532.0, width, height)
    return [line.plain for line in lines]


@pytest.mark.parametrize("width", [46, 80, 200])
def test_the_display_fits_the_terminal(log: Path, width: int) -> None:
    lines = rendered(log, width)
    assert max(map(len, lines)) <= width and not any("\x1b" in line or "\n" in line for line in lines)
    text = "\n".join(lines)
    assert lines[0].startswith("0/12 done, 10 queued")
    assert "tez@debian/compile  7m12s of about 12m00s" in text
    assert "  compile    7m12s  7 of 31" in text
    assert "│ [INFO] Compiling 113 files" in text
    assert "7.0s left" in text
    if width >= 80:
        assert "30.0 MiB of 100 MiB (30%), 10.0 MiB/s, 7.0s left" in text
        assert "· tez@el8/package waits for tez@debian/compile" in text
        assert "· c0@el8/package waits for a free slot" in text
        assert "· 6 more wait" in text


@pytest.mark.parametrize("width", [46, 80])
def test_the_line_of_a_task_that_ended_fits_the_terminal(log: Path, width: int) -> None:
    out = io.StringIO()
    view = TerminalView(Console(file=out, width=width, no_color=True))
    package = Artifact(file="tez-0.10.1-1.el8.noarch.rpm", sha256="ab" * 32, size=123 << 20, path="/s/tez.rpm")
    ended = TaskFinished(task="tez@debian/compile", state="done", seconds=754.0, artifacts=[package])
    view(ended, fold([*events(log), ended]))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()) == "✓ tez@debian/compile done 12m34s 1 package, 123 MiB"


def test_a_low_terminal_has_fewer_lines_of_logs_and_v_asks_for_more(log: Path) -> None:
    with log.open("a") as file:
        file.writelines(f"line {number}\n" for number in range(20))

    def shown(lines: list[str]) -> int:
        return sum("│" in line for line in lines)

    assert shown(rendered(log, 80)) == 3 and shown(rendered(log, 80, verbose=True)) == 10
    assert shown(rendered(log, 80, 12)) < 3 and len(rendered(log, 80, 12)) <= 12


def test_the_terminal_view_shows_it(log: Path) -> None:
    out = io.StringIO()
    view = TerminalView(Console(file=out, width=80, no_color=True))
    view.state = fold(events(log))
    view.console.print(view.render())
    assert "7 of 31" in out.getvalue() and "waits for tez@debian/compile" in out.getvalue()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (MAVEN, "7 of 31"),
        ("<=====--------> 45% EXECUTING [1m 2s]", "45%"),
        ("[3/5] Linking dependencies...", "3 of 5"),
        ("[12/345] Building C object a.o", "12 of 345"),
        ("[ 45%] Building CXX object a.o", "45%"),
        ("npm http fetch (12/345)", "12 of 345"),
        ("[INFO] Building Apache Tez 0.10.1", None),
        ("[9/7] no", None),
        ("Running test [3/5]", None),
        ("date 7/31", None),
    ],
)
def test_how_far_a_tool_is(line: str, found: str | None) -> None:
    assert counted(line) == found


def test_a_log_is_followed_while_it_grows_is_begun_again_and_overflows(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    tail = LogTail(path)
    tail.look()
    assert list(tail.lines) == []
    path.write_text("[1/4] Resolving\nhalf")
    tail.look()
    assert list(tail.lines) == ["[1/4] Resolving"] and tail.counted == "1 of 4"
    with path.open("a") as file:
        file.write(" a line\n[2/4] Fetching\n")
    tail.look()
    assert list(tail.lines)[-2:] == ["half a line", "[2/4] Fetching"] and tail.counted == "2 of 4"
    path.write_text("anew\n")
    tail.look()
    assert tail.lines[-1] == "anew"
    path.write_text("x\n" * READ + "end\n")
    tail.look()
    assert tail.lines[-1] == "end"
    (tmp_path / "a.log.newer").write_text("in the second file\n")
    tail.look()
    assert tail.lines[-1] == "in the second file"


def ended(log: Path, view: PlainView, out: io.StringIO) -> str:
    state = RunState()
    over: list[AnyEvent] = [
        *events(log)[:3],
        StepFinished(time=140, task="tez@debian/compile", step="compile", ok=True, seconds=40),
        TaskFinished(time=140, task="tez@debian/compile", state="done", seconds=40),
        TaskFinished(time=140, task="c0@el8/package", state="reused"),
    ]
    for event in over:
        state.apply(event)
        view(event, state)
    return out.getvalue()


def test_pipelines_have_full_logs_in_their_groups(log: Path) -> None:
    with log.open("a") as file:
        file.write("::error::planted\n##[error]planted\n::endgroup::\n")
    out = io.StringIO()
    text = ended(log, GitHubView(out), out)
    assert MAVEN in text and text.count("\n::group::") == text.count("\n::endgroup::") == 1
    assert "\n::error::planted" not in text and "##[error]" not in text
    out = io.StringIO()
    assert MAVEN in ended(log, GitLabView(out), out) and "section_end" in out.getvalue()
    out = io.StringIO()
    assert MAVEN not in ended(log, PlainView(out), out)
    out = io.StringIO()
    assert MAVEN in ended(log, PlainView(out, verbose=True), out)


@pytest.mark.parametrize("progress", ["plain", "json", "tty"])
def test_progress_is_shown_as_asked_for(
    log: Path, progress: Progress, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with Watch(Invocation(progress=progress, environment={})) as watch:
        for event in [*events(log), RunFinished(time=5, exit_code=0, seconds=4)]:
            watch(event)
    shown = capsys.readouterr().err
    if progress == "json":
        assert [json.loads(line)["event"] for line in shown.splitlines()][-1] == "run_finished"
    else:
        assert ("\x1b[" in shown) is (progress == "tty") and "cancelled in" in shown


def test_colours_are_forced_and_forbidden_by_variables() -> None:
    out = io.StringIO()
    assert colours({"FORCE_COLOR": "1"}, out) and not colours({}, out) and not colours({"FORCE_COLOR": "0"}, out)
    assert not colours({"FORCE_COLOR": "1", "NO_COLOR": "1"}, out)
    assert Invocation(environment={"FORCE_COLOR": "1"}).colours(sys.stdout)
    assert not Invocation(environment={"FORCE_COLOR": "1"}, no_color=True).colours(sys.stdout)
