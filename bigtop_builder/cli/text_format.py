"""Text for people: sizes, durations, columns, colours, and log lines made safe to show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

Line = tuple[str, str]
"""A line of output: its text, and its style as words: ``bold red``, ``dim``, or nothing."""

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def styled(text: str, style: str) -> str:
    """Return ``text`` with the escape sequences of a style, for a terminal that shows colours."""
    codes = ";".join(_CODES[word] for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m" if text and codes else text


def size(count: int) -> str:
    """``1536`` → ``1.5 KiB``."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 999.95 or unit == "TiB":
            break
    return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"


def span(seconds: float) -> str:
    """``0.34`` → ``0.3s``, ``75`` → ``1m15s``, ``7500`` → ``2h05m``."""
    if seconds < 59.95:
        return f"{max(seconds, 0.0):.1f}s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"


def clean(text: str) -> str:
    """Remove escape sequences and control characters, so that a terminal and XML 1.0 can take the text."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text)).replace("\t", "    ")


def count(number: int, noun: str) -> str:
    """``1 package``, ``2 packages``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Align rows in columns with two spaces between them."""
    table = [list(row) for row in rows]
    widths = [max(len(row[index]) for row in table) for index in range(len(table[0]))] if table else []
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
    return "\n".join(lines)
