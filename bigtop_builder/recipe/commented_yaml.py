"""Writes YAML for people: plain data, with comments above the keys that they are about.

What is written is read again by ``recipe.document``, which takes scalars as they stand there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from bigtop_builder.recipe.document import DocumentPath

Comments = Mapping[DocumentPath, Sequence[str]]

WIDTH = 120
_NUMBER = re.compile(r"(0|-?[1-9][0-9]{0,17})\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./+=@%$():-]*(?: [A-Za-z0-9_./+=@%$()-]+)*(?<!:)\Z")
"""Texts in which nothing means anything to YAML; a colon does with a blank behind it, or at the end."""
_WORDS = frozenset(["true", "false", "yes", "no", "on", "off", "null", "y", "n", "~", ".inf", ".nan", "="])
_TYPED = re.compile(r"[-+.]?[0-9][0-9_.,:eExXoO+-]*[a-fA-F0-9]*\Z|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*\Z")
"""What YAML may take for a number, a time or a date."""
_LINES = re.compile(r"[^ \t\n].*\n")
"""Several lines; indentation of the first would be taken for that of the block."""
_BREAKS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]|[\ud800-\udfff]")
"""Characters that a block of literal text would not keep."""


def commented_yaml(data: Mapping[str, object], comments: Comments) -> str:
    """Return YAML with comments: one line each, above the key with their path."""
    return "\n".join(_mapping(data, (), comments, "")) + "\n"


def scalar(value: object) -> str:
    """Return one value on one line; texts that YAML would take for something else are quoted."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    if _PLAIN.match(text) and text.lower() not in _WORDS and ": " not in text and not _TYPED.match(text):
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def property_scalar(text: str) -> object:
    """Return a property's text as a file may have it: plain numbers and truth values need no quotes."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if _NUMBER.match(text) else text


def _mapping(data: Mapping[str, object], path: DocumentPath, comments: Comments, indent: str) -> Iterator[str]:
    for key, value in data.items():
        here = (*path, key)
        if not path and (value != next(iter(data.values())) or key != next(iter(data))):
            yield ""
        yield from (f"{indent}# {line}".rstrip() for line in comments.get(here, ()))
        yield from _entry(f"{indent}{scalar(key)}:", value, here, comments, indent)


def _entry(head: str, value: object, path: DocumentPath, comments: Comments, indent: str) -> Iterator[str]:
    commented = any(other[: len(path)] == path and len(other) > len(path) for other in comments)
    short = None if commented and value else _flow(value)
    if short is not None and (not isinstance(value, Mapping | list) or not value or _fits(head, short, path)):
        if isinstance(value, str) and _LINES.match(value) and not _BREAKS.search(value):
            yield from _block(head, value, indent)
        else:
            yield f"{head} {short}"
    elif isinstance(value, list) and not commented and not any(isinstance(one, Mapping | list) for one in value):
        yield from _wrapped(f"{head} [", value)
    elif isinstance(value, Mapping):
        yield head
        yield from _mapping(value, path, comments, f"{indent}  ")
    elif isinstance(value, Sequence):
        yield head
        for index, item in enumerate(value):
            yield from (f"{indent}  # {line}".rstrip() for line in comments.get((*path, index), ()))
            shown = _flow(item)
            yield f"{indent}  - {shown}"


def _wrapped(head: str, items: Sequence[object]) -> Iterator[str]:
    """Return a list of scalars inside brackets over several lines."""
    line, indent = head, " " * len(head)
    for number, item in enumerate(items, start=1):
        text = _inner(item) + ("]" if number == len(items) else ",")
        if len(line) + len(text) > WIDTH:
            yield line.rstrip()
            line = indent
        line += f"{text} "
    yield line.rstrip()


def _fits(head: str, short: str, path: DocumentPath) -> bool:
    """Return whether a collection stands on the line of its key: a configuration type never does."""
    nested = len(path) == 1 and set("[{") & set(short[1:])
    return len(head) + 1 + len(short) <= WIDTH and not nested and (path[0] != "configurations" or len(path) > 2)


def _block(head: str, text: str, indent: str) -> Iterator[str]:
    """Return lines of literal text, with everything that the end of the text has or has not."""
    ends = len(text) - len(text.rstrip("\n"))
    yield f"{head} |{('-', '', '+')[min(ends, 2)]}"
    yield from (f"{indent}  {line}" if line else "" for line in text.removesuffix("\n").split("\n"))


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_inner(key)}: {_flow_inner(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow_inner(item) for item in value) + "]"
    return scalar(value)


def _flow_inner(value: object) -> str:
    return _flow(value) if isinstance(value, Mapping | list | tuple) else _inner(value)


def _inner(value: object) -> str:
    """Return a scalar inside brackets, where commas and brackets mean something."""
    shown = scalar(value)
    return _quoted(shown) if isinstance(value, str) and shown[:1] != '"' and set(shown) & set("[]{},") else shown
