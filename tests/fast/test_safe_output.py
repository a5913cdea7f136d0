"""Nothing of a file, a build, a host or a server reaches a terminal or a pipeline as a command."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bigtop_builder.cli.app import run
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.cli.text_format import UNSAFE, LogText, clean, coloured, printable, printable_json
from bigtop_builder.cli.views.ci import GitHubView, GitLabView
from bigtop_builder.cli.views.junit import junit
from bigtop_builder.cli.views.plain import PlainView
from bigtop_builder.cli.views.summary import markdown
from bigtop_builder.cli.views.terminal import TerminalView
from bigtop_builder.flow.run.state import RunState, fold
from bigtop_builder.model.event import (
    AnyEvent,
    Failure,
    Notice,
    Reproduced,
    RunFinished,
    RunStarted,
    StepStarted,
    TaskFinished,
)
from bigtop_builder.model.outcome import Artifact
from tests.fast.test_views import SHA, planned

HOSTILE = (
    "\x1b[2J\x1b]0;title\x07\x9b31m\x7f\x08\u202eevil\u200b\ufeff\n::set-env name=A::b\n  ::add-path::c\r\n##[error]d"
    "\n##vso[task.setvariable variable=e]f\n\x1b[0Ksection_end:1:g\r\x1b[0K\x00\x1bP1$r\x1b\\</failure>]]>`|<script>"
)
COMMAND = re.compile(r"^\s*::|##\w*\[|\x1b\[0Ksection_", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def hostile_run() -> list[AnyEvent]:
    task = "zookeeper@el8/package"
    failure = Failure(
        step="compile",
        message=HOSTILE,
        cause=HOSTILE,
        hint=HOSTILE,
        last_lines=HOSTILE.split("\n"),
        log=f"/store/{HOSTILE}",
        rerun=HOSTILE,
    )
    artifact = Artifact(file=f"a{HOSTILE}.rpm", path="/store/a.rpm", size=1, sha256=SHA)
    return [
        RunStarted(
            time=1, run="r1", command=["bigtop-builder"], store="/store", tasks=[planned(task, reasons=(HOSTILE,))]
        ),
        StepStarted(time=1, task=task, step="compile", log="/store/a.log"),
        Notice(time=1, text=HOSTILE, task=task, level="warning"),
        Notice(time=1, text=HOSTILE, level="info"),
        Notice(time=1, text=HOSTILE, level="error"),
        Reproduced(time=1, task=task, identical=False, differences=[HOSTILE]),
        TaskFinished(
            time=2, task=task, state="failed", seconds=1, failure=failure, notes=[HOSTILE], artifacts=[artifact]
        ),
        RunFinished(time=3, exit_code=4, seconds=2),
    ]


def shown(view: type[PlainView], *, colour: bool = False) -> str:
    out = io.StringIO()
    one, state = view(out, colour=colour), RunState()
    for event in hostile_run():
        state.apply(event)
        one(event, state)
    return out.getvalue()


def is_safe(text: str) -> bool:
    return not UNSAFE.search(text.replace("\n", "").replace("\t", "")) and not COMMAND.search(text)


def test_plain_lines() -> None:
    text = shown(PlainView)
    assert "evil" in text
    assert is_safe(text)


def test_plain_lines_with_colours() -> None:
    text = shown(PlainView, colour=True)
    assert COLOUR.search(text)
    assert is_safe(COLOUR.sub("", text))


def test_github_sees_its_own_commands_alone() -> None:
    lines = shown(GitHubView).split("\n")
    own = [line for line in lines if line.startswith("::")]
    assert {line.split("::")[1].split(" ")[0] for line in own} <= {"group", "endgroup", "warning", "error"}
    assert all(is_safe(line.removeprefix("::")) for line in lines)


def test_gitlab_sees_its_own_sections_alone() -> None:
    text = shown(GitLabView)
    own = re.compile(
        r"^\x1b\[0Ksection_(start|end):\d+:zookeeper-el8-package(\[collapsed=true\])?\r\x1b\[0K", re.MULTILINE
    )
    assert len(own.findall(text)) == 2
    assert is_safe(own.sub("", text))


def test_a_terminal_is_sent_nothing_of_strangers() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=200, no_color=True, color_system=None)
    view, state = TerminalView(console), RunState()
    for event in hostile_run():
        state.apply(event)
        view(event, state)
        with console.capture() as capture:
            console.print(view.render())
        assert not re.search(r"\x1b\]|\x1bP|\x9b|\x07|\u202e|\u200b|\x1b\[2J(?=\x1b\]0)", capture.get())
    view.close()
    text = out.getvalue()
    assert "evil" in text
    assert not re.search(r"\x1b\]|\x1bP|[\x9b\x07\x7f\x00\u202e\u200b]|\x1b\[0Ksection", text)


def test_junit_is_xml() -> None:
    root = ElementTree.fromstring(junit(fold(hostile_run())))
    texts = [text for one in root.iter() for text in (one.text, *one.attrib.values()) if text]
    assert any("evil" in text for text in texts)
    assert not any(UNSAFE.search(text.replace("\n", "")) for text in texts)


def test_a_summary_is_tables_and_fences() -> None:
    text = markdown(fold(hostile_run()))
    outside = re.sub(r"^(`{3,})text$.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not UNSAFE.search(text.replace("\n", ""))
    assert "<script>" not in re.sub(r"`[^`\n]*`", "", outside)
    assert all(line.startswith(("|", "#")) or not line for line in outside.split("\n"))


def test_an_error_is_printed_with_escapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bigtop-builder.yaml").write_text('"a\\e[2J\\e]0;x\\a\\u202e\\n::set-env name=A::b\\n##[error]": 1\n')
    assert run(["config", "-C", str(tmp_path)]) == 2
    text = capsys.readouterr().err
    assert "unknown key" in text
    assert is_safe(text)
    assert run(["config", "-C", str(tmp_path), "--json"]) == 2
    answer = capsys.readouterr().out
    assert "\x1b[2J" in json.loads(answer)["error"]["message"].encode().decode("unicode_escape")
    assert is_safe(answer)


def test_an_unknown_argument_is_printed_with_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bui\x1b[2Jld"]) == 2
    assert is_safe(capsys.readouterr().err)


def test_an_answer_is_printed_with_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    Invocation().answer(HOSTILE, None)
    assert is_safe(capsys.readouterr().out)
    Invocation(json=True).answer("", {HOSTILE: HOSTILE + "\udcff"})
    answer = capsys.readouterr().out
    assert json.loads(answer) == {HOSTILE: HOSTILE + "\udcff"}
    assert is_safe(answer)
    Invocation().say(HOSTILE)
    assert is_safe(capsys.readouterr().err)


@given(st.text())
def test_any_text_is_printable(text: str) -> None:
    assert is_safe(printable(text))
    assert json.loads(printable_json(json.dumps(text, ensure_ascii=False))) == text
    assert not UNSAFE.search(clean(text).replace("\n", ""))


def test_our_own_colours_are_the_only_ones() -> None:
    text = coloured("a\x1b[31mb", "bold") + "\x1b[1mc"
    assert printable(text, colour=True) == "\x1b[1ma\\x1b[31mb\x1b[0m\\x1b[1mc"
    assert printable(text) == "a\\x1b[31mb\\x1b[1mc"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("\x1b[31mred\x1b[0m\n", "red\n"),
        ("a\x1b[2Jb\x1b]0;title\x07c\x1b]8;;http://x\x1b\\d", "abcd"),
        ("10%\r20%\r\ndone\r\n", "10%\n20%\ndone\n"),
        ("a\x00b\x9bc\u202ed\x1b", "a\\x00b\\x9bc\\u202ed\\x1b"),
        ("##[error]x ##vso[a]b", "# #[error]x # #vso[a]b"),
        ("tab\tä€", "tab\tä€"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_log_is_text(log: str, expected: str, size: int) -> None:
    reader, data = LogText({}, colour=False), log.encode()
    pieces = [reader.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert "".join([*pieces, reader.feed(b"", last=True)]) == expected


def test_a_log_keeps_colours_for_a_terminal_that_shows_them() -> None:
    reader = LogText({}, colour=True)
    assert reader.feed(b"\x1b[31mred\x1b[0m\x1b[5Aup\xff", last=True) == "\x1b[31mred\x1b[0mup\\xff"


def test_a_log_gives_github_no_commands() -> None:
    reader = LogText({"GITHUB_ACTIONS": "true"}, colour=False)
    assert is_safe(reader.feed(b"::set-env name=a::b\n  ::error::c\nd::e", last=True))
