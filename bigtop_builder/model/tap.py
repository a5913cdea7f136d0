"""The Test Anything Protocol, in which smoke tests report: ``1..2``, ``ok 1 - put-get``, ``not ok 2 - pi``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MOST, LONGEST = 1000, 100
"""How many tests are read, and how many characters of a name are kept."""

PATTERN = r"^(ok|not ok|1\.\.|Bail out!)"
"""Lines that say something; whatever else a test prints is for people. Also understood by ``grep -E``."""

_PLAN = re.compile(r"1\.\.(?P<count>\d{1,9})\s*(?:#\s*(?P<directive>SKIP\S*)\s*(?P<why>.*))?", re.IGNORECASE)
_TEST = re.compile(
    r"(?P<failed>not )?ok\b\s*(?P<number>\d{1,9})?(?:\s*-)?\s*(?P<name>[^#]*)"
    r"(?:#\s*(?P<directive>SKIP|TODO)\S*\s*(?P<why>.*))?.*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TapReport:
    """What a test reported. ``skipped`` are names with reasons; ``problems`` are faults of the report itself."""

    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing failed and the report is complete."""
        return not self.failed and not self.problems


def read_tap(lines: Iterable[str]) -> TapReport:
    """Read a report; lines that are not part of the protocol are ignored."""
    found: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": [], "problems": []}
    planned: int | None = None
    count = 0
    for line in lines:
        text = "".join(character if character.isprintable() else " " for character in line.rstrip())
        if plan := _PLAN.fullmatch(text):
            if planned is not None:
                found["problems"].append("it has two plans")
            planned = int(plan["count"])
            if planned == 0:
                found["skipped"].append(f"everything: {_clipped(plan['why'] or 'no reason given')}")
        elif text.startswith("Bail out!"):
            found["problems"].append(f"it gave up: {_clipped(text.removeprefix('Bail out!').strip()) or 'no reason'}")
        elif (text.startswith(("ok", "not ok"))) and (test := _TEST.fullmatch(text)):
            count += 1
            if count <= MOST:
                kind, what = _kind(test, count)
                found[kind].append(what)
    if count > MOST:
        found["problems"].append(f"it has more than {MOST} tests")
    if planned is None:
        found["problems"].append("it has no plan (1..N)")
    elif planned != count:
        found["problems"].append(f"it planned {planned} tests and reported {count}")
    return TapReport(**{kind: tuple(values) for kind, values in found.items()})


def _kind(test: re.Match[str], count: int) -> tuple[str, str]:
    name = _clipped(test["name"].strip()) or f"test {test['number'] or count}"
    directive = (test["directive"] or "").upper()
    # A test that is still to do may fail, and proves nothing when it passes.
    if directive:
        return "skipped", f"{name}: {_clipped(test['why'].strip()) or directive.lower()}"
    return ("failed" if test["failed"] else "passed"), name


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
