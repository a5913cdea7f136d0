"""Compares RPM versions (rpm's documentation, "Dependencies": how versions are compared)."""

from __future__ import annotations

import functools
import re

PART = re.compile(r"~|\^|[0-9]+|[a-zA-Z]+")
LONGEST_EPOCH = 10
"""Digits; an epoch has 32 bits."""
EVR = tuple[int, str, str]
"""Epoch, version, release; an empty release matches any."""


def parse_evr(text: str) -> EVR:
    """Parse ``1:3.5.9-2.el7`` into ``(1, "3.5.9", "2.el7")``."""
    epoch, colon, rest = text.rpartition(":")
    version, _, release = rest.partition("-")
    number = epoch if colon and epoch.isascii() and epoch.isdigit() and len(epoch) <= LONGEST_EPOCH else "0"
    return int(number), version, release


def compare_versions(left: str, right: str) -> int:
    """Return -1, 0 or 1: a tilde sorts before the end, a caret after it, numbers after letters."""
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


def compare_evr(left: EVR, right: EVR) -> int:
    """Return -1, 0 or 1; releases are compared only when both sides have one."""
    if left[0] != right[0]:
        return 1 if left[0] > right[0] else -1
    order = compare_versions(left[1], right[1])
    if order or not left[2] or not right[2]:
        return order
    return compare_versions(left[2], right[2])


evr_key = functools.cmp_to_key(compare_evr)
"""A key for ``sorted``."""
