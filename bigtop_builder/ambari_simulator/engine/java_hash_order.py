"""The order in which Java's hash maps give their keys: what Ambari prints and numbers unsorted stands in it."""

from __future__ import annotations

from collections.abc import Iterable


def hash_order(names: Iterable[str]) -> list[str]:
    """The names as a ``HashMap`` with default capacity iterates over them (``java.util.HashMap``)."""
    known = list(dict.fromkeys(names))
    buckets = 16
    while len(known) > buckets * 0.75:
        buckets *= 2
    return sorted(known, key=lambda name: _spread(name) & (buckets - 1))


def _spread(name: str) -> int:
    value = 0
    for unit in name.encode("utf-16-be").hex(" ", 2).split():
        value = (value * 31 + int(unit, 16)) & 0xFFFFFFFF
    return value ^ (value >> 16)
