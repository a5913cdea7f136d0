"""Why a step failed, from its log: the probable cause, the first error with its lines, and the last lines."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.flow.build.causes import CAUSES, Cause
from bigtop_builder.flow.build.line_kinds import END, ERROR, HELP, SUCCESS, TRACEBACK, VERDICT, harmless, suspicious
from bigtop_builder.flow.build.log_lines import lines_of, log_end, shortened

LINE_LIMIT = 400
SHOWN_LINES = 15
ERROR_LINES = 12
VERDICT_LINES = 20
END_BYTES = 32 << 10
"""Where in a log the causes count that successful builds print as well."""

KEPT = 2000
"""How many suspicious lines are kept, of the first ones and of the last ones."""


@dataclass(frozen=True)
class Diagnosis:
    """What the digest of a failure shows of a log."""

    cause: str | None
    hint: str | None
    first_error: list[str]
    """The first error and what belongs to it; empty when no line looks like one."""
    last_lines: list[str]


@dataclass(frozen=True)
class _Suspect:
    place: int
    """The byte of the log where the line begins."""
    line: str


def diagnose(log: Path, message: str = "") -> Diagnosis:
    """Return what a step's log says about its failure; ``message`` is the program's own."""
    suspects, verdict, size = _read(log)
    late = [one for one in suspects if one.place >= size - END_BYTES]
    found = _first([_Suspect(-1, line) for line in message.splitlines()], CAUSES)
    found = found or _first(verdict, CAUSES)
    found = found or _first(suspects, [cause for cause in CAUSES if not cause.at_end])
    found = found or _first(late, CAUSES)
    last = tail(log)
    if found is None:
        start = verdict[0] if verdict else next((one for one in late if ERROR.search(one.line)), None)
        return Diagnosis(None, None, _excerpt(log, start), last)
    cause, named, where = found
    if cause.shown is not None:
        where = next((one for one in [*suspects, *verdict] if cause.shown.search(one.line)), where)
    text = f"{cause.text}: {named}" if named else cause.text
    return Diagnosis(text, cause.hint, _excerpt(log, where), last)


def _read(log: Path) -> tuple[list[_Suspect], list[_Suspect], int]:
    """Return the suspicious lines since the last success, the lines of the last verdict, and the size of the log."""
    first: list[_Suspect] = []
    last: deque[_Suspect] = deque(maxlen=KEPT)
    verdict: list[_Suspect] = []
    open_verdict = False
    place = 0
    for place, line in lines_of(log):
        if SUCCESS.match(line):
            first, last, verdict, open_verdict = [], deque(maxlen=KEPT), [], False
            continue
        open_verdict = (
            (open_verdict or bool(VERDICT.match(line))) and not END.match(line) and len(verdict) < VERDICT_LINES
        )
        if open_verdict:
            verdict.append(_Suspect(place, line))
        if suspicious(line):
            (first if len(first) < KEPT else last).append(_Suspect(place, line))
    return [*first, *last], verdict, place


def _first(suspects: Sequence[_Suspect], causes: Iterable[Cause]) -> tuple[Cause, str, _Suspect] | None:
    """Return the first of the causes that a line shows, the culprit that it names, and the first such line."""
    for cause in causes:
        found = [(match, one) for one in suspects for match in cause.regex.finditer(one.line)]
        if found:
            named = (group for match, _ in found for group in match.groups() if group)
            return cause, next(named, "").rstrip(".,;:"), found[0][1]
    return None


def _excerpt(log: Path, start: _Suspect | None) -> list[str]:
    """Return the lines from ``start`` on that belong to it."""
    if start is None or start.place < 0:
        return []
    traceback = bool(TRACEBACK.match(start.line))
    kept: list[str] = []
    for number, (_, line) in enumerate(lines_of(log, start.place)):
        if number and (END.match(line) or SUCCESS.match(line)):
            break
        if number > 4 * ERROR_LINES or (len(kept) >= ERROR_LINES and not traceback):
            break
        if line.strip() and not harmless(line):
            kept.append(_shown(line))
        if traceback and number and line[:1].strip():
            break
    return kept if len(kept) <= ERROR_LINES else [kept[0], "…", *kept[2 - ERROR_LINES :]]


def tail(log: Path) -> list[str]:
    """Return the last lines of a log that help, without empty ones and colours, each cut to LINE_LIMIT characters."""
    lines = [line for line in log_end(log).splitlines() if line.strip() and not HELP.search(line)]
    # The message of the failure says the same.
    lines = [line for line in lines if not line.startswith("==> failed: ")]
    return [_shown(line) for line in lines[-SHOWN_LINES:]]


def _shown(line: str) -> str:
    return shortened(re.sub(r" -> \[Help \d+\]$", "", line), LINE_LIMIT)
