"""What matters of a task's or a job's output: messages and errors, without source lines of tracebacks and progress."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

LONGEST_LINE = 4000
LAST_LINES = 12
LINE_LENGTH = 400

SHORT = 3
"""Characters of lines, such as brackets, whose repetition tells nothing."""

_VOLATILE = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?|\d\d/\d\d/\d\d \d\d:\d\d:\d\d|0x[0-9a-f]+|\bpid[ =:]+\d+|\[\d+\]",
    re.IGNORECASE,
)
_TRACEBACK = "Traceback (most recent call last):"
_NO_CAUSE = ("NoneType: None", "The above exception was the cause of the following exception:")
"""What Ambari's scripts print before a failure that nothing else caused (exceptions.py)."""
_WARNED = re.compile(r":\d+: \w*Warning: ")
_TELLING = re.compile(
    r"^(?:Exception in thread|Caused by:|Error:|[\w.$]+(?:Exception|Error)(?::|$))|\b(?:ERROR|FATAL|SEVERE)\b"
)
_FRAME = re.compile(r"^\s+(?:at |\.\.\. \d+ more)")
_PROGRESS = re.compile(r"^\S+ \S+ (?:INFO|DEBUG|TRACE)\b|^(?:INFO|DEBUG)\b|^\[[^\]]*\] (?:INFO|DEBUG)\b")


def messages(text: str) -> str:
    """Return output without the source lines of Python's tracebacks and warnings; long lines are cut.

    Causes are looked for in what it returns, and some of their patterns search an endless word for minutes.
    """
    kept: list[str] = []
    skipping = False
    for line in (whole[:LONGEST_LINE] for whole in text.splitlines()):
        if line.lstrip().startswith(_TRACEBACK) or _WARNED.search(line):
            skipping = True
        elif skipping and line[:1].isspace():
            continue
        else:
            skipping = False
            if line.strip() not in _NO_CAUSE:
                kept.append(line)
    return "\n".join(kept).strip()


def exception(stderr: str) -> str:
    """Return the message of the exception that ended a script; all messages if there is no traceback."""
    before, traceback, after = stderr.rpartition(_TRACEBACK)
    return messages(traceback + after) if traceback else messages(before + after)


def last_lines(stderr: str, stdout: str) -> list[str]:
    """Return the last messages of a task's stderr, or of its stdout if stderr is empty."""
    text = messages(stderr) or messages(stdout)
    return [line.rstrip()[:LINE_LENGTH] for line in folded(text.splitlines())[-LAST_LINES:]]


def folded(lines: Iterable[str]) -> list[str]:
    """Return lines with those that say the same, but for times and numbers, only once: where they came last."""
    last: dict[str, str] = {}
    times: Counter[str] = Counter()
    for number, line in enumerate(lines):
        key = same(line.strip())
        if len(key) <= SHORT:
            key = f"{number} {key}"
        last.pop(key, None)
        last[key] = line
        times[key] += 1
    return [f"{line.rstrip()} ({times[key]} times)" if times[key] > 1 else line for key, line in last.items()]


def same(text: str) -> str:
    """Return a text without what differs each time: times of logs, process ids, addresses of objects."""
    return _VOLATILE.sub("#", text)


def telling_lines(stdout: str, stderr: str, most: int) -> list[str]:
    """Return the lines of a program's output that tell why it failed, at most ``most``.

    These are the first errors and exceptions; without any, the last lines that are not about progress.
    """
    said = [line for text in (stderr, stdout) for line in messages(text).splitlines()]
    lines = [line.strip()[:LINE_LENGTH] for line in said if line.strip() and not _FRAME.match(line)]
    errors = list(dict.fromkeys(line for line in lines if _TELLING.search(line) and not _PROGRESS.search(line)))
    if errors:
        return errors[:most]
    plain = [line for line in lines if not _PROGRESS.search(line)]
    return (plain or lines)[-most:]
