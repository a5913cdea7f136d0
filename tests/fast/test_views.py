"""The views of a run: the fold, plain and CI lines, JUnit, summaries, the failure digest."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.cli.text_format import clean, columns, size, span
from bigtop_builder.cli.views.ci import GitHubView, GitLabView, view_for
from bigtop_builder.cli.views.closing import closing, component_digest, headline
from bigtop_builder.cli.views.junit import junit
from bigtop_builder.cli.views.plain import HEARTBEAT, PlainView
from bigtop_builder.cli.views.summary import markdown, summary
from bigtop_builder.cli.views.terminal import TerminalView
from bigtop_builder.cli.views.watch import Reports, Watch, write_reports
from bigtop_builder.flow.run.records import read_events
from bigtop_builder.flow.run.state import RunState, fold
from bigtop_builder.model.event import (
    STEPS,
    AnyEvent,
    CacheUsed,
    Failure,
    Notice,
    PlannedTask,
    Reproduced,
    RunFinished,
    RunStarted,
    State,
    StepFinished,
    StepProgress,
    StepStarted,
    TaskFinished,
    TaskStarted,
)
from bigtop_builder.model.outcome import Artifact, CacheFigures

SHA = "ab" * 32


def planned(task: str, action: str = "build", reasons: tuple[str, ...] = ()) -> PlannedTask:
    place, kind = task.split("/")
    component, platform = place.split("@")
    return PlannedTask.model_validate(
        {
            "task": task,
            "component": component,
            "platform": platform,
            "kind": kind,
            "action": action,
            "reasons": reasons,
            "key": SHA,
        }
    )


def run_of_four() -> list[AnyEvent]:
    """One component done, one reused, one failed in its compile on two platforms, one blocked by it, one refused."""
    tasks = [
        planned("zookeeper@debian/compile", reasons=("never built",)),
        planned("zookeeper@el8/package", reasons=("recompiled",)),
        planned("utils@el8/package", "reuse"),
        planned("spark@debian/compile", reasons=("patch 0001 changed",)),
        planned("spark@el8/package"),
        planned("spark@el7/package"),
        planned("hive@el8/package"),
        planned("jsvc@el8/package", "refuse", ("it is native code",)),
    ]
    failure = Failure(
        step="compile",
        message="the compile script exited with 1",
        cause="a TLS certificate is not trusted",
        hint="Set network.ca_bundle.",
        first_error=["[ERROR] PKIX path building failed", "##[error]planted first"],
        last_lines=["\x1b[31mPKIX path building failed\x1b[0m", "::error::planted", "##[error]planted"],
        log="/store/runs/r1/logs/spark@debian/compile/compile.log",
        rerun="bigtop-builder build spark",
    )
    rpm = Artifact(file="zookeeper_3_2_0-3.5.9-1.el8.noarch.rpm", path="/store/z.rpm", size=12 << 20, sha256=SHA)
    return [
        RunStarted(time=100, run="r1", command=["bigtop-builder", "build"], store="/store", tasks=tasks),
        TaskFinished(time=100, task="utils@el8/package", state="reused"),
        TaskStarted(time=101, task="zookeeper@debian/compile"),
        TaskStarted(time=101, task="spark@debian/compile"),
        StepStarted(time=101, task="zookeeper@debian/compile", step="fetch", log="/store/fetch.log"),
        StepProgress(time=102, task="zookeeper@debian/compile", step="fetch", done=10, total=100),
        StepFinished(time=103, task="zookeeper@debian/compile", step="fetch", ok=True, seconds=2),
        TaskFinished(time=130, task="zookeeper@debian/compile", state="done", seconds=29),
        TaskStarted(time=130, task="zookeeper@el8/package"),
        Notice(time=131, text="told at once", task="zookeeper@el8/package"),
        StepStarted(time=130, task="spark@debian/compile", step="compile", log=failure.log),
        StepProgress(time=131 + HEARTBEAT, task="spark@debian/compile", step="compile", done=3 << 20),
        StepFinished(time=200, task="spark@debian/compile", step="compile", ok=False, seconds=70),
        TaskFinished(
            time=201,
            task="zookeeper@el8/package",
            state="done",
            seconds=5,
            artifacts=[rpm],
            notes=["told at once", "native left out"],
        ),
        TaskFinished(time=202, task="spark@debian/compile", state="failed", seconds=101, failure=failure),
        TaskFinished(time=202, task="spark@el8/package", state="blocked", blocked_by="spark@debian/compile"),
        TaskFinished(time=202, task="spark@el7/package", state="blocked", blocked_by="spark@debian/compile"),
        TaskFinished(time=202, task="hive@el8/package", state="blocked", blocked_by="spark@debian/compile"),
        RunFinished(time=203, exit_code=4, seconds=103),
    ]


def run_of_one(state: State, exit_code: int) -> list[AnyEvent]:
    task = "zookeeper@el8/package"
    return [
        RunStarted(time=100, run="r1", command=["bigtop-builder", "build"], store="/store", tasks=[planned(task)]),
        StepStarted(time=100, task=task, step="image", log="/store/image.log"),
        StepFinished(time=100, task=task, step="image", ok=True, seconds=0),
        StepStarted(time=100, task=task, step="image", log="/store/image.log"),
        StepFinished(time=101, task=task, step="image", ok=state == "done", seconds=1),
        TaskFinished(time=101, task=task, state=state, seconds=1),
        RunFinished(time=101, exit_code=exit_code, seconds=1),
    ]


def plain(view: type[PlainView] = PlainView, *, quiet: bool = False, events: list[AnyEvent] | None = None) -> str:
    out = io.StringIO()
    shown, state = view(out, quiet=quiet), RunState()
    for event in events or run_of_four():
        state.apply(event)
        shown(event, state)
    return out.getvalue()


def last_words(state: RunState) -> list[str]:
    return [text for text, _ in closing(state)]


def test_the_use_of_the_caches_is_reported_at_the_end() -> None:
    assert "requests" not in plain()
    assert summary(fold(run_of_four())).caches == {}
    task = "zookeeper@debian/compile"
    first = CacheFigures(asked=3, hit=2, hit_bytes=2048, new_bytes=512)
    second = CacheFigures(asked=4, hit=4, hit_bytes=1024)
    used: list[AnyEvent] = [
        CacheUsed(time=104, task=task, cache="sources", figures=second),
        CacheUsed(time=120, task=task, cache="maven", figures=first),
        CacheUsed(time=121, task="spark@debian/compile", cache="maven", figures=second),
    ]
    events = run_of_four()
    events[7:7] = used
    said = plain(events=events).splitlines()
    assert said[-3:-1] == [
        "cache maven: 7 requests, 6 hits (3.0 KiB), 512 B downloaded",
        "sources: 4 requests, 4 hits (1.0 KiB), 0 B downloaded",
    ]
    view = fold(events)
    assert summary(view).caches["maven"] == first + second
    assert "| maven | 7 | 6 | 3.0 KiB | 512 B |" in markdown(view).splitlines()
    assert [component.state for component in view.build.components()] == [
        component.state for component in fold(run_of_four()).build.components()
    ]


def test_a_component_shows_its_package_and_the_compile_that_it_failed_in() -> None:
    view = fold(run_of_four())
    states = {component.name: component.state for component in view.build.components()}
    assert states == {
        "zookeeper@el8": "done",
        "utils@el8": "reused",
        "spark@el8": "failed",
        "spark@el7": "failed",
        "hive@el8": "blocked",
        "jsvc@el8": "refused",
    }
    zookeeper = view.build.components()[0]
    assert zookeeper.seconds == 34
    assert headline(view) == "1 done, 1 reused, 2 failed, 1 blocked, 1 refused in 1m43s"


def test_a_compile_without_a_package_task_has_its_own_entry() -> None:
    view = fold([RunStarted(run="r", command=[], store="", tasks=[planned("hadoop@debian/compile")])])
    assert [component.name for component in view.build.components()] == ["hadoop@debian"]


def test_the_digest_says_step_cause_lines_log_and_command() -> None:
    spark = next(view for view in fold(run_of_four()).build.components() if view.component == "spark")
    text = "\n".join(text for text, _ in component_digest(spark))
    for part in (
        "failed in compile: the compile script exited with 1",
        "probable cause: a TLS certificate is not trusted",
        "Set network.ca_bundle.",
        "| PKIX path building failed",
        "/store/runs/r1/logs/spark@debian/compile/compile.log",
        "bigtop-builder build spark",
    ):
        assert part in text
    assert "\x1b" not in text


def test_the_first_error_comes_before_the_last_lines_and_is_not_repeated() -> None:
    def shown(first: list[str], last: list[str]) -> list[str]:
        failure = Failure(step="compile", message="no", first_error=first, last_lines=last)
        events = [RunStarted(time=1, run="r", command=[], store="/s", tasks=[planned("a@el8/package")])]
        ended = TaskFinished(time=2, task="a@el8/package", state="failed", failure=failure)
        return [line.strip() for line in last_words(fold([*events, ended])) if line.startswith("  ")]

    assert shown(["e1", "e2"], ["x", "e1"]) == ["first error:", "| e1", "| e2", "last lines:", "| x", "| e1"]
    assert shown(["e1", "e2"], ["e2"]) == ["first error:", "| e1", "| e2"]
    assert shown([], ["x"]) == ["last lines:", "| x"]


def test_a_compile_that_failed_for_two_platforms_is_reported_once_and_last() -> None:
    lines = last_words(fold(run_of_four()))
    assert sum("failed in compile" in line for line in lines) == 1
    assert lines.index("jsvc@el8 refused: it is native code") < next(
        number for number, line in enumerate(lines) if "failed in compile" in line
    )
    assert lines[-1].endswith("1 package of 12.0 MiB")


def test_plain_lines_have_no_folding_and_no_escape_sequences() -> None:
    text = plain()
    assert "::" not in text.replace("::error::planted", "") and "\x1b" not in text
    assert "✓ zookeeper@el8/package done in 5.0s\n" in text
    assert "spark@debian/compile: compile for 1m01s, 3.0 MiB of log" in text
    assert text.count("told at once") == 1 and "note: native left out" in text


def test_github_folds_are_closed_before_the_next_opens_and_errors_are_annotated() -> None:
    lines = plain(GitHubView).splitlines()
    depth = 0
    for line in lines:
        depth += line.startswith("::group::")
        depth -= line == "::endgroup::"
        assert depth in (0, 1)
    assert depth == 0
    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) == 1 and errors[0].startswith("::error title=spark@el8::spark@el8 failed in compile")
    assert "%0A" in errors[0]


def test_what_a_build_printed_is_no_command_to_github() -> None:
    lines = plain(GitHubView).splitlines()
    assert not any(line.lstrip().startswith("::error::planted") for line in lines)
    assert not any("##[" in line for line in lines)


def test_gitlab_sections_open_and_close_with_one_name() -> None:
    text = plain(GitLabView)
    opened = [part.split(":")[2].split("[")[0] for part in text.split("\x1b[0K") if part.startswith("section_start")]
    closed = [part.split(":")[2].split("\r")[0] for part in text.split("\x1b[0K") if part.startswith("section_end")]
    assert opened == closed and "zookeeper-el8-package" in opened


def test_quiet_says_only_what_went_wrong() -> None:
    text = plain(quiet=True)
    assert "zookeeper" not in text and "failed in compile" in text
    assert plain(quiet=True, events=run_of_one("done", 0)) == ""


def test_a_stopped_step_has_not_failed_and_one_in_two_parts_is_shown_once() -> None:
    text = plain(events=run_of_one("cancelled", 130))
    assert "stopped" in text and "failed" not in text
    assert text.count("zookeeper@el8/package: image") == 1


def test_folding_is_chosen_by_the_environment() -> None:
    assert view_for({"GITHUB_ACTIONS": "true"}) is GitHubView
    assert view_for({"GITLAB_CI": "true"}) is GitLabView
    assert view_for({}) is PlainView


def test_junit_has_a_case_for_each_component() -> None:
    root = ElementTree.fromstring(junit(fold(run_of_four())))
    suite = root.find("testsuite")
    assert suite is not None and suite.attrib["tests"] == "6"
    assert (suite.attrib["failures"], suite.attrib["errors"], suite.attrib["skipped"]) == ("2", "1", "1")
    cases = {(case.attrib["classname"], case.attrib["name"]): case for case in suite}
    failure = cases["el8", "spark"].find("failure")
    assert failure is not None and "PKIX path building failed" in (failure.text or "")
    assert cases["el8", "utils"].find("failure") is None and cases["el8", "utils"].find("skipped") is None
    skipped = cases["el8", "hive"].find("skipped")
    assert skipped is not None and skipped.attrib["message"] == "blocked by spark@debian/compile"


@given(st.text(), st.text())
def test_junit_is_xml_whatever_a_build_printed(message: str, line: str) -> None:
    events: list[AnyEvent] = [
        RunStarted(run="r", command=[], store="", tasks=[planned("a@b/package")]),
        TaskFinished(
            task="a@b/package", state="failed", failure=Failure(step="compile", message=message, last_lines=[line])
        ),
    ]
    root = ElementTree.fromstring(junit(fold(events)))
    assert root.find("testsuite/testcase/failure") is not None


def test_the_summary_has_name_size_time_and_digest() -> None:
    view = fold(run_of_four())
    text = markdown(view)
    assert f"| `zookeeper_3_2_0-3.5.9-1.el8.noarch.rpm` | 12.0 MiB | `{SHA}` |" in text
    assert "| ✗ | spark | el8 | failed | 1m41s | 0 |" in text
    data = json.loads(summary(view).model_dump_json())
    assert data["exit_code"] == 4 and data["components"][0]["packages"][0]["sha256"] == SHA


@pytest.mark.parametrize("identical", [True, False])
def test_every_view_shows_the_verdict_on_a_second_build(identical: bool) -> None:
    events = run_of_one("done", 0 if identical else 12)
    differences = [] if identical else ["lib/a.jar: other content; inside: pom.properties (content)"]
    told = Reproduced(task="zookeeper@el8/package", identical=identical, differences=differences)
    view = fold([*events[:-1], told, events[-1]])
    (component,) = summary(view).components
    assert component.identical is identical
    lines = plain(events=[*events[:-1], told, events[-1]])
    page = markdown(view)
    assert f"zookeeper@el8/package: a second build is {'identical' if identical else 'different'}" in lines
    if identical:
        assert "built twice, byte-identical: 1 component" in lines
        assert "| zookeeper@el8 | identical |" in page
        assert b"<failure" not in junit(view)
    else:
        assert component.differences == [f"package: {differences[0]}"]
        assert "zookeeper@el8 is not reproducible: the bytes of a second build differ" in lines
        assert f"    package: {differences[0]}" in lines
        assert f"| zookeeper@el8 | differs: `package: {differences[0]}` |" in page
        assert b'failures="1"' in junit(view) and b"pom.properties" in junit(view)


def test_a_component_of_which_a_part_was_built_twice_is_not_called_identical() -> None:
    tasks = ("a@p/compile", "a@p/package")
    events: list[AnyEvent] = [
        RunStarted(run="r", command=[], store="", tasks=[planned(task, "reuse") for task in tasks]),
        *(TaskFinished(task=task, state="reused") for task in tasks),
    ]
    half = [*events, Reproduced(task="a@p/package", identical=True)]
    assert fold(events).build.components()[0].identical is None
    assert fold(half).build.components()[0].identical is None
    assert fold([*half, Reproduced(task="a@p/compile", identical=True)]).build.components()[0].identical is True
    assert fold([*events, Reproduced(task="a@p/compile", identical=False)]).build.components()[0].identical is False


def test_markdown_keeps_a_fence_in_a_log_inside_its_own() -> None:
    failure = Failure(step="compile", message="x", last_lines=["```", "# a heading"])
    events: list[AnyEvent] = [
        RunStarted(run="r", command=[], store="", tasks=[planned("a@b/package")]),
        TaskFinished(task="a@b/package", state="failed", failure=failure),
    ]
    assert "````text\n" in markdown(fold(events))


def test_the_terminal_shows_ends_above_and_the_digest_last() -> None:
    out = io.StringIO()
    view, state = TerminalView(Console(file=out, force_terminal=True, width=160, no_color=True)), RunState()
    for event in run_of_four():
        state.apply(event)
        view(event, state)
    text = out.getvalue()
    assert text.index("✓ zookeeper@el8/package") < text.index("failed in compile") < text.rindex("1m43s")


def test_the_live_tree_shows_step_and_bytes() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, no_color=True)
    view = TerminalView(console)
    view.state = fold(run_of_four()[:6])
    console.print(view.render())
    assert "zookeeper@debian/compile" in out.getvalue() and "10 B of 100 B (10%)" in out.getvalue()
    assert "2/8 done, 4 queued" in out.getvalue()


@given(st.integers(0, 19), st.integers(0, 300))
def test_a_log_cut_anywhere_is_read(tmp_path_factory: pytest.TempPathFactory, events: int, torn: int) -> None:
    log = tmp_path_factory.mktemp("run") / "events.jsonl"
    whole = [event.model_dump_json() for event in run_of_four()]
    rest = "".join(line + "\n" for line in whole[events:])
    log.write_text("".join(line + "\n" for line in whole[:events]) + rest[:torn], encoding="utf-8")
    view = fold(read_events(log))
    view.close()
    assert "running" not in view.build.totals() and "waiting" not in view.build.totals()
    check_all_views(view)


tasks = st.sampled_from(["a@p/compile", "a@p/package", "a@q/package", "b@p/package", "odd", "@", "x@y@z/compile/q"])
texts = st.text(max_size=8)
anything: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(
        RunStarted,
        time=st.floats(0, 9e9),
        run=texts,
        command=st.just(["x"]),
        store=texts,
        tasks=st.lists(
            st.builds(
                PlannedTask,
                task=tasks,
                component=st.sampled_from("ab"),
                platform=st.sampled_from("pq"),
                kind=st.sampled_from(["compile", "package"]),
                action=st.sampled_from(["reuse", "build", "refuse"]),
                reasons=st.lists(texts, max_size=2),
                key=texts,
            ),
            max_size=4,
        ),
    ),
    st.builds(TaskStarted, time=st.floats(0, 9e9), task=tasks),
    st.builds(StepStarted, time=st.floats(0, 9e9), task=tasks, step=st.sampled_from(STEPS), log=st.none() | texts),
    st.builds(
        StepProgress,
        time=st.floats(0, 9e9),
        task=tasks,
        step=st.sampled_from(STEPS),
        done=st.integers(0, 1 << 50),
        total=st.none() | st.integers(0, 1 << 50),
    ),
    st.builds(Reproduced, task=tasks, identical=st.booleans(), differences=st.lists(texts, max_size=2)),
    st.builds(StepFinished, task=tasks, step=st.sampled_from(STEPS), ok=st.booleans(), seconds=st.floats(0, 1e6)),
    st.builds(
        TaskFinished,
        task=tasks,
        state=st.sampled_from(["done", "reused", "failed", "blocked", "cancelled", "refused"]),
        seconds=st.floats(0, 1e6),
        failure=st.none() | st.builds(Failure, step=texts, message=texts, last_lines=st.lists(texts, max_size=2)),
        blocked_by=st.none() | tasks,
        notes=st.lists(texts, max_size=2),
    ),
    st.builds(Notice, level=st.sampled_from(["info", "warning", "error"]), text=texts, task=st.none() | tasks),
    st.builds(RunFinished, exit_code=st.integers(0, 130), seconds=st.floats(0, 1e6)),
)


def check_all_views(view: RunState) -> None:
    """Every report of a state can be made."""
    ElementTree.fromstring(junit(view))
    assert markdown(view).startswith("## bigtop-builder")
    summary(view).model_dump_json()
    assert last_words(view)


@given(st.lists(anything, max_size=30))
def test_no_order_of_events_breaks_a_view(events: list[AnyEvent]) -> None:
    out = io.StringIO()
    views = [PlainView(out, colour=True), GitHubView(out), GitLabView(out)]
    state = RunState()
    terminal = TerminalView(Console(file=io.StringIO(), no_color=True))
    for event in events:
        state.apply(event)
        for view in views:
            view(event, state)
        terminal.state = state
        terminal.console.print(terminal.render())
    state.close()
    check_all_views(state)


def test_watch_writes_events_reports_and_the_page_of_the_pipeline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n", encoding="utf-8")
    call = Invocation(environment={"GITHUB_STEP_SUMMARY": str(page)})
    reports = Reports(tmp_path / "events.jsonl", tmp_path / "sub/junit.xml", tmp_path / "summary.json")
    with Watch(call, reports.events) as watch:
        for event in run_of_four():
            watch(event)
    write_reports(watch.state, call, reports)
    assert list(read_events(tmp_path / "events.jsonl")) == run_of_four()
    ElementTree.parse(tmp_path / "sub/junit.xml")
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["run"] == "r1"
    assert page.read_text(encoding="utf-8").startswith("before\n## bigtop-builder")
    captured = capsys.readouterr()
    assert captured.out == "" and "failed in compile" in captured.err


def test_a_view_that_nobody_reads_any_more_does_not_end_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Closed())
    with Watch(Invocation(environment={})) as watch:
        for event in run_of_four():
            watch(event)
    assert watch.state.exit_code == 4


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (12 << 20, "12.0 MiB"), (1 << 60, "1048576 TiB")],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (59.9, "59.9s"), (59.99, "1m00s"), (75, "1m15s"), (7500, "2h05m"), (3599.9, "1h00m")],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


@given(st.text())
def test_clean_text_has_no_control_characters(text: str) -> None:
    assert not any(ord(character) < 32 and character != "\n" for character in clean(text))


def test_columns_are_aligned() -> None:
    assert columns([("a", "bb"), ("ccc", "")]) == "a    bb\nccc"
    assert columns([]) == ""


def test_every_prefix_of_a_run_has_every_component() -> None:
    events = run_of_four()
    for length in range(1, len(events) + 1):
        assert len(fold(itertools.islice(events, length)).build.components()) == 6


def test_nothing_waits_once_a_run_is_over() -> None:
    state = fold(
        [
            RunStarted(
                time=1, run="r1", command=[], store="/s", tasks=[planned("a@el8/compile"), planned("a@el8/package")]
            ),
            TaskStarted(time=1, task="a@el8/compile"),
            Notice(time=2, level="error", text="the image cannot be made"),
            RunFinished(time=86, exit_code=5, seconds=85),
        ]
    )
    assert headline(state) == "1 cancelled in 1m25s"
