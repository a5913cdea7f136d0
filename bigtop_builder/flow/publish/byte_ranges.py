"""The ``Range`` header (RFC 9110, section 14)."""

from __future__ import annotations

import itertools
import re

MOST = 32
"""More ranges than this in one request are not worth an answer in parts."""
SPEC = re.compile(r"([0-9]*)-([0-9]*)")
Range = tuple[int, int]


def parse_ranges(header: str, size: int) -> list[Range] | None:
    """Return first byte and the one after the last of each range that a file of ``size`` bytes has.

    The list is empty if the file has none of them. None: the header is invalid, or asks for too many or overlapping
    ranges, so that the whole file is the answer.
    """
    unit, _, text = header.partition("=")
    specs = [part for part in (part.strip(" \t") for part in text.split(",")) if part]
    if unit.strip().lower() != "bytes" or not specs or len(specs) > MOST:
        return None
    found: list[Range] = []
    for spec in specs:
        match = SPEC.fullmatch(spec)
        if match is None or spec == "-":
            return None
        first, last = (_number(digits) if digits else None for digits in match.groups())
        if first is None:
            start, end = max(0, size - (last or 0)), size
        elif last is not None and last < first:
            return None
        else:
            start, end = first, size if last is None else min(size, last + 1)
        if start < end:
            found.append((start, end))
    ordered = sorted(found)
    overlap = any(second[0] < first[1] for first, second in itertools.pairwise(ordered))
    return None if overlap else found


def _number(digits: str) -> int:
    """Return a number; one that no file reaches counts as 10¹⁸, because Python converts only some thousand digits."""
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= 18 else 10**18
