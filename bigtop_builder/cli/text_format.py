"""Text for people: sizes, durations, columns, colours, and the text of strangers made safe to show.

Text comes from component files, builds, hosts and servers. A terminal would take escape sequences in it for commands,
and a pipeline lines that begin with ``::`` or have ``##[`` in them. Everything that is printed goes through
``printable``, ``printable_json`` or ``LogText``, after which all of that is shown and none of it works.
"""

from __future__ import annotations

import codecs
import os
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

Line = tuple[str, str]
"""A line of output: its text, and its style as words: ``bold red``, ``dim``, or nothing."""

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: a terminal takes them for commands.
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # Invisible, or changes the order of what is read.
    "\ud800-\udfff\ufff9-\ufffb\ufffe\uffff]"  # Not text at all.
)
_OWN = os.urandom(8).hex()
"""Marks our own colours until they are printed. No file can have it."""
_OWN_COLOUR = re.compile(rf"\x1b{_OWN}\[([0-9;]*)m")
_PIPELINE = re.compile(r"##(?=\w*\[)")
_WORKFLOW = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-OQ-WYZ\\`-~])")
NARROWEST = 16
"""Columns that the last column of a table needs beside the others."""
_LONGEST = 1 << 16
"""The longest line of a log whose end is waited for."""


def styled(text: str, style: str) -> str:
    """Return ``text`` with the escape sequences of a style, for a terminal that shows colours."""
    codes = ";".join(CODES[word] for word in style.split())
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
    """Remove escape sequences and control characters, so that a terminal and XML 1.0 can take the text.

    What is invisible or changes the direction of reading is shown escaped.
    """
    return escaped(_CONTROLS.sub("", _ESCAPES.sub("", text)).replace("\t", "    "), "\n")


def count(number: int, noun: str) -> str:
    """``1 package``, ``2 packages``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Align rows in columns with two spaces between them."""
    table = [list(row) for row in rows]
    widths = [max(len(row[index]) for row in table) for index in range(len(table[0]))] if table else []
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
    return "\n".join(lines)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], width: int, *, fold: bool = False) -> str:
    """Align rows in columns below a header; what does not fit ``width`` of the last column is cut off, or folded.

    Where the last column would be too narrow to read, the cells of a row stand below each other.
    """
    lines = [list(header), *(list(row) for row in rows)]
    before = sum(max(len(row[index]) for row in lines) + 2 for index in range(len(header) - 1))
    room = width - before
    if room < NARROWEST:
        return "\n".join(line for row in lines for line in _stacked(row, width, fold=fold))
    fitted: list[list[str]] = []
    for row in lines:
        parts = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
        if len(parts) > 1 and not fold:
            parts = [row[-1][: room - 1].rstrip() + "…"]
        fitted.append([*row[:-1], parts[0]])
        fitted += [[*[""] * (len(header) - 1), part] for part in parts[1:]]
    return columns(fitted)


def _stacked(row: Sequence[str], width: int, *, fold: bool) -> Iterator[str]:
    yield row[0]
    for index, text in enumerate((", ".join(filter(None, row[1:-1])), row[-1])):
        indented = textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
        if len(indented) > 1 and index and not fold:
            indented = [f"  {text[: width - 3].rstrip()}…"]
        yield from indented


def facts(pairs: Iterable[tuple[str, str]], width: int) -> str:
    """Return named facts, one below the other, each folded beside its name."""
    found = list(pairs)
    indent = max((len(name) for name, _ in found), default=0) + 4
    return "\n".join(
        textwrap.fill(
            text,
            max(width, indent + 20),
            initial_indent=f"  {name:<{indent - 2}}",
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, text in found
    )


def escaped(text: str, keep: str = "") -> str:
    """Return a text with ``\\x1b`` and the like for what must not reach a terminal, except what ``keep`` has."""
    if text.isprintable():
        return text
    return UNSAFE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def coloured(text: str, style: str) -> str:
    """Return ``text`` in a style that ``printable`` turns into colours."""
    codes = ";".join(CODES[word] for word in style.split())
    return f"\x1b{_OWN}[{codes}m{text}\x1b{_OWN}[0m" if text and codes else text


def printable(text: str, *, colour: bool = False) -> str:
    """Return a text as it may be printed: with escapes for control characters, and no commands of pipelines."""
    parts = _OWN_COLOUR.split(text)
    for index in range(0, len(parts), 2):
        parts[index] = _PIPELINE.sub("# #", escaped(parts[index], "\n\t"))
        parts[index + 1 : index + 2] = [f"\x1b[{codes}m" if colour else "" for codes in parts[index + 1 : index + 2]]
    return _WORKFLOW.sub(r"\1: ", "".join(parts))


def one_line(text: str) -> str:
    """Return a text as a part of a line that itself is a command of a pipeline."""
    return _PIPELINE.sub("# #", escaped(text))


def printable_json(text: str) -> str:
    """Return JSON with escapes instead of characters that a terminal or a pipeline would take for commands."""
    safe = UNSAFE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)
    # Only a text can have it, so the escape is JSON.
    return safe.replace("##", "\\u0023#")


class LogText:
    """Makes the bytes of a log printable, piece by piece: colours stay if the terminal shows them, the rest is text.

    Sequences that move the cursor, set a title or clear the screen are left out. A lone carriage return ends a line,
    so that nothing is overwritten.
    """

    def __init__(self, environment: Mapping[str, str], *, colour: bool) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._colour = colour
        self._pipeline = environment.get("GITHUB_ACTIONS") == "true"
        self._rest = ""

    def feed(self, data: bytes, *, last: bool = False) -> str:
        """Return what can be printed now; ``last`` for the end of the log."""
        text = self._rest + self._decoder.decode(data, last)
        self._rest = ""
        if not last:
            # A sequence may be cut in two, but hardly a line; a return at the end may be half of a line's end.
            whole = max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1
            whole = whole or (len(text) if len(text) > _LONGEST else 0)
            text, self._rest = text[:whole], text[whole:]
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        pieces: list[str] = []
        end = 0
        for found in _SEQUENCE.finditer(text):
            pieces.append(escaped(text[end : found.start()], "\n\t"))
            if self._colour and _COLOUR.fullmatch(found[0]):
                pieces.append(found[0])
            end = found.end()
        shown = _PIPELINE.sub("# #", "".join([*pieces, escaped(text[end:], "\n\t")]))
        return _WORKFLOW.sub(r"\1: ", shown) if self._pipeline else shown
