"""The kinds of break: each has a log that shows it, and the log of a build that succeeded shows none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bigtop_builder.cli.troubleshooting_page import described_causes, known_causes
from bigtop_builder.flow.build import diagnosis
from bigtop_builder.flow.build.causes import CAUSES
from bigtop_builder.flow.build.diagnosis import Diagnosis, diagnose
from tests.fast.failure_logs import BREAKS, FAILURE, HELP, SUCCESS, Break, maven

ROOT = Path(__file__).resolve().parents[2]
NAMES = re.compile(
    r"\{\w+\}|\b(?:build|limits|network|mirrors|prepare|agent)\.\w[\w.]*\w|repositories\[\]\.\w+|(?<!\w)--?[A-Za-z][\w.-]*\w",
    re.ASCII,
)
"""What a text keeps in every language: names to be filled in, keys of files, options."""


def diagnosed(tmp_path: Path, text: str, message: str = "the compile script exited with 1") -> Diagnosis:
    (tmp_path / "log").write_text(text)
    return diagnose(tmp_path / "log", message)


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.name)
def test_a_break_is_told_by_its_kind(tmp_path: Path, one: Break) -> None:
    """Also after thousands of lines that succeeded, and whatever the program says itself at the end."""
    for before in ("", SUCCESS * 60):
        found = diagnosed(tmp_path, f"{before}{one.log}==> failed: {one.message}\n", one.message)
        assert found.cause == one.cause
        assert found.hint
        assert (found.first_error or [""])[0].startswith(one.first)


def test_every_kind_has_a_log() -> None:
    seen = {one.cause for one in BREAKS}
    lacking = [cause.text for cause in CAUSES if not any(text.startswith(cause.text) for text in seen)]
    assert lacking == [
        "the container has too many processes or threads",
        "a noarch package has native files",  # test_diagnosis.py
        "no permission to read or write a file",
    ]


def test_a_build_that_succeeded_shows_no_kind(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, SUCCESS * 100)
    assert found.cause is None


def test_what_came_before_a_success_is_no_cause(tmp_path: Path) -> None:
    earlier = "a.c:2:10: fatal error: openssl/evp.h: No such file or directory\n[ERROR] There are test failures.\n"
    found = diagnosed(tmp_path, f"{earlier}[INFO] BUILD SUCCESS\nbash: line 3: gmake: command not found\n")
    assert found.cause == "a tool is missing in the builder image: gmake"
    assert found.first_error == ["bash: line 3: gmake: command not found"]


def test_warnings_are_no_causes(tmp_path: Path) -> None:
    warnings = (
        "[WARNING] Could not transfer artifact org.x:a:pom:1 from/to x (https://x.example): Connection refused\n"
        "npm WARN deprecated x@1: ENOTFOUND\nwarning: self signed certificate in certificate chain\n"
    )
    found = diagnosed(tmp_path, warnings + "a.c:7:1: error: expected ‘;’ before ‘}’ token\n")
    assert found.cause == "the source does not compile"


def test_maven_s_help_is_left_out(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, maven("Failed to execute goal x:y:1:z (default) on project q: it rains"))
    assert found.cause is None
    assert found.first_error == ["[ERROR] Failed to execute goal x:y:1:z (default) on project q: it rains"]
    shown = "\n".join(found.last_lines)
    assert "Help" not in shown and "re-run Maven" not in shown and "------" not in shown
    assert "it rains" in shown


def test_what_the_program_says_itself_is_not_repeated(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, "it rains\n==> failed: the compile script exited with 1\n")
    assert found.last_lines == ["it rains"]


def test_the_first_of_many_errors_is_shown_with_its_lines(tmp_path: Path) -> None:
    errors = [f"/work/src/A.java:[{number},1] cannot find symbol" for number in range(1, 90)]
    before = "[ERROR] COMPILATION ERROR : \n" + "".join(f"[ERROR] {error}\n  symbol: class X\n" for error in errors)
    found = diagnosed(tmp_path, before + maven("Failed to execute goal x on project y: Compilation failure"))
    assert found.first_error[:3] == [f"[ERROR] {errors[0]}", "  symbol: class X", f"[ERROR] {errors[1]}"]
    assert len(found.first_error) == diagnosis.ERROR_LINES


def test_a_long_traceback_keeps_its_end(tmp_path: Path) -> None:
    frames = "".join(f'  File "x.py", line {number}, in f\n    f()\n' for number in range(20))
    found = diagnosed(tmp_path, f"Traceback (most recent call last):\n{frames}KeyError: 'version'\nmake: leaving\n")
    assert (found.first_error[0], found.first_error[-1]) == (
        "Traceback (most recent call last):",
        "KeyError: 'version'",
    )
    assert len(found.first_error) == diagnosis.ERROR_LINES


def test_lines_that_are_harmless_elsewhere_count_near_the_end_alone(tmp_path: Path) -> None:
    early = "bash: line 1: lsb_release: command not found\n"
    assert diagnosed(tmp_path, early + "ok\n").cause is not None
    assert diagnosed(tmp_path, early + "compiling x\n" * 9000).cause is None


def test_a_log_of_any_size_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suspicious lines that are kept are limited, and so is what is read of a log."""
    import tracemalloc

    monkeypatch.setattr("bigtop_builder.flow.build.log_lines.WINDOW", 4 << 20)
    with (tmp_path / "log").open("w") as log:
        log.write("fatal error: a.h: No such file or directory\n")
        for _ in range(300):
            log.write("error: it fails\n" * 2000)
        log.write("x" * (3 << 20) + "\n" + HELP + FAILURE)
    tracemalloc.start()
    try:
        found = diagnose(tmp_path / "log")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert found.cause is None, "the header is missing before the part that is read"
    assert max(map(len, found.last_lines)) <= diagnosis.LINE_LIMIT


@pytest.mark.parametrize("kind", ["build", "deployment"])
def test_the_page_on_troubleshooting_describes_every_cause(kind: str) -> None:
    """With an example that the table recognises, and in Chinese; ``docs/causes.yaml`` says how."""
    known, described = known_causes()[kind], described_causes(ROOT / "docs/causes.yaml")[kind]
    assert [(one.cause, one.hint) for one in described] == [(cause, hint) for cause, hint, _ in known]
    for entry, (_, _, pattern) in zip(described, known, strict=True):
        assert pattern.search(entry.example), entry.cause
        for english, chinese in ((entry.cause, entry.zh), (entry.hint, entry.zh_hint)):
            assert re.search("[\u4e00-\u9fff]", chinese) or not re.search("[a-z]+ [a-z]", english)
            assert set(NAMES.findall(english)) == set(NAMES.findall(chinese))
