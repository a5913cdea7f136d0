"""Reports of smoke tests in TAP: what passed, failed and was skipped, and what is no complete report."""

from __future__ import annotations

import subprocess

import pytest

from bigtop_builder.model.tap import LONGEST, MOST, PATTERN, TapReport, read_tap


def test_a_report_among_other_output() -> None:
    report = read_tap(
        [
            "Picked up JAVA_TOOL_OPTIONS",
            "1..4",
            "ok 1 - put-get",
            "okay, this is for people",
            "not ok 2 - pi",
            "ok 3 - sparkpi # SKIP no YARN here",
            "not ok 4 - scan # TODO regions",
        ]
    )
    assert report == TapReport(("put-get",), ("pi",), ("sparkpi: no YARN here", "scan: regions"))
    assert not report.ok


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "no plan"),
        (["ok 1 - a"], "no plan"),
        (["1..2", "ok 1 - a"], "planned 2 tests and reported 1"),
        (["1..1", "ok 1 - a", "ok 2 - b"], "planned 1 tests and reported 2"),
        (["1..1", "ok 1", "1..1"], "two plans"),
        (["1..1", "Bail out! no database"], "it gave up: no database"),
        ([f"1..{MOST + 1}", *("ok" for _ in range(MOST + 1))], f"more than {MOST} tests"),
    ],
)
def test_an_incomplete_report(lines: list[str], problem: str) -> None:
    report = read_tap(lines)
    assert problem in "; ".join(report.problems)
    assert not report.ok


def test_names_are_those_of_the_test_or_its_number_and_bounded() -> None:
    report = read_tap(["ok", "ok 2", "ok 3 three words", f"ok - {'x' * 500}", "ok 5 - a\x1b[31mb", "1..5"])
    assert report.passed[:3] == ("test 1", "test 2", "three words")
    assert report.passed[3] == "x" * LONGEST + "…"
    assert report.passed[4] == "a [31mb"
    assert report.ok


def test_a_plan_of_nothing_skips_everything() -> None:
    assert read_tap(["1..0 # SKIP needs a cluster"]) == TapReport(skipped=("everything: needs a cluster",))


def test_grep_finds_the_same_lines() -> None:
    text = "noise\n1..2\nok 1 - a\nnot ok 2 - b\nBail out! x\n"
    found = subprocess.run(["grep", "-aE", PATTERN], input=text, capture_output=True, text=True, check=True).stdout
    assert found == text.removeprefix("noise\n")
