"""Versions: how they are ordered, and how rpm may write those of upstream projects."""

from __future__ import annotations

import re

PART = re.compile(r"~|\^|[0-9]+|[a-zA-Z]+")


def compare_versions(left: str, right: str) -> int:
    """Return -1, 0 or 1, as rpm orders versions: a tilde sorts before the end, a caret after it, numbers after letters.

    See rpm's documentation, "Dependencies".
    """
    lefts, rights = PART.findall(left), PART.findall(right)
    for a, b in zip([*lefts, ""], [*rights, ""], strict=False):
        if a != b:
            order = _compare_parts(a, b)
            if order:
                return order
    return 0


def _compare_parts(a: str, b: str) -> int:
    if "~" in (a, b):
        return -1 if a == "~" else 1
    if "^" in (a, b):
        other, sign = (b, 1) if a == "^" else (a, -1)
        return sign if not other else -sign
    if not a or not b:
        return 1 if a else -1
    if a.isdigit() and b.isdigit():
        # As text: rpm compares numbers of any length, Python converts 4,300 digits at most.
        left, right = ((len(digits), digits) for digits in (a.lstrip("0"), b.lstrip("0")))
        return (left > right) - (left < right)
    if a.isdigit() != b.isdigit():
        return 1 if a.isdigit() else -1
    return (a > b) - (a < b)


def in_range(version: str, first: str, last: str) -> bool:
    """Return whether a version is in a range; ``last`` is empty for an open one.

    The range ends with all that begins with ``last``: 3.3 includes 3.3.6, and 3.3.6 includes 3.3.6-TDP-1.0.
    """
    if compare_versions(version, first) < 0:
        return False
    parts, ends = PART.findall(version), PART.findall(last)
    return parts[: len(ends)] == ends or compare_versions(version, last) <= 0
