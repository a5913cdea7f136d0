"""Compares RPM versions (rpm's documentation, "Dependencies": how versions are compared)."""

from __future__ import annotations

import functools

from bigtop_builder.model.version import compare_versions

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
